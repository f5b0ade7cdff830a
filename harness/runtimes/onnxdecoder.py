"""A language model in an InferenceSession: bound caches, one token after the other.

Two kinds of graph are met. Where every layer attends by GroupQueryAttention, the cache
of all users is one buffer a tensor, bound both as the past and as the present, so that
nothing is ever copied (onnxruntime, "ContribOperators.md": past and present may share
a buffer), and users with contexts of different length take a step together. Where the
graph joins past and new itself, what it gives is bound as the past of the next call;
such a graph serves one user.

The cache lies where the provider computes: in the host's memory, or on the GPU, so
that a token moves nothing but itself and its logits.

Inputs besides the past are ``input_ids``, ``attention_mask``, ``position_ids`` and
``use_cache_branch``, in whatever type the graph takes them.
"""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from harness.domain.cache import (
    BRANCH,
    FED,
    LOGITS,
    MASK,
    PLACES,
    TOKENS,
    Cache,
    Sizes,
    caches_of,
    is_decoder,
)
from harness.errors import ModelRejected, TargetError, Unsupported
from harness.runtimes.base import Tensor, Tokeniser

_MEMORY = {"CPUExecutionProvider": "cpu", "CUDAExecutionProvider": "cuda"}
"""Where a provider's tensors lie, by the library's name ("I/O Binding" of its docs)."""
_SHARES_ITS_CACHE = "GroupQueryAttention"
_SHARED_AXES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a decoder's graph takes and gives."""

    caches: tuple[Cache, ...]
    others: Mapping[str, str]
    """Inputs besides the cache, with their dtypes."""
    logits: tuple[str, str]
    """Name and dtype."""
    shares_cache: bool


def memory_of(provider: str) -> str:
    """Give where the provider's caches lie, by the library's name of that device.

    Raises Unsupported for a provider whose memory the library does not lend: the cache
    would be copied to the device and back at every token, and the copy be measured.
    """
    if provider not in _MEMORY:
        raise Unsupported(
            f"A decoder's cache would lie in the host's memory, and {provider} would "
            "copy it at every token",
            remedy="Build a folder for onnxruntime-genai, which keeps the cache on the "
            f"device, or use one of: {', '.join(_MEMORY)}.",
        )
    return _MEMORY[provider]


def signature_of(
    session: Any,  # noqa: ANN401 - untyped library
    operators: Mapping[str, int],
    dtypes: Mapping[str, str],
) -> Signature:
    """Read what a session takes and gives; raises as `signature`.

    `dtypes` has numpy's names by the library's.
    """
    inputs = {
        one.name: (dtypes.get(one.type, one.type), tuple(one.shape))
        for one in session.get_inputs()
    }
    outputs = {
        one.name: dtypes.get(one.type, one.type) for one in session.get_outputs()
    }
    return signature(inputs, outputs, operators)


def signature(
    inputs: Mapping[str, tuple[str, Sizes]],
    outputs: Mapping[str, str],
    operators: Mapping[str, int],
) -> Signature:
    """Read a decoder's inputs (name → dtype, sizes) and outputs (name → dtype).

    Raises ModelRejected for what is no decoder with a cache, Unsupported for an input
    that is not known.
    """
    caches = _caches(inputs, outputs)
    others = {
        name: dtype
        for name, (dtype, _) in inputs.items()
        if name not in {cache.past for cache in caches}
    }
    unknown = sorted(others.keys() - FED)
    if unknown:
        raise Unsupported(
            f"Nothing is known to feed the decoder's input '{unknown[0]}'",
            remedy="Export it with input_ids, attention_mask, position_ids and a past.",
        )
    layers = len(caches) // 2
    return Signature(
        caches=caches,
        others=others,
        logits=(LOGITS, outputs[LOGITS]),
        shares_cache=operators.get(_SHARES_ITS_CACHE, 0) >= max(layers, 1)
        and all(_can_be_shared(cache) for cache in caches),
    )


def _caches(
    inputs: Mapping[str, tuple[str, Sizes]], outputs: Mapping[str, str]
) -> tuple[Cache, ...]:
    try:
        is_known = is_decoder(inputs, outputs)
    except ValueError as error:
        raise ModelRejected(
            f"The cache '{error}' does not say how many heads it has, or how wide",
            remedy="Export it as [batch, heads, past, head] with fixed heads.",
        ) from error
    if not is_known:
        raise ModelRejected(
            "This graph is no decoder with a cache: it lacks input_ids, logits, or "
            "pairs of past… and present…",
            remedy="Export the model for generation with its past "
            "(optimum: text-generation-with-past; or onnxruntime-genai's builder).",
        )
    return caches_of(inputs, outputs)


def _can_be_shared(cache: Cache) -> bool:
    return cache.growing_axis is not None and len(cache.sizes) == _SHARED_AXES


class OnnxDecoder:
    """A decoder in a session. A `DecodingSession` of `harness.runtimes.base`."""

    def __init__(
        self,
        library: Any,  # noqa: ANN401 - untyped library
        session: Any,  # noqa: ANN401 - untyped library
        graph: Signature,
        memory: str,
    ) -> None:
        self._ort = library
        self._session = session
        self._graph = graph
        self._device = (memory, 0)
        self._options = library.RunOptions()
        self._lengths: list[int] = []
        self._next: Tensor = np.zeros((0, 1), np.int64)
        self._mask: Tensor = np.zeros((0, 0), np.int64)
        self._buffers: dict[str, Any] = {}
        """The caches of all users, where the graph shares them."""
        self._grown: dict[str, Any] = {}
        """The cache of the one user, as the graph gave it last, where it does not."""
        self._together: Any = None

    @property
    def cache_bytes_per_token(self) -> int:
        """Give what one token of context takes, of one user."""
        return sum(
            cache.items_per_token * np.dtype(cache.dtype).itemsize
            for cache in self._graph.caches
        )

    @property
    def takes_together(self) -> bool:
        """Say no: users with contexts of any length take a step together."""
        return False

    @property
    def steps_together(self) -> bool:
        """Say whether the graph shares a cache, so that all step together."""
        return self._graph.shares_cache

    def tokeniser(self) -> Tokeniser:
        """Refuse: a graph carries none. Raises Unsupported."""
        raise Unsupported(
            "A plain ONNX decoder has no tokeniser, so tokenisation cannot be timed",
            remedy="Give a folder for onnxruntime-genai, or leave tokenisation out.",
        )

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        """Make room. Raises Unsupported for several users of a graph that joins.

        End tokens are never masked: who asks for tokens gets them.
        """
        del may_end
        graph = self._graph
        if users > 1 and not graph.shares_cache:
            raise Unsupported(
                f"This decoder joins past and new itself, so {users} users cannot "
                "take a step together",
                remedy="Measure one user, or export it with GroupQueryAttention.",
            )
        self._lengths = [0] * users
        self._next = np.zeros((users, 1), np.int64)
        self._mask = np.zeros((users, tokens), np.int64)
        # what was there before goes first, so that there are never two of it
        self._together, self._buffers, self._grown = None, {}, {}
        if graph.shares_cache:
            for cache in graph.caches:
                shape = cache.shape(users, tokens)
                self._buffers[cache.past] = self._held(np.zeros(shape, cache.dtype))
            self._together = self._in_place(0, users)

    def prefill(self, user: int, prompt: Sequence[int]) -> int:
        """Take a prompt in the place of what the user had; gives the first token."""
        length = len(prompt)
        self._lengths[user] = length
        self._mask[user] = 0
        self._mask[user, :length] = 1
        if self._graph.shares_cache:
            binding = self._in_place(user, user + 1)
        else:
            self._grown = {c.past: self._nothing(c) for c in self._graph.caches}
            binding = self._joining()
        feeds = {
            TOKENS: np.asarray(prompt, np.int64)[np.newaxis],
            MASK: self._mask[user : user + 1, :length],
            PLACES: np.arange(length, dtype=np.int64)[np.newaxis],
            BRANCH: np.array([False]),
        }
        token = self._run(binding, feeds)[0]
        self._next[user, 0] = token
        return token

    def prefill_all(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """Take the prompts of all users, one after the other."""
        return [self.prefill(user, prompt) for user, prompt in enumerate(prompts)]

    def step(self) -> list[int]:
        """Give the next token of each user."""
        for user, length in enumerate(self._lengths):
            self._mask[user, length] = 1
            self._lengths[user] = length + 1
        feeds = {
            TOKENS: self._next,
            MASK: self._mask[:, : max(self._lengths)],
            PLACES: np.asarray(self._lengths, np.int64)[:, np.newaxis] - 1,
            BRANCH: np.array([True]),
        }
        tokens = self._run(self._together or self._joining(), feeds)
        self._next[:, 0] = tokens
        return tokens

    def close(self) -> None:
        """Let the session and the caches go."""
        self._session = self._together = None
        self._buffers, self._grown = {}, {}

    def _in_place(self, first: int, end: int) -> Any:  # noqa: ANN401
        """Bind the caches of some users, each as the past and as the present."""
        binding = self._session.io_binding()
        for cache in self._graph.caches:
            whole, dtype = self._buffers[cache.past], np.dtype(cache.dtype)
            of_one = whole.shape()[1:]
            place = whole.data_ptr() + first * prod(of_one) * dtype.itemsize
            how = (*self._device, dtype.type, (end - first, *of_one), place)
            binding.bind_input(cache.past, *how)
            binding.bind_output(cache.present, *how)
        binding.bind_output(self._graph.logits[0], "cpu")
        return binding

    def _joining(self) -> Any:  # noqa: ANN401
        """Bind the past as it is; the library makes room for what comes of it."""
        binding = self._session.io_binding()
        for cache in self._graph.caches:
            binding.bind_ortvalue_input(cache.past, self._grown[cache.past])
            binding.bind_output(cache.present, *self._device)
        binding.bind_output(self._graph.logits[0], "cpu")
        return binding

    def _run(self, binding: Any, feeds: Mapping[str, Tensor]) -> list[int]:  # noqa: ANN401
        for name, dtype in self._graph.others.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(feeds[name], dtype))
        self._session.run_with_iobinding(binding, self._options)
        *present, logits = binding.get_outputs()
        if not self._graph.shares_cache:
            pasts = (cache.past for cache in self._graph.caches)
            self._grown = dict(zip(pasts, present, strict=True))
        return self._likeliest(logits)

    def _likeliest(self, logits: Any) -> list[int]:  # noqa: ANN401
        """Give the token of the greatest logit at the last place, user by user."""
        users, places, vocabulary = logits.shape()
        dtype = np.dtype(self._graph.logits[1])
        row = vocabulary * dtype.itemsize
        tokens = []
        for user in range(users):
            # read where it lies: a copy of all places would cost more than the step
            begin = logits.data_ptr() + ((user + 1) * places - 1) * row
            held = (ctypes.c_char * row).from_address(begin)
            values = np.frombuffer(held, dtype)
            token = int(values.argmax())
            if not np.isfinite(values[token]):
                raise TargetError(
                    f"The logits are no numbers (NaN or infinity) after "
                    f"{self._lengths[user]} tokens",
                    remedy="Check the model's weights and their quantisation.",
                )
            tokens.append(token)
        return tokens

    def _nothing(self, cache: Cache) -> Any:  # noqa: ANN401
        return self._held(np.zeros(cache.sizes, cache.dtype))

    def _held(self, values: Tensor) -> Any:  # noqa: ANN401
        return self._ort.OrtValue.ortvalue_from_numpy(values, *self._device)

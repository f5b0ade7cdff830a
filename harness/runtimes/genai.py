"""onnxruntime-genai: language models as folders, with the library's own loop.

A model is a folder with ``genai_config.json``, as its model builder writes it for
Llama, Qwen, Phi and others. A generator is made anew for each prompt, inside the time
to the first token, as a program that answers a user has to.

Several users are one batch where their answers have one length, since they then begin
and end together: the library's batches are made of equal rows. Where answers may end
by themselves, or where the model's folder allows no batch, each user has a generator
and they take their steps in turn. Which of the two it was goes into the record.

The end token is masked where a shorter answer is not wanted: the library would stop.
"""

import gc
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from harness.domain.plan import RuntimeSettings
from harness.errors import ModelRejected, TargetError, Unsupported
from harness.runtimes.base import Inspection, ModelFile, Session, Tensor
from harness.runtimes.onnxrt import TELEMETRY_OFF

CONFIG = "genai_config.json"
_PROVIDERS = {
    "CUDAExecutionProvider": "cuda",
    "DmlExecutionProvider": "dml",
    "QNNExecutionProvider": "qnn",
    "OpenVINOExecutionProvider": "OpenVINO",
    "WebGpuExecutionProvider": "webgpu",
}
"""onnxruntime's name → the library's; the CPU has none."""
_CPU = "CPUExecutionProvider"
_REASON_LENGTH = 400


@contextmanager
def open_runtime() -> Iterator["GenaiRuntime"]:
    """Load onnxruntime-genai. Raises Unsupported where it is missing."""
    os.environ.update(TELEMETRY_OFF)
    try:
        import onnxruntime_genai  # noqa: PLC0415 - an extra, only when asked for
    except ImportError as error:
        raise Unsupported(
            f"onnxruntime-genai cannot be loaded: {error}",
            remedy="pip install 'duanping[genai]'",
        ) from error
    yield GenaiRuntime(onnxruntime_genai)


class GenaiRuntime:
    """The library, loaded. A `Runtime` of language models only."""

    def __init__(self, library: Any) -> None:  # noqa: ANN401 - untyped module
        self._library = library

    def identify(self) -> dict[str, str]:
        """Give name and version."""
        return {
            "runtime": "onnxruntime-genai",
            "runtime_version": str(self._library.__version__),
        }

    def load(
        self, model: ModelFile, settings: RuntimeSettings
    ) -> AbstractContextManager[Session]:
        """Refuse: the library has no single inferences. Raises Unsupported."""
        del settings
        raise Unsupported(
            "onnxruntime-genai answers token by token and nothing else",
            where=str(model.folder),
            remedy="Measure LlmDecode or ColdStart, or use onnxruntime.",
        )

    @contextmanager
    def load_decoder(
        self, model: ModelFile, settings: RuntimeSettings
    ) -> Iterator["GenaiDecoder"]:
        """Have a folder ready. Raises ModelRejected, Unsupported or MemoryError."""
        config = self._config(model, settings)
        try:
            loaded = self._library.Model(config)
        except (RuntimeError, ValueError) as error:
            raise ModelRejected(
                f"onnxruntime-genai refuses the model: {_one_line(error)}",
                where=str(model.folder),
                remedy="Build the folder with the model builder of this version.",
            ) from error
        decoder = GenaiDecoder(self._library, loaded, _padding(model))
        try:
            yield decoder
        finally:
            decoder.close()
            gc.collect()

    def inspect(self, model: ModelFile, settings: RuntimeSettings) -> Inspection:
        """Say nothing: the library does not tell what it made of a model."""
        del model, settings
        return Inspection()

    @contextmanager
    def explained(self, where: str) -> Iterator[None]:
        """Turn the library's errors, RuntimeErrors all, into TargetError."""
        try:
            yield
        except RuntimeError as error:
            raise TargetError(
                f"onnxruntime-genai failed: {_one_line(error)}",
                where=where,
                remedy="Look at the model's folder and at its context length.",
            ) from error

    def _config(self, model: ModelFile, settings: RuntimeSettings) -> Any:  # noqa: ANN401
        if settings.provider != _CPU and settings.provider not in _PROVIDERS:
            known = ", ".join((_CPU, *sorted(_PROVIDERS)))
            raise Unsupported(
                f"onnxruntime-genai has no {settings.provider}",
                remedy=f"Use one of: {known}.",
            )
        try:
            config = self._library.Config(str(model.folder))
            config.clear_providers()
            if settings.provider != _CPU:
                name = _PROVIDERS[settings.provider]
                config.append_provider(name)
                for key, value in settings.provider_options:
                    config.set_provider_option(name, key, value)
            threads = {"intra_op_num_threads": settings.intra_op_threads}
            overlay = {"model": {"decoder": {"session_options": threads}}}
            config.overlay(json.dumps(overlay))
        except RuntimeError as error:
            raise ModelRejected(
                f"The folder's {CONFIG} cannot be used: {_one_line(error)}",
                where=str(model.folder),
                remedy="Build the folder with the model builder of this version.",
            ) from error
        return config


class GenaiDecoder:
    """A model of the library with a generator for each user. A `DecodingSession`."""

    cache_bytes_per_token: int | None = None
    """The library does not say what a token of context takes."""
    takes_together: bool = False
    """Whether the users that there is room for are one batch."""
    steps_together: bool = False
    """Never of users who begin each at a time of their own."""

    def __init__(
        self,
        library: Any,  # noqa: ANN401
        model: Any,  # noqa: ANN401
        padding: int | None = None,
    ) -> None:
        self._library = library
        self._model = model
        self._padding = padding
        """Id that the library takes for no token at all in a batch."""
        self._tokens = 0
        self._least = 0
        self._has_numbers = False
        self._generators: list[Any] = []
        self._batches: dict[int, bool] = {}
        """Users → whether so many can be one batch, as was found by trying."""

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        """Let go of the users there were; room for new ones is made by `prefill`."""
        self._generators = [None] * users
        self.takes_together = users > 1 and not may_end and self._can_batch(users)
        # the library gives no token without a place for it in the context
        self._tokens = tokens + 1
        self._least = 0 if may_end else tokens + 1

    def prefill(self, user: int, prompt: Sequence[int]) -> int:
        """Make a generator, take the prompt, give the first token."""
        self._generators[user] = None
        generator = self._generator(1)
        generator.append_tokens(np.asarray(prompt, np.int32))
        if not self._has_numbers:
            self._require_numbers(generator, len(prompt))
        self._generators[user] = generator
        return _next(generator)[0]

    def prefill_all(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """Make one generator for all users, take their prompts, give first tokens."""
        self._generators.clear()
        generator = self._generator(len(prompts))
        generator.append_tokens(self._without_padding(prompts))
        if not self._has_numbers:
            self._require_numbers(generator, len(prompts[0]))
        self._generators = [generator]
        return _next(generator)

    def step(self) -> list[int]:
        """Give the next token of each user: of a batch together, else in turn."""
        return [token for one in self._generators for token in _next(one)]

    def tokeniser(self) -> "GenaiTokeniser":
        """Give the folder's tokeniser. Raises Unsupported where there is none."""
        try:
            return GenaiTokeniser(self._library.Tokenizer(self._model))
        except RuntimeError as error:
            raise Unsupported(
                f"The folder holds no tokeniser that can be used: {_one_line(error)}",
                remedy="Copy tokenizer.json and tokenizer_config.json into it, or "
                "leave tokenisation out of the times.",
            ) from error

    def _generator(self, users: int) -> Any:  # noqa: ANN401
        parameters = self._library.GeneratorParams(self._model)
        options = {"batch_size": users} if users > 1 else {}
        parameters.set_search_options(
            max_length=self._tokens,
            min_length=self._least,
            do_sample=False,
            **options,
        )
        return self._library.Generator(self._model, parameters)

    def _without_padding(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """Put another token of its prompt in the place of each that means none."""
        rows = np.asarray(prompts, np.int32)
        if self._padding is None:
            return rows
        is_padding = rows == self._padding
        others = rows[np.arange(len(rows)), is_padding.argmin(axis=1)]
        return np.where(is_padding, others[:, np.newaxis], rows)

    def _can_batch(self, users: int) -> bool:
        """Try a batch of so many users, untimed; the library refuses some models'."""
        if users not in self._batches:
            self._tokens, self._least = 2, 0
            try:
                generator = self._generator(users)
                any_token = 1 if self._padding == 0 else 0
                generator.append_tokens(np.full((users, 1), any_token, np.int32))
                self._batches[users] = len(_next(generator)) == users
            except RuntimeError:
                self._batches[users] = False
        return self._batches[users]

    def _require_numbers(self, generator: Any, tokens: int) -> None:  # noqa: ANN401
        """Look at the logits of the first prompt: a copy, too dear for the timed."""
        if not np.isfinite(np.asarray(generator.get_logits()).max()):
            raise TargetError(
                f"The logits are no numbers (NaN or infinity) after {tokens} tokens",
                remedy="Check the model's weights and their quantisation.",
            )
        self._has_numbers = True

    def close(self) -> None:
        """Let the model and all generators go."""
        self._generators.clear()
        self._model = None


class GenaiTokeniser:
    """The library's tokeniser. A `Tokeniser`."""

    def __init__(self, tokeniser: Any) -> None:  # noqa: ANN401
        self._tokeniser = tokeniser

    def encode(self, text: str) -> list[int]:
        """Give the ids of a text."""
        return [int(token) for token in self._tokeniser.encode(text)]

    def decode(self, tokens: Sequence[int]) -> str:
        """Give the text of ids."""
        return str(self._tokeniser.decode(np.asarray(tokens, np.int32)))

    def stream(self) -> Callable[[int], str]:
        """Give what turns the tokens of one answer into text, one after the other."""
        decode: Callable[[int], str] = self._tokeniser.create_stream().decode
        return decode


def _padding(model: ModelFile) -> int | None:
    """Read the id of padding off the folder's configuration; None: it names none."""
    found = json.loads(model.data).get("model", {}).get("pad_token_id")
    return found if isinstance(found, int) else None


def _next(generator: Any) -> list[int]:  # noqa: ANN401
    """Give the next token of each user that a generator is for."""
    generator.generate_next_token()
    tokens: list[int] = generator.get_next_tokens().tolist()
    return tokens


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:_REASON_LENGTH]

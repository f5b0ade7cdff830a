"""What a decoder keeps from token to token, as its graph's inputs and outputs say it.

Names are those of the exporters: ``past_key_values.N.key`` in and ``present.N.key``
out (optimum, onnxruntime-genai), ``past_key_N`` and ``present_key_N``, or ``past_N``
and ``present_N``, which hold a key and a value in one tensor (onnxruntime's GPT-2).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod

Sizes = Sequence[int | str | None]
"""Sizes of a tensor; a name or None is open."""
TOKENS, LOGITS = "input_ids", "logits"
MASK, PLACES, BRANCH = "attention_mask", "position_ids", "use_cache_branch"
"""The last says whether there is a past (optimum, merged decoders)."""
FED = frozenset({TOKENS, MASK, PLACES, BRANCH})
"""What a decoder can be fed besides its past: all of it follows from the prompts."""
_PAST, _PRESENT = "past", "present"
_LONG = "past_key_values"
_PAIRED_AXES = 5
"""[2, users, heads, places, width]: a key and a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """One tensor of a decoder's past, and the output that follows on it.

    `sizes` are those of one user with nothing kept: 0 along the axis that grows.
    """

    past: str
    present: str
    dtype: str
    sizes: tuple[int, ...]
    users_axis: int
    growing_axis: int | None
    """None: a state of fixed size, such as the last inputs of a convolution."""

    def shape(self, users: int, places: int) -> tuple[int, ...]:
        """Give the sizes for so many users with so many places each."""
        sizes = list(self.sizes)
        sizes[self.users_axis] = users
        if self.growing_axis is not None:
            sizes[self.growing_axis] = places
        return tuple(sizes)

    @property
    def items_per_token(self) -> int:
        """Count the numbers that one more place takes, of one user."""
        return 0 if self.growing_axis is None else prod(self.shape(1, 1))


def caches_of(
    inputs: Mapping[str, tuple[str, Sizes]], outputs: Collection[str]
) -> tuple[Cache, ...]:
    """Pair each past with its present; `inputs` gives dtype and sizes by name.

    Raises ValueError for a past of which more is open than users and places.
    """
    return tuple(
        _cache(past, present, *inputs[past])
        for past in inputs
        if (present := _follower(past, outputs))
    )


def is_decoder(
    inputs: Mapping[str, tuple[str, Sizes]], outputs: Collection[str]
) -> bool:
    """Say whether a graph answers token by token, with a past that grows.

    Raises as `caches_of` does.
    """
    if TOKENS not in inputs or LOGITS not in outputs:
        return False
    return any(one.growing_axis is not None for one in caches_of(inputs, outputs))


def _follower(past: str, outputs: Collection[str]) -> str:
    if not past.startswith(_PAST):
        return ""
    names = (past.replace(old, _PRESENT, 1) for old in (_LONG, _PAST))
    return next((name for name in names if name in outputs), "")


def _cache(past: str, present: str, dtype: str, sizes: Sizes) -> Cache:
    is_paired = len(sizes) == _PAIRED_AXES and sizes[0] == 2  # noqa: PLR2004 - a pair
    users = 1 if is_paired else 0
    fixed = {
        axis: size
        for axis, size in enumerate(sizes)
        if isinstance(size, int) and axis != users
    }
    grows = [axis for axis in range(len(sizes)) if axis not in {*fixed, users}]
    if len(grows) > 1:
        raise ValueError(past)
    bound = fixed | dict.fromkeys(grows, 0) | {users: 1}
    return Cache(
        past=past,
        present=present,
        dtype=dtype,
        sizes=tuple(bound[axis] for axis in range(len(sizes))),
        users_axis=users,
        growing_axis=grows[0] if grows else None,
    )

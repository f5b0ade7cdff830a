"""Outputs of timed queries against the same inputs computed again, untimed.

Every fifth query, chosen by the seed, is looked at right after it: its outputs are
kept where they are the first for those inputs, and compared with those kept where
they are not. After the window each kept output is held against a plain call.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.domain.query import OutputsChecked
from harness.runtimes.base import Feeds, Session, Tensor

RELATIVE_TOLERANCE = 1e-4
"""Of the largest magnitude in the tensor: reals may be summed in another order."""
_KEPT_BYTES = 16 * 1024**2
"""Memory for kept outputs, beyond the two that are always kept."""
_KEPT_AT_LEAST = 2


@dataclass(slots=True)
class _Kept:
    number: int
    outputs: tuple[Tensor, ...]
    fed: Feeds
    """States that the query started from."""
    looks: int = 1
    changed: int = 0


@dataclass(slots=True)
class OutputCheck:
    """What was seen of the outputs, by number of the prepared query."""

    samples_per_call: int
    has_states: bool = False
    """Whether a query's outputs depend on those before it: then each look is kept."""
    kept: dict[int, _Kept] = field(default_factory=dict)
    owed: int = 0
    """Looks that are due at the next query whose outputs may be kept."""

    def due(self) -> None:
        """Ask for one more look."""
        self.owed += 1

    def look(
        self, number: int, outputs: tuple[Tensor, ...], fed: Feeds | None = None
    ) -> None:
        """Keep or compare the outputs of query `number`, if a look is owed."""
        place = len(self.kept) if self.has_states else number
        kept = self.kept.get(place)
        if kept is not None:
            kept.looks += 1
            kept.changed += not agree(kept.outputs, outputs)
        elif self._has_room(outputs):
            copies = tuple(np.copy(tensor) for tensor in outputs)
            self.kept[place] = _Kept(number=number, outputs=copies, fed=fed or {})
        else:
            return
        self.owed -= 1

    def outputs(self) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
        """Give the outputs that were kept, by number of the prepared query."""
        for kept in self.kept.values():
            yield kept.number, kept.outputs

    def conclude(
        self, trial: str, session: Session, feeds: Sequence[Feeds], first: Feeds
    ) -> OutputsChecked:
        """Compute the kept outputs again from `feeds`, by number, and count."""
        differing = 0
        for kept in self.kept.values():
            again = {**feeds[kept.number], **kept.fed}
            is_same = agree(kept.outputs, session.compute(again))
            differing += kept.changed if is_same else kept.looks
        broken = (k for k in self.kept.values() if not is_finite(k.outputs))
        return OutputsChecked(
            trial=trial,
            compared=self.samples_per_call * sum(k.looks for k in self.kept.values()),
            differing=self.samples_per_call * differing,
            non_finite=self.samples_per_call * sum(k.looks for k in broken),
            sha256=digest(session.compute(first)),
        )

    def _has_room(self, outputs: tuple[Tensor, ...]) -> bool:
        size = sum(tensor.nbytes for tensor in outputs)
        is_affordable = size * (len(self.kept) + 1) <= _KEPT_BYTES
        return is_affordable or len(self.kept) < _KEPT_AT_LEAST


def agree(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    """Say whether two sets of outputs are the same within the tolerance."""
    if len(one) != len(other):
        return False
    return all(_tensors_agree(a, b) for a, b in zip(one, other, strict=True))


def _tensors_agree(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if np.array_equal(one, other):
        return True
    if one.dtype.kind != "f":
        return False
    finite = np.abs(one[np.isfinite(one)])
    scale = float(finite.max()) if finite.size else 0.0
    return np.allclose(
        one, other, rtol=0, atol=RELATIVE_TOLERANCE * scale, equal_nan=True
    )


def is_finite(outputs: tuple[Tensor, ...]) -> bool:
    """Say whether no output holds NaN or infinity."""
    return all(bool(np.isfinite(tensor).all()) for tensor in outputs)


def digest(outputs: tuple[Tensor, ...]) -> str:
    """Give the sha256 of the tensors' bytes, in order."""
    found = hashlib.sha256()
    for tensor in outputs:
        found.update(np.ascontiguousarray(tensor).tobytes())
    return found.hexdigest()

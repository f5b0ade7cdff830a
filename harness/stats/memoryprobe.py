"""Does a device remember answers? Latencies of inputs seen before against unseen ones.

Three kinds of query took turns: one input again and again, those of the window, and
new ones. Seen inputs are faster where their median is below 0.9 of the unseen ones'
(method, section 6), by more than the cost of a cold cache line or two, and in at least
three of four rounds: a disturbance falls on a round or two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.domain.query import RepeatsProbed
from harness.units import NS_PER_S

FASTER = 0.9
_LEAST_NS = 2_000
"""An input that lies in no cache costs up to about this much more."""
_ROUNDS_SHARE = 0.75

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Medians in s of what had been seen before and of what had not."""

    seen_s: float
    unseen_s: float


def find_memory(probed: RepeatsProbed) -> Memory | None:
    """Give the clearest sign of a memory, or None."""
    repeated, rotated, fresh = (
        _by_round(latencies, probed.rounds)
        for latencies in (probed.repeated_ns, probed.rotated_ns, probed.fresh_ns)
    )
    pairs = ((repeated, rotated), (repeated, fresh), (rotated, fresh))
    found = [pair for pair in pairs if _is_faster(*pair)]
    if not found:
        return None
    seen, unseen = min(found, key=lambda pair: np.median(pair[0]) / np.median(pair[1]))
    return Memory(
        seen_s=float(np.median(seen)) / NS_PER_S,
        unseen_s=float(np.median(unseen)) / NS_PER_S,
    )


def _by_round(latencies_ns: tuple[int, ...], rounds: int) -> Reals:
    return np.array(latencies_ns, dtype=np.float64).reshape(rounds, -1)


def _is_faster(seen: Reals, unseen: Reals) -> bool:
    mine, other = np.median(seen), np.median(unseen)
    if mine >= FASTER * other or other - mine <= _LEAST_NS:
        return False
    rounds = np.median(seen, axis=1) < FASTER * np.median(unseen, axis=1)
    return bool(rounds.mean() >= _ROUNDS_SHARE)

"""Pulses and readings laid on one axis, and the parts of it that a fit looks at.

All times are in s from the middle of the pulses on the host's clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.loadgen.pulses import Burst, PulseTrain
from harness.stats.alignment_falls import Fall
from harness.stats.alignment_fit import Fit, Stretch
from harness.stats.power import PowerTrace
from harness.stats.uncertainty import Reals
from harness.units import NS_PER_S

_FINE_PER_CHIP = 100
"""Readings in a chip that the fit needs at most; denser ones are averaged."""
_DENSE_PER_CHIP = 8
"""Readings in a chip from which on a falling edge can be fitted by itself."""
_BEFORE_CHIPS, _BEFORE_READINGS, _MOST_BEFORE_CHIPS = 0.35, 6, 0.6
"""How far before a fall to look: power may still climb early in a pulse."""
_BEFORE_SPARSE_CHIPS, _AFTER_CHIPS = 0.9, 0.9
_NEAR_READINGS, _NEAR_S = 40, 0.05
_FIRST_BLOCKS = 10
_LEAST_NEAR = 3
_LEAD_READINGS, _LEAD_S = 5, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Pulses and readings in s from the middle of the pulses.

    Readings are on the meter's clock, to which `coarse_s` has been added.
    """

    bursts: tuple[tuple[Reals, Reals], ...]
    """Rises and falls of each."""
    starts_s: Reals
    ends_s: Reals
    power_w: Reals
    step_s: float
    chip_s: float
    origin_ns: int
    coarse_s: float = 0.0

    @property
    def is_dense(self) -> bool:
        """Say whether readings show a falling edge by itself."""
        return self.chip_s >= _DENSE_PER_CHIP * self.step_s

    @property
    def block(self) -> int:
        """How many readings the fit of all edges averages into one."""
        return max(int(self.chip_s / _FINE_PER_CHIP / self.step_s), 1)

    @property
    def nears_s(self) -> tuple[float, ...]:
        """How far from a fall to look at most: what the first fit leaves, then less."""
        near = max(_NEAR_READINGS * self.step_s, _NEAR_S)
        first = _FIRST_BLOCKS * self.block * self.step_s
        return (first, near) if first > near else (near,)

    @property
    def lead_s(self) -> float:
        """How much rest before and after a burst is looked at."""
        return min(self.chip_s, max(_LEAD_READINGS * self.step_s, _LEAD_S))


def scene_of(pulses: PulseTrain, trace: PowerTrace) -> Scene:
    """Lay pulses and readings on one axis; readings without a value are left out."""
    first, last = pulses.bursts[0].rises_ns[0], pulses.bursts[-1].falls_ns[-1]
    origin_ns = (first + last) // 2
    origin_s = origin_ns / NS_PER_S
    known = np.isfinite(trace.power_w)

    def since(times_ns: Sequence[int]) -> Reals:
        return np.array([at - origin_ns for at in times_ns]) / NS_PER_S

    return Scene(
        bursts=tuple((since(b.rises_ns), since(b.falls_ns)) for b in pulses.bursts),
        starts_s=trace.own_starts_s[known] - origin_s,
        ends_s=trace.ends_s[known] - origin_s,
        power_w=trace.power_w[known],
        step_s=trace.step_s,
        chip_s=min(_chip_s(burst) for burst in pulses.bursts),
        origin_ns=origin_ns,
    )


def _chip_s(burst: Burst) -> float:
    """Take the shortest pulse or rest for a chip."""
    return float(np.diff(burst.edges_ns).min()) / NS_PER_S


def around(scene: Scene, burst: tuple[Reals, Reals], fit: Fit) -> Stretch:
    """Take the readings around a burst, averaged where there are more than needed."""
    rises, falls = burst
    lead = scene.lead_s
    low, high = _span(scene, rises[0] - lead, falls[-1] + lead, fit)
    block = scene.block
    high -= (high - low) % block
    lengths = (scene.ends_s - scene.starts_s)[low:high]
    sums = (scene.power_w[low:high] * lengths).reshape(-1, block).sum(axis=1)
    return Stretch(
        starts_s=scene.starts_s[low:high:block],
        ends_s=scene.ends_s[low + block - 1 : high : block],
        power_w=sums / lengths.reshape(-1, block).sum(axis=1),
        rises_s=rises,
        falls_s=falls,
    )


def near_falls(scene: Scene, fit: Fit, near_s: float) -> list[Fall]:
    """Take the readings near each falling edge that has any."""
    before = min(_before_s(scene), near_s)
    after = min(_AFTER_CHIPS * scene.chip_s, near_s)
    found = []
    for fall in np.concatenate([falls for _, falls in scene.bursts]):
        low, high = _span(scene, fall - before, fall + after, fit)
        if high - low < _LEAST_NEAR:
            continue
        found.append(
            Fall(
                starts_s=scene.starts_s[low:high],
                ends_s=scene.ends_s[low:high],
                power_w=scene.power_w[low:high],
                at_s=float(fall),
            )
        )
    return found


def _before_s(scene: Scene) -> float:
    if not scene.is_dense:
        return _BEFORE_SPARSE_CHIPS * scene.chip_s
    enough = min(_BEFORE_READINGS * scene.step_s, _MOST_BEFORE_CHIPS * scene.chip_s)
    return max(_BEFORE_CHIPS * scene.chip_s, enough)


def _span(scene: Scene, low_s: float, high_s: float, fit: Fit) -> tuple[int, int]:
    """Give the range of readings that lie between two times of the host."""
    low, high = ((at - fit.offset_s) / (1 + fit.skew) for at in (low_s, high_s))
    first = int(np.searchsorted(scene.starts_s, low))
    last = int(np.searchsorted(scene.ends_s, high, side="right"))
    return first, max(last, first)

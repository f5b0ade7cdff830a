"""A power trace as an integral over time, on the meter's own time stamps.

A reading stands for the mean over the interval that ends at its time, so that the
energy up to each time stamp is known as well as the readings are, and is a straight
line in between. The integral over a window is then the sum of readings weighted by
how much of their interval lies inside (the trapezoid rule on the energy's own line).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.domain.origin import EvidenceClass, Origin
from harness.domain.reading import ReadingBlock
from harness.domain.record import TrialRecord
from harness.stats.series import Window
from harness.stats.uncertainty import Reals
from harness.units import NS_PER_S

POWER = "power"
_LEAST_READINGS = 2
_ON_CHIP = ("rapl", "battery", "hwmon", "nvml", "psutil", "fuel")
"""How the sources of on-chip counters begin (method, section 4, class C)."""
_LOST_INTERVAL = 1.5
"""An interval longer than so many usual ones has lost a reading."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PowerTrace:
    """Power in W over time in s of the trial's clock, oldest first."""

    starts_s: Reals
    ends_s: Reals
    power_w: Reals
    step_s: float
    """The usual interval between readings (median)."""
    origin: Origin
    source: str
    clock: str = ""
    """Name of the clock of the times."""

    def energy_j(self, window: Window) -> float:
        """Integrate over a window, readings weighted by their share of it."""
        return float((self.power_w * self._inside(window)).sum())

    def covers(self, window: Window) -> bool:
        """Say whether readings span the window, to within one interval."""
        return bool(
            self.starts_s[0] <= window.start_s + self.step_s
            and self.ends_s[-1] >= window.end_s - self.step_s
        )

    def within(self, window: Window) -> Reals:
        """Give the readings whose whole interval lies in the window, in W."""
        chosen = (self.starts_s >= window.start_s) & (self.ends_s <= window.end_s)
        readings: Reals = self.power_w[chosen]
        return readings

    def gaps(self, window: Window) -> tuple[float, float]:
        """Tell of a window the share of readings lost, and its longest gap in s."""
        chosen = (self.ends_s > window.start_s) & (self.starts_s < window.end_s)
        intervals = (self.ends_s - self.starts_s)[chosen]
        long = intervals[intervals > _LOST_INTERVAL * self.step_s]
        if not len(long):
            return 0.0, 0.0
        lost = float(np.rint(long / self.step_s - 1).sum())
        return lost / (lost + len(intervals)), float(long.max() - self.step_s)

    @property
    def own_starts_s(self) -> Reals:
        """Where each reading's own interval begins: after a loss, one step back."""
        is_long = self.ends_s - self.starts_s > _LOST_INTERVAL * self.step_s
        starts: Reals = np.where(is_long, self.ends_s - self.step_s, self.starts_s)
        return starts

    def _inside(self, window: Window) -> Reals:
        overlap = np.minimum(self.ends_s, window.end_s) - np.maximum(
            self.starts_s, window.start_s
        )
        inside: Reals = np.clip(overlap, 0.0, None)
        return inside


def power_trace(trial: TrialRecord) -> PowerTrace | None:
    """Give the trial's power readings; None where there are none to be used.

    Only readings on the trial's own clock can be laid over its queries; those of
    another clock are brought to it beforehand, where its relation can be trusted
    (`harness.stats.laying`).
    """
    trace = trace_of(trial.readings)
    return trace if trace is not None and trace.clock == trial.clock else None


def trace_of(readings: Sequence[ReadingBlock]) -> PowerTrace | None:
    """Give the first power channel among readings, on the clock that it was read by."""
    blocks = [block for block in readings if block.channel.name == POWER]
    if not blocks:
        return None
    first = blocks[0]
    same = [b for b in blocks if (b.channel, b.clock) == (first.channel, first.clock)]
    times, power = _joined(same)
    if len(times) < _LEAST_READINGS:
        return None
    step = float(np.median(np.diff(times)))
    return PowerTrace(
        starts_s=np.concatenate([[times[0] - step], times[:-1]]),
        ends_s=times,
        power_w=power,
        step_s=step,
        origin=first.origin,
        source=first.channel.source,
        clock=first.clock,
    )


def is_metered(trace: PowerTrace) -> bool:
    """Say whether an instrument outside the device gave a trace.

    A model of a device gives its power in its own time, and a counter on the chip is
    read by the clock of the queries.
    """
    is_modelled = trace.origin in {Origin.EMULATED, Origin.HOST}
    return not is_modelled and not trace.source.lower().startswith(_ON_CHIP)


def evidence_class(trace: PowerTrace) -> EvidenceClass:
    """Class the evidence of a trace: modelled, on chip, or by an external meter.

    Whether an edge in the trace makes it class A is known once clocks are related
    (`harness.stats.energy`).
    """
    if not trace.origin.is_evidence:
        return EvidenceClass.D
    if trace.source.lower().startswith(_ON_CHIP):
        return EvidenceClass.C
    return EvidenceClass.B


def _joined(blocks: list[ReadingBlock]) -> tuple[Reals, Reals]:
    times = np.concatenate([np.asarray(b.times_ns, dtype=np.int64) for b in blocks])
    power = np.concatenate([np.asarray(b.values, dtype=np.float64) for b in blocks])
    # a reading that came twice, or late, must not count for a second interval
    times, first = np.unique(times, return_index=True)
    return times / NS_PER_S, power[first]

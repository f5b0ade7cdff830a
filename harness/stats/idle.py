"""Idle power: what is taken off, how well it is known, and which readings tell it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import hypot

from harness.domain.query import Phase
from harness.domain.record import TrialRecord
from harness.stats.bootstrap import block_mean
from harness.stats.power import PowerTrace
from harness.stats.series import Window
from harness.stats.uncertainty import Reals
from harness.units import NS_PER_S

GUARD_READINGS = 3
_CLOCK_SPREADS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Idle power in W: mean, u of it from noise, and after less before."""

    power_w: float
    u_w: float
    drift_w: float | None
    """None where only one of the two baselines can be read."""


def idle_power(series: Sequence[Reals]) -> Idle | None:
    """Take the mean of the baselines, each counting alike; None where there is none."""
    if not series:
        return None
    means = [block_mean(readings) for readings in series]
    both = len(means) > 1
    return Idle(
        power_w=sum(mean.value for mean in means) / len(means),
        u_w=hypot(*(mean.term.u for mean in means)) / len(means),
        drift_w=means[1].value - means[0].value if both else None,
    )


def guard_s(step_s: float, u_clock_s: float, latency_s: float = 0.0) -> float:
    """Give the guard that a meter needs: three readings, the clocks' error, its delay.

    Three standard uncertainties of the relation between the clocks, and all of the
    time that a reading may take to arrive.
    """
    return GUARD_READINGS * step_s + _CLOCK_SPREADS * u_clock_s + latency_s


def rests(trial: TrialRecord, trace: PowerTrace, guard: float) -> tuple[Window, ...]:
    """Give the idle baselines of a trial, on the clock of the trace.

    `guard` seconds after the start of the last are left out, where a slow meter still
    averages over what was before.
    """
    return tuple(_rests(trial, trace, guard))


def baselines(trial: TrialRecord, trace: PowerTrace, guard: float) -> list[Reals]:
    """Give the idle readings before and after, in W: a list of up to two series."""
    found = (trace.within(rest) for rest in rests(trial, trace, guard))
    return [readings for readings in found if len(readings)]


def _rests(trial: TrialRecord, trace: PowerTrace, guard: float) -> Iterator[Window]:
    starts = [at_ns / NS_PER_S for _, at_ns in trial.phases]
    ends = [*starts[1:], float(trace.ends_s[-1])]
    for (phase, _), start, end in zip(trial.phases, starts, ends, strict=True):
        if phase is Phase.BASELINE_BEFORE:
            yield Window(start_s=start, end_s=end)
        if phase is Phase.BASELINE_AFTER:
            yield Window(start_s=min(start + guard, end), end_s=end)

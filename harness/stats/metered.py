"""What a meter's data sheet promises, put into the uncertainty of its figures.

Repeats say nothing about a meter's gain: it is the same in every run. Each trial that
was metered notes limits of error of the ranges that its trace touched
(``meter.gain_ratio``, ``meter.timebase_ratio``, ``meter.voltage_ratio``,
``meter.offset_w``, ``meter.offset_ratio``: the offset over the mean power). They are
taken for rectangular (JCGM 100, 4.3.7). An offset is gone from the difference of two
powers on one range, so net energy carries none.
"""

from collections.abc import Iterable
from dataclasses import replace
from math import hypot, inf, sqrt

from harness.domain.estimate import Estimate
from harness.domain.record import TrialRecord
from harness.stats.group import Group
from harness.stats.uncertainty import student

_NET = "energy_per_inference_net"


def with_meter_error(one: Estimate, group: Group) -> Estimate:
    """Give a power figure with the meter's limits of error in u and U."""
    if one.evidence_class is None:
        return one
    gain = _largest(group.trials, "meter.gain_ratio")
    timebase = _largest(group.trials, "meter.timebase_ratio")
    # of a recording of current only, whose voltage somebody stated
    voltage = _largest(group.trials, "meter.voltage_ratio")
    gain = hypot(gain, voltage)
    offset = _largest(group.trials, "meter.offset_ratio")
    relative = hypot(gain, timebase, 0.0 if one.measurand.name == _NET else offset)
    if relative == 0:
        return one
    if one.measurand.unit == "W":
        # an offset is watts: of idle power it is a larger share than of the mean
        watts = _largest(group.trials, "meter.offset_w")
        limit = hypot(gain * abs(one.value), watts)
    else:
        limit = relative * abs(one.value)
    return widened(one, limit / sqrt(3), f"meter within ±{relative:.2%}")


def widened(one: Estimate, u: float, said: str) -> Estimate:
    """Add an error that is the same in every run to an estimate's uncertainty.

    U = √((k·u)² + (1.96·u_i)²). One-sided bounds between runs leave it out, so it
    stands in `instrument_uncertainty` for those who add it to them.
    """
    if u == 0:
        return one
    total = hypot(one.standard_uncertainty, u)
    expanded = hypot(one.expanded_uncertainty, student(inf) * u)
    return replace(
        one,
        standard_uncertainty=total,
        coverage_factor=expanded / total,
        instrument_uncertainty=hypot(one.instrument_uncertainty, u),
        method=f"{one.method}; {said}",
    )


def _largest(trials: Iterable[TrialRecord], key: str) -> float:
    return max((float(trial.notes.get(key, "0")) for trial in trials), default=0.0)

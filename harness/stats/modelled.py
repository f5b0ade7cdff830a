"""The error of a device model, put into the uncertainty of emulated figures.

Repeats of an emulated run show the spread that the model was told to have; they say
nothing about how far the model is from the device. Each trial notes the model's own
relative standard uncertainty (``emulation.relative_uncertainty``), found by leaving
published measurements out in turn. It enters every figure that follows from time,
power or energy. Ratios of two emulated times keep their own uncertainty, and so do
counts of bytes: the model's error in them is not known.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import hypot, inf

from harness.domain.estimate import BudgetRow, Estimate
from harness.domain.origin import Origin
from harness.stats.budget import Source
from harness.stats.group import Group
from harness.stats.uncertainty import student

NOTE = "emulation.relative_uncertainty"
_UNITS = frozenset({"s", "J", "W", "Hz", "ratio/h", "tok/s", "tok/J"})


def with_model_error(one: Estimate, group: Group) -> Estimate:
    """Give the estimate with the model's error in u and U, for emulated figures.

    u_m = r·|y| for the model's relative standard uncertainty r.
    """
    relative = _relative_uncertainty(group)
    if one.origin is not Origin.EMULATED or one.measurand.unit not in _UNITS:
        return one
    said = f"device model u = {relative:.0%}"
    return widened(one, relative * abs(one.value), said)


def widened(one: Estimate, u: float, said: str) -> Estimate:
    """Add an error that is the same in every run to an estimate's uncertainty.

    U = √((k·u)² + (1.96·u_m)²). One-sided bounds between runs leave it out, so it
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
        budget=_with_row(one.budget, u),
    )


def _with_row(budget: Sequence[BudgetRow], u: float) -> tuple[BudgetRow, ...]:
    """Give a budget that is printed with the model's row in its place."""
    if not budget:
        return ()
    rows = (*budget, BudgetRow(source=Source.MODEL, u=u))
    return tuple(sorted(rows, key=lambda row: -row.u))


def _relative_uncertainty(group: Group) -> float:
    """Give the largest that a trial noted; 0 where none did."""
    noted = (trial.notes.get(NOTE, "0") for trial in group.trials)
    return max((float(text) for text in noted), default=0.0)

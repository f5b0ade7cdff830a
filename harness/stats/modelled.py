"""The error of a device model, put into the uncertainty of emulated figures.

Repeats of an emulated run show the spread that the model was told to have; they say
nothing about how far the model is from the device. Each trial notes the model's own
relative standard uncertainty (``emulation.relative_uncertainty``), found by leaving
published measurements out in turn. It enters every figure that follows from time,
power or energy. Ratios of two emulated times keep their own uncertainty, and so do
counts of bytes: the model's error in them is not known.
"""

from dataclasses import replace
from math import hypot

from harness.domain.estimate import Estimate
from harness.domain.origin import Origin
from harness.stats.group import Group
from harness.stats.uncertainty import student

NOTE = "emulation.relative_uncertainty"
_UNITS = frozenset({"s", "J", "W", "Hz", "ratio/h"})


def with_model_error(one: Estimate, group: Group) -> Estimate:
    """Give the estimate with the model's error in u and U, for emulated figures.

    U = √((k·u)² + (1.96·u_m)²) with u_m = r·|y|; the error is the same in every
    run, so one-sided bounds between runs leave it out, and it stands in
    `instrument_uncertainty` for those who add it to them.
    """
    relative = _relative_uncertainty(group)
    if one.origin is not Origin.EMULATED or one.measurand.unit not in _UNITS:
        return one
    of_model = relative * abs(one.value)
    u = hypot(one.standard_uncertainty, of_model)
    if u == 0:
        return one
    expanded = hypot(one.expanded_uncertainty, student(float("inf")) * of_model)
    return replace(
        one,
        standard_uncertainty=u,
        coverage_factor=expanded / u,
        instrument_uncertainty=hypot(one.instrument_uncertainty, of_model),
        method=f"{one.method}; device model u = {relative:.0%}",
    )


def _relative_uncertainty(group: Group) -> float:
    """Give the largest that a trial noted; 0 where none did."""
    noted = (trial.notes.get(NOTE, "0") for trial in group.trials)
    return max((float(text) for text in noted), default=0.0)

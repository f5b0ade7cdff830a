"""The error of a device model, put into the uncertainty of emulated figures.

Repeats of an emulated run show the spread that the model was told to have; they say
nothing about how far the model is from the device. Each trial notes the model's own
relative standard uncertainty (``emulation.relative_uncertainty``), found by leaving
published measurements out in turn. It enters every figure that follows from time,
power or energy. Ratios of two emulated times keep their own uncertainty, and so do
counts of bytes: the model's error in them is not known.
"""

from harness.domain.estimate import Estimate
from harness.domain.origin import Origin
from harness.stats.group import Group
from harness.stats.metered import widened

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


def _relative_uncertainty(group: Group) -> float:
    """Give the largest that a trial noted; 0 where none did."""
    noted = (trial.notes.get(NOTE, "0") for trial in group.trials)
    return max((float(text) for text in noted), default=0.0)

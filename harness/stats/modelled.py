"""The error of a device model, put into the uncertainty of emulated figures.

Repeats of an emulated run show the spread that the model was told to have; they say
nothing about how far the model is from the device. Each trial notes the model's own
relative standard uncertainty (``emulation.relative_uncertainty``), found by leaving
published measurements out in turn. It enters every figure that follows from time,
power or energy. A stage of a pipeline has its own. The share of a stage gets what the
errors of its prediction and of the others' would make of it if they knew nothing of
each other. Other ratios of two emulated times keep their own uncertainty, and so do
counts of bytes: the model's error in them is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import hypot, inf

from harness.domain.estimate import BudgetRow, Estimate
from harness.domain.origin import Origin
from harness.domain.predictedstage import PREDICTED_STAGES, predicted_stages
from harness.stats.budget import Source
from harness.stats.group import Group
from harness.stats.uncertainty import student

NOTE = "emulation.relative_uncertainty"
_STAGE, _SHARE = "stage=", "stage_share"
_UNITS = frozenset({"s", "J", "W", "Hz", "ratio/h", "tok/s", "tok/J"})


def with_model_error(one: Estimate, group: Group) -> Estimate:
    """Give the estimate with the model's error in u and U, for emulated figures.

    u_m = r·|y| for the model's relative standard uncertainty r.
    """
    if one.origin is not Origin.EMULATED:
        return one
    stages = _stages(group)
    own = stages.get(one.condition.removeprefix(_STAGE))
    if one.measurand.name == _SHARE and own is not None:
        u = one.value * (1 - one.value) * hypot(own, _of_others(stages, one))
        return widened(one, u, "device model, each stage for itself")
    if one.measurand.unit not in _UNITS:
        return one
    relative = _relative_uncertainty(group) if own is None else own
    said = f"device model u = {relative:.0%}{_left_out(group, one)}"
    return widened(one, relative * abs(one.value), said)


def _stages(group: Group) -> dict[str, float]:
    """Give each modelled stage's own relative standard uncertainty."""
    notes = (trial.notes.get(PREDICTED_STAGES, "") for trial in group.trials)
    return {
        stage.name: stage.relative_uncertainty
        for note in notes
        for stage in predicted_stages(note)
        if stage.relative_uncertainty is not None
    }


def _of_others(stages: Mapping[str, float], one: Estimate) -> float:
    """Give the largest of the other stages': that of their sum is no larger."""
    name = one.condition.removeprefix(_STAGE)
    return max((u for other, u in stages.items() if other != name), default=0.0)


def _left_out(group: Group, one: Estimate) -> str:
    """Say which steps of a pipeline are in no figure of the whole."""
    if one.condition:
        return ""
    steps = {
        stage.name
        for trial in group.trials
        for stage in predicted_stages(trial.notes.get(PREDICTED_STAGES, ""))
        if stage.latency_s is None
    }
    return f"; without the steps {', '.join(sorted(steps))}" if steps else ""


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

"""Instructions of an emulated processor as the page shows them, beside no time."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.domain.assessment import Assessment
from harness.domain.counting import KernelsCompared
from harness.domain.estimate import COUNTED, Estimate
from harness.domain.record import RunRecord
from harness.report.countedchart import Bar, instructions

_OWN, _PARENT = "instructions_per_inference", "instructions_per_inference_parent"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedRow:
    """One model on one processor."""

    workload: str
    model: str
    is_parent: bool
    processor: str
    estimate: Estimate
    relative: float | None
    """Of the device's model: its instructions over those of the float32 parent."""
    compared: KernelsCompared | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedView:
    """All that was counted in a run, and a picture of it."""

    rows: tuple[CountedRow, ...]
    image: str


def counted_view(record: RunRecord, assessment: Assessment) -> CountedView | None:
    """Prepare what was counted; None where nothing was."""
    rows = tuple(counted_rows(record, assessment))
    if not rows:
        return None
    bars = [
        Bar(
            label=f"{row.workload} · {row.processor}",
            value=row.estimate.value,
            is_parent=row.is_parent,
        )
        for row in rows
    ]
    return CountedView(rows=rows, image=instructions(bars))


def counted_rows(record: RunRecord, assessment: Assessment) -> Iterator[CountedRow]:
    """Give each model on each processor once, in the record's order."""
    figures = {
        (one.workload, one.condition, one.measurand.name): one
        for one in assessment.estimates
        if one.measurand.name in COUNTED
    }
    compared = {
        (trial.trial.workload, found.model, found.processor): found
        for trial in record.trials
        for found in trial.compared
    }
    for trial in record.trials:
        for counted in trial.counted if trial.trial.run == 1 else ():
            is_parent = counted.model != trial.trial.model
            at = (trial.trial.workload, f"processor={counted.processor}")
            figure = figures.get((*at, _PARENT if is_parent else _OWN))
            parent = figures.get((*at, _PARENT))
            if figure is None:
                continue
            yield CountedRow(
                workload=trial.trial.workload,
                model=counted.model,
                is_parent=is_parent,
                processor=counted.processor,
                estimate=figure,
                relative=figure.value / parent.value
                if parent is not None and not is_parent
                else None,
                compared=compared.get((at[0], counted.model, counted.processor)),
            )

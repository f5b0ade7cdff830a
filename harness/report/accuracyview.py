"""Accuracy of one workload as the page shows it: figures, and who is taken for whom."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.domain.assessment import Assessment
from harness.domain.estimate import Estimate
from harness.domain.labelled import LabelledData, Metric, Source
from harness.domain.plan import Arm
from harness.domain.query import ItemsScored
from harness.domain.record import RunRecord
from harness.report.groupchart import side_by_side
from harness.scoring.rows import unpack

_NAMES = (
    "task_metric",
    "task_metric_parent",
    "accuracy_retention",
    "decision_agreement",
)
_MOST_CLASSES = 16
"""A larger table of confusions tells nobody anything."""
_DECIDES = frozenset({Metric.TOP1, Metric.F1})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyView:
    """What is known of the answers to labelled items."""

    labelled: LabelledData
    figures: tuple[tuple[str, Estimate], ...]
    """Measurand and figure, those that there are."""
    classes: tuple[str, ...]
    confusions: tuple[tuple[int, ...], ...]
    """Row: what an item is; column: what it was taken for. Empty: not shown."""
    groups: tuple["GroupLine", ...] = ()
    """Language by language, or another group by group; empty: none was said."""
    image: str = ""
    """The groups' figures side by side; empty: there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """One language or other group of items."""

    name: str
    items: int
    metric: Estimate
    ratio: Estimate | None
    """Over Chinese; None of Chinese itself and of groups that are no languages."""


def accuracy_view(
    record: RunRecord, assessment: Assessment, workload: str
) -> AccuracyView | None:
    """Prepare the accuracy of a workload of the device; None without labelled items."""
    labelled = record.plan.labelled.get(workload)
    if labelled is None:
        return None
    found = {
        one.measurand.name: one
        for one in assessment.estimates
        if one.workload == workload and one.measurand.name in _NAMES
    }
    groups = tuple(_groups(labelled, assessment, workload))
    scored = _scored(record, workload)
    confusions = _confusions(scored, labelled) if scored is not None else ()
    names = labelled.classes
    if len(names) < len(confusions):
        names = tuple(str(number) for number in range(len(confusions)))
    return AccuracyView(
        labelled=labelled,
        figures=tuple((name, found[name]) for name in _NAMES if name in found),
        classes=names[: len(confusions)],
        confusions=confusions,
        groups=groups,
        image=side_by_side({line.name: line.metric for line in groups})
        if groups
        else "",
    )


def _groups(
    labelled: LabelledData, assessment: Assessment, workload: str
) -> Iterator[GroupLine]:
    found = {
        (one.measurand.name, one.condition): one
        for one in assessment.estimates
        if one.workload == workload
    }
    for number, name in enumerate(labelled.groups):
        condition = f"{labelled.grouping}={name}"
        metric = found.get(("group_metric", condition))
        if metric is not None:
            yield GroupLine(
                name=name,
                items=labelled.group_of.count(number),
                metric=metric,
                ratio=found.get(("language_ratio", condition)),
            )


def _scored(record: RunRecord, workload: str) -> ItemsScored | None:
    """Give the device's own answers, or those of its file where it is emulated."""
    by_source: dict[Source, ItemsScored] = {}
    for trial in record.trials:
        if trial.trial.workload == workload and trial.trial.arm is Arm.DEVICE:
            for event in trial.scored:
                by_source.setdefault(event.source, event)
    return by_source.get(Source.SESSION) or by_source.get(Source.REFERENCE)


def _confusions(
    scored: ItemsScored, labelled: LabelledData
) -> tuple[tuple[int, ...], ...]:
    if labelled.metric not in _DECIDES or scored.metric != labelled.metric.value:
        return ()
    rows = unpack(scored.packed, scored.width)
    pairs = rows[:, 1:3].astype(np.int64)
    classes = int(pairs.max(initial=0)) + 1
    if classes > _MOST_CLASSES or pairs.min(initial=0) < 0:
        return ()
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (pairs[:, 1], pairs[:, 0]), 1)
    return tuple(tuple(int(count) for count in row) for row in table)

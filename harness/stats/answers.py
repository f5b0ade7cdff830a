"""Are a device's answers those of its model, timed or not? Compared item by item.

Decisions are compared where labels say what a decision is; elsewhere values. Another
kernel rounds otherwise, so a few decisions may differ between machines; within one
session none should.
"""

from collections.abc import Iterator

import numpy as np

from harness.domain.estimate import Estimate
from harness.domain.finding import Finding
from harness.domain.labelled import Metric, Source
from harness.domain.plan import Arm
from harness.domain.query import ItemsScored
from harness.domain.record import RunRecord, TrialRecord
from harness.scoring.rows import Rows, unpack
from harness.stats.proportions import ONE_SIDED_Z, wilson
from harness.stats.severity import finding

OTHER_DECISIONS = 0.02
"""Share of decisions in which a device may differ from the model elsewhere."""
OTHER_VALUES = 0.5
"""Root mean square of the difference over that of the values: 6 dB."""
TIMED_DECISIONS = 0.0
TIMED_VALUES = 0.05
_DECIDES = frozenset({Metric.TOP1.value, Metric.TOP5.value, Metric.F1.value})


def check_answers(
    record: RunRecord, estimates: tuple[Estimate, ...]
) -> Iterator[Finding]:
    """Give findings about the answers of every workload of the device."""
    by_workload: dict[str, list[TrialRecord]] = {}
    for trial in record.trials:
        if trial.trial.arm is Arm.DEVICE:
            by_workload.setdefault(trial.trial.workload, []).append(trial)
    for trials in by_workload.values():
        yield from _timed_or_not(trials)
        yield from _as_elsewhere(trials)
    yield from _below_floor(record, estimates)
    without = [
        w.id for w in record.plan.suite.workloads if w.id not in record.plan.labelled
    ]
    if record.plan.labelled and without:
        yield finding("accuracy-of-some-only", "run", workloads=", ".join(without))


def _timed_or_not(trials: list[TrialRecord]) -> Iterator[Finding]:
    session = _first(trials, Source.SESSION)
    if session is None:
        return
    for trial in trials:
        for event in trial.scored:
            if event.source is not Source.WINDOW:
                continue
            differing, compared = _difference(event, session, TIMED_VALUES)
            if differing > TIMED_DECISIONS * compared:
                yield finding(
                    "answers-differ-when-timed",
                    trial.trial.id,
                    differing=differing,
                    compared=compared,
                )


def _as_elsewhere(trials: list[TrialRecord]) -> Iterator[Finding]:
    reference = _first(trials, Source.REFERENCE)
    if reference is None:
        return
    for trial in trials:
        for event in trial.scored:
            if event.source not in {Source.WINDOW, Source.SESSION}:
                continue
            differing, compared = _difference(event, reference, OTHER_VALUES)
            least = wilson(differing, compared, ONE_SIDED_Z).lower if compared else 0.0
            if least > OTHER_DECISIONS:
                yield finding(
                    "answers-not-the-models",
                    trial.trial.id,
                    condition=event.source.value,
                    differing=differing,
                    compared=compared,
                )


def _below_floor(
    record: RunRecord, estimates: tuple[Estimate, ...]
) -> Iterator[Finding]:
    for one in estimates:
        labelled = record.plan.labelled.get(one.workload)
        if one.measurand.name != "task_metric" or labelled is None:
            continue
        floor = labelled.floor
        if floor is None:
            continue
        best = one.upper_bound if labelled.metric.is_better_high else one.lower_bound
        is_below = best is not None and (best < floor) is labelled.metric.is_better_high
        if is_below and best != floor:
            yield finding(
                "accuracy-below-target",
                one.workload,
                metric=labelled.metric.value,
                value=one.value,
                target=floor,
            )


def _first(trials: list[TrialRecord], source: Source) -> ItemsScored | None:
    found = (e for trial in trials for e in trial.scored if e.source is source)
    return next(found, None)


def _difference(
    one: ItemsScored, other: ItemsScored, tolerance: float
) -> tuple[int, int]:
    """Count items whose answers differ, of those that both have."""
    if (one.metric, one.width) != (other.metric, other.width):
        return 1, 1  # outputs of another form are another model's
    mine, theirs = unpack(one.packed, one.width), unpack(other.packed, other.width)
    common = np.intersect1d(mine[:, 0], theirs[:, 0])
    if one.metric in _DECIDES:
        a, b = (_of(rows, common)[:, 1] for rows in (mine, theirs))
        return int((a != b).sum()), len(common)
    return sum(
        _differs(
            mine[mine[:, 0] == item, 1:], theirs[theirs[:, 0] == item, 1:], tolerance
        )
        for item in common
    ), len(common)


def _of(rows: Rows, items: Rows) -> Rows:
    kept = rows[np.isin(rows[:, 0], items)]
    ordered: Rows = kept[np.argsort(kept[:, 0], kind="stable")]
    return ordered


def _differs(mine: Rows, theirs: Rows, tolerance: float) -> bool:
    if mine.shape != theirs.shape:
        return True
    scale = float(np.sqrt((theirs**2).mean()))
    error = float(np.sqrt(((mine - theirs) ** 2).mean()))
    return error > tolerance * scale

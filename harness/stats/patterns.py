"""What the latencies of a group of runs look like: drift, steps, periods, outliers.

One finding for a workload and scenario, about the run where it shows most, with the
number of runs that show it. All are notes: they explain figures, and the spread
between runs has them in it already.
"""

from collections.abc import Iterator

from harness.domain.finding import Finding
from harness.domain.scenario import ColdStart, Server, Talking
from harness.stats.drift import Drift, Step, find_change, find_period
from harness.stats.group import Group
from harness.stats.outliers import classify_outliers
from harness.stats.severity import finding


def check_group(group: Group) -> Iterator[Finding]:
    """Give the patterns of a group.

    Cold starts, probes of a search and loads of a language model have none.
    """
    if isinstance(group.scenario, ColdStart | Server | Talking):
        return
    runs = [s.latencies_s for s in group.streams if len(s)]
    changes = [change for run in runs if (change := find_change(run)) is not None]
    drifts = [change for change in changes if isinstance(change, Drift)]
    steps = [change for change in changes if isinstance(change, Step)]
    if drifts:
        worst = max(drifts, key=lambda drift: abs(drift.change_ratio))
        yield _about(group, "drift-in-window", len(drifts), change=worst.change_ratio)
    if steps:
        step = max(steps, key=lambda found: abs(found.change_ratio))
        yield _about(
            group,
            "step-in-window",
            len(steps),
            change=step.change_ratio,
            position=step.position_ratio,
        )
    periods = [period for run in runs if (period := find_period(run)) is not None]
    if periods:
        period = max(periods, key=lambda found: found.variance_ratio)
        yield _about(
            group,
            "period-in-window",
            len(periods),
            queries=period.queries,
            variance=period.variance_ratio,
        )
    yield from _outliers(group)


def _outliers(group: Group) -> Iterator[Finding]:
    found = [classify_outliers(s.latencies_s) for s in group.streams if len(s)]
    unusual = sum(run.is_unusual for run in found)
    if unusual:
        yield _about(
            group,
            "outliers-present",
            unusual,
            severe=sum(run.severe for run in found),
            mild=sum(run.mild for run in found),
            fast=sum(run.fast for run in found),
            queries=sum(run.observations for run in found),
        )


def _about(group: Group, code: str, shown: int, **values: float) -> Finding:
    return finding(
        code,
        group.workload,
        group.arm,
        scenario=group.scenario.kind,
        arm=group.arm.value,
        runs=len(group.trials),
        shown=shown,
        **values,
    )

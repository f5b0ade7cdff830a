"""One workload as the page shows it: figures, charts and memory of one arm.

What the device did and what the host did are two views. Neither ever holds a
figure of the other, so no template can put them into one table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.domain.assessment import Assessment
from harness.domain.estimate import Estimate, Withheld
from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.query import (
    SERVED,
    TOKENISATION,
    MemoryMeasured,
    OverheadMeasured,
    Serving,
)
from harness.domain.record import RunRecord, TrialRecord
from harness.domain.scenario import (
    LlmDecode,
    LlmSustained,
    Scenario,
    Server,
    Talking,
    talk_of,
)
from harness.domain.workload import ModelArtifact, Workload
from harness.report import charts
from harness.report.accuracyview import AccuracyView, accuracy_view
from harness.report.heardview import HeardView, heard_views
from harness.report.networkview import NetworksView, networks_view
from harness.report.powerview import (
    BudgetView,
    budgets,
    energies_image,
    idle_w,
    zoom_image,
)
from harness.report.rowview import RowView
from harness.report.series import (
    Panel,
    gaps_s,
    latency_panel,
    measured_s,
    probes,
    reading_panel,
)

_MARKED = {
    "latency_p50": "p50",
    "latency_p90": "p90",
    "latency_p99": "p99",
    "cold_start_p90": "p90",
    "inter_token_p50": "p50",
    "inter_token_p99": "p99",
}


_PLAIN = "onnxruntime"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartView:
    """A chart: what it shows (a key of the words), of which scenario, and the image."""

    kind: str
    scenario: str
    image: str
    phases: tuple[str, ...] = ()
    """Phases that are shaded in it, for the legend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadView:
    """What one arm did with one workload."""

    workload: Workload
    model: ModelArtifact | None
    arm: Arm
    estimates: tuple[Estimate, ...]
    withheld: tuple[Withheld, ...]
    rows: tuple[RowView, ...]
    charts: tuple[ChartView, ...]
    memory: MemoryMeasured | None
    overhead: OverheadMeasured | None
    trials: tuple[TrialRecord, ...]
    budgets: tuple[BudgetView, ...] = ()
    """What the uncertainty of each figure of power and energy is made of."""
    accuracy: AccuracyView | None = None
    heard: tuple[HeardView, ...] = ()
    """What a listening device made of a recording, run by run."""
    networks: NetworksView | None = None
    talk: "TalkView | None" = None
    """How a language model was asked; None of any other model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkView:
    """What stands beside the figures of a language model."""

    is_tokenised: bool
    """Whether tokenisation is in the times."""
    has_tokeniser: bool
    users: str
    """Key of how several users were served."""


def workload_views(
    record: RunRecord, assessment: Assessment, rows: Sequence[RowView], arm: Arm
) -> tuple[WorkloadView, ...]:
    """Prepare every workload that one arm has a trial, a figure or a gap of."""
    views = (
        _workload_view(record, assessment, workload, rows, arm)
        for workload in record.plan.suite.workloads
    )
    return tuple(v for v in views if v.trials or v.estimates or v.withheld)


def is_of(origin: Origin, arm: Arm) -> bool:
    """Say whether a figure of that origin belongs to that arm."""
    return (origin is Origin.HOST) is (arm is Arm.HOST)


def _workload_view(
    record: RunRecord,
    assessment: Assessment,
    workload: Workload,
    rows: Sequence[RowView],
    arm: Arm,
) -> WorkloadView:
    trials = tuple(
        trial
        for trial in record.trials
        if trial.trial.arm is arm and trial.trial.workload == workload.id
    )
    estimates = tuple(
        estimate
        for estimate in assessment.estimates
        if estimate.workload == workload.id and is_of(estimate.origin, arm)
    )
    return WorkloadView(
        workload=workload,
        model=_model(record, workload, arm),
        arm=arm,
        estimates=estimates,
        withheld=tuple(
            gap
            for gap in assessment.withheld
            if gap.workload == workload.id and is_of(gap.origin, arm)
        ),
        rows=tuple(row for row in rows if _is_about(row, workload, arm)),
        charts=tuple(_charts(trials, estimates)),
        memory=_largest(trials),
        overhead=next((t.overhead for t in trials if t.overhead is not None), None),
        trials=trials,
        budgets=budgets(estimates),
        accuracy=accuracy_view(record, assessment, workload.id)
        if arm is Arm.DEVICE
        else None,
        heard=heard_views(trials),
        networks=networks_view(assessment, workload.id, trials),
        talk=_talk_view(trials),
    )


def _talk_view(trials: Sequence[TrialRecord]) -> TalkView | None:
    noted = [trial for trial in trials if TOKENISATION in trial.notes]
    if not noted:
        return None
    # records of older versions do not say how users were served
    alone = Serving.ALONE.value
    users = [t.notes[SERVED] for t in noted if t.notes.get(SERVED, alone) != alone]
    return TalkView(
        is_tokenised=any(trial.notes[TOKENISATION] == "in" for trial in noted),
        has_tokeniser=noted[0].trial.settings.runtime != _PLAIN,
        users=(users[0] if users else alone).replace(" ", "_"),
    )


def _is_about(row: RowView, workload: Workload, arm: Arm) -> bool:
    estimate = row.result.estimate
    return (
        arm is Arm.DEVICE and estimate is not None and estimate.workload == workload.id
    )


def _model(record: RunRecord, workload: Workload, arm: Arm) -> ModelArtifact | None:
    for trial in record.plan.trials:
        if trial.workload == workload.id and trial.arm is arm:
            return record.plan.model(trial.model)
    return None


def _largest(trials: Sequence[TrialRecord]) -> MemoryMeasured | None:
    measured = [trial.memory for trial in trials if trial.memory is not None]
    return max(measured, key=lambda memory: memory.peak_bytes or 0, default=None)


def _charts(
    trials: Sequence[TrialRecord], estimates: Sequence[Estimate]
) -> Iterable[ChartView]:
    scenarios = {trial.trial.scenario.kind: trial.trial.scenario for trial in trials}
    has_memory = False
    for kind, scenario in scenarios.items():
        runs = [trial for trial in trials if trial.trial.scenario.kind == kind]
        own = [estimate for estimate in estimates if estimate.scenario == kind]
        yield from _latency_charts(runs, own, scenario)
        if not has_memory:
            memory = list(_memory_chart(runs, kind))
            has_memory = bool(memory)
            yield from memory
        yield from _power_charts(runs, kind)


def _latency_charts(
    runs: Sequence[TrialRecord], estimates: Sequence[Estimate], scenario: Scenario
) -> Iterable[ChartView]:
    if isinstance(scenario, Server):
        yield from _search_chart(runs, scenario)
        return
    if isinstance(scenario, Talking):
        yield from _gap_chart(runs, estimates, scenario)
        if isinstance(scenario, LlmDecode):
            return
    samples = [sample for run in runs if len(sample := measured_s(run))]
    if samples and not isinstance(scenario, Talking):
        image = charts.distribution(samples, _marks(estimates))
        yield ChartView(kind="distribution", scenario=scenario.kind, image=image)
    bins = charts.BINS // max(len(runs), 1)
    found = (latency_panel(run, bins=bins) for run in runs)
    panels = [panel for panel in found if panel is not None]
    if panels:
        yield ChartView(
            kind="latency_time",
            scenario=scenario.kind,
            image=charts.over_time(panels, "s"),
            phases=_phases(panels),
        )


def _gap_chart(
    runs: Sequence[TrialRecord], estimates: Sequence[Estimate], scenario: Talking
) -> Iterable[ChartView]:
    samples = [sample for run in runs if len(sample := gaps_s(run, 0))]
    if samples:
        first = talk_of(scenario).levels[0].condition
        marks = _marks(one for one in estimates if one.condition == first)
        image = charts.distribution(samples, marks)
        yield ChartView(kind="gap_distribution", scenario=scenario.kind, image=image)


def _marks(estimates: Iterable[Estimate]) -> list[charts.Percentile]:
    return [
        charts.Percentile(
            name=_MARKED[estimate.measurand.name],
            value_s=estimate.value,
            lower_s=estimate.lower_bound,
            upper_s=estimate.upper_bound,
        )
        for estimate in estimates
        if estimate.measurand.name in _MARKED
    ]


def _search_chart(runs: Sequence[TrialRecord], scenario: Server) -> Iterable[ChartView]:
    found = [probe for run in runs for probe in probes(run, scenario.percentile)]
    if found:
        image = charts.rate_search(found, scenario.latency_bound_ns / 1e9)
        yield ChartView(kind="rate_search", scenario=scenario.kind, image=image)


def _memory_chart(runs: Sequence[TrialRecord], kind: str) -> Iterable[ChartView]:
    memory = _largest(runs)
    peak = None if memory is None else memory.peak_bytes
    return _reading_chart(runs, kind, "rss", "B", limit=peak)


def _reading_chart(
    runs: Sequence[TrialRecord],
    kind: str,
    channel: str,
    unit: str,
    limit: float | None = None,
) -> Iterable[ChartView]:
    bins = charts.BINS // max(len(runs), 1)
    found = (reading_panel(run, channel, bins=bins) for run in runs)
    panels = [panel for panel in found if panel is not None]
    if panels:
        image = charts.over_time(panels, unit, limit=limit)
        name = f"{channel}_time"
        yield ChartView(kind=name, scenario=kind, image=image, phases=_phases(panels))


def _power_charts(runs: Sequence[TrialRecord], kind: str) -> Iterable[ChartView]:
    """Power over time with idle as a line, zooms into it, and energies of queries."""
    yield from _reading_chart(runs, kind, "power", "W", limit=idle_w(runs))
    if kind in {LlmDecode.__name__, LlmSustained.__name__}:
        return  # answers of several users overlap: no energy is one answer's own
    for name, image in (
        ("power_zoom", zoom_image(runs)),
        ("query_energy", energies_image(runs)),
    ):
        if image is not None:
            yield ChartView(kind=name, scenario=kind, image=image)


def _phases(panels: Sequence[Panel]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(kind for panel in panels for kind, *_ in panel.shaded))

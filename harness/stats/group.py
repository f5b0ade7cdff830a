"""Runs of the same thing: the trials from which one figure is made.

A group is what one workload did in one kind of scenario on one arm. Its trials are
the independent runs; only those that were carried out to the end count.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.domain.estimate import MEASURANDS, Estimate, Withheld
from harness.domain.labelled import LabelledData
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.plan import Arm, Trial, is_emulated, is_timed
from harness.domain.profile import DeviceProfile
from harness.domain.query import Outcome
from harness.domain.record import RunRecord, TrialRecord
from harness.domain.scenario import Scenario
from harness.domain.workload import ModelArtifact
from harness.stats.budget import budget_rows, floor_of
from harness.stats.series import Stream, stream_of
from harness.stats.uncertainty import Term, combine, is_known

TOO_FEW_QUERIES = "too-few-queries"
NO_POWER_READINGS = "no-power-readings"
CLOCKS_NOT_RELATED = "clocks-not-related"
NOT_READABLE = "not-readable"
TRIAL_FAILED = "trial-failed"
NO_TIME_STAMPS = "no-time-stamps"
NO_START_MARK = "no-start-mark"
NO_RATE_KEPT = "no-rate-kept-the-bound"
NOBODY_SERVED = "no-user-served"
NO_PARENT = "no-parent"
ITEMS_NOT_SCORED = "items-not-scored"
METRIC_UNDEFINED = "metric-undefined"
STEP_NOT_MODELLED = "step-not-modelled"
TOO_FEW_ITEMS = "too-few-items"
NO_CHINESE_ITEMS = "no-chinese-items"
NETWORK_NOT_TRIED = "network-not-tried"
SERVICE_NOT_THERE = "service-not-there"
NOT_TIMED = "not-timed"

Answer = Estimate | Withheld


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value with everything that an estimate says of it, before it has a name."""

    value: float
    terms: tuple[Term, ...] = ()
    lower: float | None = None
    upper: float | None = None
    runs: int = 1
    queries: int = 0
    method: str = ""
    evidence_class: EvidenceClass | None = None
    condition: str = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The finished runs of one workload in one kind of scenario on one arm."""

    arm: Arm
    workload: str
    scenario: Scenario
    origin: Origin
    profile: DeviceProfile
    model: ModelArtifact
    labelled: LabelledData | None = None
    """Labelled items of the workload, if any."""
    trials: tuple[TrialRecord, ...]
    """Those that are done, in the order of the plan."""
    is_timed: bool = True
    """Whether what happens on its target takes the time of the device."""
    streams: tuple[Stream, ...] = field(init=False, repr=False, compare=False)
    """Latencies of each of them."""

    def __post_init__(self) -> None:
        streams = tuple(stream_of(trial) for trial in self.trials)
        object.__setattr__(self, "streams", streams)

    @property
    def queries(self) -> int:
        """Measured queries of all runs."""
        return sum(len(stream) for stream in self.streams)

    def estimate(self, name: str, figure: Figure) -> Estimate:
        """Name a figure: the measurand `name` of `MEASURANDS` of this group."""
        u, k = combine(figure.terms)
        return Estimate(
            measurand=MEASURANDS[name],
            workload=self.workload,
            scenario=self.scenario.kind,
            origin=self.origin,
            value=figure.value,
            standard_uncertainty=u,
            coverage_factor=k,
            lower_bound=_known(figure.lower),
            upper_bound=_known(figure.upper),
            runs=figure.runs,
            queries=figure.queries,
            method=figure.method,
            evidence_class=figure.evidence_class,
            condition=figure.condition,
            budget=budget_rows(figure.terms),
            floor_ratio=floor_of(figure.terms, figure.value),
        )

    def withhold(
        self,
        name: str,
        reason: str,
        *,
        needed: int | None = None,
        observed: int = 0,
        condition: str = "",
    ) -> Withheld:
        """Say why the measurand `name` of this group has no figure."""
        return Withheld(
            measurand=MEASURANDS[name],
            workload=self.workload,
            scenario=self.scenario.kind,
            origin=self.origin,
            reason=reason,
            needed_queries=needed,
            observed_queries=observed,
            condition=condition,
        )


def groups_of(record: RunRecord) -> Iterator[Group]:
    """Give the groups of a record in the order of its plan.

    One whose trials all failed, or were never started, comes with no trial.
    """
    done = {
        found.trial.id: found
        for found in record.trials
        if found.outcome is Outcome.DONE
    }
    keyed: dict[tuple[Arm, str, str], list[Trial]] = {}
    for trial in record.plan.trials:
        key = (trial.arm, trial.workload, trial.scenario.kind)
        keyed.setdefault(key, []).append(trial)
    for (arm, workload, _), trials in keyed.items():
        yield Group(
            arm=arm,
            workload=workload,
            scenario=trials[0].scenario,
            origin=origin_of(record, trials[0]),
            profile=record.plan.profile,
            model=record.plan.model(trials[0].model),
            labelled=record.plan.labelled.get(workload),
            trials=tuple(done[trial.id] for trial in trials if trial.id in done),
            is_timed=is_timed(trials[0].target),
        )


def origin_of(record: RunRecord, trial: Trial) -> Origin:
    """Say where the figures of a trial come from.

    The host arm is a reference whatever it ran on. A target that was never reached
    gave no figure; its address decides, so that nothing is called measured too soon.
    """
    if trial.arm is Arm.HOST:
        return Origin.HOST
    if not is_timed(trial.target):
        return Origin.EMULATED  # whatever the record calls it
    if trial.target in record.suts:
        return record.suts[trial.target].origin
    return Origin.EMULATED if is_emulated(trial.target) else Origin.MEASURED


def _known(bound: float | None) -> float | None:
    return bound if bound is not None and is_known(bound) else None

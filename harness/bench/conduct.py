"""Execute a plan: trial after trial, every event into the record as it comes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from harness.bench.answering import Answering, labelled_as_planned
from harness.bench.counting import parent_counts
from harness.bench.memoryguard import why_too_large
from harness.bench.metering import Metering
from harness.bench.supply import opened_and_fed
from harness.bench.trying import Trying
from harness.bench.virtualmeter import metered_virtually
from harness.clock import Clock
from harness.domain.board import Board
from harness.domain.finding import Finding, Severity
from harness.domain.origin import Origin
from harness.domain.plan import Arm, Plan, Trial, is_timed
from harness.domain.profile import DeviceProfile
from harness.domain.query import Outcome, TrialEnded, TrialEvent
from harness.domain.sut import ConditionsReached, SutDescription
from harness.errors import AgentDied, ConditionNotPutBack
from harness.planning import expected_seconds, is_virtual
from harness.plugins import Address
from harness.record.bundle import RecordWriter
from harness.targets.base import Choosy, Deployment, Target
from harness.targets.local import HANG_AFTER_S, LocalTarget
from harness.units import NS_PER_S


class Step(StrEnum):
    """What a progress report is about."""

    BEGINS = "begins"
    GOES_ON = "goes on"
    ENDS = "ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands."""

    step: Step
    trial: Trial
    done: int
    """Trials that have ended, also in an earlier start of the same run."""
    total: int
    seconds_left: float
    outcome: Outcome | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a run needs beside its plan."""

    plan: Plan
    paths: Mapping[str, Path]
    """Model name → file on this host."""
    samples: Mapping[str, Path]
    """Model name → input samples that the user gave."""
    clock: Clock
    report: Callable[[Progress], None]
    ambient_degc: float | None = None
    """Temperature of the room, as the lab file states it."""
    metering: Metering | None = None
    trying: Trying | None = None
    """Tries workloads on networks that fail; None: that was not asked for."""
    boards: Mapping[str, Board] = field(default_factory=dict)
    """What the lab file says of boards, by address."""


def conduct(bench: Bench, writer: RecordWriter) -> None:
    """Execute every trial of the plan that the record does not hold yet.

    A trial that fails is recorded with its reason and the run goes on: one model's
    crash costs no other model's figures. Raises EquipmentError where a target
    cannot be opened at all; what was recorded before stays.
    """
    pace = _Pace(bench.plan, writer.finished_trials, bench.clock)
    if bench.metering is not None:
        bench.metering.keep_captures_in(writer.raw_folder())
    with ExitStack() as stack:
        stand = _Stand(bench, writer, stack)
        for trial in bench.plan.trials:
            if trial.id in writer.finished_trials:
                continue
            bench.report(pace.begins(trial))
            ended = _execute(trial, stand, bench, writer, pace)
            bench.report(pace.ends(trial, ended))
            _cool_down(trial, bench)


def _execute(
    trial: Trial, stand: "_Stand", bench: Bench, writer: RecordWriter, pace: "_Pace"
) -> TrialEnded:
    target = stand.target(trial)
    reason = stand.why_not(trial)
    if reason:
        return _refused(trial, reason, writer)
    deployment = stand.deployment(trial)
    ended: TrialEnded | None = None
    with _held(target, trial, bench, writer) as reached:
        writer.begin(trial, replace(reached, ambient_degc=bench.ambient_degc))
        for event in _events(trial, target, deployment, bench):
            writer.add(event)
            if isinstance(event, TrialEnded):
                ended = event
            bench.report(pace.goes_on(trial))
    if ended is None:
        raise AgentDied(
            f"Trial {trial.id} ended without its last word",
            where=trial.target,
            remedy="Run again; if it comes back, report it with the bundle.",
        )
    return ended


@contextmanager
def _held(
    target: Target, trial: Trial, bench: Bench, writer: RecordWriter
) -> Iterator[ConditionsReached]:
    """Hold a target's conditions; what could not be put back is recorded, and told."""
    try:
        with target.prepare(bench.plan.profile.conditions) as reached:
            yield reached
    except ConditionNotPutBack as error:
        writer.find(
            Finding(
                code="condition-not-put-back",
                severity=Severity.NOTE,
                subject=trial.id,
                values={"reason": error.what},
            )
        )
        raise


def _refused(trial: Trial, reason: str, writer: RecordWriter) -> TrialEnded:
    """Record a trial that is not begun, since the device cannot measure its model."""
    ended = TrialEnded(
        trial=trial.id, outcome=Outcome.REFUSED, queries=0, reason=reason
    )
    writer.begin(trial, ConditionsReached())
    writer.add(ended)
    return ended


def _events(
    trial: Trial, target: Target, deployment: Deployment, bench: Bench
) -> Iterator[TrialEvent]:
    """Give the trial's events; before its end, what it is held against."""
    here = LocalTarget(bench.plan.profile, bench.clock, HANG_AFTER_S)
    answering = Answering(
        plan=bench.plan, paths=bench.paths, samples=bench.samples, answer=here.answer
    )
    on = labelled_as_planned(deployment, bench.plan, trial)
    for event in _told(trial, target, on, bench):
        if isinstance(event, TrialEnded) and event.outcome is Outcome.DONE:
            yield from answering.events(trial)
            if bench.trying is not None:
                yield from bench.trying.events(trial)
            yield from parent_counts(
                trial, target, bench.plan, bench.paths, bench.samples
            )
        yield event


def _told(
    trial: Trial, target: Target, deployment: Deployment, bench: Bench
) -> Iterator[TrialEvent]:
    """Give what the target tells, the meter's readings among it, its end last."""
    if trial.arm is Arm.DEVICE and is_virtual(trial.target) and bench.plan.meter:
        events = target.execute(trial, deployment)
        yield from metered_virtually(trial, bench.plan.meter, events)
        return
    if bench.metering is None or trial.arm is not Arm.DEVICE:
        yield from target.execute(trial, deployment)
        return
    with bench.metering.recording(trial.id) as recording:
        ended: list[TrialEvent] = []
        for event in target.execute(trial, deployment):
            if isinstance(event, TrialEnded):
                ended.append(event)
            else:
                yield event
    yield from recording.events()
    yield from bench.metering.notes(trial.id)
    yield from ended


def _cool_down(trial: Trial, bench: Bench) -> None:
    pause_ns = bench.plan.preset.cool_down_ns
    is_real = is_timed(trial.target) and not is_virtual(trial.target)
    if pause_ns and trial.arm is Arm.DEVICE and is_real:
        bench.clock.wait_until(bench.clock.now_ns() + pause_ns)


class _Stand:
    """Targets and deployments, opened when first needed and closed together."""

    def __init__(self, bench: Bench, writer: RecordWriter, stack: ExitStack) -> None:
        self._bench = bench
        self._writer = writer
        self._stack = stack
        self._targets: dict[tuple[str, Arm], Target] = {}
        self._suts: dict[tuple[str, Arm], SutDescription] = {}
        self._deployments: dict[tuple[str, Arm, str], Deployment] = {}

    def target(self, trial: Trial) -> Target:
        key = (trial.target, trial.arm)
        if key not in self._targets:
            target = self._open(Address.parse(trial.target), self._bench.plan.profile)
            self._targets[key] = target
            self._suts[key] = target.identify()
            self._writer.describe(_as_arm(self._suts[key], trial.arm))
        return self._targets[key]

    def why_not(self, trial: Trial) -> str:
        """Say why a trial's model cannot be measured; empty where it can.

        That it does not fit a model of a device says itself.
        """
        target = self.target(trial)
        if isinstance(target, Choosy) and (
            reason := target.why_not(self._bench.plan.model(trial.model))
        ):
            return reason
        if is_virtual(trial.target) or (trial.target, trial.arm) not in self._suts:
            return ""
        model = self._bench.plan.model(trial.model)
        sut = self._suts[trial.target, trial.arm]
        path, profile = self._bench.paths[trial.model], self._bench.plan.profile
        return why_too_large(model, path, sut, profile)

    def deployment(self, trial: Trial) -> Deployment:
        key = (trial.target, trial.arm, trial.model)
        if key not in self._deployments:
            context = self.target(trial).deploy(
                self._bench.plan.model(trial.model),
                self._bench.paths[trial.model],
                self._bench.samples.get(trial.model),
            )
            self._deployments[key] = self._stack.enter_context(context)
        return self._deployments[key]

    def _open(self, address: Address, profile: DeviceProfile) -> Target:
        opened = opened_and_fed(address, profile, self._bench.boards)
        return self._stack.enter_context(opened)


def _as_arm(sut: SutDescription, arm: Arm) -> SutDescription:
    """Mark what the host measures in the device's stead as the host's."""
    return replace(sut, origin=Origin.HOST) if arm is Arm.HOST else sut


class _Pace:
    """Time left, from expected durations corrected by how long trials really took."""

    def __init__(self, plan: Plan, finished: frozenset[str], clock: Clock) -> None:
        self._clock = clock
        self._total = len(plan.trials)
        self._done = len(finished)
        self._expected = {
            trial.id: expected_seconds(trial)
            for trial in plan.trials
            if trial.id not in finished
        }
        self._begun_ns = clock.now_ns()
        self._spent = 0.0
        self._foreseen = 0.0

    def begins(self, trial: Trial) -> Progress:
        self._begun_ns = self._clock.now_ns()
        return self._progress(Step.BEGINS, trial)

    def goes_on(self, trial: Trial) -> Progress:
        return self._progress(Step.GOES_ON, trial)

    def ends(self, trial: Trial, ended: TrialEnded) -> Progress:
        self._spent += self._elapsed()
        self._foreseen += self._expected.pop(trial.id, 0.0)
        self._done += 1
        self._begun_ns = self._clock.now_ns()
        progress = self._progress(Step.ENDS, trial)
        return replace(progress, outcome=ended.outcome, reason=ended.reason)

    def _elapsed(self) -> float:
        return (self._clock.now_ns() - self._begun_ns) / NS_PER_S

    def _progress(self, step: Step, trial: Trial) -> Progress:
        ratio = self._spent / self._foreseen if self._foreseen > 0 else 1.0
        left = sum(self._expected.values()) * ratio - self._elapsed()
        return Progress(
            step=step,
            trial=trial,
            done=self._done,
            total=self._total,
            seconds_left=max(0.0, left),
        )

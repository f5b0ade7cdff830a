"""This machine: each trial in a fresh process of its own, watched from outside.

What an agent said before it crashed, hung, ran out of memory or was interrupted is
always yielded. The process gets cores of its own where there are enough, a fixed
environment, and none of the user's variables but where things are.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness import plugins
from harness.clock import Clock, SystemClock
from harness.domain.labelled import Source
from harness.domain.origin import Origin
from harness.domain.plan import RuntimeSettings, Trial
from harness.domain.profile import Conditions, DeviceProfile
from harness.domain.query import (
    ItemsScored,
    MemoryMeasured,
    ModelLoaded,
    Noted,
    Outcome,
    OutputsChecked,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.scenario import ColdStart, Periodic
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import ModelArtifact
from harness.errors import DeployMismatch, Unsupported
from harness.links.filedigest import digest_of, model_files
from harness.loadgen.machine import cold_starts
from harness.loadgen.pulses import PulsePlan
from harness.loadgen.wire import Order, Task
from harness.plugins import Address
from harness.targets.agentlife import Place, live
from harness.targets.base import Deployment
from harness.targets.host import (
    available_cores,
    clean_environment,
    describe_host,
    read_conditions,
    share_cores,
)
from harness.units import NS_PER_S

HANG_AFTER_S = 120.0
"""A load or a query longer than this, beside the trial's own windows, is a hang."""


@contextmanager
def open_target(
    address: Address, profile: DeviceProfile, *, hang_after_s: float = HANG_AFTER_S
) -> Iterator["LocalTarget"]:
    """Give this machine as a target. Raises Unsupported where a link is named."""
    if address.link:
        raise Unsupported(
            f"This machine needs no link, but '{address.link}' was given",
            where=str(address),
            remedy="Write local@.",
        )
    yield LocalTarget(profile, SystemClock(), hang_after_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspected:
    """What the runtime made of a model, and how the question ended."""

    loaded: ModelLoaded | None
    ended: TrialEnded


class LocalTarget:
    """This machine. A `Target`."""

    def __init__(
        self, profile: DeviceProfile, clock: Clock, hang_after_s: float
    ) -> None:
        self._profile = profile
        self._clock = clock
        self._hang_after_s = hang_after_s
        self._inspected: dict[tuple[str, RuntimeSettings], _Inspected] = {}

    def identify(self) -> SutDescription:
        """Describe hardware, system and runtime. Changes nothing."""
        threads = self._profile.conditions.intra_op_threads
        cores, _ = share_cores(available_cores(), threads)
        shared = {
            "threads": str(threads),
            "model_cores": ", ".join(map(str, sorted(cores))),
        }
        return SutDescription(
            address="local@",
            name="this machine",
            origin=Origin.MEASURED,
            clock=self._clock.name,
            facts=describe_host() | shared,
        )

    @contextmanager
    def prepare(
        self,
        asked: Conditions,  # noqa: ARG002 - nothing of this machine is changed
    ) -> Iterator[ConditionsReached]:
        """Read the conditions as they are; nothing is changed, so nothing put back."""
        yield read_conditions()

    @contextmanager
    def deploy(
        self, model: ModelArtifact, path: Path, samples: Path | None
    ) -> Iterator[Deployment]:
        """Read the model where it lies. Raises DeployMismatch for another digest."""
        found = digest_of(model_files(path, model.external))
        if found != model.sha256:
            raise DeployMismatch(
                f"The file has sha256 {found[:12]}…, not {model.sha256[:12]}…",
                where=str(path),
                remedy="It changed since the plan was made; plan again.",
            )
        yield Deployment(
            model=model,
            path=path.absolute(),
            samples=samples.absolute() if samples else None,
        )

    def execute(self, trial: Trial, on: Deployment) -> Iterator[TrialEvent]:
        """Execute one trial beside the model and yield its events in order.

        After a Ctrl-C the trial ends as interrupted, and KeyboardInterrupt is raised
        once that event has been taken.
        """
        yield TrialStarted(trial=trial.id, clock=self._clock.name)
        inspected = self._inspect(trial, on)
        if inspected.ended.outcome is Outcome.INTERRUPTED:
            events: Iterator[TrialEvent] = iter((inspected.ended,))
        elif isinstance(trial.scenario, ColdStart):
            events = self._start_again_and_again(trial, on, inspected)
        else:
            events = self._live(Task.MEASURE, trial, on, inspected)
        for event in events:
            yield event
            if isinstance(event, TrialEnded) and event.outcome is Outcome.INTERRUPTED:
                raise KeyboardInterrupt

    def _start_again_and_again(
        self, trial: Trial, on: Deployment, inspected: _Inspected
    ) -> Iterator[TrialEvent]:
        """Start one process after the other; of facts, those of the first are kept."""
        ended = TrialEnded(trial=trial.id, outcome=Outcome.DONE, queries=0)
        checks: list[OutputsChecked] = []
        for start in range(cold_starts(trial)):
            for event in self._live(Task.START, trial, on, inspected):
                match event:
                    case TrialEnded():
                        ended = replace(event, queries=ended.queries + event.queries)
                    case OutputsChecked():
                        checks.append(event)
                    case ModelLoaded() | MemoryMeasured() | Noted() if start > 0:
                        pass
                    case _:
                        yield event
            if ended.outcome is not Outcome.DONE:
                break
        if checks:
            yield _summed(checks)
        yield ended

    def _inspect(self, trial: Trial, on: Deployment) -> _Inspected:
        """Ask a process of its own, once a model and settings: it costs a load."""
        key = (on.model.sha256, trial.settings)
        if key in self._inspected:
            return self._inspected[key]
        loaded: ModelLoaded | None = None
        ended = TrialEnded(trial=trial.id, outcome=Outcome.FAILED, queries=0)
        for event in live(self._order(Task.INSPECT, trial, on), self._place(trial)):
            match event:
                case ModelLoaded():
                    loaded = event
                case TrialEnded():
                    ended = event
                case _:
                    pass  # readings of a process that measures nothing
        inspected = _Inspected(loaded=loaded, ended=ended)
        if ended.outcome is not Outcome.INTERRUPTED:
            self._inspected[key] = inspected
        return inspected

    def _live(
        self, task: Task, trial: Trial, on: Deployment, inspected: _Inspected
    ) -> Iterator[TrialEvent]:
        """Let one agent live, and add what was inspected to what it loaded."""
        with closing(live(self._order(task, trial, on), self._place(trial))) as life:
            for event in life:
                if isinstance(event, ModelLoaded):
                    yield from _loaded_as_inspected(event, inspected)
                else:
                    yield event

    def _order(self, task: Task, trial: Trial, on: Deployment) -> Order:
        opener = plugins.find(plugins.RUNTIMES, trial.settings.runtime)
        return Order(
            task=task,
            trial=trial,
            runtime=f"{opener.__module__}:{opener.__qualname__}",
            model_path=str(on.path),
            sha256=on.model.sha256,
            inputs=on.model.inputs,
            external=on.model.external,
            samples_path=str(on.samples) if on.samples else None,
            labelled=on.labelled,
        )

    def answer(
        self, trial: Trial, on: Deployment, source: Source
    ) -> Iterator[ItemsScored | Noted]:
        """Answer the items of a deployment on behalf of a trial; nothing is timed.

        Always by onnxruntime's own processor kernels, whatever the trial runs on. A
        failure becomes a note. Raises KeyboardInterrupt after a Ctrl-C.
        """
        threads = trial.settings.intra_op_threads
        plain = replace(trial, settings=RuntimeSettings(intra_op_threads=threads))
        order = replace(
            self._order(Task.ANSWER, plain, on),
            source=source,
            model_name=on.model.name,
        )
        for event in live(order, self._place(plain)):
            match event:
                case ItemsScored() | Noted():
                    yield event
                case TrialEnded(outcome=Outcome.INTERRUPTED):
                    raise KeyboardInterrupt
                case TrialEnded(outcome=outcome) if outcome is not Outcome.DONE:
                    key = f"not_scored.{source}"
                    yield Noted(trial=trial.id, key=key, value=event.reason)
                case _:
                    pass  # readings of a process that measures nothing

    def _place(self, trial: Trial) -> Place:
        threads = trial.settings.intra_op_threads
        model_cores, other_cores = share_cores(available_cores(), threads)
        return Place(
            clock=self._clock,
            environment=clean_environment(threads),
            model_cores=model_cores,
            other_cores=other_cores,
            silence_s=self._hang_after_s + longest_silence_s(trial),
        )


def longest_silence_s(trial: Trial) -> float:
    """Say how long an agent may rightly say nothing: idle, marks, a busy schedule."""
    window_ns = trial.minimum.duration_ns
    if isinstance(trial.scenario, Periodic):
        window_ns = max(window_ns, trial.minimum.queries * trial.scenario.period_ns)
    mark_ns = PulsePlan.of(trial.pulses).duration_ns if trial.pulses else 0
    return max(trial.baseline_ns, window_ns, mark_ns) / NS_PER_S


def _loaded_as_inspected(
    loaded: ModelLoaded, inspected: _Inspected
) -> Iterator[TrialEvent]:
    found = inspected.loaded
    if found is None:
        reason = inspected.ended.reason
        yield Noted(trial=loaded.trial, key="inspection", value=reason)
        yield loaded
        return
    yield replace(
        loaded,
        quantised_nodes=found.quantised_nodes,
        quantisable_nodes=found.quantisable_nodes,
        placement=found.placement,
    )


def _summed(checks: list[OutputsChecked]) -> OutputsChecked:
    """Add up the checks of cold starts; one whose digest strays counts as differing."""
    first = checks[0]
    strays = sum(check.sha256 != first.sha256 for check in checks)
    return replace(
        first,
        compared=sum(check.compared for check in checks),
        differing=max(strays, sum(check.differing for check in checks)),
        non_finite=sum(check.non_finite for check in checks),
    )

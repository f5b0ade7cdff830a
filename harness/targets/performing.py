"""A trial from its order to its last event, wherever the agents live.

The same for this machine and, on the board itself, for a board: what differs is the
`Place` in which each agent lives.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from harness.clock import Clock
from harness.domain.labelled import Source
from harness.domain.plan import RuntimeSettings, Trial
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
from harness.domain.scenario import ColdStart, Periodic, Talking, talk_of
from harness.loadgen.machine import cold_starts
from harness.loadgen.prepared import Prepared
from harness.loadgen.pulses import PulsePlan
from harness.loadgen.wire import Order, Task
from harness.targets.agentlife import Place, live
from harness.targets.answered import with_scores
from harness.targets.base import Deployment
from harness.units import NS_PER_S

_SLOWEST_TOKEN_S = 0.1
"""A language model that takes longer for a token is said to hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspected:
    """What the runtime made of a model, and how the question ended."""

    loaded: ModelLoaded | None
    ended: TrialEnded


class Performer:
    """Executes trials, each agent in the place that `place` gives for its trial.

    `prepare` draws for agents that have no numpy; None: they draw themselves.
    """

    def __init__(
        self,
        clock: Clock,
        place: Callable[[Trial], Place],
        opener: Callable[[str], str],
        prepare: Callable[[Task, Trial, Deployment], Prepared | None] | None = None,
    ) -> None:
        self._prepare = prepare
        self._clock = clock
        self._place = place
        self._opener = opener
        self._inspected: dict[tuple[str, RuntimeSettings], _Inspected] = {}

    def knows(self, trial: Trial, on: Deployment, loaded: ModelLoaded) -> None:
        """Take what an earlier run has found of the model, so as not to ask again."""
        ended = TrialEnded(trial=trial.id, outcome=Outcome.DONE, queries=0)
        key = (on.model.sha256, trial.settings)
        self._inspected[key] = _Inspected(loaded=loaded, ended=ended)

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
            self.order(Task.ANSWER, plain, on),
            source=source,
            model_name=on.model.name,
        )
        life = live(order, self._place(plain))
        for event in with_scores(life, trial, on, on.model.name):
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
        for event in live(self.order(Task.INSPECT, trial, on), self._place(trial)):
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
        with closing(live(self.order(task, trial, on), self._place(trial))) as life:
            for event in with_scores(life, trial, on):
                if isinstance(event, ModelLoaded):
                    yield from _loaded_as_inspected(event, inspected)
                else:
                    yield event

    def order(self, task: Task, trial: Trial, on: Deployment) -> Order:
        """Give what an agent is told, with what is prepared for it."""
        return Order(
            task=task,
            trial=trial,
            runtime=self._opener(trial.settings.runtime),
            model_path=str(on.path),
            sha256=on.model.sha256,
            inputs=on.model.inputs,
            external=on.model.external,
            decoder=on.model.decoder,
            stages=on.model.stages,
            samples_path=str(on.samples) if on.samples else None,
            labelled=on.labelled,
            prepared=self._prepare(task, trial, on) if self._prepare else None,
        )


def longest_silence_s(trial: Trial) -> float:
    """Say how long an agent may rightly say nothing: idle, marks, a busy schedule."""
    window_ns = trial.minimum.duration_ns
    if isinstance(trial.scenario, Periodic):
        window_ns = max(window_ns, trial.minimum.queries * trial.scenario.period_ns)
    mark_ns = PulsePlan.of(trial.pulses).duration_ns if trial.pulses else 0
    longest_s = max(trial.baseline_ns, window_ns, mark_ns) / NS_PER_S
    if isinstance(trial.scenario, Talking):
        # generations are handed on when they are complete, of all users together
        talk = talk_of(trial.scenario)
        tokens = talk.longest * max(talk.users)
        longest_s = max(longest_s, tokens * _SLOWEST_TOKEN_S)
    return longest_s


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

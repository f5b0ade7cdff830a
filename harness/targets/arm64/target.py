"""``arm64@qemu:cortex-a76``: an emulated processor that executes real arm64 kernels.

What it gives is true of the device: outputs, and how many instructions they take.
What it takes to give it, time above all, is the emulator's and is never told. Several
processors may be named, ``arm64@qemu:cortex-a53,cortex-a76``: each is counted and
compared; answers to labelled items are those of the last.
"""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.clock import SystemClock
from harness.domain.board import Board
from harness.domain.counting import InstructionsCounted, KernelsCompared
from harness.domain.labelled import Source
from harness.domain.origin import Origin
from harness.domain.plan import Trial
from harness.domain.profile import Conditions, DeviceProfile
from harness.domain.query import (
    UNTIMED,
    ItemsScored,
    MemoryMeasured,
    ModelLoaded,
    Noted,
    Outcome,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.scenario import SingleStream
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import ModelArtifact
from harness.errors import SchemaError, Unsupported, UsageError
from harness.loadgen.wire import Task
from harness.plugins import Address
from harness.targets.arm64.comparing import compared
from harness.targets.arm64.emulator import PROGRAM
from harness.targets.arm64.living import LifeEnded, Lives, require_done
from harness.targets.arm64.memory import METHOD
from harness.targets.arm64.readiness import MACHINE, Ready, require_ready
from harness.targets.base import Deployment
from harness.targets.local import HANG_AFTER_S, LocalTarget
from harness.targets.runner.preparer import require_known

EMULATOR = "qemu:"
ROUNDS = 3
"""Counts of either kind of process that one figure is made of."""


@contextmanager
def open_target(
    address: Address,
    profile: DeviceProfile,
    *,
    board: Board | None = None,  # noqa: ARG001 - what a lab file says of boards
) -> Iterator["Arm64Target"]:
    """Find the emulator, its plugin and the runner, and check the processors' names.

    Raises SchemaError for another emulator, UnknownName for a processor that it does
    not know, Unsupported or TargetError where something is missing.
    """
    names = processors_in(address)
    ready = require_ready()
    for name in names:
        ready.emulator.require_processor(name)
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="duanping-") as scratch:
        yield Arm64Target(
            address=str(address),
            processors=names,
            ready=ready,
            lives=Lives(ready=ready, folder=Path(scratch), clock=clock),
            here=LocalTarget(profile, clock, HANG_AFTER_S),
        )


def processors_in(address: Address) -> tuple[str, ...]:
    """Read the processors that an address names. Raises SchemaError for none."""
    names = address.link.removeprefix(EMULATOR)
    found = tuple(dict.fromkeys(filter(None, names.split(","))))
    if not address.link.startswith(EMULATOR) or not found:
        raise SchemaError(
            f"'{address}' names no processor to emulate",
            remedy="Write arm64@qemu:cortex-a76, or several with a comma between.",
        )
    return found


@dataclass(slots=True, kw_only=True)
class Arm64Target:
    """An emulated processor, or several. A `Target`, and a `CountingTarget`."""

    address: str
    processors: tuple[str, ...]
    ready: Ready
    lives: Lives
    here: LocalTarget
    """This machine, whose kernels the outputs are held against."""
    _inspected: dict[str, ModelLoaded] = field(default_factory=dict)

    def identify(self) -> SutDescription:
        """Describe what emulates, what is emulated, and what runs in it."""
        emulator = self.ready.emulator
        said = f"{PROGRAM} {emulator.version}"
        return SutDescription(
            address=self.address,
            name=f"{', '.join(self.processors)}, emulated by {said}",
            origin=Origin.EMULATED,
            clock=UNTIMED,
            facts={
                "emulator": said,
                "cpu": ", ".join(self.processors),
                "machine": MACHINE,
                "threads": "1",
                "agent": self.ready.bundle.sha256,
            },
        )

    @contextmanager
    def prepare(
        self,
        asked: Conditions,  # noqa: ARG002 - an emulated processor has no surroundings
    ) -> Iterator[ConditionsReached]:
        """Give no conditions: a count depends on none."""
        yield ConditionsReached()

    @contextmanager
    def deploy(
        self, model: ModelArtifact, path: Path, samples: Path | None
    ) -> Iterator[Deployment]:
        """Read the model where it lies. Raises DeployMismatch for another digest."""
        with self.here.deploy(model, path, samples) as on:
            yield on

    def execute(
        self, trial: Trial, on: Deployment
    ) -> Generator[TrialEvent, None, None]:
        """Count and compare; yields events in order, and none that says a time.

        After a Ctrl-C the trial ends as interrupted, and KeyboardInterrupt is raised
        once that event has been taken.
        """
        yield TrialStarted(trial=trial.id, clock=UNTIMED)
        ended = TrialEnded(trial=trial.id, outcome=Outcome.DONE, queries=0)
        try:
            _require(trial, on)
            self.lives.peak_bytes = 0
            yield self._loaded(trial, on)
            for event in self._counts(trial, on):
                if isinstance(event, InstructionsCounted):
                    ended = replace(ended, queries=ended.queries + _computed(event))
                yield event
            yield from self._answers(trial, on)
            yield self._memory(trial)
        except UsageError as error:
            ended = replace(ended, outcome=Outcome.REFUSED, reason=error.sentence())
        except LifeEnded as life:
            ended = replace(life.ended, queries=ended.queries)
        except KeyboardInterrupt:
            ended = replace(ended, outcome=Outcome.INTERRUPTED, reason="Ctrl-C")
        yield ended
        if ended.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt

    def count(
        self, trial: Trial, on: Deployment
    ) -> Iterator[InstructionsCounted | KernelsCompared | Noted]:
        """Count another model on behalf of a trial, such as its float32 parent.

        A failure becomes a note. Raises KeyboardInterrupt after a Ctrl-C.
        """
        try:
            yield from self._counts(trial, on)
        except UsageError as error:
            yield _not_counted(trial, on, error.sentence())
        except LifeEnded as life:
            if life.ended.outcome is Outcome.INTERRUPTED:
                raise KeyboardInterrupt from life
            yield _not_counted(trial, on, life.ended.reason)

    def _counts(
        self, trial: Trial, on: Deployment
    ) -> Iterator[InstructionsCounted | KernelsCompared | Noted]:
        """Count on each processor, and compare with this machine; raises LifeEnded."""
        for processor in self.processors:
            yield self._counted(trial, on, processor)
            yield from self._compared(trial, on, processor)

    def _loaded(self, trial: Trial, on: Deployment) -> ModelLoaded:
        """Say what the runtime made of the model, asked once a model."""
        if on.model.sha256 not in self._inspected:
            processor = self.processors[-1]
            order = self.lives.performer(processor, on).order(Task.INSPECT, trial, on)
            life = self.lives.live(order, on, processor)
            require_done(life.ended)
            found = (e for e in life.events if isinstance(e, ModelLoaded))
            self._inspected[on.model.sha256] = next(found)
        known = self._inspected[on.model.sha256]
        return replace(known, trial=trial.id, load_ns=None)

    def _counted(
        self, trial: Trial, on: Deployment, processor: str
    ) -> InstructionsCounted:
        fewer = trial.warm_up.queries
        more = fewer + trial.minimum.queries
        order = self.lives.performer(processor, on).order(Task.COUNT, trial, on)
        counts: dict[int, list[int]] = {fewer: [], more: []}
        for _ in range(ROUNDS):
            for inferences, taken in counts.items():
                asked = replace(trial.minimum, queries=inferences)
                told = replace(order, trial=replace(trial, minimum=asked))
                taken.append(self.lives.counted(told, on, processor))
        return InstructionsCounted(
            trial=trial.id,
            model=on.model.name,
            processor=processor,
            fewer=fewer,
            more=more,
            counts_fewer=tuple(counts[fewer]),
            counts_more=tuple(counts[more]),
        )

    def _compared(
        self, trial: Trial, on: Deployment, processor: str
    ) -> Iterator[KernelsCompared | Noted]:
        """Answer some inputs on both sides, whatever their labels are."""
        plain = replace(on, labelled=None)
        performer = self.lives.performer(processor, on)
        theirs = list(performer.answer(trial, plain, Source.SESSION))
        ours = list(self.here.answer(trial, plain, Source.REFERENCE))
        one, other = (_scored(events) for events in (theirs, ours))
        found = compared(one, other, processor) if one and other else None
        if found is not None:
            yield found
            return
        said = next((e.value for e in (*theirs, *ours) if isinstance(e, Noted)), "")
        yield Noted(
            trial=trial.id,
            key=f"not_compared.{on.model.name}.{processor}",
            value=said or "the outputs are of another form",
        )

    def _answers(self, trial: Trial, on: Deployment) -> Iterator[ItemsScored | Noted]:
        """Answer the labelled items of a scored trial; some inputs of any other."""
        labelled = on.labelled if trial.is_scored else None
        asked = replace(on, labelled=labelled)
        performer = self.lives.performer(self.processors[-1], on)
        if trial.is_scored or on.labelled is None:
            yield from performer.answer(trial, asked, Source.SESSION)

    def _memory(self, trial: Trial) -> MemoryMeasured:
        peak = self.lives.peak_bytes
        return MemoryMeasured(trial=trial.id, method=METHOD, peak_bytes=peak or None)


def _require(trial: Trial, on: Deployment) -> None:
    """Raise Unsupported for what cannot be counted."""
    require_known(on.model, trial.target)
    if not isinstance(trial.scenario, SingleStream):
        raise Unsupported(
            f"{trial.scenario.kind} needs a time, and an emulated processor has none",
            where=trial.target,
            remedy="Read the rows that need it as not measured.",
        )


def _not_counted(trial: Trial, on: Deployment, reason: str) -> Noted:
    return Noted(trial=trial.id, key=f"not_counted.{on.model.name}", value=reason)


def _computed(counted: InstructionsCounted) -> int:
    rounds = len(counted.counts_fewer)
    return rounds * (counted.fewer + counted.more)


def _scored(events: list[ItemsScored | Noted]) -> ItemsScored | None:
    return next((e for e in events if isinstance(e, ItemsScored)), None)

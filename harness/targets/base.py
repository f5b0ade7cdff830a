"""What every target promises, and nothing about any one of them.

A target never judges, never averages, knows no tier, no meter and no report.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from harness.domain.counting import InstructionsCounted, KernelsCompared
from harness.domain.labelled import LabelledData
from harness.domain.plan import Trial
from harness.domain.profile import Conditions
from harness.domain.query import Noted, TrialEvent
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import ModelArtifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A model that is on the device. `handle` means something to its target only."""

    model: ModelArtifact
    path: Path
    """The model file on the host."""
    handle: str = ""
    samples: Path | None = None
    """Input samples that the user gave (.npz), on the host."""
    labelled: LabelledData | None = None
    """What the labels among the samples are for; None: they have none."""


@runtime_checkable
class Choosy(Protocol):
    """A target that cannot measure every model."""

    def why_not(self, model: ModelArtifact) -> str:
        """Say why it cannot measure a model; empty where it can."""
        ...


@runtime_checkable
class Target(Protocol):
    """A place where a model can be run: this machine, a board, a phone, a chip.

    A target says what it is, gets ready, takes the model, executes one trial at a
    time, and reports each event as it happens, stamped with its own clock.

    An opener of the entry-point group ``harness.targets`` has the signature
    ``open_target(address, profile) -> AbstractContextManager[Target]`` with an
    `Address` and a `DeviceProfile`.
    """

    def identify(self) -> SutDescription:
        """Ask the device what it is. Changes nothing."""
        ...

    def prepare(self, asked: Conditions) -> AbstractContextManager[ConditionsReached]:
        """Hold the device as near to `asked` as it goes, and put it back afterwards.

        Entered once before each trial. Raises ConditionNotReached for a condition
        that is required.
        """
        ...

    def deploy(
        self, model: ModelArtifact, path: Path, samples: Path | None
    ) -> AbstractContextManager[Deployment]:
        """Have the model on the device; its digest is read back from the device.

        Raises DeployMismatch when the two digests differ.
        """
        ...

    def execute(self, trial: Trial, on: Deployment) -> Iterator[TrialEvent]:
        """Execute one trial beside the model and yield its events in order.

        The load generator runs on the device, so no link delay enters a latency.
        The first event is TrialStarted; the last is always TrialEnded, also after
        a crash, a hang or a refusal. Closing the iterator early ends the trial.
        """
        ...


@runtime_checkable
class CountingTarget(Protocol):
    """A target without time that counts the instructions of what it executes."""

    def count(
        self, trial: Trial, on: Deployment
    ) -> Iterator[InstructionsCounted | KernelsCompared | Noted]:
        """Count another model than the trial's on its behalf: its float32 parent.

        A failure becomes a note. Raises KeyboardInterrupt after a Ctrl-C.
        """
        ...

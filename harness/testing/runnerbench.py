"""The C runner on this machine, as a target: what a board does, without a board.

Used by this project's tests, and by whoever builds a runner for a machine of their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.clock import SystemClock
from harness.domain.origin import Origin
from harness.domain.plan import Trial
from harness.domain.profile import Conditions
from harness.domain.query import TrialEvent
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import ModelArtifact
from harness.errors import DeployMismatch
from harness.links.filedigest import digest_of, model_files
from harness.meters.process import sampled
from harness.targets.agentlife import Place
from harness.targets.apart import available_cores, clean_environment, share_cores
from harness.targets.base import Deployment
from harness.targets.local import runtime_opener
from harness.targets.performing import Performer, longest_silence_s
from harness.targets.runner.preparer import Preparer, require_known

SILENCE_S = 30.0


@dataclass(slots=True, kw_only=True)
class RunnerTarget:
    """The runner behind pipes, each order a process of its own. A `Target`."""

    command: tuple[str, ...]
    """What starts the runner; the verb follows it."""
    folder: Path
    """For the inputs that are prepared."""
    clock: SystemClock = field(default_factory=SystemClock)

    def identify(self) -> SutDescription:
        """Describe it as what it is: a process of this machine."""
        return SutDescription(
            address="local@",
            name="the C runner on this machine",
            origin=Origin.MEASURED,
            clock=self.clock.name,
        )

    @contextmanager
    def prepare(self, asked: Conditions) -> Iterator[ConditionsReached]:
        """Change nothing and read nothing."""
        del asked
        yield ConditionsReached()

    @contextmanager
    def deploy(
        self, model: ModelArtifact, path: Path, samples: Path | None
    ) -> Iterator[Deployment]:
        """Read the model where it lies. Raises DeployMismatch, Unsupported."""
        require_known(model, str(path))
        if digest_of(model_files(path, model.external)) != model.sha256:
            raise DeployMismatch("The file is not the one planned", where=str(path))
        yield Deployment(model=model, path=path, samples=samples)

    def execute(self, trial: Trial, on: Deployment) -> Iterator[TrialEvent]:
        """Execute one trial and yield its events in order."""
        prepare = Preparer(folder=self.folder, place=str)
        performer = Performer(self.clock, self._place, runtime_opener, prepare)
        return performer.execute(trial, on)

    def _place(self, trial: Trial) -> Place:
        threads = trial.settings.intra_op_threads
        model_cores, other_cores = share_cores(available_cores(), threads)
        return Place(
            clock=self.clock,
            command=(*self.command, "agent"),
            environment=clean_environment(threads),
            model_cores=model_cores,
            sampled=partial(sampled, clock=self.clock, cores=other_cores),
            silence_s=SILENCE_S + longest_silence_s(trial),
        )


@contextmanager
def runner_target(command: tuple[str, ...]) -> Iterator[RunnerTarget]:
    """Give the target, with a folder of its own."""
    with TemporaryDirectory(prefix="duanping-") as folder:
        yield RunnerTarget(command=command, folder=Path(folder))

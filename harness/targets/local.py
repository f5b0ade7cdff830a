"""This machine: each trial in a fresh process of its own, watched from outside.

What an agent said before it crashed, hung, ran out of memory or was interrupted is
always yielded. The process gets cores of its own where there are enough, a fixed
environment, and none of the user's variables but where things are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness import plugins
from harness.clock import Clock, SystemClock
from harness.domain.labelled import Source
from harness.domain.origin import Origin
from harness.domain.plan import Trial
from harness.domain.profile import Conditions, DeviceProfile
from harness.domain.query import ItemsScored, Noted, TrialEvent
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import ModelArtifact
from harness.errors import DeployMismatch
from harness.links.filedigest import digest_of, model_files
from harness.meters.process import sampled
from harness.plugins import Address
from harness.targets.agentlife import COMMAND, Place
from harness.targets.apart import (
    available_cores,
    clean_environment,
    oom_kills,
    share_cores,
)
from harness.targets.base import Deployment
from harness.targets.constraint import (
    Confined,
    Constraint,
    confined,
    parse_constraint,
)
from harness.targets.host import describe_host, read_conditions
from harness.targets.performing import Performer, longest_silence_s

HANG_AFTER_S = 120.0
"""A load or a query longer than this, beside the trial's own windows, is a hang."""


@contextmanager
def open_target(
    address: Address, profile: DeviceProfile, *, hang_after_s: float = HANG_AFTER_S
) -> Iterator["LocalTarget"]:
    """Give this machine as a target, held to a smaller one's memory where asked.

    Raises SchemaError for a link that is not ``constrained``.
    """
    constraint = Constraint()
    if address.link:
        # a microcontroller's memory holds no operating system
        ram_bytes = profile.ram_bytes if profile.is_os_class else None
        whole = Constraint(
            memory_bytes=ram_bytes, cores=profile.conditions.intra_op_threads
        )
        constraint = parse_constraint(address.link, whole)
    with confined(constraint) as held:
        yield LocalTarget(
            profile, SystemClock(), hang_after_s, Confinement(constraint, held)
        )


@dataclass(frozen=True, slots=True)
class Confinement:
    """What this machine is held to, and what was applied."""

    asked: Constraint
    held: Confined

    @property
    def is_any(self) -> bool:
        """Say whether anything was asked for."""
        return self.asked != Constraint()


FREE = Confinement(Constraint(), Confined(means="none", memory_bytes=None))


class LocalTarget:
    """This machine. A `Target`."""

    def __init__(
        self,
        profile: DeviceProfile,
        clock: Clock,
        hang_after_s: float,
        confinement: Confinement = FREE,
    ) -> None:
        self._profile = profile
        self._confinement = confinement
        self._clock = clock
        self._hang_after_s = hang_after_s
        self._performer = Performer(clock, self._place, runtime_opener)

    def identify(self) -> SutDescription:
        """Describe hardware, system and runtime. Changes nothing."""
        threads = self._profile.conditions.intra_op_threads
        cores, _ = share_cores(available_cores(), self._cores(threads))
        confinement = self._confinement
        held = confinement.held.facts(confinement.asked) if confinement.is_any else {}
        shared = held | {
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
        return self._performer.execute(trial, on)

    def answer(
        self, trial: Trial, on: Deployment, source: Source
    ) -> Iterator[ItemsScored | Noted]:
        """Answer the items of a deployment on behalf of a trial; nothing is timed.

        A failure becomes a note. Raises KeyboardInterrupt after a Ctrl-C.
        """
        return self._performer.answer(trial, on, source)

    def _cores(self, threads: int) -> int:
        return self._confinement.asked.cores or threads

    def _place(self, trial: Trial) -> Place:
        threads = trial.settings.intra_op_threads
        model_cores, other_cores = share_cores(available_cores(), self._cores(threads))
        held = self._confinement.held
        return Place(
            oom_kills=held.oom_kills if held.events else oom_kills,
            command=held.prefix + COMMAND,
            clock=self._clock,
            environment=clean_environment(threads),
            model_cores=model_cores,
            sampled=partial(sampled, clock=self._clock, cores=other_cores),
            silence_s=self._hang_after_s + longest_silence_s(trial),
        )


def runtime_opener(name: str) -> str:
    """Give ``module:function`` of the runtime of that name. Raises UnknownName."""
    opener = plugins.find(plugins.RUNTIMES, name)
    return f"{opener.__module__}:{opener.__qualname__}"

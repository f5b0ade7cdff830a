"""This machine: each trial in a fresh process of its own, watched from outside.

What an agent said before it crashed, hung, ran out of memory or was interrupted is
always yielded. The process gets cores of its own where there are enough, a fixed
environment, and none of the user's variables but where things are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from harness import plugins
from harness.clock import Clock, SystemClock
from harness.domain.origin import Origin
from harness.domain.plan import Trial
from harness.domain.profile import Conditions, DeviceProfile
from harness.domain.query import TrialEvent
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import ModelArtifact
from harness.errors import DeployMismatch, Unsupported
from harness.links.filedigest import digest_of, model_files
from harness.meters.process import sampled
from harness.plugins import Address
from harness.targets.agentlife import Place
from harness.targets.apart import available_cores, clean_environment, share_cores
from harness.targets.base import Deployment
from harness.targets.host import describe_host, read_conditions
from harness.targets.performing import Performer, longest_silence_s

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


class LocalTarget:
    """This machine. A `Target`."""

    def __init__(
        self, profile: DeviceProfile, clock: Clock, hang_after_s: float
    ) -> None:
        self._profile = profile
        self._clock = clock
        self._hang_after_s = hang_after_s
        self._performer = Performer(clock, self._place, runtime_opener)

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
        return self._performer.execute(trial, on)

    def _place(self, trial: Trial) -> Place:
        threads = trial.settings.intra_op_threads
        model_cores, other_cores = share_cores(available_cores(), threads)
        return Place(
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

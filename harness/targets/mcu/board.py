"""A microcontroller with MLPerf Tiny firmware, once its port is open.

The model is in the firmware; the host cannot read it back, and says so in the record.
What a trial measures depends on what the firmware was built for: latencies in
performance mode, windows for a meter in energy mode.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.plan import Trial
from harness.domain.profile import Conditions
from harness.domain.query import (
    FIRMWARE_MODEL,
    Noted,
    Outcome,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.reading import ReadingBlock
from harness.domain.scenario import Periodic, SingleStream
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import ModelArtifact
from harness.errors import (
    AgentDied,
    EquipmentError,
    LinkError,
    LinkTimeout,
    SchemaError,
    Unsupported,
)
from harness.targets.base import Deployment
from harness.targets.mcu.driver import Dut, Firmware
from harness.targets.mcu.energy import EnergyRun
from harness.targets.mcu.interface import InterfaceBoard
from harness.targets.mcu.latency import LatencyRun
from harness.targets.mcu.samples import sample_bytes
from harness.targets.mcu.stream import CLOCK as STREAM_CLOCK
from harness.targets.mcu.stream import StreamRun
from harness.targets.mcu.wire import Mode

CLOCK = "mcu"
MODELS = {
    "kws": ("kws01",),
    "vww": ("vww01",),
    "ic": ("ic01",),
    "ad": ("ad01",),
    "sww": ("sww01", "strww01"),
}
"""Workload → names that reference firmware gives its model."""


Run = LatencyRun | EnergyRun | StreamRun


class World(Protocol):
    """What surrounds a simulated board: what it drew, for a simulated meter to see."""

    def drawn(self, since_ns: int, until_ns: int) -> tuple[ReadingBlock, ...]:
        """Give power, and falls of the pin, between two times of the world's clock."""
        ...


@dataclass(slots=True, kw_only=True)
class McuTarget:
    """A microcontroller. A `Target`."""

    address: str
    dut: Dut
    firmware: Firmware
    clock: Clock
    origin: Origin
    facts: dict[str, str] = field(default_factory=dict)
    """How it is reached, for the record."""
    interface: InterfaceBoard | None = None
    """Through which it is reached; None: it is not."""
    world: World | None = None
    """Of a simulated board; None: the real one."""
    _is_lost: bool = False

    def identify(self) -> SutDescription:
        """Describe the firmware, as it described itself when the port was opened."""
        found = self.firmware
        facts = {
            "firmware": found.profile,
            "firmware_model": found.model,
            "mode": found.mode.value,
            **self.facts,
        }
        return SutDescription(
            address=self.address,
            name=found.name,
            origin=self.origin,
            clock=CLOCK if self._tells_time else self.clock.name,
            facts=facts,
        )

    @contextmanager
    def prepare(
        self,
        asked: Conditions,  # noqa: ARG002 - nothing can be set on such a board
    ) -> Iterator[ConditionsReached]:
        """Give no conditions: the protocol reads none."""
        if self._is_lost:
            self.firmware = self.dut.wake()
            self._is_lost = False
        yield ConditionsReached()

    @contextmanager
    def deploy(
        self, model: ModelArtifact, path: Path, samples: Path | None
    ) -> Iterator[Deployment]:
        """Take note of the model, which is in the firmware already."""
        yield Deployment(model=model, path=path, samples=samples)

    def execute(
        self, trial: Trial, on: Deployment
    ) -> Generator[TrialEvent, None, None]:
        """Execute one trial and yield its events; a Ctrl-C ends it as interrupted."""
        run = self._run(trial)
        yield TrialStarted(trial=trial.id, clock=self._clock_of(run))
        since_ns = self.clock.now_ns()
        try:
            self._require(trial)
            yield Noted(trial=trial.id, key=FIRMWARE_MODEL, value=self.firmware.model)
            if isinstance(run, StreamRun):
                yield from run.events()
            else:
                yield from run.events(sample_bytes(on.model, trial, on.samples))
            yield from self._drawn(trial, since_ns)
        except (Unsupported, SchemaError) as error:
            yield _end(run, Outcome.REFUSED, error.sentence())
        except LinkTimeout as error:
            self._is_lost = True
            yield _end(run, Outcome.HUNG, error.sentence())
        except AgentDied as error:
            self._is_lost = True
            yield _end(run, Outcome.CRASHED, error.sentence())
        except LinkError as error:
            if error.is_transient:
                raise  # the cable was pulled: --resume executes the trial again
            yield _end(run, Outcome.FAILED, error.sentence())
        except EquipmentError as error:
            yield _end(run, Outcome.FAILED, error.sentence())
        except KeyboardInterrupt:
            yield _end(run, Outcome.INTERRUPTED, "Ctrl-C")
            raise
        else:
            yield _end(run, Outcome.DONE, "")

    @property
    def _tells_time(self) -> bool:
        return self.firmware.mode is Mode.PERFORMANCE

    def _clock_of(self, run: Run) -> str:
        """Name the clock of a trial's times: the board's own, where it tells time."""
        if isinstance(run, StreamRun):
            return STREAM_CLOCK
        return CLOCK if isinstance(run, LatencyRun) else self.clock.name

    def _run(self, trial: Trial) -> Run:
        if trial.stream is not None and self.interface is not None:
            return StreamRun(
                dut=self.dut,
                interface=self.interface,
                trial=trial,
                clock=self.clock,
                recording=trial.stream,
                origin=self.origin,
            )
        if self.firmware.mode is Mode.ENERGY:
            return EnergyRun(dut=self.dut, trial=trial, clock=self.clock)
        return LatencyRun(dut=self.dut, trial=trial, clock=self.clock)

    def _require(self, trial: Trial) -> None:
        """Raise Unsupported for what this firmware cannot answer."""
        is_stream = trial.stream is not None and isinstance(trial.scenario, Periodic)
        if is_stream and self.interface is None:
            raise Unsupported(
                "A recording is played by an interface board, and there is none",
                remedy="Connect one and write ?via=interface in the address.",
            )
        if not is_stream and not isinstance(trial.scenario, SingleStream):
            raise Unsupported(
                f"{trial.scenario.kind} cannot be executed by the MLPerf Tiny "
                "protocol, which times one inference after another",
                remedy="Read the rows that need it as not measured. Streaming wake "
                "words are played: --stream FILE.json",
            )
        is_unwatched = self.firmware.mode is Mode.ENERGY and not trial.edges
        if is_unwatched and not is_stream:
            raise Unsupported(
                "In energy mode the board's time stamps are edges on a pin, and no "
                "meter watches one",
                remedy="Wire the pin to the meter and say to which of its inputs: "
                "--meter lpm01a@… --pin D7. For latencies flash the firmware's "
                "performance mode.",
            )
        known = MODELS.get(trial.workload, ())
        if self.firmware.model.lower() not in known:
            raise Unsupported(
                f"The firmware has the model {self.firmware.model}, and the trial is "
                f"of {trial.workload} ({' or '.join(known) or 'no model known'})",
                remedy="Flash the firmware of that workload and run again.",
            )

    def _drawn(self, trial: Trial, since_ns: int) -> Iterator[ReadingsTaken]:
        """Give what a simulated board drew, where a meter can watch its pin."""
        if self.world is None or self.firmware.mode is not Mode.ENERGY:
            return
        for block in self.world.drawn(since_ns, self.clock.now_ns()):
            yield ReadingsTaken(trial=trial.id, block=block)


def _end(run: Run, outcome: Outcome, reason: str) -> TrialEnded:
    """Give the trial's last event."""
    return TrialEnded(
        trial=run.trial.id, outcome=outcome, queries=run.queries, reason=reason
    )

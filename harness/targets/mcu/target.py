"""``mcu@serial:/dev/ttyACM0``: a microcontroller with MLPerf Tiny firmware.

The model is in the firmware; the host cannot read it back, and says so in the record.
Each query is one ``infer 1 0``, timed by the device between its two time stamps, so
no serial line enters a latency; they have a resolution of one microsecond.
"""

from array import array
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from statistics import median

import numpy as np

from harness.clock import Clock, SystemClock
from harness.domain.board import Board
from harness.domain.origin import Origin
from harness.domain.plan import Minimum, Trial
from harness.domain.profile import Conditions, DeviceProfile
from harness.domain.query import (
    FIRMWARE_MODEL,
    Noted,
    Outcome,
    OverheadMeasured,
    Phase,
    PhaseEntered,
    QueryBlock,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.scenario import SingleStream
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
from harness.links.bytelink import open_link
from harness.links.loop import LoopLink, looped
from harness.plugins import Address
from harness.targets.base import Deployment
from harness.targets.mcu.driver import Dut, Firmware, Inference
from harness.targets.mcu.outputs import Repeats
from harness.targets.mcu.sim import SimulatedBoard
from harness.targets.mcu.wire import Mode

CLOCK = "mcu"
SIM = "sim:"
BAUDS = (115_200, 9_600, 921_600)
"""Performance and accuracy; energy; anomaly detection's reference."""
BLOCK_NS = 500_000_000
_REPEATS, _MANY = 5, 11
"""Runs of one and of eleven inferences, to tell what does not belong to one."""
INFER_S = 60.0
"""No model for a microcontroller takes longer."""
MODELS = {
    "kws": ("kws01",),
    "vww": ("vww01",),
    "ic": ("ic01",),
    "ad": ("ad01",),
    "sww": ("sww01", "strww01"),
}
"""Workload → names that reference firmware gives its model."""


@contextmanager
def open_target(
    address: Address,
    profile: DeviceProfile,  # noqa: ARG001 - every opener is called with it
    *,
    board: Board | None = None,  # noqa: ARG001 - what a lab file says of boards
) -> Iterator["McuTarget"]:
    """Open the port and find the baud rate at which the board answers.

    Raises LinkError where there is no port, LinkTimeout where nobody answers on it.
    """
    clock = SystemClock()
    with ExitStack() as stack:
        if address.link.startswith(SIM):
            link = stack.enter_context(_simulated(address, clock))
            dut = Dut(link, clock)
            yield McuTarget(
                address=str(address),
                dut=dut,
                firmware=dut.wake(),
                baud=BAUDS[0],
                clock=clock,
                origin=Origin.SIMULATED,
            )
            return
        link_name, bauds = _read(address)
        dut, firmware, baud = _answering(link_name, bauds, clock, stack)
        yield McuTarget(
            address=str(address), dut=dut, firmware=firmware, baud=baud, clock=clock
        )


@dataclass(slots=True, kw_only=True)
class McuTarget:
    """A microcontroller. A `Target`."""

    address: str
    dut: Dut
    firmware: Firmware
    baud: int
    clock: Clock
    origin: Origin = Origin.MEASURED
    _is_lost: bool = False

    def identify(self) -> SutDescription:
        """Describe the firmware, as it described itself when the port was opened."""
        found = self.firmware
        facts = {
            "firmware": found.profile,
            "firmware_model": found.model,
            "mode": found.mode.value,
            "baud": str(self.baud),
        }
        return SutDescription(
            address=self.address,
            name=found.name,
            origin=self.origin,
            clock=CLOCK,
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
        yield TrialStarted(trial=trial.id, clock=CLOCK)
        run = _Run(dut=self.dut, trial=trial, clock=self.clock)
        try:
            run.require(self.firmware)
            yield Noted(trial=trial.id, key=FIRMWARE_MODEL, value=self.firmware.model)
            yield from run.events(sample_bytes(on.model, trial, on.samples))
        except (Unsupported, SchemaError) as error:
            yield run.end(Outcome.REFUSED, error.sentence())
        except LinkTimeout as error:
            self._is_lost = True
            yield run.end(Outcome.HUNG, error.sentence())
        except AgentDied as error:
            self._is_lost = True
            yield run.end(Outcome.CRASHED, error.sentence())
        except LinkError as error:
            if error.is_transient:
                raise  # the cable was pulled: --resume executes the trial again
            yield run.end(Outcome.FAILED, error.sentence())
        except EquipmentError as error:
            yield run.end(Outcome.FAILED, error.sentence())
        except KeyboardInterrupt:
            yield run.end(Outcome.INTERRUPTED, "Ctrl-C")
            raise
        else:
            yield run.end(Outcome.DONE, "")


@dataclass(slots=True, kw_only=True)
class _Run:
    """One trial in progress."""

    dut: Dut
    trial: Trial
    clock: Clock
    queries: int = 0
    repeats: Repeats = field(default_factory=Repeats)

    def require(self, firmware: Firmware) -> None:
        """Raise Unsupported for what this firmware cannot answer."""
        if not isinstance(self.trial.scenario, SingleStream):
            raise Unsupported(
                f"{self.trial.scenario.kind} cannot be executed by the MLPerf Tiny "
                "protocol, which times one inference after another",
                remedy="Read the rows that need it as not measured.",
            )
        if firmware.mode is Mode.ENERGY:
            raise Unsupported(
                "In energy mode the board gives no time stamps on the line",
                remedy="Flash the firmware's performance mode for latencies.",
            )
        known = MODELS.get(self.trial.workload, ())
        if firmware.model.lower() not in known:
            raise Unsupported(
                f"The firmware has the model {firmware.model}, and the trial is of "
                f"{self.trial.workload} ({' or '.join(known) or 'no model known'})",
                remedy="Flash the firmware of that workload and run again.",
            )

    def events(self, sample: bytes) -> Iterator[TrialEvent]:
        """Yield everything between the start and the end of the trial."""
        trial = self.trial
        yield self._enter(Phase.BASELINE_BEFORE)
        self._rest(trial.baseline_ns)
        yield self._enter(Phase.LOAD)
        self.dut.load(sample)
        yield self._enter(Phase.WARM_UP)
        yield from self._queries(Phase.WARM_UP, trial.warm_up)
        yield self._overhead()
        yield self._enter(Phase.MEASURED)
        yield from self._queries(Phase.MEASURED, trial.minimum)
        yield self._enter(Phase.BASELINE_AFTER)
        self._rest(trial.baseline_ns)
        yield self.repeats.report(trial.id)

    def _overhead(self) -> OverheadMeasured:
        """Find what a query holds beside its inference: the first time stamp's writing.

        From T(1) = o + t and T(n) = o + n·t, each the median of some.
        """
        ones = [self.dut.infer(1, 0, INFER_S) for _ in range(_REPEATS)]
        many = [self.dut.infer(_MANY, 0, INFER_S * _MANY) for _ in range(_REPEATS)]
        each_ns = (_median(many) - _median(ones)) / (_MANY - 1)
        beside_ns = [max(0, round(one.took_ns - each_ns)) for one in ones]
        gaps = [later.begun_ns - one.ended_ns for one, later in pairwise(ones)]
        return OverheadMeasured(
            trial=self.trial.id,
            queries=_REPEATS * (1 + _MANY),
            latency_p50_ns=round(median(beside_ns)),
            latency_p90_ns=max(beside_ns),
            gap_p50_ns=round(median(gaps)),
        )

    def end(self, outcome: Outcome, reason: str) -> TrialEnded:
        """Give the trial's last event."""
        return TrialEnded(
            trial=self.trial.id, outcome=outcome, queries=self.queries, reason=reason
        )

    def _queries(self, phase: Phase, minimum: Minimum) -> Iterator[QueryBlock]:
        """Execute until there are enough queries in a window that is long enough."""
        first_ns: int | None = None
        done = 0
        rows: list[Inference] = []
        while True:
            one = self.dut.infer(1, 0, INFER_S)
            self.repeats.take(one.results)
            first_ns = one.begun_ns if first_ns is None else first_ns
            rows.append(one)
            done += 1
            is_over = (
                done >= minimum.queries
                and one.ended_ns - first_ns >= minimum.duration_ns
            )
            if is_over or one.ended_ns - rows[0].begun_ns >= BLOCK_NS:
                yield self._block(phase, rows)
                rows = []
            if is_over:
                return

    def _block(self, phase: Phase, rows: list[Inference]) -> QueryBlock:
        self.queries += len(rows)
        begun = array("q", (row.begun_ns for row in rows))
        return QueryBlock(
            trial=self.trial.id,
            phase=phase,
            samples_per_query=1,
            scheduled_ns=begun,
            issued_ns=begun[:],
            completed_ns=array("q", (row.ended_ns for row in rows)),
        )

    def _enter(self, phase: Phase) -> PhaseEntered:
        return PhaseEntered(trial=self.trial.id, phase=phase, at_ns=self.dut.now_ns())

    def _rest(self, duration_ns: int) -> None:
        self.clock.wait_until(self.clock.now_ns() + duration_ns)


def _median(runs: list[Inference]) -> float:
    return median(run.took_ns for run in runs)


def sample_bytes(model: ModelArtifact, trial: Trial, samples: Path | None) -> bytes:
    """Give one sample as the firmware takes it: a byte an element.

    Drawn from the trial's sample seed where the user gave none: the time of a network
    of fixed shape does not depend on it. Raises SchemaError for samples that are no
    bytes, Unsupported for a model with more than one input.
    """
    if len(model.inputs) != 1:
        raise Unsupported(
            "The MLPerf Tiny protocol has one input, the model has "
            f"{len(model.inputs)}",
            remedy="Measure it on another target.",
        )
    spec = model.inputs[0]
    count = prod(spec.shape)
    if samples is None:
        drawn = np.random.default_rng(trial.seeds.sample).integers(0, 256, count)
        return drawn.astype(np.uint8).tobytes()
    with np.load(samples, allow_pickle=False) as archive:
        given = archive[spec.name] if spec.name in archive else np.zeros(0)
    if given.dtype.itemsize != 1 or given.size < count:
        raise SchemaError(
            f"A microcontroller takes samples as bytes, {count} each",
            where=f"{samples}: {spec.name}",
            remedy="Give them quantised, as int8 or uint8.",
        )
    return given.reshape(-1)[:count].tobytes()


def _simulated(address: Address, clock: Clock) -> AbstractContextManager[LoopLink]:
    """Open a wire to a simulated board: ``sim:MODEL?ms=30&seed=1``.

    Raises SchemaError for an option that is none.
    """
    model, _, query = address.link.removeprefix(SIM).partition("?")
    given = dict(part.partition("=")[::2] for part in query.split("&") if part)
    try:
        board = SimulatedBoard(
            model=model or "kws01",
            inference_ms=float(given.pop("ms", "30")),
            seed=int(given.pop("seed", "0")),
        )
    except ValueError as error:
        raise _no_option(str(error), address) from error
    if given:
        raise _no_option(next(iter(given)), address)
    return looped(board, clock, str(address))


def _no_option(what: str, address: Address) -> SchemaError:
    return SchemaError(
        f"A simulated board cannot be set up so: {what}",
        where=str(address),
        remedy="Write mcu@sim:kws01?ms=30&seed=1.",
    )


def _answering(
    link: str, bauds: tuple[int, ...], clock: Clock, stack: ExitStack
) -> tuple[Dut, Firmware, int]:
    """Open the port at one baud rate after the other until the board answers."""
    said: LinkTimeout | None = None
    for baud in bauds:
        with ExitStack() as attempt:
            dut = Dut(attempt.enter_context(open_link(link, baud=baud)), clock)
            try:
                firmware = dut.wake()
            except LinkTimeout as error:
                said = error
                continue
            stack.push(attempt.pop_all())
            return dut, firmware, baud
    raise LinkTimeout(
        f"No firmware of the MLPerf Tiny protocol answers at {_listed(bauds)} baud",
        where=link,
        remedy="Is it flashed, is it the right port? Another rate: ?baud=N",
    ) from said


def _listed(bauds: tuple[int, ...]) -> str:
    return ", ".join(map(str, bauds))


def _read(address: Address) -> tuple[str, tuple[int, ...]]:
    """Give the link and the baud rates to try. Raises SchemaError."""
    link, _, query = address.link.partition("?baud=")
    if not query:
        return address.link, BAUDS
    if not query.isdigit():
        raise SchemaError(
            f"'{query}' is no baud rate",
            where=str(address),
            remedy="Write ?baud=115200",
        )
    return link, (int(query),)

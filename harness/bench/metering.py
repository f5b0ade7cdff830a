"""Power beside each trial: what a meter gave, what became of it, what it is worth.

A meter with a wire is read by a process of its own (`harness.meters.reader`), which
keeps it open for the whole run: closing some of them cuts the supply of the device
under test. Its bytes are kept as evidence, and the readings are decoded from them once
the trial is over (`harness.meters.decoding`). Counters of this machine, captures and
drivers of other packages are read by a thread of this process.

Readings are stamped by this machine's monotonic clock, which is the clock of trials on
this machine too.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from harness import plugins
from harness.bench.inprocess import InProcess
from harness.bench.limits import Limits, limit_notes
from harness.bench.outofprocess import OutOfProcess
from harness.bench.taking import Source, Taken, no_power
from harness.clock import Clock, SystemClock
from harness.domain.calibration import CalibratedRange, Calibration
from harness.domain.query import Noted, ReadingsTaken
from harness.domain.reading import Loss, ReadingBlock
from harness.errors import NotCalibrated, Unsupported
from harness.meters.accuracy import Accuracy, accuracy_of
from harness.meters.base import InstrumentDescription, Meter
from harness.meters.calibrated import require_fitting
from harness.meters.decoding import POWER
from harness.meters.opening import check_address, is_captured, open_meter
from harness.plugins import Address
from harness.schema.codec import to_plain
from harness.stats.laying import CALIBRATION_LINES

LOSS_LIMIT = 0.001
"""Share of readings lost above which no energy may be given (method, section 4)."""


class Metering:
    """One meter over one run."""

    def __init__(
        self,
        meter: Meter | Source,
        clock: Clock,
        calibration: Calibration | None = None,
    ) -> None:
        self._calibration = calibration
        self._source: Source
        if isinstance(meter, Meter):
            self._source = InProcess(meter, clock)
        else:
            self._source = meter

    def keep_captures_in(self, folder: Path) -> None:
        """Have raw bytes written there from now on, where the meter has any."""
        self._source.keep_captures_in(folder)

    @contextmanager
    def recording(self, trial: str) -> Iterator["Recording"]:
        """Read power for as long as the context is open.

        Raises Unsupported for a meter that gives no power.
        """
        identity = self._source.identity
        if POWER not in {channel.name for channel in self._source.channels}:
            raise no_power(identity.address)
        recording = Recording(trial, self._limits)
        with self._source.taking(trial) as taking:
            yield recording
        recording.taken = taking.taken

    def read_until(self, trial: str, until_ns: int) -> "Recording":
        """Read power here and now until its clock says so: for virtual time.

        Raises Unsupported for a meter that another process reads, in its own time.
        """
        if not isinstance(self._source, InProcess):
            raise Unsupported(
                "A meter that a process of its own reads has no virtual time",
                where=self._source.identity.address,
                remedy="Open a simulated meter on a virtual clock.",
            )
        recording = Recording(trial, self._limits)
        recording.taken = self._source.taken_until(until_ns)
        return recording

    def notes(self, trial: str) -> Iterator[Noted]:
        """Say in the record what the meter says of itself."""
        facts = _facts(self._source.identity)
        if self._calibration is not None:
            facts["meter.calibration"] = self._calibration.title
            lines = to_plain(self._calibration.ranges, tuple[CalibratedRange, ...])
            facts[CALIBRATION_LINES] = json.dumps(lines)
        for key, value in facts.items():
            if value:
                yield Noted(trial=trial, key=key, value=value)

    def _limits(self, least_w: float, most_w: float) -> Accuracy:
        identity = self._source.identity
        volts = identity.facts.get("voltage_v")
        return accuracy_of(
            identity.driver,
            least_w=least_w,
            most_w=most_w,
            volts=float(volts) if volts else None,
            calibration=self._calibration,
        )


def _facts(one: InstrumentDescription) -> dict[str, str]:
    return {
        "meter.address": one.address,
        "meter.origin": one.origin.value,
        "meter.maker": one.maker,
        "meter.model": one.model,
        "meter.serial_number": one.serial_number,
        "meter.firmware": one.firmware,
        "meter.calibration": one.calibration,
        **{f"meter.{key}": value for key, value in one.facts.items()},
    }


@contextmanager
def metered(
    address: str,
    clock: SystemClock,
    calibration: Calibration | None = None,
    *,
    edges: bool = False,
) -> Iterator[Metering | None]:
    """Open the meter of a run by its address; an empty one gives None.

    With `edges`, what its logic inputs saw is kept as well.
    What it reads is kept as it is; the lines of its calibration are noted beside it,
    and correct it when figures are derived. Raises UnknownName, LinkError or MeterError
    where it cannot be opened, NotCalibrated where the calibration does not fit it.
    """
    if not address:
        yield None
        return
    where = Address.parse(address)
    opener = plugins.find(plugins.METERS, where.driver)
    with ExitStack() as stack:
        if opener is open_meter:
            check_address(where)
        source: Source
        if opener is open_meter and not is_captured(where):
            source = stack.enter_context(OutOfProcess.opened(where, clock, edges=edges))
        else:
            meter = stack.enter_context(opener(where, clock))
            source = InProcess(meter, clock, edges=edges)
        if calibration is not None:
            require_fitting(calibration, source.identity, clock.utc_now().date())
        yield Metering(source, clock, calibration)


class Recording:
    """What a meter gave during one trial; complete once the context is left."""

    def __init__(self, trial: str, limits: Limits) -> None:
        self._trial = trial
        self._limits = limits
        self.taken = Taken()

    def events(self) -> Iterator[ReadingsTaken | Noted]:
        """Give everything for the record, at most a thousand readings a second."""
        notes = dict(_account(self.taken))
        blocks = self.taken.blocks
        if "meter.failure" not in notes and _is_too_much(self.taken.loss):
            # what of them was kept cannot tell the energy of what was lost
            notes |= failure(
                "readings-lost",
                f"{self.taken.loss.missing} of {self.taken.loss.expected} lost "
                f"(limit {LOSS_LIMIT:.1%})",
            )
        if _is_too_much(self.taken.loss):
            blocks = ()
        try:
            accuracy = dict(self._accuracy(blocks)) if blocks else {}
        except NotCalibrated as error:
            # power of which nobody says how wrong it may be supports no figure
            notes |= failure(error.code, error.sentence())
            blocks, accuracy = (), {}
        for block in blocks:
            yield ReadingsTaken(trial=self._trial, block=block)
        for key, value in {**notes, **accuracy}.items():
            yield Noted(trial=self._trial, key=key, value=value)

    def _accuracy(self, blocks: tuple[ReadingBlock, ...]) -> Iterator[tuple[str, str]]:
        watts = np.concatenate(
            [np.asarray(b.values) for b in blocks if b.channel.name == POWER]
        )
        for note in limit_notes(self._trial, watts, self._limits):
            yield note.key, note.value


def _is_too_much(loss: Loss) -> bool:
    return loss.missing > LOSS_LIMIT * loss.expected


def failure(code: str, sentence: str) -> dict[str, str]:
    """Note why there is no energy, by code and in words."""
    return {"meter.failure": sentence, "meter.failure_code": code}


def _account(taken: Taken) -> Iterator[tuple[str, str]]:
    """Note what became of the readings, in numbers and, after a fault, in words."""
    if taken.fault is not None:
        yield from failure(taken.fault.code, taken.fault.sentence()).items()
        yield "meter.failure_after_s", f"{taken.fault_after_s:.2f}"
    yield "meter.readings_lost", str(taken.loss.missing)
    yield "meter.readings_expected", str(taken.loss.expected)
    yield "meter.readings_over_range", str(taken.loss.over_range)
    for name, value in taken.tally.items():
        yield f"meter.tally.{name}", f"{value:.12g}"
    if taken.reader_cpu_ratio is not None:
        yield "meter.reader_cpu_ratio", f"{taken.reader_cpu_ratio:.3f}"
    if taken.openings > 1:
        yield "meter.openings", str(taken.openings)

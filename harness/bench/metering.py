"""Read a meter while a trial is executed, in a thread of this process.

The meter stays open for the whole run: closing some of them cuts the supply of the
device under test. Readings are stamped by this machine's monotonic clock, which is
the clock of trials on this machine too, so nothing has to be aligned between them.
"""

import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from harness import plugins
from harness.clock import Clock, Deadline
from harness.domain.query import Noted, ReadingsTaken
from harness.domain.reading import ReadingBlock
from harness.errors import EquipmentError, NotCalibrated, Unsupported
from harness.meters.accuracy import Accuracy, accuracy_of
from harness.meters.base import Meter
from harness.plugins import Address

_TURN_S = 0.5
"""How long the meter is read before the thread looks whether it should go on."""
_MOST_HZ = 1000.0
"""Faster readings are averaged to this rate: their energy stays exactly the same."""
_LOSS_LIMIT = 0.001
"""Share of readings lost above which no energy may be given (method, section 4)."""


class Metering:
    """One meter over one run."""

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._meter = meter
        self._clock = clock
        self._identity = meter.identify()

    @contextmanager
    def recording(self, trial: str) -> Iterator["Recording"]:
        """Read power for as long as the context is open.

        Raises Unsupported for a meter that gives no power.
        """
        if "power" not in {channel.name for channel in self._meter.channels()}:
            raise Unsupported(
                "This meter gives no power",
                where=self._identity.address,
                remedy="Use a meter with a channel 'power'.",
            )
        recording = Recording(trial, self._meter, self._clock, self._limits)
        thread = threading.Thread(target=recording.read, name="meter", daemon=True)
        thread.start()
        try:
            yield recording
        finally:
            recording.stop()
            thread.join()

    def notes(self, trial: str) -> Iterator[Noted]:
        """Say in the record what the meter says of itself."""
        one = self._identity
        facts = {
            "meter.address": one.address,
            "meter.origin": one.origin.value,
            "meter.maker": one.maker,
            "meter.model": one.model,
            "meter.serial_number": one.serial_number,
            "meter.firmware": one.firmware,
            "meter.calibration": one.calibration,
            **{f"meter.{key}": value for key, value in one.facts.items()},
        }
        for key, value in facts.items():
            if value:
                yield Noted(trial=trial, key=key, value=value)

    def _limits(self, least_w: float, most_w: float) -> Accuracy:
        volts = self._identity.facts.get("voltage_v")
        return accuracy_of(
            self._identity.driver,
            least_w=least_w,
            most_w=most_w,
            volts=float(volts) if volts else None,
        )


@contextmanager
def metered(address: str, clock: Clock) -> Iterator[Metering | None]:
    """Open the meter of a run by its address; an empty one gives None.

    Raises UnknownName, LinkError or MeterError where it cannot be opened.
    """
    if not address:
        yield None
        return
    where = Address.parse(address)
    opener = plugins.find(plugins.METERS, where.driver)
    with opener(where, clock) as meter:
        yield Metering(meter, clock)


class Recording:
    """What a meter gave during one trial; complete once the context is left."""

    def __init__(
        self,
        trial: str,
        meter: Meter,
        clock: Clock,
        limits: Callable[[float, float], Accuracy],
    ) -> None:
        self._trial = trial
        self._meter = meter
        self._clock = clock
        self._limits = limits
        self._stopped = threading.Event()
        self._blocks: list[ReadingBlock] = []
        self._notes: list[Noted] = []

    def read(self) -> None:
        """Read until stopped; a meter that fails ends the recording, not the trial."""
        try:
            with self._meter.acquire(["power"]) as acquisition:
                while not self._stopped.is_set():
                    until = Deadline.after(_TURN_S, self._clock)
                    self._blocks.extend(acquisition.blocks(until))
                loss = acquisition.loss()
        except EquipmentError as error:
            self._note("meter.failure", error.sentence())
            return
        self._note("meter.readings_lost", str(loss.missing))
        if loss.missing > _LOSS_LIMIT * loss.expected:
            self._note("meter.failure", f"{loss.missing} of {loss.expected} lost")
            self._blocks.clear()

    def stop(self) -> None:
        """Ask for the end; readings up to now are still taken."""
        self._stopped.set()

    def events(self) -> Iterator[ReadingsTaken | Noted]:
        """Give everything for the record, at most a thousand readings a second."""
        thin = [thinned(block) for block in self._blocks if len(block.values)]
        try:
            accuracy = list(self._accuracy(thin)) if thin else []
        except NotCalibrated as error:
            # power of which nobody says how wrong it may be supports no figure
            self._note("meter.failure", error.sentence())
            thin, accuracy = [], []
        for block in thin:
            yield ReadingsTaken(trial=self._trial, block=block)
        yield from self._notes
        yield from accuracy

    def _accuracy(self, blocks: list[ReadingBlock]) -> Iterator[Noted]:
        """Note the limits of error of the ranges that the trace touched."""
        watts = np.concatenate([np.asarray(block.values) for block in blocks])
        limits = self._limits(float(watts.min()), float(watts.max()))
        facts = {
            "meter.gain_ratio": limits.gain_ratio,
            "meter.timebase_ratio": limits.timebase_ratio,
            "meter.offset_w": limits.offset_w,
            "meter.resolution_w": limits.resolution_w,
            "meter.latency_s": limits.latency_s,
        }
        for key, value in facts.items():
            yield Noted(trial=self._trial, key=key, value=f"{value:.6g}")
        yield Noted(trial=self._trial, key="meter.accuracy", value=limits.source)

    def _note(self, key: str, value: str) -> None:
        self._notes.append(Noted(trial=self._trial, key=key, value=value))


def thinned(block: ReadingBlock) -> ReadingBlock:
    """Average readings that come faster than 1 kHz, each over the time it stands for.

    A reading stands for the mean over the interval that ends at its time, so the mean
    of n of them, stamped with the last, stands for the n intervals together.
    """
    times = np.asarray(block.times_ns, dtype=np.int64)
    rate = block.channel.rate_hz or 0.0
    group = round(rate / _MOST_HZ)
    if group <= 1 or len(times) < group:
        return block
    whole = len(times) // group * group
    values = np.asarray(block.values, dtype=np.float64)
    means: NDArray[np.float64] = values[:whole].reshape(-1, group).mean(axis=1)
    ends = times[group - 1 : whole : group]
    if whole < len(times):
        means = np.append(means, values[whole:].mean())
        ends = np.append(ends, times[-1])
    return ReadingBlock(
        channel=block.channel,
        clock=block.clock,
        origin=block.origin,
        times_ns=array("q", ends.tobytes()),
        values=array("d", means.tobytes()),
    )

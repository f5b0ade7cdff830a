"""The PPK2 as a meter: power from current and voltage, losses counted, time kept.

The instrument gives no time of its own. Its readings are evenly spaced, so they lie
on an axis of 10 µs steps; the arrival of the first bytes ties it to the host's clock,
right up to their latency. Readings known to be lost keep their place on that axis as
gaps, and so do those of a range that has no constants.

Closing the port cuts the supply of the device under test, so one meter stays open for
a whole suite: `Ppk2.acquire` may be entered again and again.
"""

from array import array
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import (
    LinkClosed,
    LinkError,
    LinkTimeout,
    MeterError,
    NotCalibrated,
    Unsupported,
)
from harness.links.bytelink import ByteLink
from harness.meters.base import InstrumentDescription
from harness.meters.ppk2 import wire
from harness.meters.ppk2.timebase import ArrivalWatch
from harness.units import NS_PER_S

_ANSWER_S = 1.0
_SILENCE_S = 2.0
_READ_BYTES = 65_536
_PERIOD_NS = NS_PER_S // wire.RATE_HZ
_BATCH_WORDS = 10_000
"""Decoding in batches of a tenth of a second keeps the cost per reading low."""
_MOST_UNUSABLE = 1e-3
"""Share of readings in ranges without constants from which on energy is refused."""
_LEAST_JUDGED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """How the device under test is fed: by the meter, or from elsewhere.

    In ampere mode the voltage is what the user states; it is not measured.
    """

    voltage_v: float
    is_source: bool


class Ppk2:
    """A PPK2 behind a byte link."""

    def __init__(
        self,
        link: ByteLink,
        clock: Clock,
        *,
        address: str,
        origin: Origin,
        supply: Supply,
    ) -> None:
        self._link = link
        self._clock = clock
        self._address = address
        self._origin = origin
        self._supply = supply
        self._metadata = self._ask()
        # the correction wants the meter's own regulator, also where that feeds nothing
        vdd_v = supply.voltage_v if supply.is_source else self._metadata.vdd_mv / 1000
        self._table = wire.ampere_table(self._metadata, vdd_v)

    def identify(self) -> InstrumentDescription:
        """Say what the metadata said."""
        usable = self._metadata.usable_ranges()
        return InstrumentDescription(
            driver="ppk2",
            address=self._address,
            origin=self._origin,
            maker="Nordic Semiconductor",
            model="PPK2",
            calibration="user gain" if self._metadata.has_user_gain() else "factory",
            facts={
                "calibrated_flag": str(int(self._metadata.is_calibrated)),
                "hardware": self._metadata.hardware,
                "mode": "source" if self._supply.is_source else "ampere",
                "voltage_v": f"{self._supply.voltage_v:g}",
                "unusable_ranges": ",".join(
                    str(r) for r in range(wire.RANGES) if not usable[r]
                ),
            },
        )

    def channels(self) -> tuple[Channel, ...]:
        """Power and current at 100 kS/s, and the logic inputs."""
        return tuple(
            Channel(
                name=name, unit=unit, source=self._address, rate_hz=float(wire.RATE_HZ)
            )
            for name, unit in (("power", "W"), ("current", "A"), ("logic", "1"))
        )

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator["Ppk2Acquisition"]:
        """Measure the named channels; the rate is the instrument's own.

        Raises Unsupported for another rate or an unknown channel.
        """
        known = {channel.name: channel for channel in self.channels()}
        unknown = set(channels) - set(known)
        if unknown or rate_hz not in {None, float(wire.RATE_HZ)}:
            raise Unsupported(
                f"A PPK2 gives {', '.join(known)} at {wire.RATE_HZ} readings a second",
                where=self._address,
                remedy="Ask for these, and thin the trace out afterwards.",
            )
        self._link.write(wire.START)
        try:
            yield Ppk2Acquisition(
                self._link,
                self._clock,
                Reading(
                    table=self._table,
                    usable_ranges=self._metadata.usable_ranges(),
                    channels=tuple(known[name] for name in channels),
                    voltage_v=self._supply.voltage_v,
                    origin=self._origin,
                ),
            )
        finally:
            # a meter that went away has nothing to stop, and its error is under way
            with suppress(LinkClosed):
                self._link.write(wire.STOP)
                self._drain()

    def _ask(self) -> wire.Metadata:
        """Stop, ask who it is, and set up the supply."""
        self._link.write(wire.STOP)
        self._drain()
        self._link.write(wire.METADATA)
        metadata = self._answer()
        if self._supply.is_source:
            self._link.write(wire.SOURCE_MODE)
            self._link.write(wire.set_voltage(round(self._supply.voltage_v * 1000)))
        else:
            self._link.write(wire.AMPERE_MODE)
        self._link.write(wire.DUT_ON)
        return metadata

    def _answer(self) -> wire.Metadata:
        until = Deadline.after(_ANSWER_S, self._clock)
        buffer = b""
        while piece := self._link.read(_READ_BYTES, until):
            buffer += piece
            try:
                metadata = wire.parse_metadata(buffer)
            except ValueError as error:
                raise self._stranger(str(error)) from error
            if metadata is not None:
                return metadata
        raise self._stranger(f"{len(buffer)} bytes came, and no END")

    def _stranger(self, why: str) -> MeterError:
        return MeterError(
            f"This does not answer as a PPK2: {why}",
            where=self._address,
            remedy="Ask what it is: duanping meters --probe PORT",
        )

    def _drain(self) -> None:
        """Read away what is still under way, for at most a tenth of a second."""
        until = Deadline.after(0.1, self._clock)
        while self._link.read(_READ_BYTES, until):
            continue


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """How words become readings: the table of amperes, the voltage, what is wanted."""

    table: NDArray[np.float64]
    usable_ranges: tuple[bool, ...]
    channels: tuple[Channel, ...]
    voltage_v: float
    origin: Origin


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the stream so far, in readings where nothing else is said."""

    received: int = 0
    missing: int = 0
    unreadable_bytes: int = 0
    over_range: int = 0
    """Above 1 A, or at full scale: the true current may be larger."""
    unusable: int = 0
    """In a range whose constants are not numbers; they are missing too."""
    settling: int = 0
    """Replaced by a moving average, after a change of range."""
    is_timebase_unclear: bool = False
    """Whether readings vanished of which the clock cannot tell how many."""
    clock_ppm: float = 0.0
    """By how much its clock is fast of the host's; 0 before ten seconds have gone."""


class Ppk2Acquisition:
    """A PPK2 while it is measuring."""

    def __init__(self, link: ByteLink, clock: Clock, reading: Reading) -> None:
        self._link = link
        self._clock = clock
        self._reading = reading
        self._framing = wire.Framing()
        self._settling = wire.Settling()
        self._arrivals: list[tuple[int, int]] = []
        self._bytes = 0
        self._first_ns: int | None = None
        self._place = 0
        self._tally = Tally()
        self._watch = ArrivalWatch(modulus=wire.COUNTER_MODULUS, period_ns=_PERIOD_NS)

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield readings, a tenth of a second or more at a time.

        Raises LinkTimeout where the meter falls silent for two seconds, LinkClosed
        where it went away, NotCalibrated where more than 0.1 % of the readings are in
        a range without constants. What came before is yielded first.
        """
        while not until.is_over():
            data, fault = self._collect(until)
            yield from self._decode(data)
            if fault is not None:
                raise fault
            self._judge()

    def loss(self) -> Loss:
        """Readings missing by counter and clock, or of no use; those at full scale."""
        tally = self._tally
        return Loss(
            missing=tally.missing + tally.unusable,
            expected=tally.received + tally.missing,
            over_range=tally.over_range,
        )

    def tally(self) -> Tally:
        """Tell what became of the stream so far."""
        return self._tally

    def _collect(self, until: Deadline) -> tuple[bytes, LinkError | None]:
        """Read a batch; a fault of the link comes with what was read before it."""
        pieces: list[bytes] = []
        enough = self._bytes + _BATCH_WORDS * wire.WORD_BYTES
        self._arrivals.clear()
        while self._bytes < enough and not until.is_over():
            silence = Deadline.after(min(_SILENCE_S, until.remaining_s()), self._clock)
            try:
                piece = self._link.read(_READ_BYTES, silence)
            except LinkError as error:
                return b"".join(pieces), error
            if not piece and not until.is_over():
                return b"".join(pieces), self._silent()
            pieces.append(piece)
            self._bytes += len(piece)
            self._note_arrival(piece)
        return b"".join(pieces), None

    def _note_arrival(self, piece: bytes) -> None:
        now_ns = self._clock.now_ns()
        words = len(piece) // wire.WORD_BYTES
        if self._first_ns is None and words:
            # the last of these words ended about now
            self._first_ns = now_ns - (words - 1) * _PERIOD_NS
        self._arrivals.append((now_ns, self._bytes))

    def _silent(self) -> LinkTimeout:
        return LinkTimeout(
            f"The meter has been silent for {_SILENCE_S:g} s",
            where=self._link.where,
            remedy="What came before is kept. Look at the meter and its cable.",
        )

    def _decode(self, data: bytes) -> Iterator[ReadingBlock]:
        frames = wire.frame(data, self._framing)
        self._framing = frames.state
        self._tally.unreadable_bytes += frames.unreadable_bytes
        words = frames.words
        if len(words) == 0 or self._first_ns is None:
            return
        places = self._place + np.cumsum(frames.missing_before + 1) - 1
        self._place = int(places[-1]) + 1
        times_ns = self._first_ns + places * _PERIOD_NS
        ranges = wire.ranges_of(words)
        amperes, is_settling, self._settling = wire.settle(
            self._reading.table[words & wire.INDEX_MASK], ranges, self._settling
        )
        is_usable = wire.is_usable(ranges, self._reading.usable_ranges)
        self._tally.received += len(words)
        self._tally.missing += int(frames.missing_before.sum())
        is_over = wire.is_saturated(words) | (amperes > wire.MOST_A)
        self._tally.over_range += int(is_over.sum())
        self._tally.settling += int(is_settling.sum())
        self._tally.unusable += len(words) - int(is_usable.sum())
        self._watch_arrivals(frames)
        if not is_usable.all():
            words, amperes = words[is_usable], amperes[is_usable]
            times_ns = times_ns[is_usable]
        yield from self._blocks(times_ns, amperes, words)

    def _watch_arrivals(self, frames: wire.Frames) -> None:
        """Look for losses that the counter cannot show; they move what comes next."""
        gaps = np.flatnonzero(frames.missing_before)
        sound = len(frames.words) - (int(gaps[-1]) if len(gaps) else 0)
        held = len(frames.state.rest)
        for arrival_ns, count in self._arrivals:
            behind = (self._bytes - count - held) // wire.WORD_BYTES
            if behind < sound:
                unseen = self._watch.note(arrival_ns, self._place - behind)
                self._place += unseen
                self._tally.missing += unseen
        self._tally.is_timebase_unclear = self._watch.is_unclear
        self._tally.clock_ppm = self._watch.fast_ppm() or 0.0

    def _judge(self) -> None:
        tally = self._tally
        if tally.received < _LEAST_JUDGED:
            return
        if tally.unusable > _MOST_UNUSABLE * tally.received:
            share = 100 * tally.unusable / tally.received
            names = [
                r for r, is_on in enumerate(self._reading.usable_ranges) if not is_on
            ]
            raise NotCalibrated(
                f"{share:.1f} % of the readings are in range "
                f"{', '.join(map(str, names))}, whose constants are not numbers",
                where=self._link.where,
                remedy="Calibrate the PPK2 in nRF Connect Power Profiler, or take "
                "another meter.",
            )

    def _blocks(
        self,
        times_ns: NDArray[np.int64],
        amperes: NDArray[np.float64],
        words: NDArray[np.uint32],
    ) -> Iterator[ReadingBlock]:
        times = array("q", times_ns.astype(np.int64).tobytes())
        for channel in self._reading.channels:
            yield ReadingBlock(
                channel=channel,
                clock=self._clock.name,
                origin=self._reading.origin,
                times_ns=times,
                values=array("d", self._values(channel, amperes, words)),
            )

    def _values(
        self,
        channel: Channel,
        amperes: NDArray[np.float64],
        words: NDArray[np.uint32],
    ) -> bytes:
        match channel.name:
            case "power":
                return (amperes * self._reading.voltage_v).tobytes()
            case "current":
                return amperes.tobytes()
            case _:
                return wire.logic_of(words).astype(np.float64).tobytes()

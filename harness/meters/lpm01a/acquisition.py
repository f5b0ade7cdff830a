"""An LPM01A while it is measuring: items of the wire become readings with times."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import LinkError, LinkTimeout, MeterError
from harness.links.bytelink import ByteLink
from harness.meters.answer import Garbage
from harness.meters.lpm01a import wire
from harness.units import NS_PER_S

_BATCH_S = 0.1
_READ_BYTES = 65_536
_LEAST_JUDGED = 20
_MOST_UNREADABLE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How an acquisition goes."""

    channels: tuple[Channel, ...]
    format: wire.Format
    rate_hz: float
    voltage_v: float
    is_energy: bool
    origin: Origin

    @property
    def silence_s(self) -> float:
        """Without any byte for so long, the meter is said to be silent."""
        return max(5 / self.rate_hz, 2.0)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the stream so far, in readings where nothing else is said."""

    received: int = 0
    missing: int = 0
    unreadable_bytes: int = 0
    unreadable: int = 0
    """Stretches of bytes that were no reading."""
    over_range: int = 0
    events: int = 0
    fullest_buffer: float = 0.0
    """Of the instrument, as a ratio: near 1 it is about to lose readings."""


@dataclass(slots=True, kw_only=True)
class _Origin:
    """The first time stamp, and the place on the axis at which it came."""

    at_ms: int
    place: int
    last_ms: int


class LpmAcquisition:
    """Readings of an LPM01A as they come."""

    def __init__(self, link: ByteLink, clock: Clock, course: Course) -> None:
        self._link = link
        self._clock = clock
        self._course = course
        self._buffer = b""
        self._is_begun = False
        self._arrived_ns = 0
        self._first_ns: int | None = None
        self._place = 0
        self._stamp: _Origin | None = None
        self._tally = Tally()

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield readings, about a tenth of a second at a time.

        Raises LinkTimeout for a silent meter, LinkClosed where it went away,
        MeterError where it stopped or started again by itself, or where too many
        lines cannot be read. What came before is yielded first.
        """
        while not until.is_over():
            fault = self._collect(until)
            for item in self._items():
                yield from self._taken(item)
            if fault is not None:
                raise fault
            self._judge()

    def loss(self) -> Loss:
        """Readings missing by the instrument's time stamps, or unreadable."""
        tally = self._tally
        return Loss(
            missing=tally.missing,
            expected=tally.received + tally.missing,
            over_range=tally.over_range,
        )

    def tally(self) -> Tally:
        """Tell what became of the stream so far."""
        return self._tally

    def _collect(self, until: Deadline) -> LinkError | None:
        """Read a batch; a fault of the link comes after what was read before it."""
        batch = Deadline.after(min(_BATCH_S, until.remaining_s()), self._clock)
        silence_s = self._course.silence_s
        silence = Deadline.after(min(silence_s, until.remaining_s()), self._clock)
        has_some = False
        while not (has_some and batch.is_over()) and not until.is_over():
            try:
                piece = self._link.read(_READ_BYTES, batch if has_some else silence)
            except LinkError as error:
                return error
            if piece:
                has_some = True
                self._buffer += piece
                self._arrived_ns = self._clock.now_ns()
            elif not has_some and not until.is_over():
                return LinkTimeout(
                    f"The meter has been silent for {silence_s:g} s",
                    where=self._link.where,
                    remedy="What came before is kept. Look at the meter and its cable.",
                )
        return None

    def _items(self) -> tuple[wire.Item, ...]:
        if not self._is_begun:
            begin = wire.begin_of_stream(self._buffer, self._course.format)
            if begin is None:
                self._require_start()
                return ()
            self._buffer = self._buffer[begin:]
            self._is_begun = True
        is_ascii = self._course.format is wire.Format.ASCII
        cut = (wire.cut_ascii if is_ascii else wire.cut_binary)(self._buffer)
        self._buffer = cut.rest
        return cut.items

    def _require_start(self) -> None:
        answer = wire.decode_answer(self._buffer, "start")
        if isinstance(answer, Garbage):
            raise MeterError(
                f"The LPM01A refuses to start: {answer.detail}",
                where=self._link.where,
                remedy="Look at its display.",
            )

    def _taken(self, item: wire.Item) -> Iterator[ReadingBlock]:
        match item:
            case wire.Values():
                yield from self._readings(item)
            case wire.TimeStamp():
                self._hold(item)
            case wire.Event():
                self._tally.events += 1
                yield from self._event()
            case wire.Unreadable():
                self._tally.unreadable += 1
                self._tally.unreadable_bytes += item.count
                self._tally.missing += item.readings
                self._place += item.readings
            case wire.OverCurrent():
                self._tally.over_range += 1
            case wire.Ended():
                raise MeterError(
                    "The LPM01A stopped measuring by itself"
                    + (f": {item.why}" if item.why else ""),
                    where=self._link.where,
                    remedy="What came before is kept. Look at its display and supply.",
                )

    def _readings(self, item: wire.Values) -> Iterator[ReadingBlock]:
        course, count = self._course, len(item.values)
        if self._first_ns is None:
            # the last of these ended about when they arrived
            last = self._place + count - 1
            self._first_ns = self._arrived_ns - round(last * NS_PER_S / course.rate_hz)
        places = self._place + np.arange(count)
        self._place += count
        self._tally.received += count
        times = array("q", [self._time_ns(place) for place in places.tolist()])
        watts = item.values * (course.rate_hz if course.is_energy else course.voltage_v)
        amperes = watts / course.voltage_v
        self._tally.over_range += int((amperes > wire.MOST_A).sum())
        values = {"power": watts, "current": amperes}
        for channel in course.channels:
            if channel.name in values:
                yield self._block(
                    channel, times, array("d", values[channel.name].tobytes())
                )

    def _event(self) -> Iterator[ReadingBlock]:
        """Give an edge at D7 the time of the reading before it."""
        for channel in self._course.channels:
            if channel.name == "event" and self._first_ns is not None:
                at_ns = self._time_ns(self._place - 1)
                yield self._block(channel, array("q", [at_ns]), array("d", [1.0]))

    def _block(
        self, channel: Channel, times: "array[int]", values: "array[float]"
    ) -> ReadingBlock:
        return ReadingBlock(
            channel=channel,
            clock=self._clock.name,
            origin=self._course.origin,
            times_ns=times,
            values=values,
        )

    def _time_ns(self, place: int) -> int:
        return (self._first_ns or 0) + round(place * NS_PER_S / self._course.rate_hz)

    def _hold(self, stamp: wire.TimeStamp) -> None:
        """Hold the axis to the instrument's time: what did not come is missing."""
        self._tally.fullest_buffer = max(self._tally.fullest_buffer, stamp.buffer_ratio)
        if self._stamp is None:
            self._stamp = _Origin(
                at_ms=stamp.at_ms, place=self._place, last_ms=stamp.at_ms
            )
            return
        if stamp.at_ms < self._stamp.last_ms:
            raise MeterError(
                "The LPM01A started again while measuring: its time went back",
                where=self._link.where,
                remedy="Look at its supply; a brown-out resets it. What came before "
                "is kept.",
            )
        self._stamp.last_ms = stamp.at_ms
        elapsed_s = (stamp.at_ms - self._stamp.at_ms) * 1e-3
        due = self._stamp.place + elapsed_s * self._course.rate_hz
        # a stamp is right to a millisecond, and comes before or after a reading
        slack = max(1.0, 1e-3 * self._course.rate_hz)
        short = round(due - self._place)
        if short > slack:
            self._tally.missing += short
            self._place += short

    def _judge(self) -> None:
        tally = self._tally
        seen = tally.received + tally.unreadable
        if seen >= _LEAST_JUDGED and tally.unreadable > _MOST_UNREADABLE * seen:
            raise MeterError(
                f"{tally.unreadable} of {seen} lines or words of the LPM01A could not "
                "be read",
                where=self._link.where,
                remedy="Check cable and ground, and take a USB port without a hub.",
            )

"""An INA board as a meter: power from bus voltage and shunt, losses counted, its time.

The board numbers its readings and stamps each with its own clock; both run over and
are unrolled here. The first reading's arrival ties its clock to the host's, so times
are right up to the latency of the first bytes and the drift of the board's oscillator.
"""

from array import array
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import LinkTimeout, MeterError, Unsupported
from harness.links.bytelink import ByteLink
from harness.meters.answer import Garbage, NeedMore
from harness.meters.base import InstrumentDescription
from harness.meters.ina import wire

_ANSWER_S = 1.0
_ATTEMPTS = 4
"""A board that is reset by opening its port may take three seconds to listen."""
_SILENCE_S = 2.0
_BATCH_S = 0.1
_READ_BYTES = 65_536
_LEAST_JUDGED = 200
_MOST_DAMAGED = 0.05
_UNITS = (("power", "W"), ("voltage", "V"), ("current", "A"))


class InaMeter:
    """An INA226 or INA228 board behind a byte link."""

    def __init__(
        self, link: ByteLink, clock: Clock, *, address: str, origin: Origin
    ) -> None:
        self._link = link
        self._clock = clock
        self._address = address
        self._origin = origin
        self._header = self._ask()

    def identify(self) -> InstrumentDescription:
        """Say what the header said."""
        fields = dict(self._header.fields)
        return InstrumentDescription(
            driver="ina",
            address=self._address,
            origin=self._origin,
            model=self._header.chip,
            firmware=fields.pop("fw", ""),
            facts=fields | {"integrity": "sequence, time and CRC-16"},
        )

    def channels(self) -> tuple[Channel, ...]:
        """Power, bus voltage and current, at the board's rate."""
        return tuple(
            Channel(
                name=name,
                unit=unit,
                source=self._address,
                rate_hz=1.0 / self._header.period_s,
            )
            for name, unit in _UNITS
        )

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator["InaAcquisition"]:
        """Measure the named channels; the rate is set in the firmware.

        Raises Unsupported for another rate or an unknown channel.
        """
        known = {channel.name: channel for channel in self.channels()}
        own_hz = 1.0 / self._header.period_s
        is_own_rate = rate_hz is None or abs(rate_hz - own_hz) < 1e-3 * own_hz
        if set(channels) - set(known) or not is_own_rate:
            raise Unsupported(
                f"This board gives {', '.join(known)} at {own_hz:g} readings a second",
                where=self._address,
                remedy="Ask for these, or set another rate in its firmware.",
            )
        self._link.write(wire.START)
        try:
            yield InaAcquisition(
                self._link,
                self._clock,
                channels=tuple(known[name] for name in channels),
                header=self._header,
                origin=self._origin,
            )
        finally:
            self._link.write(wire.STOP)
            self._drain()

    def _ask(self) -> wire.Header:
        self._link.write(wire.STOP)
        self._drain()
        seen = "nothing came"
        for _ in range(_ATTEMPTS):
            self._link.write(wire.ASK)
            answer = self._answer()
            if isinstance(answer, wire.Header):
                return answer
            seen = answer or seen
        raise MeterError(
            f"This does not answer as an INA board: {seen}",
            where=self._address,
            remedy="Put the firmware of docs/how-to/ina-firmware.md on it, or read "
            "the lines of another sketch with ?pattern=…",
        )

    def _answer(self) -> wire.Header | str:
        """Wait for the header; where none comes, say what came instead."""
        until = Deadline.after(_ANSWER_S, self._clock)
        buffer = b""
        seen = ""
        while piece := self._link.read(_READ_BYTES, until):
            buffer += piece
            while not isinstance(answer := wire.decode(buffer), NeedMore):
                buffer = wire.rest_of(buffer)
                if isinstance(answer, Garbage):
                    seen = answer.detail
                elif isinstance(answer.value, wire.Header):
                    return answer.value
        return seen

    def _drain(self) -> None:
        """Read away what is still under way, for at most a tenth of a second."""
        until = Deadline.after(0.1, self._clock)
        while self._link.read(_READ_BYTES, until):
            continue


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the lines so far."""

    received: int = 0
    missing: int = 0
    damaged: int = 0
    """Lines that failed their check or were none."""
    over_range: int = 0


@dataclass(slots=True, kw_only=True)
class _Place:
    """Where in the board's numbers and time the last reading was."""

    sequence: int
    time_us: int
    elapsed_us: int = 0


class InaAcquisition:
    """An INA board while it is measuring."""

    def __init__(
        self,
        link: ByteLink,
        clock: Clock,
        *,
        channels: tuple[Channel, ...],
        header: wire.Header,
        origin: Origin,
    ) -> None:
        self._link = link
        self._clock = clock
        self._channels = channels
        self._header = header
        self._origin = origin
        self._buffer = b""
        self._first_ns = 0
        self._place: _Place | None = None
        self._tally = Tally()

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield readings, about a tenth of a second at a time.

        Raises LinkTimeout for a silent board, MeterError for one that started again or
        whose lines are damaged too often, LinkClosed where it went away.
        """
        while not until.is_over():
            self._collect(until)
            yield from self._blocks(self._readings())

    def loss(self) -> Loss:
        """Readings missing by the board's own numbers."""
        return Loss(
            missing=self._tally.missing,
            expected=self._tally.received + self._tally.missing,
            over_range=self._tally.over_range,
        )

    def tally(self) -> Tally:
        """Tell what became of the lines so far."""
        return self._tally

    def _collect(self, until: Deadline) -> None:
        begun_ns = self._clock.now_ns()
        batch = Deadline.after(min(_BATCH_S, until.remaining_s()), self._clock)
        silence = Deadline.after(min(_SILENCE_S, until.remaining_s()), self._clock)
        has_some = False
        while not (has_some and batch.is_over()) and not until.is_over():
            piece = self._link.read(_READ_BYTES, batch if has_some else silence)
            if piece:
                has_some = True
                if self._place is None:
                    self._first_ns = self._clock.now_ns()
                self._buffer += piece
            elif not has_some and not until.is_over():
                silent_s = (self._clock.now_ns() - begun_ns) / 1e9
                raise LinkTimeout(
                    f"The meter has been silent for {silent_s:.1f} s",
                    where=self._link.where,
                    remedy="What came before is kept. Look at the board and its cable.",
                )

    def _readings(self) -> list[tuple[int, wire.Reading]]:
        """Cut what came into readings, each with the board's time since the first."""
        found = []
        while not isinstance(answer := wire.decode(self._buffer), NeedMore):
            self._buffer = wire.rest_of(self._buffer)
            if isinstance(answer, Garbage):
                self._note_damage(answer)
            elif isinstance(answer.value, wire.Reading):
                found.append((self._advance(answer.value), answer.value))
            else:
                raise self._restarted("it sent its header again")
        return found

    def _advance(self, reading: wire.Reading) -> int:
        """Count what is missing before this reading; give its time since the first."""
        place = self._place
        if place is None:
            place = _Place(sequence=reading.sequence, time_us=reading.time_us)
            self._place = place
        else:
            step_us = (reading.time_us - place.time_us) % wire.TIME_MODULUS_US
            if step_us >= wire.TIME_MODULUS_US // 2:
                raise self._restarted("its time went back")
            step = (reading.sequence - place.sequence) % wire.SEQUENCE_MODULUS
            self._tally.missing += self._skipped(step, step_us, reading.flags)
            place.sequence, place.time_us = reading.sequence, reading.time_us
            place.elapsed_us += step_us
        self._tally.received += 1
        self._tally.over_range += bool(reading.flags & wire.SATURATED)
        return place.elapsed_us

    def _skipped(self, step: int, step_us: int, flags: int) -> int:
        """Count the readings that are missing between two that came.

        The numbers tell what was lost on the wire. Conversions for which the firmware
        came too late have no number; the time that passed tells how many they were.
        """
        by_number = max(step - 1, 0)
        if not flags & wire.LATE:
            return by_number
        by_time = round(step_us * 1e-6 / self._header.period_s) - 1
        return max(by_number, by_time, 1)

    def _restarted(self, how: str) -> MeterError:
        return MeterError(
            f"The board started again while measuring: {how}",
            where=self._link.where,
            remedy="Look at its supply; a brown-out resets it. What came before is "
            "kept.",
        )

    def _note_damage(self, garbage: Garbage) -> None:
        if self._place is None:
            return  # the rest of a line that was under way when the port was opened
        self._tally.damaged += 1
        damaged, lines = self._tally.damaged, self._tally.received + self._tally.damaged
        if lines >= _LEAST_JUDGED and damaged > _MOST_DAMAGED * lines:
            raise MeterError(
                f"{damaged} of {lines} lines were damaged; the last: {garbage.detail}",
                where=self._link.where,
                remedy="Check line speed, cable and ground.",
            )

    def _blocks(
        self, readings: list[tuple[int, wire.Reading]]
    ) -> Iterator[ReadingBlock]:
        if not readings:
            return
        times = [self._first_ns + 1000 * elapsed_us for elapsed_us, _ in readings]
        volts = [reading.bus_uv * 1e-6 for _, reading in readings]
        amperes = [reading.current_a(self._header.shunt_ohm) for _, reading in readings]
        values = {
            "voltage": volts,
            "current": amperes,
            "power": [u * i for u, i in zip(volts, amperes, strict=True)],
        }
        for channel in self._channels:
            yield ReadingBlock(
                channel=channel,
                clock=self._clock.name,
                origin=self._origin,
                times_ns=array("q", times),
                values=array("d", values[channel.name]),
            )

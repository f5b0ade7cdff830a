"""A DL/T 645-2007 electricity meter as a meter of mains power.

Each quantity is a question of its own, so that readings of two channels in one round
have different times. A round takes as long as its questions may take, and at least
the second in which the meter renews its values.

Below its starting current a meter reads zero. Such a reading has no power: its place
on the channel ``power`` stays empty and ``below_threshold`` is 1.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.reading import Channel
from harness.errors import Unsupported
from harness.links.bytelink import ByteLink
from harness.meters.answer import translated
from harness.meters.base import InstrumentDescription
from harness.meters.counter import EnergyCounter
from harness.meters.dlt645 import wire
from harness.meters.polling import (
    ROUND_TRIP,
    Indication,
    Interrogator,
    PollingAcquisition,
    Question,
    Survey,
    Timing,
    ask_once,
    chosen,
    gap_s,
)

T = TypeVar("T")

BAUD = wire.BAUD
_FASTEST_HZ = 1.0
_ANSWERS_WITHIN_S = 0.5
"""DL/T 645-2007, section 5.4: response delay of 20 to 500 ms."""
_CHARACTERS = 48
"""Longest request and longest reply together, preambles included."""
_UNITS = {
    "power": "W",
    "voltage": "V",
    "current": "A",
    "power_factor": "ratio",
    "frequency": "Hz",
    "energy": "J",
    "below_threshold": "1",
    ROUND_TRIP: "s",
}
_LEFT_OUT_AT_ZERO = frozenset({"power", "current", "power_factor"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Which meter is asked, and how fast its line is."""

    number: str | None = None
    """The twelve digits printed on the meter; None asks for them, which works only
    with one meter on the line."""
    baud: int = BAUD


class Dlt645:
    """A DL/T 645-2007 meter behind a byte link."""

    def __init__(
        self,
        link: ByteLink,
        clock: Clock,
        *,
        address: str,
        origin: Origin,
        line: Line | None = None,
    ) -> None:
        """Take up contact.

        Raises ValueError for what is no meter's number, MeterError where no such
        meter answers.
        """
        line = line or Line()
        self._link = link
        self._clock = clock
        self._address = address
        self._origin = origin
        self._gap_s = gap_s(line.baud)
        self._timeout_s = (
            _ANSWERS_WITHIN_S + _CHARACTERS * wire.BITS_PER_CHARACTER / line.baud
        )
        self._number = line.number or self._ask(
            Question(request=wire.address_request(), decode=wire.decode_address)
        )
        self._ask(self._question("voltage", None))

    def identify(self) -> InstrumentDescription:
        """Say which meter answered, by its number."""
        return InstrumentDescription(
            driver="dlt645",
            address=self._address,
            origin=self._origin,
            model="DL/T 645-2007 meter",
            serial_number=self._number,
            facts={
                "stamp": "middle of request and reply; half of round_trip bounds it",
                "integrity": "8-bit sum",
            },
        )

    def channels(self) -> tuple[Channel, ...]:
        """Power, voltage, current, power factor, frequency, energy; 1 Hz at best."""
        return tuple(
            Channel(name=name, unit=unit, source=self._address, rate_hz=_FASTEST_HZ)
            for name, unit in _UNITS.items()
        )

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator[PollingAcquisition]:
        """Ask for the named channels in rounds.

        Raises Unsupported for an unknown channel, or a rate at which the questions
        do not fit into a round.
        """
        wanted = chosen(self.channels(), channels, where=self._address)
        asked = [name for name in wire.ITEMS if name in channels] or ["power"]
        if "below_threshold" in channels and "power" not in asked:
            asked.append("power")
        timing = self._timing(len(asked))
        fastest_hz = 1 / timing.period_s
        if rate_hz is not None and rate_hz > fastest_hz:
            raise Unsupported(
                f"{len(asked)} quantities can be asked for at {fastest_hz:.2g} Hz, "
                f"not at {rate_hz:g} Hz",
                where=self._address,
                remedy="Ask for fewer channels, or leave the rate out.",
            )
        if rate_hz is not None:
            timing = replace(timing, period_s=1 / rate_hz)
        counter = EnergyCounter(
            modulus=wire.ENERGY_MODULUS,
            joules_per_count=wire.JOULES_PER_COUNT,
            where=self._address,
        )
        yield PollingAcquisition(
            self._interrogator(timing),
            self._clock,
            Survey(
                timing=timing,
                questions=[self._question(name, counter) for name in asked],
                channels=[replace(c, rate_hz=1 / timing.period_s) for c in wanted],
                origin=self._origin,
            ),
        )

    def _timing(self, questions: int) -> Timing:
        return Timing(
            period_s=max(1 / _FASTEST_HZ, questions * (self._timeout_s + self._gap_s)),
            timeout_s=self._timeout_s,
            gap_s=self._gap_s,
        )

    def _interrogator(self, timing: Timing) -> Interrogator:
        return Interrogator(self._link, self._clock, timing, where=self._address)

    def _ask(self, question: Question[T]) -> T:
        return ask_once(
            self._interrogator(self._timing(1)),
            question,
            self._clock,
            stranger="This does not answer as a DL/T 645 meter",
        )

    def _question(
        self, name: str, counter: EnergyCounter | None
    ) -> Question[Indication]:
        item = wire.ITEMS[name]
        return Question(
            request=wire.read_request(self._number, item),
            decode=lambda buffer: translated(
                wire.decode_value(buffer, self._number, item),
                lambda count: _indicated(name, count, counter),
            ),
        )


def _indicated(name: str, count: int, counter: EnergyCounter | None) -> Indication:
    """Give what a count says; zero below the starting current is left out."""
    if name == "energy" and counter is not None:
        return Indication(values={name: counter.advance(count)})
    is_zero = count == 0 and name in _LEFT_OUT_AT_ZERO
    values = {} if is_zero else {name: count * wire.ITEMS[name].scale}
    if name == "power":
        values["below_threshold"] = float(is_zero)
    return Indication(values=values, is_below_threshold=is_zero and name == "power")

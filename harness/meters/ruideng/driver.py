"""Ruideng's USB testers as meters of power drawn over USB.

They renew their figures two to four times a second. A UM's energy is that of the data
group selected on it; changing the group while measuring ends the measurement of
energy with an error.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.reading import Channel
from harness.errors import MeterError, Unsupported
from harness.links.bytelink import ByteLink
from harness.meters.answer import Decoded, translated
from harness.meters.base import InstrumentDescription
from harness.meters.counter import EnergyCounter
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
from harness.meters.ruideng import wire
from harness.meters.ruideng.cipher import tc66c_decipher

BAUD = 115_200
"""The UM series' Bluetooth serial ports and the TC66C's USB port take any speed."""
RATE_HZ = 4.0
_FASTEST_HZ = 10.0
_SLOWEST_LINE_BAUD = 9600
_WIRING = (
    "Check wiring: bring the Bluetooth adapter nearer or take another cable, and let "
    "one program only use the port."
)
_UNITS = {
    "power": "W",
    "voltage": "V",
    "current": "A",
    "temperature": "degC",
    "data_plus": "V",
    "data_minus": "V",
    "energy": "J",
    ROUND_TRIP: "s",
}


class Series(Enum):
    """Which protocol an instrument speaks."""

    UM = "UM24C, UM25C or UM34C"
    TC66C = "TC66C"


class Ruideng:
    """A UM24C, UM25C, UM34C or TC66C behind a byte link."""

    def __init__(
        self,
        link: ByteLink,
        clock: Clock,
        *,
        address: str,
        origin: Origin,
        series: Series,
    ) -> None:
        """Ask who is there.

        Raises MeterError where nobody of that series answers, Unsupported for a
        TC66C without AES.
        """
        self._link = link
        self._clock = clock
        self._address = address
        self._origin = origin
        self._series = series
        self._request, self._decode = _protocol(series, address)
        self._found = ask_once(
            self._interrogator(_timing(RATE_HZ)),
            Question(request=self._request, decode=self._decode),
            clock,
            stranger=f"This does not answer as a {series.value}",
        )

    def identify(self) -> InstrumentDescription:
        """Say which model answered; only a TC66C tells serial number and firmware."""
        is_um = self._series is Series.UM
        return InstrumentDescription(
            driver="um25c" if is_um else "tc66c",
            address=self._address,
            origin=self._origin,
            maker="Ruideng",
            model=self._found.model,
            serial_number=self._found.serial_number,
            firmware=self._found.firmware,
            facts={
                "stamp": "middle of request and reply; half of round_trip bounds it",
                "integrity": "end mark and P against V·I, no check value of figures"
                if is_um
                else "CRC-16",
            },
        )

    def channels(self) -> tuple[Channel, ...]:
        """Power, voltage, current, temperature, data lines, energy; 4 Hz as a rule."""
        return tuple(
            Channel(name=name, unit=unit, source=self._address, rate_hz=RATE_HZ)
            for name, unit in _UNITS.items()
        )

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator[PollingAcquisition]:
        """Poll. Raises Unsupported for more than 10 Hz or an unknown channel."""
        wanted = chosen(self.channels(), channels, where=self._address)
        rate_hz = RATE_HZ if rate_hz is None else rate_hz
        if rate_hz > _FASTEST_HZ:
            raise Unsupported(
                f"A Ruideng tester can be asked {_FASTEST_HZ:g} times a second, "
                f"not {rate_hz:g}",
                where=self._address,
                remedy=f"It renews its figures less often still; {RATE_HZ:g} Hz will "
                "miss nothing.",
            )
        energy = _GroupEnergy(self._address) if "energy" in channels else None
        timing = _timing(rate_hz)
        yield PollingAcquisition(
            self._interrogator(timing),
            self._clock,
            Survey(
                timing=timing,
                questions=[self._question(energy)],
                channels=[replace(channel, rate_hz=rate_hz) for channel in wanted],
                origin=self._origin,
                wiring=_WIRING,
            ),
        )

    def _interrogator(self, timing: Timing) -> Interrogator:
        return Interrogator(self._link, self._clock, timing, where=self._address)

    def _question(self, energy: "_GroupEnergy | None") -> Question[Indication]:
        return Question(
            request=self._request,
            decode=lambda buffer: translated(
                self._decode(buffer), lambda snapshot: _indicated(snapshot, energy)
            ),
        )


class _GroupEnergy:
    """The energy of one data group; another group's count is not its continuation."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._group: int | None = None
        self._counter = EnergyCounter(
            modulus=wire.ENERGY_MODULUS_MWH,
            joules_per_count=wire.JOULES_PER_MWH,
            where=where,
        )

    def advance(self, snapshot: wire.Snapshot) -> float:
        """Give the energy since the first snapshot, in J."""
        if self._group is None:
            self._group = snapshot.energy_group
        if snapshot.energy_group != self._group:
            raise MeterError(
                f"The data group was changed from {self._group} to "
                f"{snapshot.energy_group} while measuring",
                where=self._where,
                remedy="Leave the meter's buttons alone, and run again.",
            )
        return self._counter.advance(snapshot.energy_mwh)


def _protocol(
    series: Series, where: str
) -> tuple[bytes, Callable[[bytes], Decoded[wire.Snapshot]]]:
    """Give what is sent and how the reply is read."""
    if series is Series.UM:
        return wire.UM_REQUEST, wire.decode_um
    decipher = tc66c_decipher(where=where)
    return wire.TC_REQUEST, lambda buffer: wire.decode_tc(buffer, decipher)


def _timing(rate_hz: float) -> Timing:
    return Timing(period_s=1 / rate_hz, timeout_s=0.5, gap_s=gap_s(_SLOWEST_LINE_BAUD))


def _indicated(snapshot: wire.Snapshot, energy: _GroupEnergy | None) -> Indication:
    values = {
        "power": snapshot.power_w,
        "voltage": snapshot.voltage_v,
        "current": snapshot.current_a,
        "temperature": snapshot.temperature_degc,
        "data_plus": snapshot.data_plus_v,
        "data_minus": snapshot.data_minus_v,
    }
    if energy is not None:
        values["energy"] = energy.advance(snapshot)
    return Indication(values=values)

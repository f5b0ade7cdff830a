"""The PZEM-004T v3 as a meter of mains power.

Below 0.4 W it reads zero, which says "less than 0.4 W" and no more. Such a reading
has no power: its place on the channel ``power`` stays empty, ``below_threshold`` is 1,
and a window that holds one has a hole there instead of 0 W. The same goes for current
and power factor where they read zero.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.reading import Channel
from harness.errors import Unsupported
from harness.links.bytelink import ByteLink
from harness.meters.answer import translated
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
from harness.meters.pzem import wire

BAUD = wire.BAUD
THRESHOLD_W = 0.4
RATE_HZ = 1.0
"""The instrument renews its registers about once a second."""
_TIMING = Timing(period_s=1 / RATE_HZ, timeout_s=0.2, gap_s=gap_s(wire.BAUD))
"""A reply of 25 characters takes 29 ms at 9600 Bd."""
_CHANNELS = (
    ("power", "W"),
    ("voltage", "V"),
    ("current", "A"),
    ("frequency", "Hz"),
    ("power_factor", "ratio"),
    ("energy", "J"),
    ("below_threshold", "1"),
    ("alarm", "1"),
    (ROUND_TRIP, "s"),
)


class Pzem:
    """A PZEM-004T v3, PZEM-014 or PZEM-016 behind a byte link."""

    def __init__(
        self,
        link: ByteLink,
        clock: Clock,
        *,
        address: str,
        origin: Origin,
        unit: int = 1,
    ) -> None:
        self._link = link
        self._clock = clock
        self._address = address
        self._origin = origin
        self._request = wire.read_request(unit)
        self._unit = unit
        self._found = ask_once(
            self._interrogator(),
            Question(
                request=self._request,
                decode=lambda buffer: wire.decode(buffer, unit),
            ),
            clock,
            stranger=f"This does not answer as a PZEM, unit {unit}",
        )

    def identify(self) -> InstrumentDescription:
        """Say who answered; the instrument tells no serial number and no firmware."""
        return InstrumentDescription(
            driver="pzem",
            address=self._address,
            origin=self._origin,
            maker="Peacefair",
            model="PZEM-004T v3 or kin",
            facts={
                "unit": str(self._found.unit),
                "threshold_w": f"{THRESHOLD_W:g}",
                "stamp": "middle of request and reply; half of round_trip bounds it",
                "integrity": "CRC-16",
            },
        )

    def channels(self) -> tuple[Channel, ...]:
        """Power, voltage, current, frequency, power factor, energy, flags; 1 Hz."""
        return tuple(
            Channel(name=name, unit=unit, source=self._address, rate_hz=RATE_HZ)
            for name, unit in _CHANNELS
        )

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator[PollingAcquisition]:
        """Poll once a second. Raises Unsupported for another rate or channel."""
        wanted = chosen(self.channels(), channels, where=self._address)
        if rate_hz not in {None, RATE_HZ}:
            raise Unsupported(
                f"A PZEM renews its readings at {RATE_HZ:g} Hz, not at {rate_hz:g} Hz",
                where=self._address,
                remedy="Leave the rate out.",
            )
        counter = EnergyCounter(
            modulus=wire.ENERGY_MODULUS_WH,
            joules_per_count=wire.JOULES_PER_WH,
            where=self._address,
        )
        yield PollingAcquisition(
            self._interrogator(),
            self._clock,
            Survey(
                timing=_TIMING,
                questions=[self._question(counter if "energy" in channels else None)],
                channels=wanted,
                origin=self._origin,
            ),
        )

    def _interrogator(self) -> Interrogator:
        return Interrogator(self._link, self._clock, _TIMING, where=self._address)

    def _question(self, counter: EnergyCounter | None) -> Question[Indication]:
        return Question(
            request=self._request,
            decode=lambda buffer: translated(
                wire.decode(buffer, self._unit), lambda read: _indicated(read, counter)
            ),
        )


def _indicated(read: wire.Registers, counter: EnergyCounter | None) -> Indication:
    """Give what the registers say; what reads zero below its threshold is left out."""
    is_below = read.power_w < THRESHOLD_W
    values = {
        "voltage": read.voltage_v,
        "frequency": read.frequency_hz,
        "below_threshold": float(is_below),
        "alarm": float(read.is_alarmed),
    }
    if not is_below:
        values["power"] = read.power_w
        values["power_factor"] = read.power_factor
    if read.current_a > 0:
        values["current"] = read.current_a
    if counter is not None:
        values["energy"] = counter.advance(read.energy_wh)
    return Indication(values=values, is_below_threshold=is_below)

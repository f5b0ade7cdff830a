"""The LPM01A as a meter: mean power from energy, or power from current, time held.

Its readings are evenly spaced and without number. Its own time stamps tell how many
there must have been; those that did not come are missing, and keep their place on the
time axis as a gap. The arrival of the first reading ties that axis to the host's clock.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel
from harness.errors import LinkClosed, MeterError, Unsupported
from harness.links.bytelink import ByteLink
from harness.meters.answer import Frame, NeedMore
from harness.meters.base import InstrumentDescription
from harness.meters.lpm01a import wire
from harness.meters.lpm01a.acquisition import Course, LpmAcquisition

DEFAULT_HZ = 1000.0
_ANSWER_S = 5.0
"""A new voltage makes it calibrate itself before it answers."""
_GREETING_S = 1.0
_STOP_S = 2.0
_DRAIN_S = 0.1
_READ_BYTES = 65_536
_LEAST_BINARY_HZ = 1e3
"""Binary words are believed from one time stamp to the next, a thousand at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the device under test gets, and what is measured of it."""

    voltage_v: float
    is_energy: bool = True
    """Energy of each sampling period, which misses nothing; else the current."""
    format: wire.Format | None = None
    """None: decimal lines up to 5 kHz, binary above."""


class Lpm01a:
    """An LPM01A behind a byte link."""

    def __init__(
        self,
        link: ByteLink,
        clock: Clock,
        *,
        address: str,
        origin: Origin,
        setting: Setting,
    ) -> None:
        """Take control and switch the device under test on.

        Raises Unsupported for a voltage that it cannot give, MeterError where
        something else answers.
        """
        self._link = link
        self._clock = clock
        self._address = address
        self._origin = origin
        self._setting = setting
        self._require_voltage()
        self._greet()
        self._board = self._ask("powershield").removeprefix("PowerShield present")
        self._version = self._ask("version")
        self._power_on()

    def identify(self) -> InstrumentDescription:
        """Say what ``powershield`` and ``version`` said."""
        return InstrumentDescription(
            driver="lpm01a",
            address=self._address,
            origin=self._origin,
            maker="STMicroelectronics",
            model="X-NUCLEO-LPM01A",
            serial_number=self._board.strip(" :"),
            firmware=self._version,
            calibration="self-calibrated at power-up and at each change of voltage",
            facts={
                "voltage_v": f"{self._setting.voltage_v:g}",
                "output": self._output,
                "integrity": "time stamps every 1000 readings, no check value",
            },
        )

    def channels(self) -> tuple[Channel, ...]:
        """Power, the current where it is what is measured, and events at D7."""
        named = [("power", "W")]
        if self._setting.format is not wire.Format.BINARY:
            named.append(("event", "1"))  # told in decimal lines only
        if not self._setting.is_energy:
            named.insert(1, ("current", "A"))
        return tuple(
            Channel(
                name=name,
                unit=unit,
                source=self._address,
                rate_hz=None if name == "event" else DEFAULT_HZ,
            )
            for name, unit in named
        )

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator[LpmAcquisition]:
        """Measure the named channels, at 1 kHz or another rate of its list.

        Raises Unsupported for a rate or a channel that it does not have, MeterError
        where it refuses a setting.
        """
        rate_hz = DEFAULT_HZ if rate_hz is None else rate_hz
        form = self._form(channels, rate_hz)
        self._ask(f"output {self._output}")
        self._ask(f"format {form.value}")
        self._ask(f"freq {wire.FREQUENCIES[rate_hz]}")
        self._link.write(wire.encode("start"))
        try:
            yield LpmAcquisition(
                self._link,
                self._clock,
                Course(
                    channels=tuple(
                        Channel(
                            name=channel.name,
                            unit=channel.unit,
                            source=channel.source,
                            rate_hz=channel.rate_hz and rate_hz,
                        )
                        for channel in self.channels()
                        if channel.name in channels
                    ),
                    format=form,
                    rate_hz=rate_hz,
                    voltage_v=self._setting.voltage_v,
                    is_energy=self._setting.is_energy,
                    origin=self._origin,
                ),
            )
        finally:
            # an instrument that went away has nothing to stop
            with suppress(LinkClosed):
                self._stop()

    def release(self) -> None:
        """Give the instrument's buttons back to the person before it."""
        self._ask("hrc")

    @property
    def _output(self) -> str:
        return "energy" if self._setting.is_energy else "current"

    def _require_voltage(self) -> None:
        volts = self._setting.voltage_v
        if not wire.LEAST_V <= volts <= wire.MOST_V:
            raise Unsupported(
                f"An LPM01A supplies {wire.LEAST_V:g} to {wire.MOST_V:g} V, "
                f"not {volts:g} V",
                where=self._address,
                remedy="Take another meter for this device.",
            )

    def _form(self, channels: Collection[str], rate_hz: float) -> wire.Format:
        """Say in which format these channels come at this rate. Raises Unsupported."""
        known = {channel.name for channel in self.channels()}
        if set(channels) - known:
            raise self._unsupported(
                f"gives {', '.join(sorted(known))} here",
                "Ask for these; the current needs ?output=current in the address.",
            )
        if rate_hz not in wire.FREQUENCIES:
            offered = ", ".join(f"{rate:g}" for rate in wire.FREQUENCIES)
            raise self._unsupported(
                f"does not give {rate_hz:g} readings a second",
                f"Ask for one of: {offered}.",
            )
        if self._setting.is_energy and rate_hz > wire.MOST_ENERGY_HZ:
            raise self._unsupported(
                f"integrates energy at {wire.MOST_ENERGY_HZ:g} Hz at most",
                "Ask for this rate, or add ?output=current to the address.",
            )
        is_fast = rate_hz > wire.MOST_ASCII_HZ
        form = self._setting.format or (
            wire.Format.BINARY if is_fast else wire.Format.ASCII
        )
        self._require_form(form, channels, rate_hz)
        return form

    def _require_form(
        self, form: wire.Format, channels: Collection[str], rate_hz: float
    ) -> None:
        match form:
            case wire.Format.ASCII if rate_hz > wire.MOST_ASCII_HZ:
                raise self._unsupported(
                    f"sends decimal lines at {wire.MOST_ASCII_HZ:g} Hz at most",
                    "Ask for this rate, or leave ?format= out.",
                )
            case wire.Format.BINARY if rate_hz < _LEAST_BINARY_HZ:
                raise self._unsupported(
                    f"is read in binary from {_LEAST_BINARY_HZ:g} Hz on",
                    "Leave ?format= out.",
                )
            case wire.Format.BINARY if "event" in channels:
                raise self._unsupported(
                    "tells events in decimal lines only",
                    f"Ask for {wire.MOST_ASCII_HZ:g} Hz at most.",
                )

    def _unsupported(self, what: str, remedy: str) -> Unsupported:
        return Unsupported(f"An LPM01A {what}", where=self._address, remedy=remedy)

    def _greet(self) -> None:
        """Stop what may be going on, and take control."""
        self._link.write(wire.encode("stop"))
        self._drain()
        self._ask("htc", within_s=_GREETING_S)

    def _power_on(self) -> None:
        self._ask("acqtime inf")
        self._ask("trigdelay 0")
        self._ask("trigsrc sw")
        self._ask("eventsrc d7 fal")
        self._ask(f"volt {round(self._setting.voltage_v * 1000)}m")
        self._ask("pwr on nostatus")

    def _ask(self, command: str, *, within_s: float = _ANSWER_S) -> str:
        """Send a command and give what stands on its acknowledgement."""
        self._link.write(wire.encode(command))
        until = Deadline.after(within_s, self._clock)
        buffer = b""
        while piece := self._link.read(_READ_BYTES, until):
            buffer += piece
            answer = wire.decode_answer(buffer, command)
            if isinstance(answer, Frame):
                return answer.value
            if not isinstance(answer, NeedMore):
                raise MeterError(
                    f"The LPM01A refuses '{command}': {answer.detail}",
                    where=self._address,
                    remedy="Older firmware knows fewer commands; 1.0.6 or newer is "
                    "needed.",
                )
        raise MeterError(
            f"This does not answer as an LPM01A: no acknowledgement of '{command}', "
            f"{len(buffer)} bytes came",
            where=self._address,
            remedy="Ask what it is: duanping meters --probe PORT",
        )

    def _stop(self) -> None:
        """Stop, and read away what is still under way."""
        self._link.write(wire.encode("stop"))
        until = Deadline.after(_STOP_S, self._clock)
        seen = b""
        while wire.END_OF_ACQUISITION not in seen:
            piece = self._link.read(_READ_BYTES, until)
            if not piece:
                return
            seen = seen[-len(wire.END_OF_ACQUISITION) :] + piece
        self._drain()

    def _drain(self) -> None:
        until = Deadline.after(_DRAIN_S, self._clock)
        while self._link.read(_READ_BYTES, until):
            continue

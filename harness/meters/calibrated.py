"""A meter whose readings are corrected by a calibration of that very specimen.

Whoever opens it sees a meter like any other: corrected readings, and in its identity
that and by what they are. A calibration of another specimen, one that has expired, or
one that a simulator took part in does not fit, and is refused with the reason.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import serial.tools.list_ports

from harness.clock import Deadline
from harness.domain.calibration import Calibration
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import NotCalibrated
from harness.meters.base import Acquisition, InstrumentDescription, Meter
from harness.meters.correction import corrected

_AGAIN = "Calibrate this meter: duanping calibrate METER --against METER2"


def specimen(who: InstrumentDescription) -> str:
    """Give the serial number, by the port's USB identity where the meter tells none.

    Empty where neither tells one.
    """
    if who.serial_number:
        return who.serial_number
    link = who.address.partition("@")[2].partition("?")[0]
    kind, _, port = link.partition(":")
    if kind != "serial":
        return ""
    for one in serial.tools.list_ports.comports():
        if one.device == port:
            return one.serial_number or ""
    return ""


def require_fitting(
    calibration: Calibration, who: InstrumentDescription, today: date
) -> None:
    """Raise NotCalibrated where a calibration may not be used on a meter today."""
    ours = specimen(who)
    what = ""
    if calibration.driver != who.driver:
        what = f"The calibration is of a {calibration.driver}, not of a {who.driver}"
    elif calibration.origin is not who.origin:
        what = (
            f"The calibration is {calibration.origin.value}, and the meter is "
            f"{who.origin.value}"
        )
    elif who.origin.is_evidence and not ours:
        what = (
            "The meter tells no serial number, so nobody can say that it is the one "
            "that was calibrated"
        )
    elif calibration.serial_number != ours:
        what = (
            f"The calibration is of number {calibration.serial_number or '(none)'}, "
            f"and this is number {ours or '(none)'}"
        )
    elif today.isoformat() > calibration.valid_until:
        what = f"The calibration has expired on {calibration.valid_until}"
    if what:
        raise NotCalibrated(what, where=who.address, remedy=_AGAIN)


class CalibratedMeter:
    """A meter that gives corrected readings."""

    def __init__(self, meter: Meter, calibration: Calibration, today: date) -> None:
        """Take a meter. Raises NotCalibrated where the calibration does not fit."""
        self._meter = meter
        self.calibration = calibration
        self._identity = replace(
            meter.identify(),
            calibration=calibration.title,
        )
        require_fitting(calibration, meter.identify(), today)

    def identify(self) -> InstrumentDescription:
        """Say what the meter says of itself, and what corrects it."""
        return self._identity

    def channels(self) -> tuple[Channel, ...]:
        """What the meter can measure."""
        return self._meter.channels()

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator["CalibratedAcquisition"]:
        """Measure, and correct what is read. Raises what the meter raises."""
        stated = self._identity.facts.get("voltage_v")
        with self._meter.acquire(channels, rate_hz=rate_hz) as acquisition:
            yield CalibratedAcquisition(
                acquisition, self.calibration, float(stated) if stated else None
            )


class CalibratedAcquisition:
    """A meter that is measuring, its readings corrected as they come."""

    def __init__(
        self, inner: Acquisition, calibration: Calibration, volts: float | None
    ) -> None:
        self._inner = inner
        self._calibration = calibration
        self._volts = volts

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield corrected readings. Raises what the meter raises."""
        for block in self._inner.blocks(until):
            yield corrected(block, self._calibration.ranges, self._volts)

    def loss(self) -> Loss:
        """Readings known to be missing so far."""
        return self._inner.loss()

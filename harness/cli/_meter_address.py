"""Which meter a person means: an address, or a name in this desk's lab.toml."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import plugins
from harness.clock import SystemClock
from harness.errors import UnknownName
from harness.meters.base import Meter
from harness.meters.calibrated import CalibratedMeter
from harness.plugins import Address
from harness.schema.calibration import load_calibration
from harness.schema.lab import Lab, find_lab, load_lab


def meter_address(text: str) -> Address:
    """Read ``driver@link``, or look the name up in lab.toml.

    Raises UnknownName where there is no such name.
    """
    if "@" in text:
        return Address.parse(text)
    known = _lab().meters
    if text not in known:
        raise UnknownName("meter", text, known, where="lab.toml")
    return Address.parse(known[text])


@contextmanager
def opened_meter(text: str, clock: SystemClock) -> Iterator[Meter]:
    """Open a meter; one that lab.toml names is corrected by its calibration there.

    Raises UnknownName, SchemaError, EquipmentError as opening does, NotCalibrated
    where the calibration does not fit it.
    """
    address = meter_address(text)
    opener = plugins.find(plugins.METERS, address.driver)
    with opener(address, clock) as meter:
        yield corrected_as_named(text, meter, clock)


def corrected_as_named(text: str, meter: Meter, clock: SystemClock) -> Meter:
    """Give the meter corrected where lab.toml names a calibration of that name."""
    path = None if "@" in text else _lab().calibrations.get(text)
    if path is None:
        return meter
    return CalibratedMeter(meter, load_calibration(path), clock.utc_now().date())


def _lab() -> Lab:
    found = find_lab(Path.cwd())
    return load_lab(found) if found else Lab()

"""calibration.toml: what ``duanping calibrate`` writes and ``lab.toml`` names.

The format ``duanping/calibration/1``. It is written by the harness and read by people
and by the harness; a laboratory that calibrates meters may write one by hand.
"""

import math
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from harness.domain.calibration import CalibratedRange, Calibration
from harness.domain.origin import Origin
from harness.errors import SchemaError
from harness.schema.reading import Written, attributed_to, read_toml, validate

FORMAT = "duanping/calibration/1"


class WrittenRange(Written):
    """One range: true value = offset + gain · indication, SI units."""

    channel: str = Field(min_length=1)
    unit: str = Field(min_length=1)
    least: NonNegativeFloat
    most: PositiveFloat
    gain: PositiveFloat
    offset: float
    u_gain_ratio: NonNegativeFloat
    u_offset: NonNegativeFloat
    freedom: PositiveFloat | None = None
    """Degrees of freedom; left out: infinite."""
    pairs: PositiveInt


class WrittenMeter(Written):
    """The specimen."""

    driver: str = Field(min_length=1)
    model: str = ""
    serial_number: str = ""


class WrittenReference(Written):
    """What it was compared with."""

    title: str = Field(min_length=1)
    serial_number: str = ""


class WrittenSurroundings(Written):
    """Under what conditions."""

    ambient_degc: float | None = None
    remarks: str = ""


class WrittenCalibration(Written):
    """A calibration file."""

    format: Literal["duanping/calibration/1"]
    origin: Literal["measured", "simulated"]
    taken_on: str
    valid_until: str
    meter: WrittenMeter
    reference: WrittenReference
    conditions: WrittenSurroundings = WrittenSurroundings()
    ranges: tuple[WrittenRange, ...] = Field(min_length=1)


def load_calibration(path: Path) -> Calibration:
    """Read a calibration. Raises SchemaError naming the place in it."""
    where = str(path)
    written = validate(WrittenCalibration, read_toml(path), where)
    for key in ("taken_on", "valid_until"):
        _require_date(getattr(written, key), f"{where}: /{key}")
    with attributed_to(f"{where}: /ranges"):
        ranges = tuple(_range(one) for one in written.ranges)
    return Calibration(
        driver=written.meter.driver,
        model=written.meter.model,
        serial_number=written.meter.serial_number,
        origin=Origin(written.origin),
        taken_on=written.taken_on,
        valid_until=written.valid_until,
        reference=written.reference.title,
        reference_serial_number=written.reference.serial_number,
        ambient_degc=written.conditions.ambient_degc,
        conditions=written.conditions.remarks,
        ranges=ranges,
    )


def calibration_toml(calibration: Calibration) -> str:
    """Write a calibration as its file."""
    one = calibration
    lines = [
        "# Written by duanping calibrate. SI units; standard uncertainties (k = 1).",
        f"format = {_text(FORMAT)}",
        f"origin = {_text(one.origin.value)}",
        f"taken_on = {_text(one.taken_on)}",
        f"valid_until = {_text(one.valid_until)}",
        "",
        "[meter]",
        f"driver = {_text(one.driver)}",
        f"model = {_text(one.model)}",
        f"serial_number = {_text(one.serial_number)}",
        "",
        "[reference]",
        f"title = {_text(one.reference)}",
        f"serial_number = {_text(one.reference_serial_number)}",
        "",
        "[conditions]",
    ]
    if one.ambient_degc is not None:
        lines.append(f"ambient_degc = {float(one.ambient_degc)!r}")
    lines.append(f"remarks = {_text(one.conditions)}")
    for each in one.ranges:
        lines += ["", "[[ranges]]", *_range_lines(each)]
    return "\n".join(lines) + "\n"


def _range_lines(one: CalibratedRange) -> list[str]:
    numbers = ("least", "most", "gain", "offset", "u_gain_ratio", "u_offset")
    lines = [f"channel = {_text(one.channel)}", f"unit = {_text(one.unit)}"]
    lines += [f"{key} = {float(getattr(one, key))!r}" for key in numbers]
    if math.isfinite(one.freedom):
        lines.append(f"freedom = {float(one.freedom)!r}")
    return [*lines, f"pairs = {one.pairs}"]


def _text(value: str) -> str:
    """Write a basic string of TOML."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    plain = "".join(
        char if char.isprintable() else f"\\U{ord(char):08x}" for char in escaped
    )
    return f'"{plain}"'


def _range(written: WrittenRange) -> CalibratedRange:
    plain = written.model_dump()
    freedom = plain.pop("freedom")
    return CalibratedRange(**plain, freedom=math.inf if freedom is None else freedom)


def _require_date(text: str, where: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise SchemaError(
            f"'{text}' is no date", where=where, remedy='Write it as "2026-01-31".'
        ) from error

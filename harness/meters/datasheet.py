"""What a meter's data sheet says of its accuracy, as nouns (`FORMAT`).

Each driver has a ``datasheet.toml`` beside it; those of the on-host counters, and of
instruments of which only recordings are read, are called ``<name>.datasheet.toml``.
Every figure carries the document that it comes from. What a budget makes of them is
not decided here.
"""

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from harness.errors import NotCalibrated
from harness.schema.reading import Written, read_toml, validate

FORMAT = "harness/datasheet/1"
_FOLDERS = {"um25c": "ruideng", "tc66c": "ruideng"}
"""Drivers that share a folder with another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeSpec:
    """Limits of error of one channel between `least` and `most`, in its SI unit.

    A reading r is within ±(gain·r + offset); its digits are steps of `resolution`.
    """

    channel: str
    unit: str
    least: float
    most: float
    gain: float
    """Ratio."""
    offset: float
    resolution: float
    source: str
    model: str = ""
    """Of several models in one data sheet, the one that this is of; empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datasheet:
    """The accuracy of an instrument, and where that is said."""

    maker: str
    model: str
    is_hardware_verified: bool
    """Whether somebody has compared a real one with these figures."""
    source: str
    readings_hz: float
    averages: bool
    """Whether a reading is a mean over its interval, not a point in it."""
    latency_s: float
    """From the end of that interval to the reading's arrival."""
    timebase: float
    """Largest relative error of the instrument's own clock."""
    ranges: tuple[RangeSpec, ...]

    def spec_at(self, channel: str, value: float, *, model: str = "") -> RangeSpec:
        """Give the terms for a value; of ranges that overlap, the last one written.

        Raises NotCalibrated where the data sheet says nothing of such a value.
        """
        for one in reversed(self.ranges):
            is_ours = one.channel == channel and (not one.model or one.model == model)
            if is_ours and one.least <= abs(value) <= one.most:
                return one
        raise NotCalibrated(
            f"The data sheet says nothing of {channel} at {value:.3g}",
            where=self.model,
            remedy="Use a meter whose ranges hold the value.",
        )


class _WrittenRate(Written):
    readings_hz: PositiveFloat
    averages: bool
    latency_s: NonNegativeFloat
    source: str = Field(min_length=1)


class _WrittenTimebase(Written):
    relative: float = Field(ge=0.0, lt=0.01)
    source: str = Field(min_length=1)


class _WrittenRange(Written):
    model: str = ""
    channel: str
    unit: str
    least: NonNegativeFloat
    most: PositiveFloat
    gain: float = Field(ge=0.0, lt=1.0)
    offset: NonNegativeFloat
    resolution: NonNegativeFloat
    source: str = Field(min_length=1)


class WrittenDatasheet(Written):
    """A data sheet as it is written."""

    format: Literal["harness/datasheet/1"]
    maker: str
    model: str = Field(min_length=1)
    hardware_verified: bool
    source: str = Field(min_length=1)
    rate: _WrittenRate
    timebase: _WrittenTimebase
    ranges: tuple[_WrittenRange, ...] = Field(min_length=1)


def load_datasheet(path: Path) -> Datasheet:
    """Read a data sheet. Raises SchemaError naming the place in it."""
    written = validate(WrittenDatasheet, read_toml(path), str(path))
    return Datasheet(
        maker=written.maker,
        model=written.model,
        is_hardware_verified=written.hardware_verified,
        source=written.source,
        readings_hz=written.rate.readings_hz,
        averages=written.rate.averages,
        latency_s=written.rate.latency_s,
        timebase=written.timebase.relative,
        ranges=tuple(RangeSpec(**one.model_dump()) for one in written.ranges),
    )


def datasheet_of(driver: str) -> Datasheet:
    """Read the data sheet beside a driver. Raises NotCalibrated where there is none."""
    root = files("harness.meters")
    folder = _FOLDERS.get(driver, driver)
    for place in (
        root.joinpath(folder, "datasheet.toml"),
        root.joinpath("onhost", f"{folder}.datasheet.toml"),
        root.joinpath("exports", f"{folder}.datasheet.toml"),
    ):
        if place.is_file():
            return load_datasheet(_path(place))
    raise NotCalibrated(
        "Nothing is known of this meter's accuracy",
        where=driver,
        remedy="Put a datasheet.toml beside its driver.",
    )


def _path(place: Traversable) -> Path:
    """Name a shipped file; the package is always installed as plain files."""
    return Path(str(place))

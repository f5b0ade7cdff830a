"""What a meter's data sheet promises for the power that was read.

Each driver has a `datasheet.toml` beside it (the on-host ones `<name>.datasheet.toml`)
with the accuracy of each range and its source. A trace may cross ranges: the worst of
those that it touched holds for all of it.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from harness.errors import NotCalibrated


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Limits of error: gain and time base as ratios, offset in W; each is ±."""

    gain_ratio: float
    offset_w: float
    timebase_ratio: float
    source: str


_FOLDERS = {"um25c": "ruideng", "tc66c": "ruideng"}
"""Drivers that share a folder with another."""


def accuracy_of(
    driver: str, *, least_w: float, most_w: float, volts: float | None
) -> Accuracy:
    """Give the limits of error of power between `least_w` and `most_w`.

    A meter that measures current only is rated in amperes: `volts` makes watts of
    them. Raises NotCalibrated where nothing is known of the meter's accuracy.
    """
    sheet = _sheet(driver)
    ranges = tuple(_ranges(sheet, volts))
    touched = [r for r in ranges if r["least"] <= most_w and r["most"] >= least_w]
    if not touched:
        raise NotCalibrated(
            f"Its data sheet says nothing of {least_w:.3g} … {most_w:.3g} W",
            where=driver,
            remedy="Use a meter whose ranges hold the device's power.",
        )
    timebase = sheet.get("timebase", {}).get("relative", 0.0)
    return Accuracy(
        gain_ratio=max(one["gain"] for one in touched),
        offset_w=max(one["offset"] for one in touched),
        timebase_ratio=float(timebase),
        source=str(sheet.get("source", "")),
    )


def _ranges(sheet: dict[str, Any], volts: float | None) -> Iterator[dict[str, float]]:
    """Give the ranges in watts: those of power, or else of current times the volts."""
    written = sheet.get("ranges", [])
    has_power = any(one["channel"] == "power" for one in written)
    for one in written:
        if one["channel"] == "power":
            factor = 1.0
        elif one["channel"] == "current" and not has_power and volts is not None:
            factor = volts
        else:
            continue
        yield {
            "least": one["least"] * factor,
            "most": one["most"] * factor,
            "gain": one["gain"],
            "offset": one["offset"] * factor,
        }


def _sheet(driver: str) -> dict[str, Any]:
    root = files("harness.meters")
    name = _FOLDERS.get(driver, driver)
    for path in (
        root.joinpath(name, "datasheet.toml"),
        root.joinpath("onhost", f"{name}.datasheet.toml"),
    ):
        if path.is_file():
            return _read(path)
    raise NotCalibrated(
        "Nothing is known of this meter's accuracy",
        where=driver,
        remedy="Put a datasheet.toml beside its driver.",
    )


def _read(path: Traversable) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))

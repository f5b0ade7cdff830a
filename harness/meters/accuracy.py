"""What a meter's data sheet promises for the power that was read.

A trace may cross ranges: the worst of those that it touched holds for all of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import NotCalibrated
from harness.meters.datasheet import Datasheet, datasheet_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Limits of error: gain and time base as ratios, offset in W; each is ±.

    `resolution_w` is the step of the readings, `latency_s` how long one may take to
    arrive.
    """

    gain_ratio: float
    offset_w: float
    resolution_w: float
    timebase_ratio: float
    latency_s: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watts:
    """One range, in watts."""

    least: float
    most: float
    gain: float
    offset: float
    resolution: float


def accuracy_of(
    driver: str, *, least_w: float, most_w: float, volts: float | None
) -> Accuracy:
    """Give the limits of error of power between `least_w` and `most_w`.

    A meter that measures current only is rated in amperes: `volts` makes watts of
    them. Raises NotCalibrated where its data sheet says nothing of such power, or
    where there is none.
    """
    sheet = datasheet_of(driver)
    touched = [
        one
        for one in _ranges(sheet, volts)
        if one.least <= most_w and one.most >= least_w
    ]
    if not touched:
        raise NotCalibrated(
            f"Its data sheet says nothing of {least_w:.3g} … {most_w:.3g} W",
            where=driver,
            remedy="Use a meter whose ranges hold the device's power.",
        )
    return Accuracy(
        gain_ratio=max(one.gain for one in touched),
        offset_w=max(one.offset for one in touched),
        resolution_w=max(one.resolution for one in touched),
        timebase_ratio=sheet.timebase,
        latency_s=sheet.latency_s,
        source=sheet.source,
    )


def _ranges(sheet: Datasheet, volts: float | None) -> Iterator[_Watts]:
    """Give the ranges in watts: those of power, or else of current times the volts."""
    has_power = any(one.channel == "power" for one in sheet.ranges)
    for one in sheet.ranges:
        if one.channel == "power":
            factor = 1.0
        elif one.channel == "current" and not has_power and volts is not None:
            factor = volts
        else:
            continue
        yield _Watts(
            least=one.least * factor,
            most=one.most * factor,
            gain=one.gain,
            offset=one.offset * factor,
            resolution=one.resolution * factor,
        )

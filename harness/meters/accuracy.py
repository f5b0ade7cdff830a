"""What a meter's data sheet promises for the power that was read.

A trace may cross ranges: the worst of those that it touched holds for all of it. Of
ranges that lie one inside the other, as a power meter has them, none is taken that is
wider than the tightest which holds all of the trace: that is the one to set, and the
one that a meter takes by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf, sqrt

from scipy.special import ndtri, stdtrit

from harness.domain.calibration import CalibratedRange, Calibration
from harness.errors import NotCalibrated
from harness.meters.datasheet import Datasheet, RangeSpec, datasheet_of


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
    source: str


def accuracy_of(
    driver: str,
    *,
    least_w: float,
    most_w: float,
    volts: float | None,
    calibration: Calibration | None = None,
) -> Accuracy:
    """Give the limits of error of power between `least_w` and `most_w`.

    A meter that measures current only is rated in amperes: `volts` makes watts of
    them. In ranges that were calibrated, what the calibration says takes the place of
    the data sheet's limits. Raises NotCalibrated where its data sheet says nothing of
    such power, or where there is none.
    """
    sheet = datasheet_of(driver)
    ranges = tuple(_ranges(sheet, volts, calibration))
    tightest = min((one.most for one in ranges if one.most >= most_w), default=0.0)
    touched = [
        one
        for one in ranges
        if one.least <= most_w and one.most >= least_w and one.most <= tightest
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
        source="; ".join(dict.fromkeys(one.source for one in touched)),
    )


def _ranges(
    sheet: Datasheet, volts: float | None, calibration: Calibration | None
) -> Iterator[_Watts]:
    """Give the ranges in watts: those of power, or else of current times the volts."""
    has_power = any(one.channel == "power" for one in sheet.ranges)
    for one in sheet.ranges:
        if one.channel == "power":
            factor = 1.0
        elif one.channel == "current" and not has_power and volts is not None:
            factor = volts
        else:
            continue
        gain, offset, source = one.gain, one.offset, sheet.source
        line = _line_of(one, calibration)
        if line is not None and calibration is not None:
            gain, offset = _limits_of(line)
            source = calibration.title
        yield _Watts(
            least=one.least * factor,
            most=one.most * factor,
            gain=gain,
            offset=offset * factor,
            resolution=one.resolution * factor,
            source=source,
        )


def _line_of(one: RangeSpec, calibration: Calibration | None) -> CalibratedRange | None:
    """Give the line that was taken of a range of the data sheet."""
    for line in calibration.ranges if calibration else ():
        is_same = (line.least, line.most) == (one.least, one.most)
        if is_same and line.channel == one.channel:
            return line
    return None


def _limits_of(line: CalibratedRange) -> tuple[float, float]:
    """Give the limits of a rectangle that has the uncertainty of a calibration.

    Whoever takes limits for rectangular divides them by √3 (JCGM 100, 4.3.7). Few
    pairs are made up for by their larger coverage factor.
    """
    wider = float(stdtrit(line.freedom, 0.975)) / float(ndtri(0.975))
    if isinf(line.freedom):
        wider = 1.0
    return sqrt(3) * line.u_gain_ratio * wider, sqrt(3) * line.u_offset * wider

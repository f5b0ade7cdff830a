"""Where in a trace the pulses are, by normalised cross-correlation."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy import signal

from harness.stats.alignment_fit import WIDEST_SKEW, Lags, Stretch, mean_response
from harness.stats.alignment_scene import Scene
from harness.stats.uncertainty import Reals

_GRID_PER_CHIP = 20
_PEAK_CHIPS = 1.25
"""A peak of the correlation reaches one chip to either side, and a reading more."""
_SHARP = Lags(rise_s=1e-4, fall_s=1e-4)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """Correlation by what is added to the meter's clock."""

    offsets_s: Reals
    correlations: Reals
    middle_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Where a burst was found: what to add to the meter's clock, and how surely."""

    offset_s: float
    correlation: float
    lead: float
    """Its correlation over that of the next best place; infinite without one."""
    middle_s: float


def find(scene: Scene, search_s: float) -> tuple[Match, ...] | None:
    """Find every burst; None where the trace does not hold one of them.

    The burst that stands out best leads; the others must lie where clocks that are
    at most 500e-6 apart let them.
    """
    curves = [_curve(scene, rises, falls, search_s) for rises, falls in scene.bursts]
    found = [curve for curve in curves if curve is not None]
    if len(found) < len(curves):
        return None
    best = max(found, key=lambda curve: float(curve.correlations.max()))
    anchor = float(best.offsets_s[best.correlations.argmax()])
    return tuple(
        _match(
            curve,
            anchor,
            WIDEST_SKEW * abs(curve.middle_s - best.middle_s) + scene.chip_s,
            scene.chip_s,
        )
        for curve in found
    )


def _match(curve: _Curve, anchor_s: float, reach_s: float, chip_s: float) -> Match:
    allowed = np.abs(curve.offsets_s - anchor_s) <= reach_s
    index = int(np.where(allowed, curve.correlations, -np.inf).argmax())
    offset = float(curve.offsets_s[index])
    elsewhere = np.abs(curve.offsets_s - offset) > _PEAK_CHIPS * chip_s
    second = float(np.max(curve.correlations, initial=0.0, where=elsewhere))
    correlation = float(curve.correlations[index])
    return Match(
        offset_s=offset,
        correlation=correlation,
        lead=correlation / second if second > 0 else np.inf,
        middle_s=curve.middle_s,
    )


def _curve(
    scene: Scene, rises_s: Reals, falls_s: Reals, search_s: float
) -> _Curve | None:
    """Correlate one burst with the trace at every offset within the search.

    Normalised by what the trace varies under the pattern (J. P. Lewis, Fast
    Normalized Cross-Correlation, 1995, equation 2); sums by the Fourier transform.
    """
    grid_s = scene.chip_s / _GRID_PER_CHIP
    begin = float(rises_s[0]) - scene.lead_s
    count = ceil((float(falls_s[-1]) + scene.lead_s - begin) / grid_s)
    low = max(begin - search_s, float(scene.starts_s[0]))
    high = min(begin + count * grid_s + search_s, float(scene.ends_s[-1]))
    lags = int((high - low) / grid_s) - count
    if lags < 1:
        return None
    grid: Reals = grid_s * np.arange(count + lags + 1, dtype=np.float64)
    pattern = _pattern(rises_s, falls_s, begin + grid[: count + 1])
    power = _resampled(scene, low + grid)
    pattern = pattern - pattern.mean()
    power = power - power.mean()
    products = signal.correlate(power, pattern, mode="valid", method="fft")
    variation = _running(power**2, count) - _running(power, count) ** 2 / count
    floor = 1e-9 * max(float(variation.max()), 1e-300)
    scale = np.sqrt(np.maximum(variation, floor) * (pattern**2).sum())
    return _Curve(
        offsets_s=begin - low - grid[: lags + 1],
        correlations=products / scale,
        middle_s=float(rises_s[0] + falls_s[-1]) / 2,
    )


def _pattern(rises_s: Reals, falls_s: Reals, grid: Reals) -> Reals:
    blank = Stretch(
        starts_s=grid[:-1],
        ends_s=grid[1:],
        power_w=np.zeros(len(grid) - 1),
        rises_s=rises_s,
        falls_s=falls_s,
    )
    return mean_response(blank, 0.0, 0.0, _SHARP)


def _resampled(scene: Scene, grid: Reals) -> Reals:
    """Mean power between points of a grid, from the energy up to each."""
    steps = np.diff(scene.ends_s, prepend=scene.starts_s[0])
    energy = np.concatenate([[0.0], np.cumsum(scene.power_w * steps)])
    times = np.concatenate([[scene.starts_s[0]], scene.ends_s])
    found: Reals = np.diff(np.interp(grid, times, energy)) / np.diff(grid)
    return found


def _running(values: Reals, count: int) -> Reals:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    found: Reals = sums[count:] - sums[:-count]
    return found

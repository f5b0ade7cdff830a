"""Drift, steps and periods in the latencies of one run.

Each is looked for in a way that autocorrelation alone does not set off, and is
reported only where it is both beyond chance (about one window in a thousand) and
large enough to matter. Nothing is removed: what is found is said.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.ndimage import median_filter

from harness.stats.correlation import correlogram, normal_scores
from harness.stats.uncertainty import Reals

_BLOCKS = 32
_LEAST_PER_BLOCK = 8
_LEAST_BLOCKS = 16
_SMALLEST_CHANGE = 0.01
"""Ratio of the median; a smaller change moves no verdict."""
_TREND_LIMIT = 3.29
"""Two-sided 0.001 of the normal law."""
_STEP_LIMIT = 1.95
"""0.001 of Kolmogorov's law, the greatest height of a Brownian bridge."""
_EDGE_BLOCKS = 2
"""A step is not looked for in the first and last two blocks."""
_PERIOD_LIMIT = 1e-4
_SMALLEST_SHARE = 0.02
"""Share of the variance below which a period is not worth a word."""
_LEAST_FOR_PERIOD = 128
_SMOOTH_BINS = 65
_LEAST_CYCLES = 4
"""Fewer cycles than this in a window are a drift, not a period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A steady change: end over start of the window, less one, along the trend."""

    change_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A sudden change: level after over level before, less one, and where (0-1)."""

    change_ratio: float
    position_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A recurring pattern: its length in queries and its share of the variance."""

    queries: float
    variance_ratio: float


def find_change(latencies: Reals) -> Drift | Step | None:
    """Give the steady or the sudden change of a window, whichever fits better.

    Works on the medians of 32 blocks, so that neither outliers nor short-range
    correlation count. None where there is no change, or fewer than 128 observations.
    """
    blocks = _block_medians(latencies)
    if blocks is None:
        return None
    drift, drift_rest = _drift(blocks)
    step, step_rest = _step(blocks)
    if drift is None or step is None:
        return drift or step
    return drift if drift_rest <= step_rest else step


def find_period(latencies: Reals) -> Period | None:
    """Give the strongest period of a window, in queries; None where there is none.

    A peak of the periodogram of the normal scores, whitened to first order, over the
    running median of its neighbourhood: both take away the slow spectrum that
    autocorrelation makes. Its height is tested as the largest of as many exponential
    variables (Fisher, Proc. R. Soc. A 125 (1929) 54).
    """
    count = len(latencies)
    if count < _LEAST_FOR_PERIOD or np.ptp(latencies) == 0:
        return None
    scores = normal_scores(latencies)
    first = correlogram(scores).first
    white = scores[1:] - max(first, 0.0) * scores[:-1]
    power = _spectrum(white)
    heights = power / _floor(power)
    searched = heights[_LEAST_CYCLES - 1 :]
    peak = int(np.argmax(searched)) + _LEAST_CYCLES - 1
    chance = -np.expm1(len(searched) * np.log1p(-np.exp(-heights[peak])))
    seen = _spectrum(scores[1:])
    share = float(seen[max(peak - 1, 0) : peak + 2].sum() / seen.sum())
    if chance > _PERIOD_LIMIT or share < _SMALLEST_SHARE:
        return None
    return Period(queries=len(white) / (peak + 1), variance_ratio=share)


def theil_sen(values: Reals) -> float:
    """Give the median of the slopes between all pairs of values, per step.

    Theil (1950) and Sen, J. Am. Statistical Association 63 (1968) 1379.
    """
    first, second = np.triu_indices(len(values), k=1)
    return float(np.median((values[second] - values[first]) / (second - first)))


def _block_medians(latencies: Reals) -> Reals | None:
    blocks = min(_BLOCKS, len(latencies) // _LEAST_PER_BLOCK)
    if blocks < _LEAST_BLOCKS or np.ptp(latencies) == 0:
        return None
    return np.array([np.median(part) for part in np.array_split(latencies, blocks)])


def _drift(blocks: Reals) -> tuple[Drift | None, float]:
    """Test for a trend by Mann and Kendall, thinned by what is correlated beside it.

    The variance of S for independent observations is multiplied by what the
    correlation of the residuals inflates it by (after Hamed and Rao, J. Hydrology 204
    (1998) 182). Gives the drift and the scatter that it leaves.
    """
    count = len(blocks)
    slope = theil_sen(blocks)
    rest = blocks - slope * np.arange(count)
    first, second = np.triu_indices(count, k=1)
    score = float(np.sign(blocks[second] - blocks[first]).sum())
    variance = count * (count - 1) * (2 * count + 5) / 18
    z = abs(score) / sqrt(variance * correlogram(rest).inflation)
    change = slope * (count - 1) / float(np.median(rest))
    if z < _TREND_LIMIT or abs(change) < _SMALLEST_CHANGE:
        return None, float(rest.var())
    return Drift(change_ratio=change), float(rest.var())


def _step(blocks: Reals) -> tuple[Step | None, float]:
    """Test for one step by the greatest height of the cumulative sum (CUSUM).

    Against the scatter left beside the step, inflated by its own correlation. Gives
    the step and that scatter.
    """
    count = len(blocks)
    sums = np.cumsum(blocks - blocks.mean())[_EDGE_BLOCKS - 1 : -_EDGE_BLOCKS]
    at = int(np.argmax(np.abs(sums))) + _EDGE_BLOCKS
    before, after = blocks[:at], blocks[at:]
    rest = np.concatenate([before - before.mean(), after - after.mean()])
    scatter = float((rest**2).sum()) / (count - 2)
    height = float(np.abs(sums).max())
    limit = _STEP_LIMIT * sqrt(count * scatter * correlogram(rest).inflation)
    change = float(np.median(after) / np.median(before)) - 1
    if height <= limit or abs(change) < _SMALLEST_CHANGE:
        return None, scatter
    return Step(change_ratio=change, position_ratio=at / count), scatter


def _spectrum(values: Reals) -> Reals:
    """Give the periodogram without its mean, from one cycle in the window upwards."""
    power: Reals = np.abs(np.fft.rfft(values - values.mean())[1:]) ** 2
    return power


def _floor(power: Reals) -> Reals:
    """Give the mean height of the spectrum about each bin, by a running median.

    The median of an exponential variable is ln 2 times its mean.
    """
    width = min(_SMOOTH_BINS, len(power) // 2 * 2 - 1)
    floor: Reals = median_filter(power, size=width, mode="reflect") / np.log(2)
    return np.maximum(floor, np.finfo(np.float64).tiny)

"""Offset, skew and lags of pulses in a power trace, by robust least squares.

The model is the exact answer of a load that switches on and off at the host's edges
and follows with one time constant up and another down, averaged over the interval of
each reading, so that a meter slower than an edge still tells where within a reading
it fell. What enters linearly (base, slope and step) is solved for inside (variable
projection; Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413); offset, skew and
the logarithms of the time constants are found with the soft-L1 loss, which other work
of the device troubles less than squares.

Where a reading is longer than the lag of the supply, lag and offset cannot be told
apart: what is known of lags beforehand then decides, and its spread is in u.

All times here are in s: those of the meter with the coarse offset added, those of the
host from the same origin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from harness.stats.correlation import correlogram
from harness.stats.uncertainty import Reals

WIDEST_SKEW = 500e-6
_SKEW_SPREAD = 150e-6
"""Standard deviation of what meters' crystals are off (18 published traces: 130e-6)."""
_LIKELY_RISE_S, _LIKELY_FALL_S = 4e-3, 1.5e-3
_RISE_SPREAD, _FALL_SPREAD = log(4), log(2)
"""Standard deviations of the logarithms: factors of four and of two either way."""
_LAG_RANGE_S = (2e-5, 1.0)
_MAD = 1.4826
"""Median absolute deviation to standard deviation, normal law."""
_TINY = 1e-12
_STEPS = np.array([1e-7, 1e-9, 1e-4, 1e-4])
"""For differences: s, ratio, and logarithms of time constants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Readings of one stretch of time, and the edges of the load around it."""

    starts_s: Reals
    ends_s: Reals
    power_w: Reals
    rises_s: Reals
    falls_s: Reals


@dataclass(frozen=True, slots=True, kw_only=True)
class Lags:
    """Time constants in s with which power follows the load."""

    rise_s: float
    fall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What is to be added to the coarse relation, and how sure that is."""

    offset_s: float
    skew: float
    lags: Lags
    covariance: NDArray[np.float64]
    """Of offset and skew, 2 × 2."""
    freedom: float
    noise_w: float


def first_fit(offset_s: float, skew: float) -> Fit:
    """Give where a fit begins: with the lags that are likely, and nothing known."""
    return Fit(
        offset_s=offset_s,
        skew=min(max(skew, -WIDEST_SKEW), WIDEST_SKEW),
        lags=Lags(rise_s=_LIKELY_RISE_S, fall_s=_LIKELY_FALL_S),
        covariance=np.full((2, 2), np.inf),
        freedom=1.0,
        noise_w=np.inf,
    )


def fit_pulses(stretches: Sequence[Stretch], first: Fit) -> Fit:
    """Fit offset, skew and both lags to all readings; each stretch has its own levels.

    u from the Jacobian and the residuals, inflated by their autocorrelation.
    """
    start = unknowns_of(first)
    swing_w = max(float(np.ptp(stretch.power_w)) for stretch in stretches)
    noise_w = least_noise(_residuals(stretches, start), swing_w)

    def residuals(unknowns: Reals) -> Reals:
        return _residuals(stretches, unknowns) / noise_w

    found = solve(residuals, start)
    data = residuals(found.x)
    inflation = correlogram(data).inflation
    lost = 3 * len(stretches) + 2
    freedom = max(len(data) / inflation - lost, 1.0)
    scale = 2 * found.cost / max(len(data) - lost, 1) * inflation
    inverse = np.linalg.inv(found.jac.T @ found.jac)
    return fit_of(found.x, inverse * max(scale, 1.0), freedom, noise_w * spread(data))


def step_of(stretch: Stretch, fit: Fit) -> float:
    """Give the power in W that the load adds in one stretch."""
    return float(_solution(_basis(stretch, unknowns_of(fit)), stretch.power_w)[-1])


def mean_response(stretch: Stretch, offset_s: float, skew: float, lags: Lags) -> Reals:
    """Give the lagged load (0 idle, 1 busy), averaged over each reading.

    Towards 1 with one time constant from each rise on, towards 0 with the other from
    each fall on; the integral of that is exact, and its difference over a reading
    divided by the reading's length is the mean.
    """
    starts = stretch.starts_s * (1 + skew) + offset_s
    ends = stretch.ends_s * (1 + skew) + offset_s
    edges, levels, areas = _at_edges(stretch.rises_s, stretch.falls_s, lags)

    def integral(at_s: Reals) -> Reals:
        index = np.searchsorted(edges, at_s, side="right") - 1
        begun = index >= 0
        index = np.maximum(index, 0)
        since = np.where(begun, at_s - edges[index], 0.0)
        is_busy = index % 2 == 0
        lag = np.where(is_busy, lags.rise_s, lags.fall_s)
        towards = is_busy.astype(np.float64)
        gone = -np.expm1(-since / lag) * lag
        inside = areas[index] + towards * since + (levels[index] - towards) * gone
        found: Reals = np.where(begun, inside, 0.0)
        return found

    mean: Reals = (integral(ends) - integral(starts)) / (ends - starts)
    return mean


def _at_edges(rises_s: Reals, falls_s: Reals, lags: Lags) -> tuple[Reals, Reals, Reals]:
    """Give edges in order, and level and area so far at each."""
    edges = np.column_stack([rises_s, falls_s]).ravel()
    levels, areas = [0.0], [0.0]
    for index, length in enumerate(np.diff(edges).tolist()):
        lag = lags.fall_s if index % 2 else lags.rise_s
        towards = 0.0 if index % 2 else 1.0
        left = exp(-length / lag)
        away = levels[-1] - towards
        areas.append(areas[-1] + towards * length + away * lag * (1 - left))
        levels.append(towards + away * left)
    return edges, np.array(levels), np.array(areas)


def _bases(stretch: Stretch, response: Reals) -> Reals:
    """Columns that enter linearly: base, slope, step."""
    middle = (stretch.starts_s + stretch.ends_s) / 2
    span = max(float(np.ptp(middle)), _TINY)
    slope = (middle - middle.mean()) / span
    return np.column_stack([np.ones_like(response), slope, response])


def _basis(stretch: Stretch, unknowns: Reals) -> Reals:
    lags = Lags(rise_s=exp(unknowns[2]), fall_s=exp(unknowns[3]))
    response = mean_response(stretch, unknowns[0], unknowns[1], lags)
    return _bases(stretch, response)


def _solution(basis: Reals, power_w: Reals) -> Reals:
    """Solve the normal equations; the few columns are of order one."""
    gram: Reals = basis.T @ basis
    gram[np.diag_indices_from(gram)] += _TINY * len(power_w)
    aim: Reals = basis.T @ power_w
    return np.asarray(np.linalg.solve(gram, aim), dtype=np.float64)


def _residuals(stretches: Sequence[Stretch], unknowns: Reals) -> Reals:
    parts = []
    for stretch in stretches:
        basis = _basis(stretch, unknowns)
        parts.append(basis @ _solution(basis, stretch.power_w) - stretch.power_w)
    return np.concatenate(parts)


def least_noise(residuals: Reals, swing_w: float) -> float:
    """Give the noise that residuals are measured by: never nothing at all."""
    return max(spread(residuals), 1e-3 * swing_w, _TINY)


def spread(residuals: Reals) -> float:
    """Give the standard deviation of the well-behaved part, by the median."""
    return float(_MAD * np.median(np.abs(residuals)))


def _priors(unknowns: Reals) -> Reals:
    return np.array(
        [
            unknowns[1] / _SKEW_SPREAD,
            (unknowns[2] - log(_LIKELY_RISE_S)) / _RISE_SPREAD,
            (unknowns[3] - log(_LIKELY_FALL_S)) / _FALL_SPREAD,
        ]
    )


def solve(residuals: Callable[[Reals], Reals], start: Reals) -> optimize.OptimizeResult:
    """Minimise the soft-L1 loss of residuals in units of the noise, and of priors.

    The unknowns are offset in s, skew, and the logarithms of rise and fall in s.
    """
    low, high = (log(lag) for lag in _LAG_RANGE_S)

    def all_residuals(unknowns: Reals) -> Reals:
        return np.concatenate([residuals(unknowns), _priors(unknowns)])

    def slopes(unknowns: Reals) -> Reals:
        here = all_residuals(unknowns)
        moved = (all_residuals(unknowns + step) for step in np.diag(_STEPS))
        found: Reals = np.column_stack([there - here for there in moved]) / _STEPS
        return found

    bounds = np.array(
        [[-np.inf, np.inf], [-WIDEST_SKEW, WIDEST_SKEW], [low, high], [low, high]]
    ).T
    return optimize.least_squares(
        all_residuals,
        np.clip(start, *bounds),
        slopes,
        bounds=tuple(bounds),
        x_scale=[1e-3, 1e-4, 1.0, 1.0],
        loss="soft_l1",
    )


def unknowns_of(fit: Fit) -> Reals:
    """Give a fit as the vector that `solve` works on."""
    return np.array(
        [fit.offset_s, fit.skew, log(fit.lags.rise_s), log(fit.lags.fall_s)]
    )


def fit_of(unknowns: Reals, covariance: Reals, freedom: float, noise_w: float) -> Fit:
    """Give the vector that `solve` found as a fit; covariance is 4 × 4."""
    return Fit(
        offset_s=float(unknowns[0]),
        skew=float(unknowns[1]),
        lags=Lags(rise_s=exp(unknowns[2]), fall_s=exp(unknowns[3])),
        covariance=covariance[:2, :2],
        freedom=freedom,
        noise_w=noise_w,
    )

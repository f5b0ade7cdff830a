"""How far the queries of one run depend on each other, and what they are then worth.

Queries follow each other in one process on one machine: a slow one is likely to be
followed by a slow one. n of them carry as much about a percentile as n/D independent
ones would, D being the design effect that is estimated here.
"""

from dataclasses import dataclass
from math import ceil, log, log10, pi, sqrt

import numpy as np
from scipy import special

from harness.stats.uncertainty import Reals

_BAND = 2.0
"""c of Politis and White (2004), below their equation 9."""
_LEAST_FOR_CORRELATION = 16
"""Fewer observations than this say nothing about their correlation."""
_ONE_SIDED = 1.645
_NEGLIGIBLE = 1e-3
_MOST_FIRST = 0.999
"""A trend looks like ρ = 1; more than a thousandth of the data is always left."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlogram:
    """Autocorrelations at lags 1, 2 … , tapered, up to where they are negligible.

    Empty where no lag stands out of what independent observations show by chance.
    """

    tapered: Reals
    lags: int
    """The m of Politis and White: the last lag that is not negligible."""
    first: float
    """Lag 1, corrected for its bias; what a first-order process would go by."""
    count: int

    @property
    def inflation(self) -> float:
        """By what factor dependence raises the variance of a mean; at least 1.

        The larger of 1 + 2·Σρ over the window and (1 + ρ)/(1 - ρ) of a first-order
        process: short series hide what correlation they have from either alone.
        """
        first = max(self.first, 0.0)
        return max(1 + 2 * float(self.tapered.sum()), (1 + first) / (1 - first), 1.0)

    @property
    def is_correlated(self) -> bool:
        """Say whether lag 1 stands out (one-sided, 5 %) or any lag is in the window."""
        return self.lags > 0 or self.first > _ONE_SIDED / sqrt(self.count)


def correlogram(observations: Reals) -> Correlogram:
    """Estimate autocorrelations with the flat-top lag window.

    m is the smallest lag after which K consecutive autocorrelations lie within
    2·√(log10 n / n); the window is flat to lag m and falls to zero at 2m (Politis
    and White, Econometric Reviews 23 (2004) 53, section 3.2; corrected by Patton,
    Politis and White, Econometric Reviews 28 (2009) 372).
    """
    count = len(observations)
    if count < _LEAST_FOR_CORRELATION or np.ptp(observations) == 0:
        return Correlogram(tapered=np.empty(0), lags=0, first=0.0, count=count)
    consecutive = max(5, ceil(sqrt(log10(count))))
    most = min(ceil(sqrt(count)) + consecutive, count // 2)
    found = _autocorrelations(observations, min(2 * most, count - 1))
    lags = _last_lag(found[:most], _BAND * sqrt(log10(count) / count), consecutive)
    window = found[: 2 * lags]
    position = np.arange(1, len(window) + 1) / max(2 * lags, 1)
    taper = np.clip(2 * (1 - position), 0.0, 1.0)
    return Correlogram(
        tapered=window * taper,
        lags=lags,
        first=min(float(found[0] + (1 + 3 * found[0]) / count), _MOST_FIRST),
        count=count,
    )


def normal_scores(observations: Reals) -> Reals:
    """Replace observations by the normal quantiles of their ranks.

    Ties share their mean rank, so that a clock's coarse steps make no pattern. What
    is left does not depend on the unit, nor on any monotone change of scale.
    """
    _, inverse, counts = np.unique(
        observations, return_inverse=True, return_counts=True
    )
    last = np.cumsum(counts)
    mean_rank = last - (counts - 1) / 2
    scores: Reals = special.ndtri((mean_rank[inverse] - 0.5) / len(observations))
    return scores


def design_effect(observations: Reals, ratio: float, scores: Correlogram) -> float:
    """Say by what factor dependence shrinks the sample for the `ratio` percentile.

    What counts for a percentile is how "at or below it" is correlated over time,
    D = 1 + 2·Σρ, never below 1. Taken three ways, and the largest counts: from the
    correlation of the normal scores (`scores`), carried over to the threshold as for
    a Gaussian series, over the window and as a first-order process; and from the runs
    of slow queries themselves.
    """
    carried = _at_threshold(scores.tapered, ratio)
    decay = _at_threshold(_first_order(scores), ratio)
    threshold = np.quantile(observations, ratio, method="inverted_cdf")
    seen = correlogram((observations > threshold).astype(np.float64)).tapered
    return 1 + 2 * max(0.0, *(float(found.sum()) for found in (carried, decay, seen)))


def _first_order(scores: Correlogram) -> Reals:
    """Autocorrelations of a first-order process with the same lag 1, to 0.001.

    None where lag 1 does not stand out of chance: an inflation by chance alone would
    withhold percentiles of sound runs.
    """
    if not scores.is_correlated or scores.first <= 0:
        return np.empty(0)
    most = min(ceil(log(_NEGLIGIBLE) / log(scores.first)), scores.count)
    found: Reals = scores.first ** np.arange(1, most + 1, dtype=np.float64)
    return found


def _at_threshold(correlations: Reals, ratio: float) -> Reals:
    """Correlation of "below the quantile" for a Gaussian pair correlated by ρ.

    ∫₀^ρ φ₂(z, z; r) dr / (p·(1 - p)), since dΦ₂/dρ = φ₂ (Plackett, Biometrika 41
    (1954) 351), by Gauss-Legendre quadrature after r = sin θ, which takes away the
    pole at r = 1.
    """
    z = special.ndtri(ratio)
    angle = np.arcsin(np.clip(correlations, -0.999, 0.999))
    half = angle[:, None] / 2
    theta = half * (_NODES + 1)
    density = np.exp(-(z**2) / (1 + np.sin(theta))) / (2 * pi)
    inside = (half * density * _WEIGHTS).sum(axis=1)
    carried: Reals = inside / (ratio * (1 - ratio))
    return carried


def _autocorrelations(observations: Reals, lags: int) -> Reals:
    """Autocorrelations at lags 1 … `lags`, by the Fourier transform."""
    centred = observations - observations.mean()
    size = 1 << (len(centred) + lags).bit_length()
    spectrum = np.fft.rfft(centred, size)
    covariances = np.fft.irfft(np.abs(spectrum) ** 2, size)[: lags + 1]
    found: Reals = covariances[1:] / covariances[0]
    return found


def _last_lag(correlations: Reals, band: float, consecutive: int) -> int:
    """Give the last lag before `consecutive` ones that all lie within the band."""
    quiet = 0
    for lag, outside in enumerate(np.abs(correlations) >= band, start=1):
        quiet = 0 if outside else quiet + 1
        if quiet == consecutive:
            return lag - consecutive
    return len(correlations) - quiet

"""Percentiles with their definition, and bounds that assume no distribution.

A percentile of one run is an order statistic; so are its bounds, found from the
binomial distribution of how many observations lie below the true percentile. Where
queries depend on each other, n observations count as n/D of them (`correlation`),
as for samples with a design effect (Korn and Graubard, Survey Methodology 24 (1998)
193). `ratio` is the percentile as a number in (0, 1) throughout.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor, inf, log
from typing import assert_never

import numpy as np
from scipy import special

from harness.stats.uncertainty import CONFIDENCE, Reals

EARLY_STOPPING_CONFIDENCE = 0.99


class Definition(StrEnum):
    """What is meant by a percentile of n sorted observations."""

    NEAREST_RANK = "nearest-rank"
    """sorted[⌈n·p⌉ - 1]: the least observation that n·p of them do not exceed
    (definition 1 of Hyndman and Fan, The American Statistician 50 (1996) 361)."""
    LOADGEN = "loadgen"
    """sorted[⌊n·p⌋], as MLPerf LoadGen gives it (loadgen/results.cc)."""
    LINEAR = "linear"
    """Interpolated at (n - 1)·p: definition 7 there, numpy's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """One-sided bounds, each at the confidence asked for; ±infinity: none exists."""

    lower: float
    upper: float


def percentile(
    observations: Reals, ratio: float, method: Definition = Definition.NEAREST_RANK
) -> float:
    """Give the percentile of observations, in any order, by the definition named.

    Raises ValueError where there is no observation or `ratio` is not in (0, 1).
    """
    _require(ratio)
    ordered = np.sort(observations)
    if not len(ordered):
        raise ValueError("a percentile needs an observation")
    return percentile_of_sorted(ordered, ratio, method)


def percentile_of_sorted(
    ordered: Reals, ratio: float, method: Definition = Definition.NEAREST_RANK
) -> float:
    """Give the percentile of observations that are sorted already."""
    count = len(ordered)
    match method:
        case Definition.NEAREST_RANK:
            return float(ordered[nearest_rank(count, ratio) - 1])
        case Definition.LOADGEN:
            return float(ordered[min(floor(_product(count, ratio)), count - 1)])
        case Definition.LINEAR:
            return float(np.quantile(ordered, ratio, method="linear"))
        case _:
            assert_never(method)


def nearest_rank(count: int, ratio: float) -> int:
    """Give ⌈n·p⌉, counted from 1.

    >>> nearest_rank(1000, 0.999)
    999
    """
    return max(1, ceil(_product(count, ratio)))


def upper_rank(count: int, ratio: float, confidence: float = CONFIDENCE) -> int | None:
    """Give the rank, from 1, whose observation bounds the true percentile from above.

    The smallest k with P(Bin(n, p) ≤ k - 1) ≥ confidence (Conover, Practical
    Nonparametric Statistics, 3rd ed. 1999, section 3.2); None where n is too small.
    """
    if count < minimum_queries(ratio, confidence):
        return None
    low, high = 1, count
    while low < high:
        middle = (low + high) // 2
        is_enough = special.bdtr(middle - 1, count, ratio) >= confidence
        low, high = (low, middle) if is_enough else (middle + 1, high)
    return high


def lower_rank(count: int, ratio: float, confidence: float = CONFIDENCE) -> int | None:
    """Give the rank, from 1, whose observation bounds the percentile from below.

    The mirror image: -x has its (1 - p) percentile where x has its p percentile.
    """
    mirrored = upper_rank(count, 1 - ratio, confidence)
    return None if mirrored is None else count + 1 - mirrored


def minimum_queries(ratio: float, confidence: float = CONFIDENCE) -> int:
    """Give the least n for which an upper bound exists: 1 - pⁿ ≥ confidence.

    >>> minimum_queries(0.99), minimum_queries(0.999)
    (299, 2995)
    """
    _require(ratio)
    return ceil(log(1 - confidence) / log(ratio))


def early_stopping_minimum(
    ratio: float, slow: int = 1, confidence: float = EARLY_STOPPING_CONFIDENCE
) -> int:
    """Give LoadGen's least n for a percentile when `slow` queries may miss the bound.

    The smallest n with P(Bin(n, 1 - p) ≤ slow) ≤ 1 - confidence (MLPerf Inference
    rules, appendix "Early Stopping"; loadgen/early_stopping.cc, where the binomial
    sum is written as an incomplete beta function).

    >>> early_stopping_minimum(0.99)
    662
    """
    _require(ratio)
    low, high = slow + 1, slow + 2
    while special.bdtr(slow, high, 1 - ratio) > 1 - confidence:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        is_enough = special.bdtr(slow, middle, 1 - ratio) <= 1 - confidence
        low, high = (low, middle) if is_enough else (middle + 1, high)
    return high


def bounds_of_sorted(
    ordered: Reals,
    ratio: float,
    confidence: float = CONFIDENCE,
    design_effect: float = 1.0,
) -> Bounds:
    """Give one-sided bounds of a percentile from sorted observations.

    The ranks are found for n/D observations and then stretched to n, away from the
    percentile.
    """
    count = len(ordered)
    effective = floor(count / design_effect)
    upper = upper_rank(effective, ratio, confidence)
    lower = lower_rank(effective, ratio, confidence)
    if not effective:
        return Bounds(lower=-inf, upper=inf)
    below = None if lower is None else (lower - 1) * count // effective
    above = None if upper is None else -(-upper * count // effective) - 1
    return Bounds(
        lower=-inf if below is None else float(ordered[below]),
        upper=inf if above is None else float(ordered[above]),
    )


def needed_queries(
    ratio: float, design_effect: float, confidence: float = CONFIDENCE
) -> int:
    """Give how many queries one window needs for the upper bound to exist."""
    return ceil(minimum_queries(ratio, confidence) * design_effect)


def _product(count: int, ratio: float) -> float:
    # 1000 × 0.999 must be 999, whatever the binary fraction of 0.999 says
    return round(count * ratio, 9)


def _require(ratio: float) -> None:
    if not 0 < ratio < 1:
        raise ValueError(f"a percentile lies in (0, 1), not at {ratio}")

"""The block bootstrap of a mean: what one run alone says about its own uncertainty.

Blocks of consecutive observations keep the dependence inside them. For a mean the
circular block bootstrap (Politis and Romano, 1992) need not be simulated: with all
resamples drawn, its variance is the variance of the means of all n circular blocks of
length b, times b/n. So there is no seed and no resampling error here; a test compares
it with a seeded simulation.
"""

from dataclasses import dataclass
from math import ceil, inf, sqrt

import numpy as np

from harness.stats.correlation import correlogram
from harness.stats.uncertainty import Reals, Term

_LEAST_BLOCKS = 4
"""Blocks are never so long that fewer than four fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockMean:
    """A mean with its standard uncertainty from blocks of `block` observations."""

    value: float
    term: Term
    block: int


def block_length(observations: Reals) -> int:
    """Choose the length of blocks for the circular bootstrap of a mean.

    b = (2·G²/D)^⅓·n^⅓ with G = Σ|k|·R(k) and D = (4/3)·g(0)² (Politis and White
    2004, corrected by Patton, Politis and White 2009, section 3), never below 2m + 1
    where m lags are correlated: the optimum weighs bias against scatter, and here a
    block too short would make U too small. One where nothing is correlated.
    """
    found = correlogram(observations)
    if not found.lags:
        return 1
    lags = np.arange(1, len(found.tapered) + 1)
    slope = 2 * float((lags * found.tapered).sum())
    level = 1 + 2 * float(found.tapered.sum())
    count = len(observations)
    most = count // _LEAST_BLOCKS
    if level <= 0:  # alternating; no block length is too short
        return 1
    best = ceil((1.5 * slope**2 / level**2) ** (1 / 3) * count ** (1 / 3))
    return int(max(1, min(max(best, 2 * found.lags + 1), most)))


def block_mean(observations: Reals) -> BlockMean:
    """Give the mean of a series with u from the ideal circular block bootstrap.

    ν is the number of blocks that fit, less one. The variance of blocks about the
    mean of the same n observations falls short by (n - b)/n, and is corrected for
    it. Never below what the correlogram of the series gives, since blocks of a short,
    strongly correlated series see too little of it.

    Raises ValueError for an empty series.
    """
    count = len(observations)
    if not count:
        raise ValueError("a mean needs an observation")
    value = float(observations.mean())
    if count == 1 or np.ptp(observations) == 0:
        return BlockMean(value=value, term=Term(u=0.0, freedom=inf), block=1)
    block = block_length(observations)
    means = circular_block_means(observations - value, block)
    variance = float((means**2).mean()) * block / (count - block)
    inflation = correlogram(observations).inflation
    variance = max(variance, float(observations.var()) * inflation / (count - 1))
    freedom = max(count / max(block, inflation) - 1, 1.0)
    return BlockMean(
        value=value, term=Term(u=sqrt(variance), freedom=freedom), block=block
    )


def circular_block_means(observations: Reals, block: int) -> Reals:
    """Give the means of all n blocks of that length, the last ones wrapping round."""
    wrapped = np.concatenate([observations, observations[: block - 1]])
    sums = np.concatenate([[0.0], np.cumsum(wrapped)])
    means: Reals = (sums[block:] - sums[:-block]) / block
    return means

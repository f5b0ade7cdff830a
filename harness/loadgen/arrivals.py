"""Schedules of arrivals: at which instants queries fall due. Pure and seeded."""

import numpy as np
from numpy.typing import NDArray

from harness.domain.plan import Minimum
from harness.units import NS_PER_S


def periodic(period_ns: int, minimum: Minimum) -> NDArray[np.int64]:
    """Give instants in ns, one every `period_ns` from 0 on.

    There are as many as both minima ask for; the window reaches to one period after
    the last instant.
    """
    count = max(minimum.queries, -(-minimum.duration_ns // period_ns))
    return period_ns * np.arange(count, dtype=np.int64)


def poisson(
    rate_hz: float, minimum: Minimum, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the instants in ns of a Poisson process of `rate_hz` from 0 on.

    It ends with the first arrival at which both minima are met. Gaps are drawn from
    the exponential distribution with mean 1/rate.
    """
    expected = max(minimum.queries, rate_hz * minimum.duration_ns / NS_PER_S)
    gaps_per_draw = round(expected * 1.1) + 64
    offsets = np.empty(0)
    while len(offsets) < minimum.queries or offsets[-1] < minimum.duration_ns:
        gaps = generator.exponential(NS_PER_S / rate_hz, gaps_per_draw)
        last = offsets[-1] if len(offsets) else 0.0
        offsets = np.concatenate((offsets, last + np.cumsum(gaps)))
    long_enough = int(np.searchsorted(offsets, minimum.duration_ns)) + 1
    count = max(minimum.queries, long_enough)
    return np.rint(offsets[:count]).astype(np.int64)

"""How many slow queries a probe of a server may hold and still show its percentile.

The criterion of MLPerf LoadGen (early stopping): a percentile p keeps its bound when
so few of n queries were late that, were the true share of late queries 1 - p, so few
would be seen with a probability of at most 1 %. Queries are taken as independent.
"""

from math import exp, lgamma, log

CONFIDENCE = 0.99
"""MLPerf Inference rules, early stopping."""


def allowed_late(queries: int, percentile: float) -> int:
    """Give the most late queries of `queries` that show the percentile; -1: none do.

    >>> allowed_late(662, 0.99), allowed_late(661, 0.99), allowed_late(10, 0.99)
    (1, 0, -1)
    """
    tail = 0.0
    for late in range(queries + 1):
        tail += _probability(late, queries, percentile)
        if tail > 1.0 - CONFIDENCE:
            return late - 1
    return queries


def needed_queries(late: int, percentile: float) -> int:
    """Give the least number of queries of which `late` may be late.

    >>> [needed_queries(1, p) for p in (0.9, 0.95, 0.97, 0.99, 0.999)]
    [64, 130, 219, 662, 6636]
    """
    high = late + 1
    while allowed_late(high, percentile) < late:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if allowed_late(middle, percentile) < late:
            low = middle
        else:
            high = middle
    return high


def _probability(late: int, queries: int, percentile: float) -> float:
    """Binomial probability of exactly `late` late ones, by logarithms."""
    ways = lgamma(queries + 1) - lgamma(late + 1) - lgamma(queries - late + 1)
    return exp(ways + late * log(1.0 - percentile) + (queries - late) * log(percentile))

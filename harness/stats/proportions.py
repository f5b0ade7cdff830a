"""Intervals of shares, and of the ratio of two shares of the same items.

Score intervals throughout: they stay wide where all items agree, where those made
from an estimated variance collapse to nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from scipy import optimize

from harness.stats.uncertainty import CONFIDENCE, TWO_SIDED, student

ONE_SIDED_Z = student(float("inf"), CONFIDENCE)
TWO_SIDED_Z = student(float("inf"), TWO_SIDED)
_WIDEST = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Ends of a two-sided interval, or two one-sided bounds."""

    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Items that both got right, only one of the two, and all there are."""

    both: int
    only_first: int
    only_second: int
    items: int

    @property
    def ratio(self) -> float:
        """Share of the first over share of the second."""
        return (self.both + self.only_first) / (self.both + self.only_second)


def wilson(hits: int, items: int, z: float) -> Interval:
    """Give the score interval of a share (Wilson, 1927).

    >>> wilson(10, 10, 1.96).lower > 0.7
    True
    """
    share, spread = hits / items, z * z / items
    middle = (share + spread / 2) / (1 + spread)
    reach = z / (1 + spread) * sqrt(share * (1 - share) / items + spread / (4 * items))
    return Interval(lower=max(0.0, middle - reach), upper=min(1.0, middle + reach))


def ratio_interval(pairs: Paired, z: float) -> Interval:
    """Give the score interval of the ratio of two paired shares.

    Nam and Blackwelder (Statistics in Medicine 21, 2002), with the constrained maximum
    of Tang, Tang and Chan (2003). Raises ValueError where the second has no hit.
    """
    if pairs.both + pairs.only_second == 0:
        raise ValueError("a ratio to no hit at all does not exist")
    ratio = pairs.ratio

    def above(theta: float) -> float:
        return score_statistic(pairs, theta) - z

    def below(theta: float) -> float:
        return score_statistic(pairs, theta) + z

    least = 1 / _WIDEST
    lower = 0.0 if ratio <= least else _root(above, least, ratio)
    return Interval(lower=lower, upper=_root(below, max(ratio, least), _WIDEST))


def independent_ratio_interval(
    first: tuple[int, int], second: tuple[int, int], z: float
) -> Interval:
    """Give the score interval of the ratio of two shares of different items.

    Each is (hits, items). Koopman (Biometrics 40, 1984), with the constrained maximum
    in closed form. Raises ValueError where the second has no hit.
    """
    if second[0] == 0:
        raise ValueError("a ratio to no hit at all does not exist")
    ratio = (first[0] / first[1]) / (second[0] / second[1])

    def above(theta: float) -> float:
        return _independent_score(first, second, theta) - z

    def below(theta: float) -> float:
        return _independent_score(first, second, theta) + z

    least = 1 / _WIDEST
    lower = 0.0 if ratio <= least else _root(above, least, ratio)
    return Interval(lower=lower, upper=_root(below, max(ratio, least), _WIDEST))


def _independent_score(
    first: tuple[int, int], second: tuple[int, int], theta: float
) -> float:
    (hits, items), (other_hits, other_items) = first, second
    a = theta * (items + other_items)
    b = -(theta * (items + other_hits) + hits + other_items)
    c = hits + other_hits
    p = (-b - sqrt(max(b * b - 4 * a * c, 0.0))) / (2 * a)
    p = min(max(p, 0.0), 1.0, 1.0 / theta)
    mine = min(theta * p, 1.0)
    variance = mine * (1 - mine) / items + theta**2 * p * (1 - p) / other_items
    difference = hits / items - theta * other_hits / other_items
    if variance <= 0:
        return 0.0 if difference == 0 else difference * float("inf")
    return difference / sqrt(variance)


def score_statistic(pairs: Paired, theta: float) -> float:
    """Give the score statistic of the hypothesis that the ratio is `theta`."""
    n, all_hits = pairs.items, pairs.both + pairs.only_first + pairs.only_second
    first = pairs.both + pairs.only_first
    second = pairs.both + pairs.only_second
    a = n * (1 + theta)
    b = second * theta**2 - (first + 2 * pairs.only_second)
    c = pairs.only_second * (1 - theta) * all_hits / n
    only_second = (-b + sqrt(max(b * b - 4 * a * c, 0.0))) / (2 * a)
    variance = n * ((1 + theta) * only_second + (theta - 1) * all_hits / n)
    difference = first - theta * second
    if variance <= 0:
        return 0.0 if difference == 0 else difference * float("inf")
    return difference / sqrt(variance)


def _root(crossing: Callable[[float], float], low: float, high: float) -> float:
    if crossing(low) * crossing(high) > 0:  # no crossing inside: the end is the bound
        return low if abs(crossing(low)) < abs(crossing(high)) else high
    return float(optimize.brentq(crossing, low, high, xtol=1e-9))

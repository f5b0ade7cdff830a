"""One scale for all rows: the limits A, B and C always stand in the same places.

Between two limits the scale is logarithmic. Best is on the left. So rows of any
unit can stand under each other and be read in one glance.
"""

from dataclasses import dataclass
from math import exp, log

from harness.domain.estimate import Estimate
from harness.domain.requirement import Requirement, RowResult, Sense, Tier

KNOTS = (0.25, 0.50, 0.75)
"""Where the limits of A, B and C stand, as shares of the width."""

_LEAST_SPAN = log(1.1)
_TINY = exp(-40.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A row's value on the common scale, as shares of the width from the left.

    `low` to `high` is the guard band, or the stretch up to the one-sided bound.
    `is_off_left` and `is_off_right` say that the value lies beyond the drawn part.
    """

    at: float
    low: float
    high: float
    is_off_left: bool
    is_off_right: bool


def mark(result: RowResult, guard_ratio: float) -> Mark | None:
    """Place a row's estimate on the scale; None where there is no estimate."""
    if result.estimate is None:
        return None
    requirement = result.requirement
    ends = sorted(
        _clipped(_share(value, requirement))
        for value in band(requirement, result.estimate, guard_ratio)
    )
    share = _share(result.estimate.value, requirement)
    return Mark(
        at=_clipped(share),
        low=ends[0],
        high=ends[1],
        is_off_left=share < 0,
        is_off_right=share > 1,
    )


def band(
    requirement: Requirement, estimate: Estimate, guard_ratio: float
) -> tuple[float, float]:
    """Give the stretch that the decision rule looks at, in the unit inside.

    y - w to y + w with w = r·U. For rows that use a bound, the one-sided 95 % bounds
    where there are any, widened by r·k·u of the instrument.
    """
    value, guard = estimate.value, guard_ratio * estimate.expanded_uncertainty
    low, high = value - guard, value + guard
    if requirement.uses_bound:
        term = guard_ratio * estimate.coverage_factor * estimate.instrument_uncertainty
        if estimate.lower_bound is not None:
            low = min(value, estimate.lower_bound - term)
        if estimate.upper_bound is not None:
            high = max(value, estimate.upper_bound + term)
    return low, high


def _share(value: float, requirement: Requirement) -> float:
    """Place a value: 0.25 on the limit of A, 0.75 on that of C, below is better."""
    a, b, c = (
        _badness(requirement.limits[tier], requirement.sense)
        for tier in (Tier.A, Tier.B, Tier.C)
    )
    x = _badness(value, requirement.sense)
    if x <= a:
        return KNOTS[0] * (1 - (a - x) / max(b - a, _LEAST_SPAN))
    if x <= b:
        return KNOTS[0] + (KNOTS[1] - KNOTS[0]) * (x - a) / (b - a)
    if x <= c:
        return KNOTS[1] + (KNOTS[2] - KNOTS[1]) * (x - b) / (c - b)
    return KNOTS[2] + (1 - KNOTS[2]) * (x - c) / max(c - b, _LEAST_SPAN)


def _badness(value: float, sense: Sense) -> float:
    logarithm = log(max(value, _TINY))
    return logarithm if sense is Sense.AT_MOST else -logarithm


def _clipped(share: float) -> float:
    return min(max(share, 0.0), 1.0)

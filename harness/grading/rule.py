"""The decision rule: one figure against the limits of one row. No rounding."""

from dataclasses import dataclass
from math import log
from statistics import NormalDist

from harness.domain.estimate import Estimate
from harness.domain.requirement import Requirement, Sense, Tier, Verdict

LEAST_RESOLUTION = 4
"""How many times the expanded uncertainty has to fit between the limits of A and C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The ends that the decision rule looks at, in the unit inside."""

    better: float
    worse: float


def judge(
    requirement: Requirement, tier: Tier, estimate: Estimate, guard_ratio: float = 1.0
) -> Verdict:
    """Say whether a value meets the limit of a tier, given how well it is known.

    Outside the interval of `decision_interval` the answer is plain; inside it the
    answer is conditional, on the side where the value lies. The limit itself passes.
    The four words are those of ILAC-G8:09/2019, 4.2.3.
    """
    if requirement.measurand not in {"", estimate.measurand.name}:
        raise ValueError(
            f"a limit on {requirement.measurand} says nothing about "
            f"{estimate.measurand.name}"
        )
    interval = decision_interval(requirement, estimate, guard_ratio)
    if meets_limit(requirement, tier, estimate.value):
        is_plain = meets_limit(requirement, tier, interval.worse)
        return Verdict.PASS if is_plain else Verdict.CONDITIONAL_PASS
    is_plain = not meets_limit(requirement, tier, interval.better)
    return Verdict.FAIL if is_plain else Verdict.CONDITIONAL_FAIL


def decision_interval(
    requirement: Requirement, estimate: Estimate, guard_ratio: float = 1.0
) -> Interval:
    """Give the ends that the decision rule looks at.

    y ± w with w = r·U. Where the row uses a bound and the estimate has it, the
    one-sided 95 % bound takes the place of that end, widened by r·k·u of the
    instrument, which a bound made from the queries alone cannot see. An end never
    lies on the wrong side of the value.
    """
    y, guard = estimate.value, guard_ratio * estimate.expanded_uncertainty
    low, high = y - guard, y + guard
    if requirement.uses_bound:
        term = guard_ratio * estimate.coverage_factor * estimate.instrument_uncertainty
        if estimate.lower_bound is not None:
            low = min(y, estimate.lower_bound - term)
        if estimate.upper_bound is not None:
            high = max(y, estimate.upper_bound + term)
    if requirement.sense is Sense.AT_MOST:
        return Interval(better=low, worse=high)
    return Interval(better=high, worse=low)


def conformance(requirement: Requirement, tier: Tier, estimate: Estimate) -> float:
    """Give p_c, the probability that the true value meets the limit of a tier.

    For a normal distribution about the value (JCGM 106:2012, 7.2 and 8.2). Without
    any uncertainty it is 1 or 0.
    """
    if estimate.standard_uncertainty == 0:
        return 1.0 if meets_limit(requirement, tier, estimate.value) else 0.0
    truth = NormalDist(estimate.value, estimate.standard_uncertainty)
    below = truth.cdf(requirement.limits[tier])
    return below if requirement.sense is Sense.AT_MOST else 1.0 - below


def is_too_uncertain(requirement: Requirement, estimate: Estimate) -> bool:
    """Say whether a value is known too badly to award a tier on it.

    True where U is above a quarter of the distance between the limits of A and C
    (method, section 8). For a row that uses a bound, the distance from the value to
    the bound on the bad side stands for U. A plain fail of C stays an answer: an
    uncertainty may deny an award, it cannot undo a miss. Rows whose limits coincide
    leave no distance to resolve.
    """
    span = abs(requirement.limits[Tier.C] - requirement.limits[Tier.A])
    if span == 0 or judge(requirement, Tier.C, estimate) is Verdict.FAIL:
        return False
    worse = decision_interval(requirement, estimate).worse
    return abs(worse - estimate.value) > span / LEAST_RESOLUTION


def score(requirement: Requirement, value: float) -> float:
    """Place a value between 0 (twice as bad as the limit of C) and 100 (limit of A).

    s = 100·(ln x_D - ln x)/(ln x_D - ln x_A) with x_D = 2·C, or C/2 for rows with
    >=, clipped. It orders products of one grade and says nothing else.
    """
    best, worst = requirement.limits[Tier.A], requirement.limits[Tier.C]
    end = 2 * worst if requirement.sense is Sense.AT_MOST else worst / 2
    if value <= 0 or best <= 0 or end <= 0:
        return 100.0 if meets_limit(requirement, Tier.A, value) else 0.0
    raw = 100 * (log(end) - log(value)) / (log(end) - log(best))
    return min(100.0, max(0.0, raw))


def meets_limit(requirement: Requirement, tier: Tier, value: float) -> bool:
    """Say whether a bare value keeps the limit of a tier. The limit itself passes."""
    limit = requirement.limits[tier]
    return value <= limit if requirement.sense is Sense.AT_MOST else value >= limit

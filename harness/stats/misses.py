"""How often a periodic query is late, with a bound that holds where none was."""

from math import sqrt

import numpy as np
from scipy import special

from harness.domain.scenario import Periodic
from harness.stats.correlation import correlogram
from harness.stats.group import TOO_FEW_QUERIES, Answer, Figure, Group
from harness.stats.uncertainty import CONFIDENCE, Reals, Term
from harness.units import NS_PER_S


def miss_answer(group: Group, scenario: Periodic) -> Answer:
    """Give the share of queries that ended after their deadline.

    The bounds are Clopper and Pearson's (Biometrika 26 (1934) 404); with no miss in n
    queries the upper one is 1 - 0.05^(1/n), about 3/n. Misses that come in clusters,
    or more in some runs than in others, count as fewer independent ones (Korn and
    Graubard 1998).
    """
    limit = scenario.deadline_ns / NS_PER_S
    runs = [(s.latencies_s > limit).astype(float) for s in group.streams if len(s)]
    if not runs:
        return group.withhold("deadline_miss_ratio", TOO_FEW_QUERIES, needed=1)
    return group.estimate("deadline_miss_ratio", miss_ratio(runs))


def miss_ratio(runs: list[Reals]) -> Figure:
    """Give the ratio of ones in series of 0 and 1, each series being one run."""
    queries = sum(len(run) for run in runs)
    misses = float(sum(run.sum() for run in runs))
    effect = max(_within_runs(runs), _between_runs(runs))
    lower, upper = clopper_pearson(misses / effect, queries / effect)
    ratio = misses / queries
    return Figure(
        value=ratio,
        terms=(Term(u=sqrt(ratio * (1 - ratio) * effect / queries)),),
        lower=lower,
        upper=upper,
        runs=len(runs),
        queries=queries,
        method="misses over queries, Clopper-Pearson bounds, "
        f"design effect {effect:.3g}",
    )


def clopper_pearson(
    hits: float, count: float, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Give one-sided lower and upper bounds of a proportion, each at `confidence`.

    By quantiles of the beta distribution, so that effective numbers need not be whole.

    >>> round(clopper_pearson(0, 300)[1], 5)
    0.00994
    """
    lower, upper = 0.0, 1.0
    if hits > 0:
        lower = float(special.betaincinv(hits, count - hits + 1, 1 - confidence))
    if hits < count:
        upper = float(special.betaincinv(hits + 1, count - hits, confidence))
    return lower, upper


def _within_runs(runs: list[Reals]) -> float:
    """Design effect of clusters of misses: the worst run's."""
    return max(1 + 2 * max(float(correlogram(run).tapered.sum()), 0.0) for run in runs)


def _between_runs(runs: list[Reals]) -> float:
    """Dispersion of the runs' numbers of misses: Pearson's χ²/(R - 1), at least 1."""
    if len(runs) == 1:
        return 1.0
    counts = np.array([len(run) for run in runs], dtype=float)
    misses = np.array([run.sum() for run in runs])
    ratio = misses.sum() / counts.sum()
    if ratio in {0.0, 1.0}:
        return 1.0
    expected = counts * ratio
    variance = expected * (1 - ratio)
    dispersion = ((misses - expected) ** 2 / variance).sum() / (len(runs) - 1)
    return max(1.0, float(dispersion))

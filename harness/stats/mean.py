"""A mean over runs, and what stands in for the spread where there is only one run."""

from collections.abc import Sequence
from math import sqrt

from scipy import special

from harness.stats.bootstrap import BlockMean, block_mean
from harness.stats.group import Figure
from harness.stats.uncertainty import (
    CONFIDENCE,
    Reals,
    Term,
    between_runs,
    student,
)


def mean_of_runs(runs: Sequence[Reals]) -> Figure:
    """Give the mean of the runs' means, each run counting once.

    Two runs or more: Student's t between them. One run: the circular block bootstrap
    (`bootstrap`), which knows nothing of what differs from run to run. Raises
    ValueError for no run, or for a run without an observation.
    """
    if not runs:
        raise ValueError("a mean needs a run")
    queries = sum(len(run) for run in runs)
    if len(runs) == 1:
        found = block_mean(runs[0])
        return _one_run(found, queries)
    spread = between_runs([float(run.mean()) for run in runs])
    return Figure(
        value=spread.value,
        terms=(spread.term,),
        lower=spread.lower,
        upper=spread.upper,
        runs=len(runs),
        queries=queries,
        method=f"mean of {len(runs)} runs' means, Student t between runs",
    )


def rate_of_runs(runs: Sequence[Reals], samples: int) -> Figure:
    """Give the rate in Hz of samples from the spacings in s of queries, run by run.

    A run's rate is `samples` over its mean spacing; one run alone gets its relative
    uncertainty from that mean (JCGM 100, 5.1.6).
    """
    queries = sum(len(run) for run in runs)
    if len(runs) == 1:
        return quotient(samples, block_mean(runs[0]), queries)
    spread = between_runs([samples / float(run.mean()) for run in runs])
    return Figure(
        value=spread.value,
        terms=(spread.term,),
        lower=spread.lower,
        upper=spread.upper,
        runs=len(runs),
        queries=queries,
        method=f"samples over window, mean of {len(runs)} runs, Student t",
    )


def quotient(numerator: float, below: BlockMean, queries: int) -> Figure:
    """Give an exact number over a mean of one run, with the mean's relative u."""
    value = numerator / below.value
    u = value * below.term.u / below.value
    reach = student(below.term.freedom, CONFIDENCE) * u
    return Figure(
        value=value,
        terms=(Term(u=u, freedom=below.term.freedom),),
        lower=value - reach,
        upper=value + reach,
        queries=queries,
        method=f"samples over window, one run, {_blocks(below)}",
    )


def repeatability(means: Sequence[float]) -> Figure:
    """Give the coefficient of variation between runs' means, as a ratio.

    u of a standard deviation is s/√(2ν) (JCGM 100, E.4.3); the one-sided bounds come
    from the χ² distribution of s², for runs that scatter normally. Raises ValueError
    for fewer than two runs.
    """
    spread = between_runs(means)
    freedom = len(means) - 1
    ratio = spread.term.u * sqrt(len(means)) / spread.value
    return Figure(
        value=ratio,
        terms=(Term(u=ratio / sqrt(2 * freedom)),),
        lower=ratio * sqrt(freedom / special.chdtri(freedom, 1 - CONFIDENCE)),
        upper=ratio * sqrt(freedom / special.chdtri(freedom, CONFIDENCE)),
        runs=len(means),
        method=f"standard deviation over mean of {len(means)} runs' means",
    )


def _one_run(found: BlockMean, queries: int) -> Figure:
    reach = student(found.term.freedom, CONFIDENCE) * found.term.u
    return Figure(
        value=found.value,
        terms=(found.term,),
        lower=found.value - reach,
        upper=found.value + reach,
        queries=queries,
        method=f"mean of one run, {_blocks(found)}",
    )


def _blocks(found: BlockMean) -> str:
    return f"circular block bootstrap, blocks of {found.block}"

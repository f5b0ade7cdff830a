"""What several runs say together about a percentile, or about a pair of them.

No query of one run is ever pooled with those of another. The value is the mean of the
runs' own percentiles with Student's t between runs. Each bound is the more cautious
of two: the median over runs of the runs' own order-statistic bounds, which holds
where the runs differ by chance only, and the one-sided Student bound between runs,
which holds where they differ in truth. The median of R such bounds fails only if half
of them fail (for three runs 0.7 % where one fails with 5 %); that slack is there for
dependence which a single run's design effect does not see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isinf
from statistics import median_high, median_low

import numpy as np

from harness.stats.group import Figure
from harness.stats.percentile import (
    Bounds,
    Definition,
    bounds_of_sorted,
    needed_queries,
    percentile_of_sorted,
)
from harness.stats.series import Stream
from harness.stats.uncertainty import CONFIDENCE, Term, between_runs, student

MEDIAN = 0.50
_SHARE_OF_MEDIAN = 0.0002
"""Of the 5 % that a bound on two percentiles may fail, what the median's may: so
little that the tail needs no more queries than by itself (299 for p99)."""
_TAIL_CONFIDENCE = CONFIDENCE + _SHARE_OF_MEDIAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Too few queries for a percentile's upper bound: how many one window needs."""

    needed: int
    observed: int
    """Queries in the longest window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigure:
    """What one run says by itself; a bound that does not exist is ±infinity."""

    value: float
    lower: float
    upper: float


def percentile_of_runs(
    streams: Sequence[Stream],
    ratio: float,
    method: Definition = Definition.NEAREST_RANK,
) -> Figure | Shortfall:
    """Give a percentile over runs with one-sided 95 % bounds, or what it lacks.

    It is withheld where most of the runs are too short for an upper bound.
    """

    def of_run(stream: Stream) -> RunFigure:
        found = _bounds(stream, ratio, CONFIDENCE)
        value = percentile_of_sorted(stream.ordered, ratio, method)
        return RunFigure(value=value, lower=found.lower, upper=found.upper)

    return _over_runs(streams, of_run, (ratio, CONFIDENCE), f"{method} percentile")


def percentile_of_starts(streams: Sequence[Stream], ratio: float) -> Figure | Shortfall:
    """Give a percentile of cold starts, each a fresh process.

    Where the runs are long enough each for itself, as `percentile_of_runs`. Where they
    are not, all starts together make the order-statistic bounds, since no process
    knows of the one before it; Student's bound between the runs is kept beside them
    for what differs from run to run.
    """
    return _together(streams, ratio, 1.0, "fresh processes")


def percentile_of_answers(
    streams: Sequence[Stream], ratio: float
) -> Figure | Shortfall:
    """Give a percentile of something that happens once an answer of a language model.

    As `percentile_of_starts`, for runs of few, long answers. These may know of each
    other: what all runs in a row show of dependence, differences between runs among
    it, shrinks their number (`correlation`).
    """
    filled = [stream.latencies_s for stream in streams if len(stream)]
    row = Stream(np.concatenate(filled)) if filled else None
    effect = 1.0 if row is None else row.design_effect(ratio)
    return _together(streams, ratio, effect, "answers")


def _together(
    streams: Sequence[Stream], ratio: float, effect: float, what: str
) -> Figure | Shortfall:
    """Give a percentile of all runs together where each by itself is too short."""
    found = percentile_of_runs(streams, ratio)
    filled = [stream for stream in streams if len(stream)]
    if isinstance(found, Figure) or not filled:
        return found
    ordered = np.sort(np.concatenate([stream.latencies_s for stream in filled]))
    bounds = bounds_of_sorted(ordered, ratio, CONFIDENCE, effect)
    if isinf(bounds.upper):
        return Shortfall(needed=needed_queries(ratio, effect), observed=len(ordered))
    value = percentile_of_sorted(ordered, ratio)
    pooled = RunFigure(value=value, lower=bounds.lower, upper=bounds.upper)
    own = [percentile_of_sorted(stream.ordered, ratio) for stream in filled]
    spread = between_runs(own) if len(own) > 1 else None
    return Figure(
        value=value,
        terms=(_from_bounds(pooled), *([spread.term] if spread else [])),
        lower=min(bounds.lower, spread.lower if spread else inf),
        upper=max(bounds.upper, spread.upper if spread else -inf),
        runs=len(filled),
        queries=len(ordered),
        method=f"nearest-rank percentile of {what}, order-statistic bounds",
    )


def gap_of_runs(streams: Sequence[Stream], ratio: float) -> Figure | Shortfall:
    """Give a percentile less the median, over runs, in s.

    The bounds hold by Bonferroni's inequality: the tail's at 95.02 %, the median's at
    99.98 %.
    """
    return _over_runs(
        streams,
        lambda stream: _gap(stream, ratio),
        (ratio, _TAIL_CONFIDENCE),
        "nearest-rank percentile less median",
    )


def relative_gap_of_runs(streams: Sequence[Stream], ratio: float) -> Figure | Shortfall:
    """Give a percentile less the median, over the median, over runs; a ratio.

    Bounds as in `gap_of_runs`.
    """
    return _over_runs(
        streams,
        lambda stream: _relative(stream, ratio),
        (ratio, _TAIL_CONFIDENCE),
        "nearest-rank percentile less median, over the median",
    )


def _over_runs(
    streams: Sequence[Stream],
    of_run: Callable[[Stream], RunFigure],
    limit: tuple[float, float],
    what: str,
) -> Figure | Shortfall:
    """Put the runs' own figures together; `limit` is (percentile, confidence)."""
    filled = [stream for stream in streams if len(stream)]
    found = [of_run(stream) for stream in filled]
    upper = median_high([run.upper for run in found]) if found else inf
    if isinf(upper):
        return _shortfall(filled, *limit)
    lower = median_low([run.lower for run in found])
    queries = sum(len(stream) for stream in filled)
    if len(found) == 1:
        return Figure(
            value=found[0].value,
            terms=(_from_bounds(found[0]),),
            lower=lower,
            upper=upper,
            queries=queries,
            method=f"{what} of one run, order-statistic bounds",
        )
    spread = between_runs([run.value for run in found])
    return Figure(
        value=spread.value,
        terms=(spread.term,),
        lower=min(lower, spread.lower),
        upper=max(upper, spread.upper),
        runs=len(found),
        queries=queries,
        method=f"{what} per run, mean of {len(found)} runs, Student t; "
        "bounds by order statistics or between runs, whichever is wider",
    )


def _bounds(stream: Stream, ratio: float, confidence: float) -> Bounds:
    return bounds_of_sorted(
        stream.ordered, ratio, confidence, stream.design_effect(ratio)
    )


def _gap(stream: Stream, ratio: float) -> RunFigure:
    tail = _bounds(stream, ratio, _TAIL_CONFIDENCE)
    middle = _bounds(stream, MEDIAN, 1 - _SHARE_OF_MEDIAN)
    return RunFigure(
        value=percentile_of_sorted(stream.ordered, ratio)
        - percentile_of_sorted(stream.ordered, MEDIAN),
        lower=max(tail.lower - middle.upper, 0.0),
        upper=tail.upper - middle.lower,
    )


def _relative(stream: Stream, ratio: float) -> RunFigure:
    tail = _bounds(stream, ratio, _TAIL_CONFIDENCE)
    middle = _bounds(stream, MEDIAN, 1 - _SHARE_OF_MEDIAN)
    median = percentile_of_sorted(stream.ordered, MEDIAN)
    return RunFigure(
        value=percentile_of_sorted(stream.ordered, ratio) / median - 1,
        lower=max(tail.lower / middle.upper - 1, 0.0),
        upper=tail.upper / middle.lower - 1 if middle.lower > 0 else inf,
    )


def _shortfall(streams: Sequence[Stream], ratio: float, confidence: float) -> Shortfall:
    """Say what the run that comes nearest to enough would have needed."""
    effects = [stream.design_effect(ratio) for stream in streams] or [1.0]
    return Shortfall(
        needed=needed_queries(ratio, median_high(effects), confidence),
        observed=max((len(stream) for stream in streams), default=0),
    )


def _from_bounds(run: RunFigure) -> Term:
    """Take u from one run's bounds: the farther of the two 95 % bounds is 1.645·u."""
    sides = [run.upper - run.value, run.value - run.lower]
    farthest = max(side for side in sides if not isinf(side))
    return Term(u=max(farthest, 0.0) / student(inf, CONFIDENCE))

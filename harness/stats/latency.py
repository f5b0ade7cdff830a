"""Latency, jitter, rate and repeatability of a group of runs.

The harness's own cost per query is inside every latency that it records, and can
only make it longer. Below a millisecond it enters: u gets a rectangular term of
half-width o, the median cost of a query that does nothing, and the lower bound is
moved down by o. The upper bound stays: the true latency is at most the recorded one.
Above a millisecond o is below what a run repeats to; a finding says where it is not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from harness.domain.scenario import (
    ColdStart,
    LlmDecode,
    LlmSustained,
    MultiStream,
    Offline,
    Periodic,
    Server,
    SingleStream,
    Sustained,
)
from harness.stats.decoding import decode_answers, level_run
from harness.stats.group import TOO_FEW_QUERIES, Answer, Figure, Group
from harness.stats.mean import mean_of_runs, rate_of_runs, repeatability
from harness.stats.series import spacings_s
from harness.stats.tails import (
    Shortfall,
    gap_of_runs,
    percentile_of_runs,
    percentile_of_starts,
    relative_gap_of_runs,
)
from harness.stats.uncertainty import rectangular
from harness.units import NS_PER_S

PERCENTILES: Mapping[str, float] = MappingProxyType(
    {
        "latency_p50": 0.50,
        "latency_p90": 0.90,
        "latency_p99": 0.99,
        "latency_p999": 0.999,
    }
)
"""Measurand → the percentile that it is."""

_OVERHEAD_MATTERS_BELOW_S = 1e-3
_TAIL, _FAR_TAIL = 0.99, 0.999
_COLD_START = 0.90
_LEAST_RUNS_FOR_A_SPREAD = 2


def latency_answers(group: Group) -> Iterator[Answer]:
    """Give what a group's latencies answer: which figures depends on its scenario."""
    match group.scenario:
        case SingleStream() | MultiStream():
            yield from _latencies(group)
            yield from _jitter(group)
            yield _rate(group)
            yield from _repeatability(group)
        case Periodic():
            yield from _latencies(group)
            yield from _jitter(group)
            yield from _repeatability(group)
        case Offline() | Sustained():
            yield _rate(group)
            yield from _repeatability(group)
        case ColdStart():
            found = percentile_of_starts(group.streams, _COLD_START)
            yield _answer(group, "cold_start_p90", found)
        case Server():
            return  # its latencies belong to probed rates, not to the device
        case LlmDecode() as scenario:
            yield from decode_answers(group, scenario)
            yield from _repeatability_of_tokens(group)
        case LlmSustained():
            return  # `harness.stats.sustained` holds its fifths against each other
        case _:
            assert_never(group.scenario)


def _latencies(group: Group) -> Iterator[Answer]:
    filled = [stream.latencies_s for stream in group.streams if len(stream)]
    if not filled:
        yield group.withhold("latency_mean", TOO_FEW_QUERIES, needed=1)
    else:
        mean = mean_of_runs(filled)
        yield group.estimate("latency_mean", with_overhead(mean, group))
    for name, ratio in PERCENTILES.items():
        found = percentile_of_runs(group.streams, ratio)
        if isinstance(found, Figure):
            found = with_overhead(found, group)
        yield _answer(group, name, found)


def _jitter(group: Group) -> Iterator[Answer]:
    gap = gap_of_runs(group.streams, _TAIL)
    yield _answer(group, "jitter", gap)
    if group.profile.refresh_hz is not None:
        in_frames = gap
        if isinstance(gap, Figure):
            in_frames = _scaled(gap, group.profile.refresh_hz, "times the refresh rate")
        yield _answer(group, "jitter_frame_ratio", in_frames)
    far = relative_gap_of_runs(group.streams, _FAR_TAIL)
    yield _answer(group, "jitter_median_ratio", far)


def _rate(group: Group) -> Answer:
    spacings = [found for trial in group.trials if len(found := spacings_s(trial))]
    if not spacings:
        return group.withhold("throughput", TOO_FEW_QUERIES, needed=1)
    samples = max(
        trial.queries.samples_per_query for trial in group.trials if trial.queries
    )
    return group.estimate("throughput", rate_of_runs(spacings, samples))


def _repeatability(group: Group) -> Iterator[Answer]:
    means = [float(s.latencies_s.mean()) for s in group.streams if len(s)]
    if len(means) >= _LEAST_RUNS_FOR_A_SPREAD:
        figure = replace(repeatability(means), queries=group.queries)
        yield group.estimate("repeat_cv", figure)


def _repeatability_of_tokens(group: Group) -> Iterator[Answer]:
    """Give how far the mean TPOT of the first level varies from run to run."""
    found = (level_run(trial, 0) for trial in group.trials)
    means = [float(r.tpot_s.mean()) for r in found if r is not None and len(r.tpot_s)]
    if len(means) >= _LEAST_RUNS_FOR_A_SPREAD:
        figure = replace(repeatability(means), queries=group.queries)
        yield group.estimate("repeat_cv", figure)


def with_overhead(figure: Figure, group: Group) -> Figure:
    """Let the harness's own cost enter a latency below a millisecond."""
    costs = [t.overhead.latency_p50_ns for t in group.trials if t.overhead is not None]
    if not costs or figure.value >= _OVERHEAD_MATTERS_BELOW_S:
        return figure
    cost = max(costs) / NS_PER_S
    lower = None if figure.lower is None else max(figure.lower - cost, 0.0)
    return replace(
        figure,
        terms=(*figure.terms, rectangular(cost)),
        lower=lower,
        method=f"{figure.method}; own cost of the harness as a rectangular term",
    )


def _scaled(figure: Figure, factor: float, what: str) -> Figure:
    return replace(
        figure,
        value=figure.value * factor,
        terms=tuple(replace(term, u=term.u * factor) for term in figure.terms),
        lower=None if figure.lower is None else figure.lower * factor,
        upper=None if figure.upper is None else figure.upper * factor,
        method=f"{figure.method}; {what}",
    )


def _answer(group: Group, name: str, found: Figure | Shortfall) -> Answer:
    if isinstance(found, Figure):
        return group.estimate(name, found)
    return group.withhold(
        name, TOO_FEW_QUERIES, needed=found.needed, observed=found.observed
    )

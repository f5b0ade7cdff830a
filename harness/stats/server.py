"""The highest rate of Poisson arrivals at which the latency percentile keeps its bound.

A probed rate is valid when the one-sided 95 % upper bound of the percentile, not the
percentile itself, is within the bound: a rate is claimed only where it is shown.
"""

from dataclasses import dataclass
from math import inf, isinf

import numpy as np

from harness.domain.record import TrialRecord
from harness.domain.scenario import Server
from harness.stats.group import (
    NO_RATE_KEPT,
    TOO_FEW_QUERIES,
    Answer,
    Figure,
    Group,
)
from harness.stats.percentile import bounds_of_sorted, needed_queries
from harness.stats.series import Stream, is_measured, latencies_s
from harness.stats.uncertainty import CONFIDENCE, Term, between_runs, rectangular
from harness.units import NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One probed rate with the upper bound of its latency percentile in s.

    The bound is infinite where the probe is too short for one; `needed` then says
    how many queries it would have taken.
    """

    rate_hz: float
    upper_s: float
    queries: int
    needed: int


def server_answer(group: Group, scenario: Server) -> Answer:
    """Give the highest valid rate of a group, mean of its runs; or why there is none.

    The true highest rate lies between the highest valid and the next rate that was
    not shown: a rectangular term, one-sided, with the lower end as the value.
    """
    searches = [found for trial in group.trials if (found := probes(trial, scenario))]
    everything = [probe for search in searches for probe in search]
    kept = [best for search in searches if (best := _highest(search, scenario))]
    if kept and len(kept) == len(searches):
        return group.estimate("server_rate", _figure(kept, group.queries))
    undecided = [probe for probe in everything if isinf(probe.upper_s)]
    if everything and not undecided:
        return group.withhold("server_rate", NO_RATE_KEPT, observed=group.queries)
    return group.withhold(
        "server_rate",
        TOO_FEW_QUERIES,
        needed=max((probe.needed for probe in undecided), default=None),
        observed=max((probe.queries for probe in undecided), default=0),
    )


def probes(trial: TrialRecord, scenario: Server) -> list[Probe]:
    """Give the probed rates of a run, lowest first; those at one rate as they came."""
    queries = trial.queries
    if queries is None:
        return []
    latencies = latencies_s(queries)
    segments = np.asarray(queries.segment, dtype=np.int64)
    chosen = is_measured(queries)
    found = []
    for segment, rate in queries.segment_rates_hz.items():
        stream = Stream(latencies[chosen & (segments == segment)])
        if len(stream):
            found.append(_probe(rate, stream, scenario.percentile))
    return sorted(found, key=lambda probe: probe.rate_hz)


def _probe(rate_hz: float, stream: Stream, ratio: float) -> Probe:
    effect = stream.design_effect(ratio)
    bounds = bounds_of_sorted(stream.ordered, ratio, CONFIDENCE, effect)
    return Probe(
        rate_hz=rate_hz,
        upper_s=bounds.upper,
        queries=len(stream),
        needed=needed_queries(ratio, effect),
    )


def _highest(search: list[Probe], scenario: Server) -> tuple[float, float] | None:
    """Give the highest valid rate in Hz and the next one that is not; inf: none."""
    limit_s = scenario.latency_bound_ns / NS_PER_S
    valid = [probe.rate_hz for probe in search if probe.upper_s <= limit_s]
    if not valid:
        return None
    highest = max(valid)
    above = [probe.rate_hz for probe in search if probe.rate_hz > highest]
    return highest, min(above, default=inf)


def _figure(kept: list[tuple[float, float]], queries: int) -> Figure:
    rates = [rate for rate, _ in kept]
    gaps = [above - rate for rate, above in kept if not isinf(above)]
    terms: list[Term] = [rectangular(max(gaps) / 2)] if gaps else []
    value = rates[0]
    if len(rates) > 1:
        spread = between_runs(rates)
        value = spread.value
        terms.append(spread.term)
    return Figure(
        value=value,
        terms=tuple(terms),
        runs=len(rates),
        queries=queries,
        method="highest probed rate whose percentile's upper bound keeps the bound, "
        f"mean of {len(rates)} run(s)",
    )

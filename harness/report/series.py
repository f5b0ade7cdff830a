"""Columns of a record as small curves: cut to what a chart can show, never smoothed.

A curve of many points becomes, bin by bin, the least, the median and the greatest
value, so that no peak is lost and the chart stays small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.domain.query import Phase
from harness.domain.reading import ReadingBlock
from harness.domain.record import Queries, TrialRecord
from harness.units import NS_PER_S

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve over time in s: per bin the least, median and greatest value (SI)."""

    times_s: Reals
    low: Reals
    middle: Reals
    high: Reals


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One run's curve, with the stretches of time that are to be shaded.

    `shaded` are (kind, from s, to s), the kind being a `Phase` value.
    """

    label: str
    curve: Curve
    shaded: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One probe of a search for a rate: the rate in Hz and a latency in s."""

    rate_hz: float
    latency_s: float
    queries: int


def latencies_s(queries: Queries) -> Reals:
    """Give completed - scheduled of every query in s, warm-up included."""
    completed = np.asarray(queries.completed_ns, dtype=np.int64)
    scheduled = np.asarray(queries.scheduled_ns, dtype=np.int64)
    latencies: Reals = (completed - scheduled) / NS_PER_S
    return latencies


def measured_s(trial: TrialRecord) -> Reals:
    """Give the latencies of a trial's measured queries in s; empty where none."""
    if trial.queries is None:
        return np.empty(0)
    chosen = np.asarray(trial.queries.is_measured, dtype=np.int8) == 1
    measured: Reals = latencies_s(trial.queries)[chosen]
    return measured


def gaps_s(trial: TrialRecord, segment: int) -> Reals:
    """Give the gaps in s between the tokens of measured answers of one level."""
    queries = trial.queries
    if queries is None or not queries.inner_counts:
        return np.empty(0)
    segments = np.asarray(queries.segment, dtype=np.int64)
    is_measured = np.asarray(queries.is_measured, dtype=np.int8) == 1
    of = np.repeat(
        np.arange(len(segments)), np.asarray(queries.inner_counts, dtype=np.int64)
    )
    gaps = np.diff(np.asarray(queries.inner_ns, dtype=np.int64)) / NS_PER_S
    is_inside = of[1:] == of[:-1]
    found: Reals = gaps[is_inside & (is_measured & (segments == segment))[of[1:]]]
    return found


def latency_panel(trial: TrialRecord, *, bins: int) -> Panel | None:
    """Give one run's latencies over the time of issue, warm-up shaded."""
    if trial.queries is None or not len(trial.queries):
        return None
    scheduled = np.asarray(trial.queries.scheduled_ns, dtype=np.int64)
    is_measured = np.asarray(trial.queries.is_measured, dtype=np.int8)
    times = (scheduled - scheduled[0]) / NS_PER_S
    curve = envelope(times, latencies_s(trial.queries), bins=bins)
    first = int(np.argmax(is_measured)) if is_measured.any() else len(times) - 1
    shaded = ((Phase.WARM_UP.value, 0.0, float(times[first])),) if first else ()
    return Panel(label=f"run {trial.trial.run}", curve=curve, shaded=shaded)


def reading_panel(trial: TrialRecord, channel: str, *, bins: int) -> Panel | None:
    """Give one run's readings of a channel over time, phases shaded."""
    block = _block(trial.readings, channel)
    if block is None or not len(block.times_ns):
        return None
    times_ns = np.asarray(block.times_ns, dtype=np.int64)
    origin_ns = int(times_ns[0])
    times = (times_ns - origin_ns) / NS_PER_S
    values = np.asarray(block.values, dtype=np.float64)
    is_same_clock = block.clock == trial.clock  # else phases cannot be laid over it
    shaded = _phases(trial, origin_ns, float(times[-1])) if is_same_clock else ()
    curve = envelope(times, values, bins=bins)
    return Panel(label=f"run {trial.trial.run}", curve=curve, shaded=shaded)


def probes(trial: TrialRecord, percentile: float) -> tuple[Probe, ...]:
    """Give each probe of a search with the latency at `percentile` (0-1).

    The order statistic of rank ceil(n·p), for the eye: the verdict's figures come
    from statistics.
    """
    queries = trial.queries
    if queries is None:
        return ()
    latencies = latencies_s(queries)
    segments = np.asarray(queries.segment, dtype=np.int64)
    is_measured = np.asarray(queries.is_measured, dtype=np.int8) == 1
    found = []
    for segment, rate in sorted(queries.segment_rates_hz.items()):
        chosen = np.sort(latencies[(segments == segment) & is_measured])
        if len(chosen):
            rank = max(int(np.ceil(len(chosen) * percentile)), 1)
            latency = float(chosen[rank - 1])
            found.append(Probe(rate_hz=rate, latency_s=latency, queries=len(chosen)))
    return tuple(found)


def envelope(times_s: Reals, values: Reals, *, bins: int) -> Curve:
    """Cut a curve to at most `bins` points of equal numbers of values.

    Raises ValueError where there is no value at all.
    """
    if not len(values):
        raise ValueError("a curve needs a value")
    parts = min(bins, len(values))
    edges = np.linspace(0, len(values), parts + 1).astype(int)
    groups = [slice(begin, end) for begin, end in pairwise(edges)]
    return Curve(
        times_s=np.array([times_s[group].mean() for group in groups]),
        low=np.array([values[group].min() for group in groups]),
        middle=np.array([np.median(values[group]) for group in groups]),
        high=np.array([values[group].max() for group in groups]),
    )


def _block(readings: Sequence[ReadingBlock], channel: str) -> ReadingBlock | None:
    return next((block for block in readings if block.channel.name == channel), None)


def _phases(
    trial: TrialRecord, origin_ns: int, end_s: float
) -> tuple[tuple[str, float, float], ...]:
    starts = [(at - origin_ns) / NS_PER_S for _, at in trial.phases]
    ends = [*starts[1:], end_s][: len(starts)]  # a trial may end before any phase
    spans = (
        (phase.value, max(start, 0.0), min(end, end_s))
        for (phase, _), start, end in zip(trial.phases, starts, ends, strict=True)
    )
    return tuple((kind, start, end) for kind, start, end in spans if end > start)

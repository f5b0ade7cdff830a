"""The columns of a trial as numbers in seconds, and what is computed of them once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.domain.record import Queries, TrialRecord
from harness.domain.scenario import Periodic
from harness.stats.correlation import (
    Correlogram,
    correlogram,
    design_effect,
    normal_scores,
)
from harness.stats.uncertainty import Reals
from harness.units import NS_PER_S

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The measured window on the trial's clock, in s from the clock's origin."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in s."""
        return self.end_s - self.start_s


class Stream:
    """The latencies of one run's measured queries in s, in order of issue.

    Sorting and correlations are worked out once, when first asked for.
    """

    def __init__(self, latencies_s: Reals) -> None:
        self.latencies_s = latencies_s

    def __len__(self) -> int:
        return len(self.latencies_s)

    @cached_property
    def ordered(self) -> Reals:
        """The latencies, smallest first."""
        return np.sort(self.latencies_s)

    @cached_property
    def scores(self) -> Correlogram:
        """Correlogram of the normal scores."""
        return correlogram(normal_scores(self.latencies_s))

    def design_effect(self, ratio: float) -> float:
        """Say by what factor dependence shrinks this sample for a percentile."""
        return design_effect(self.latencies_s, ratio, self.scores)


def stream_of(trial: TrialRecord) -> Stream:
    """Give the latencies (completed - scheduled) of a trial's measured queries."""
    if trial.queries is None:
        return Stream(np.empty(0))
    return Stream(latencies_s(trial.queries)[is_measured(trial.queries)])


def latencies_s(queries: Queries) -> Reals:
    """Give completed - scheduled of every query in s, warm-up included."""
    completed = np.asarray(queries.completed_ns, dtype=np.int64)
    scheduled = np.asarray(queries.scheduled_ns, dtype=np.int64)
    latencies: Reals = (completed - scheduled) / NS_PER_S
    return latencies


def is_measured(queries: Queries) -> Flags:
    """Tell, query by query, which lie in the measured window."""
    chosen: Flags = np.asarray(queries.is_measured, dtype=np.int8) == 1
    return chosen


def spacings_s(trial: TrialRecord) -> Reals:
    """Give the time in s that each measured query took of the window.

    From one completion to the next, the first from its own issue: their sum is the
    window, so that their mean is the reciprocal of the rate.
    """
    queries = trial.queries
    if queries is None or not is_measured(queries).any():
        return np.empty(0)
    chosen = is_measured(queries)
    completed = np.asarray(queries.completed_ns, dtype=np.int64)[chosen]
    issued = np.asarray(queries.issued_ns, dtype=np.int64)[chosen]
    spacings: Reals = np.diff(completed, prepend=issued[0]) / NS_PER_S
    return spacings


def window_of(trial: TrialRecord) -> Window | None:
    """Give the window of the measured queries; None where there are none.

    From the first schedule to the last completion; in Periodic to the end of the last
    period, so that the window holds whole periods. Where a device told no time, all
    that the host heard of its windows: what each was is in the meter's trace.
    """
    if trial.marked is not None:
        begun, ended = trial.marked.begun_ns[0], trial.marked.ended_ns[-1]
        return Window(start_s=begun / NS_PER_S, end_s=ended / NS_PER_S)
    queries = trial.queries
    if queries is None or not is_measured(queries).any():
        return None
    chosen = is_measured(queries)
    scheduled = np.asarray(queries.scheduled_ns, dtype=np.int64)[chosen]
    end = int(np.asarray(queries.completed_ns, dtype=np.int64)[chosen].max())
    if isinstance(trial.trial.scenario, Periodic):
        end = max(end, int(scheduled[-1]) + trial.trial.scenario.period_ns)
    return Window(start_s=int(scheduled[0]) / NS_PER_S, end_s=end / NS_PER_S)

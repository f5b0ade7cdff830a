"""Energy of each single query, for meters fast enough to see one from the next.

For the eye, and to show queries that cost more than others. The verdict's figure is
that of the whole window, whose edges are guarded; a single query's are not.
"""

from dataclasses import dataclass

import numpy as np

from harness.domain.record import TrialRecord
from harness.stats.idle import baselines, guard_s, idle_power
from harness.stats.metered import latency_s, u_clock_s
from harness.stats.power import PowerTrace, power_trace
from harness.stats.series import is_measured
from harness.stats.uncertainty import Reals
from harness.units import NS_PER_S

LEAST_READINGS = 10
"""In a query, so that its two edges are a small part of it."""
_MOST_CLOCK_SHARE = 0.05
"""Of a query: clocks related no better than this smear one into the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryEnergies:
    """Net energy of every measured query in J, and where each lies, in s."""

    net_j: Reals
    starts_s: Reals
    ends_s: Reals
    idle_w: float


def query_energies(trial: TrialRecord) -> QueryEnergies | None:
    """Give the energy of each measured query less idle.

    None where there is no trace or no idle, or where the meter does not resolve a
    query: fewer than ten readings in the median one, or clocks related to no better
    than a twentieth of it.
    """
    trace, queries = power_trace(trial), trial.queries
    if trace is None or queries is None or not is_measured(queries).any():
        return None
    chosen = is_measured(queries)
    starts = np.asarray(queries.issued_ns, dtype=np.int64)[chosen] / NS_PER_S
    ends = np.asarray(queries.completed_ns, dtype=np.int64)[chosen] / NS_PER_S
    length = float(np.median(ends - starts))
    u_clock = u_clock_s(trial)
    is_seen = trace.step_s * LEAST_READINGS <= length
    if not is_seen or u_clock > _MOST_CLOCK_SHARE * length:
        return None
    guard = guard_s(trace.step_s, u_clock, latency_s(trial))
    idle = idle_power(baselines(trial, trace, guard))
    if idle is None:
        return None
    energy = _energy_until(trace, ends) - _energy_until(trace, starts)
    return QueryEnergies(
        net_j=energy - idle.power_w * (ends - starts),
        starts_s=starts,
        ends_s=ends,
        idle_w=idle.power_w,
    )


def _energy_until(trace: PowerTrace, at_s: Reals) -> Reals:
    """Give the energy up to each time: a straight line within a reading."""
    edges = np.concatenate([[trace.starts_s[0]], trace.ends_s])
    steps = trace.power_w * (trace.ends_s - trace.starts_s)
    until: Reals = np.interp(at_s, edges, np.concatenate([[0.0], np.cumsum(steps)]))
    return until

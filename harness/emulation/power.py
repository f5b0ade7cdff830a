"""Work in time → a trace of power: the true mean over each reading interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INTERVAL_NS = 10_000_000
"""100 readings a second, as meters for small devices give."""
READINGS_AT_MOST = 50_000
"""A longer trial is read more slowly instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Stretches of work, in order and without overlap: ns, ns and W, one row each."""

    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    watts: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Readings: each is the mean power in W over the interval that ends at its time."""

    times_ns: NDArray[np.int64]
    watts: NDArray[np.float64]
    interval_ns: int


def busy_of(
    spans_ns: NDArray[np.int64],
    speeds: NDArray[np.float64],
    *,
    active_w: float,
    idle_w: float,
) -> Busy:
    """Give when a device worked and at which power, from spans (start, end) in ns.

    A throttled device takes longer at a lower clock: energy above idle stays that
    of the same work.
    """
    order = np.argsort(spans_ns[:, 0], kind="stable")
    return Busy(
        start_ns=spans_ns[order, 0],
        end_ns=spans_ns[order, 1],
        watts=(idle_w + (active_w - idle_w) * speeds)[order],
    )


def trace(busy: Busy, *, idle_w: float, begin_ns: int, end_ns: int) -> Trace:
    """Read the power from `begin_ns` to `end_ns`; between the stretches it is idle.

    The last reading covers what is left of its interval.
    """
    span_ns = end_ns - begin_ns
    interval_ns = max(INTERVAL_NS, -(-span_ns // READINGS_AT_MOST))
    edges = np.append(np.arange(begin_ns, end_ns, interval_ns, dtype=np.int64), end_ns)
    extra_j = np.interp(edges, *_cumulative(busy, idle_w))
    widths = np.diff(edges)
    return Trace(
        times_ns=edges[1:],
        watts=idle_w + np.diff(extra_j) / np.maximum(widths, 1) * 1e9,
        interval_ns=interval_ns,
    )


def waveform(busy: Busy, *, idle_w: float, begin_ns: int, end_ns: int) -> Trace:
    """Give the power itself from `begin_ns` to `end_ns`: a reading for each stretch.

    What a simulated meter measures has edges where the work has them, and not where
    readings happen to end. `interval_ns` is that of the shortest stretch.
    """
    instants = np.column_stack((busy.start_ns, busy.end_ns)).ravel()
    watts = np.column_stack((np.full(len(busy.watts), idle_w), busy.watts)).ravel()
    times = np.append(instants, end_ns)
    watts = np.append(watts, idle_w)
    lengths = np.diff(times, prepend=begin_ns)
    is_there = lengths > 0
    return Trace(
        times_ns=times[is_there],
        watts=watts[is_there],
        interval_ns=int(lengths[is_there].min()),
    )


def _cumulative(
    busy: Busy, idle_w: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give energy above idle in J at each edge of each stretch."""
    each_j = (busy.watts - idle_w) * (busy.end_ns - busy.start_ns) * 1e-9
    after = np.cumsum(each_j)
    instants = np.column_stack((busy.start_ns, busy.end_ns)).ravel()
    energies = np.column_stack((after - each_j, after)).ravel()
    if not len(instants):
        return np.zeros(1), np.zeros(1)
    return instants.astype(np.float64), energies

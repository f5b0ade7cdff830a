"""Work in time → power: true, as steps, and read, as the mean of each interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.units import NS_PER_S

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """True power as steps: `watts[i]` holds from `times_s[i]` to the next time.

    The last power holds from the last time on. Times are of the trial's own clock.
    """

    times_s: NDArray[np.float64]
    watts: NDArray[np.float64]


def waveform(busy: Busy, *, idle_w: float, begin_ns: int, end_ns: int) -> Waveform:
    """Give the true power of a trial from `begin_ns` to `end_ns`, edge by edge.

    What a perfect meter would see; a simulated meter may read it at any rate. Where
    one stretch begins as another ends, there is no step down to idle between them.
    """
    count = len(busy.start_ns)
    edges = np.empty(2 * count + 2, dtype=np.int64)
    edges[0], edges[-1] = begin_ns, end_ns
    edges[1:-1:2], edges[2:-1:2] = busy.start_ns, busy.end_ns
    watts = np.full(2 * count + 2, idle_w)
    watts[1:-1:2] = busy.watts
    # of edges at one instant only the last counts
    lasts = np.append(edges[1:] > edges[:-1], [True])
    kept_watts = watts[lasts]
    changes = np.append([True], kept_watts[1:] != kept_watts[:-1])
    changes[-1] = True
    return Waveform(times_s=edges[lasts][changes] / NS_PER_S, watts=kept_watts[changes])


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

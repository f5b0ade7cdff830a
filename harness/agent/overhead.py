"""The harness's own cost a query, by a model that does nothing but copy its input."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np

from harness.agent.workbench import bind
from harness.clock import Clock
from harness.domain.plan import Trial
from harness.domain.query import OverheadMeasured
from harness.loadgen.pump import Query, Times, time_back_to_back
from harness.runtimes.base import ModelFile, Runtime
from harness.runtimes.queries import QueryInputs, identity_of

_QUERIES = 5000
_WARM_UP = 2000
_AT_MOST_NS = 200_000_000
"""Enough to know the overhead by; copying large inputs takes long."""


def measure_overhead(
    trial: Trial, runtime: Runtime, inputs: tuple[QueryInputs, ...], clock: Clock
) -> OverheadMeasured:
    """Time the loop of a burst over an identity model with the trial's own inputs.

    For large inputs the figure holds the copy of the input too, so it bounds the
    harness's cost from above.
    """
    model = ModelFile(data=identity_of(inputs[0]), folder=Path("/nonexistent"))
    with runtime.load(model, trial.settings) as session:
        calls = cycle([bind(session, one)[0] for one in inputs])
        _time(calls, clock, _WARM_UP)
        times = _time(calls, clock, _QUERIES)
    issued = np.frombuffer(times.issued_ns, np.int64)
    completed = np.frombuffer(times.completed_ns, np.int64)
    latencies = completed - issued
    gaps = issued[1:] - completed[:-1]
    return OverheadMeasured(
        trial=trial.id,
        queries=len(latencies),
        latency_p50_ns=round(float(np.quantile(latencies, 0.5))),
        latency_p90_ns=round(float(np.quantile(latencies, 0.9))),
        gap_p50_ns=round(float(np.quantile(gaps, 0.5))),
    )


def _time(calls: Iterator[Query], clock: Clock, rows: int) -> Times:
    until_ns = clock.now_ns() + _AT_MOST_NS
    return time_back_to_back(calls, clock, rows=rows, until_ns=until_ns)

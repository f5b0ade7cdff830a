"""What each stage of a pipeline takes: its latency, and its share of the whole."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.domain.origin import Origin
from harness.domain.record import TrialRecord
from harness.stats.group import (
    STEP_NOT_MODELLED,
    TOO_FEW_QUERIES,
    Answer,
    Figure,
    Group,
)
from harness.stats.mean import mean_of_runs
from harness.stats.series import Stream, is_measured
from harness.stats.tails import percentile_of_runs
from harness.units import NS_PER_S

_PERCENTILES = {"stage_p50": 0.50, "stage_p90": 0.90}


def stage_answers(group: Group) -> Iterator[Answer]:
    """Give the figures of every stage; nothing where there are none to give.

    A query of several samples passes every stage several times, and is left out.
    """
    stages = group.model.stages
    if not stages:
        return
    runs = [taken for t in group.trials if len(taken := _times(t, len(stages)))]
    for number, built in enumerate(stages if runs else ()):
        condition = f"stage={built.stage.name}"
        if built.stage.step and group.origin is Origin.EMULATED:
            # a device model says nothing of steps, and 0 s is no figure
            yield group.withhold("stage_p50", STEP_NOT_MODELLED, condition=condition)
            continue
        streams = [Stream(run[:, number]) for run in runs]
        for name, ratio in _PERCENTILES.items():
            found = percentile_of_runs(streams, ratio)
            if isinstance(found, Figure):
                yield group.estimate(name, replace(found, condition=condition))
                continue
            yield group.withhold(
                name,
                TOO_FEW_QUERIES,
                needed=found.needed,
                observed=found.observed,
                condition=condition,
            )
        share = mean_of_runs([run[:, number] / run.sum(axis=1) for run in runs])
        yield group.estimate("stage_share", replace(share, condition=condition))


def _times(trial: TrialRecord, stages: int) -> NDArray[np.float64]:
    """Give the time in s that each stage of each measured query took: [queries, n]."""
    queries = trial.queries
    counts = np.asarray(queries.inner_counts if queries else (), dtype=np.int64)
    if queries is None or not len(counts) or (counts != stages).any():
        return np.empty((0, stages))
    done = np.asarray(queries.inner_ns, dtype=np.int64).reshape(-1, stages)
    issued = np.asarray(queries.issued_ns, dtype=np.int64)
    edges = np.column_stack((issued, done))
    found: NDArray[np.float64] = (edges[:, 1:] - edges[:, :-1]) / NS_PER_S
    return found[is_measured(queries)]

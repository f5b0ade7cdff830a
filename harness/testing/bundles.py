"""Bundles on disk with made-up figures, for tests.

A `RunRecord` is told to a `RecordWriter` event by event, as a target would tell it.
"""

from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

from harness.domain.plan import Plan
from harness.domain.query import (
    Noted,
    Phase,
    PhaseEntered,
    QueryBlock,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.record import LabInfo, Queries, RunRecord, TrialRecord
from harness.domain.sut import ConditionsReached
from harness.record.bundle import RecordWriter


class StepClock:
    """Wall-clock time for a record: one millisecond later at each reading."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Give the next instant."""
        self._now += timedelta(milliseconds=1)
        return self._now


def write_bundle(parent: Path, record: RunRecord) -> Path:
    """Write a whole bundle that holds what `record` holds, and give its folder."""
    with new_writer(parent, record.plan, lab=record.lab) as writer:
        for sut in record.suts.values():
            writer.describe(sut)
        for trial in record.trials:
            write_trial(writer, trial)
        for finding in record.findings:
            writer.find(finding)
        writer.finish()
    return writer.bundle


def new_writer(parent: Path, plan: Plan, *, lab: LabInfo | None = None) -> RecordWriter:
    """Begin a bundle in `parent` whose clock is a `StepClock`."""
    return RecordWriter.create(
        parent,
        plan,
        utc=StepClock(),
        harness_version="0.1.0",
        lab=lab or LabInfo(),
    )


def write_trial(writer: RecordWriter, trial: TrialRecord) -> None:
    """Tell a writer one trial from its start to its end."""
    writer.begin(trial.trial, trial.conditions or ConditionsReached())
    for event in events_of(trial):
        writer.add(event)


def events_of(trial: TrialRecord) -> Iterator[TrialEvent]:
    """Give the events that a target would have yielded for this trial."""
    name = trial.trial.id
    yield TrialStarted(trial=name, clock=trial.clock)
    for said in (trial.overhead, trial.loaded):
        if said is not None:
            yield said
    for phase, at_ns in trial.phases:
        yield PhaseEntered(trial=name, phase=phase, at_ns=at_ns)
    yield from trial.pulses
    if trial.queries is not None:
        yield from blocks_of(name, trial.queries)
    for block in trial.readings:
        yield ReadingsTaken(trial=name, block=block)
    yield from trial.scored
    yield from trial.counted
    yield from trial.compared
    for measured in (trial.marked, trial.memory, trial.outputs, trial.repeats):
        if measured is not None:
            yield measured
    for key, value in trial.notes.items():
        yield Noted(trial=name, key=key, value=value)
    if trial.outcome is not None:
        yield TrialEnded(
            trial=name,
            outcome=trial.outcome,
            queries=len(trial.queries) if trial.queries is not None else 0,
            reason=trial.reason,
        )


def blocks_of(trial: str, queries: Queries) -> Iterator[QueryBlock]:
    """Cut queries into blocks, wherever the phase or the segment changes."""
    marks = list(zip(queries.is_measured, queries.segment, strict=True))
    begins = [i for i in range(len(marks)) if i == 0 or marks[i] != marks[i - 1]]
    ends = list(accumulate(queries.inner_counts, initial=0))
    for begin, end in zip(begins, [*begins[1:], len(marks)], strict=True):
        is_measured, segment = marks[begin]
        yield QueryBlock(
            trial=trial,
            phase=Phase.MEASURED if is_measured else Phase.WARM_UP,
            samples_per_query=queries.samples_per_query,
            scheduled_ns=queries.scheduled_ns[begin:end],
            issued_ns=queries.issued_ns[begin:end],
            completed_ns=queries.completed_ns[begin:end],
            segment=segment,
            rate_hz=queries.segment_rates_hz.get(segment),
            inner_counts=queries.inner_counts[begin:end],
            inner_ns=queries.inner_ns[ends[begin] : ends[end]]
            if queries.inner_counts
            else array("q"),
        )

"""Reading a bundle back: evidence on disk → `RunRecord`.

Lenient with what a newer version of the same format added, and with a record that
was cut short: what a killed trial measured is read from its spool. Whether the
record may be relied on is `harness.record.verify`'s business; only bytes that are
provably not the ones that were written are refused here.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from harness.domain.counting import InstructionsCounted, KernelsCompared
from harness.domain.plan import Plan, Trial
from harness.domain.query import (
    ItemsScored,
    MemoryMeasured,
    ModelLoaded,
    NetworkTried,
    Noted,
    OutputsChecked,
    OverheadMeasured,
    PhaseEntered,
    PulsesMade,
    RepeatsProbed,
    ServiceAsked,
    WindowsMarked,
)
from harness.domain.reading import ReadingBlock
from harness.domain.record import LabInfo, Queries, RunRecord, TrialRecord
from harness.errors import DigestMismatch, RecordTruncated
from harness.record.additions import POWER_TRACE, added_readings, read_additions
from harness.record.digest import digest_of
from harness.record.journal import Journal, parse
from harness.record.layout import (
    EVIDENCE,
    JOURNAL,
    JOURNAL_FORMAT,
    LAB,
    LAB_FORMAT,
    MANIFEST,
    PLAN,
    PLAN_FORMAT,
    TRACES,
    file_bytes,
    read_form,
    require_format,
)
from harness.record.spool import read_spool
from harness.record.story import Attempt, PlainEvent, TraceLine, tell
from harness.record.tracefiles import trace_bytes
from harness.record.traces import gathered, read_queries, read_readings

E = TypeVar("E", bound=PlainEvent)


def read_record(bundle: Path) -> RunRecord:
    """Read the evidence of one run, whole or as far as it got.

    Raises RecordTruncated where a file is missing, DigestMismatch where a line or a
    trace is not what was written, Unverifiable for a newer format or bytes that
    make no record.
    """
    evidence = bundle / EVIDENCE
    require_bundle(bundle)
    plan = read_form(Plan, evidence / PLAN, PLAN_FORMAT)
    lab = read_form(LabInfo, evidence / LAB, LAB_FORMAT)
    story = tell(read_journal(evidence / JOURNAL).lines, where=str(evidence / JOURNAL))
    trials = tuple(
        _trial_record(trial, story.attempts[trial.id], evidence)
        for trial in plan.trials
        if trial.id in story.attempts
    )
    has_all = len(trials) == len(plan.trials) and story.broken_off is None
    is_closed = story.ended is not None and (evidence / MANIFEST).is_file()
    return RunRecord(
        name=str(story.started.get("name") or bundle.resolve().name),
        plan=plan,
        plan_id=digest_of(file_bytes(evidence / PLAN)),
        suts=story.suts,
        trials=_with_recorded_power(trials, bundle),
        findings=tuple(story.findings),
        lab=lab,
        started_at=story.started_at,
        ended_at=story.ended_at,
        is_complete=has_all and is_closed,
        harness_version=str(story.started.get("harness_version", "")),
    )


def left_by(bundle: Path) -> dict[str, Any]:
    """Give what was known of a run when it was left to itself; empty if it was not.

    Raises EvidenceError as `read_record` does.
    """
    path = bundle / EVIDENCE / JOURNAL
    return tell(read_journal(path).lines, where=str(path)).left


def require_bundle(bundle: Path) -> None:
    """Raise RecordTruncated unless there is a folder with evidence."""
    if not (bundle / EVIDENCE).is_dir():
        raise RecordTruncated(
            "This is no bundle: there is no folder evidence/ in it",
            where=str(bundle),
            remedy="Name the folder that duanping run printed, such as "
            "reports/<time>_<device>_<plan>.",
        )


def read_journal(path: Path) -> Journal:
    """Read a journal whose lines hold together; a torn end is no fault.

    Raises RecordTruncated, DigestMismatch with the line, Unverifiable.
    """
    journal = parse(file_bytes(path))
    if journal.lines:
        form = journal.lines[0].data.get("format")
        require_format(form, JOURNAL_FORMAT, where=f"{path}, line 1")
    if journal.fault is not None:
        raise DigestMismatch(
            f"The journal was changed: {journal.fault.what}",
            where=f"{path}, line {journal.fault.line}",
            remedy="Take the bundle anew from where it was made.",
        )
    return journal


def read_traces(
    evidence: Path, traces: Iterable[TraceLine]
) -> tuple[Queries | None, tuple[ReadingBlock, ...]]:
    """Read the trace files of one trial. Raises EvidenceError as `trace_bytes` does."""
    queries: Queries | None = None
    readings: list[ReadingBlock] = []
    for trace in traces:
        data, where = trace_bytes(evidence, trace), str(evidence / trace.file)
        if trace.use is None:
            queries = read_queries(data, where=where)
        else:
            readings.append(read_readings(data, where=where))
    return queries, tuple(readings)


def _with_recorded_power(
    trials: tuple[TrialRecord, ...], bundle: Path
) -> tuple[TrialRecord, ...]:
    """Lay the newest recording that was added beside the trials that it is of."""
    additions = [a for a in read_additions(bundle) if a[1].kind == POWER_TRACE]
    if not additions:
        return trials
    folder, addition = additions[-1]
    added = {one.trial: one for one in addition.trials}
    return tuple(
        replace(
            trial,
            # first: figures are of the first channel of power, as are these notes
            readings=(*added_readings(folder, added[trial.trial.id]), *trial.readings),
            notes={**_without_meter(trial.notes), **added[trial.trial.id].notes},
        )
        if trial.trial.id in added
        else trial
        for trial in trials
    )


def _without_meter(notes: dict[str, str]) -> dict[str, str]:
    """Leave out what another meter said of itself, its failure among it."""
    return {key: text for key, text in notes.items() if not key.startswith("meter.")}


def _trial_record(trial: Trial, attempt: Attempt, evidence: Path) -> TrialRecord:
    queries, readings = _arrays(attempt, evidence)
    ended = attempt.ended
    return TrialRecord(
        trial=trial,
        outcome=ended.outcome if ended else None,
        reason=ended.reason if ended else "",
        clock=attempt.clock,
        phases=tuple(
            (e.phase, e.at_ns) for e in attempt.events if isinstance(e, PhaseEntered)
        ),
        pulses=tuple(e for e in attempt.events if isinstance(e, PulsesMade)),
        marked=_last(attempt, WindowsMarked),
        queries=queries,
        readings=readings,
        loaded=_last(attempt, ModelLoaded),
        overhead=_last(attempt, OverheadMeasured),
        memory=_last(attempt, MemoryMeasured),
        outputs=_last(attempt, OutputsChecked),
        scored=tuple(e for e in attempt.events if isinstance(e, ItemsScored)),
        repeats=_last(attempt, RepeatsProbed),
        services=tuple(e for e in attempt.events if isinstance(e, ServiceAsked)),
        networks=tuple(e for e in attempt.events if isinstance(e, NetworkTried)),
        counted=tuple(e for e in attempt.events if isinstance(e, InstructionsCounted)),
        compared=tuple(e for e in attempt.events if isinstance(e, KernelsCompared)),
        notes={e.key: e.value for e in attempt.events if isinstance(e, Noted)},
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        conditions=attempt.conditions,
    )


def _arrays(
    attempt: Attempt, evidence: Path
) -> tuple[Queries | None, tuple[ReadingBlock, ...]]:
    """Take a trial's arrays from its traces, or from the spool of a killed one."""
    spool = evidence / TRACES / f"{attempt.trial}.part"
    if attempt.ended is None and spool.is_file():
        blocks = read_spool(file_bytes(spool), attempt.trial, where=str(spool))
        return gathered(blocks)
    return read_traces(evidence, attempt.traces)


def _last(attempt: Attempt, kind: type[E]) -> E | None:
    found = [event for event in attempt.events if isinstance(event, kind)]
    return found[-1] if found else None

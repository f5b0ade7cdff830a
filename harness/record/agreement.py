"""Contradictions: between the files of a record, and in its figures.

Runs on bytes that are known to be the ones that were written: what is found here
was wrong from the beginning, or was written anew by somebody.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.domain.origin import Origin
from harness.domain.plan import Plan, is_timed
from harness.domain.query import ModelLoaded, says_a_time
from harness.domain.reading import ReadingBlock
from harness.domain.record import FileEntry, LabInfo, Queries
from harness.errors import DigestMismatch, EvidenceError, Unverifiable
from harness.record.digest import digest_of
from harness.record.integrity import ANEW, entry_fault
from harness.record.layout import (
    CONDITIONS,
    CONDITIONS_FORMAT,
    JOURNAL,
    LAB,
    LAB_FORMAT,
    METERS,
    METERS_FORMAT,
    PLAN,
    PLAN_FORMAT,
    SUT,
    SUT_FORMAT,
    file_bytes,
    is_capture_name,
    is_trace_name,
    load_object,
    read_form,
    readable,
    require_format,
    short_id_in,
)
from harness.record.reader import read_journal, read_traces
from harness.record.story import Attempt, Story, tell

_SUMMARIES = {
    SUT: SUT_FORMAT,
    CONDITIONS: CONDITIONS_FORMAT,
    METERS: METERS_FORMAT,
}
DO_NOT_RELY = "Do not rely on this record; measure again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A record's plan and story, with the folder that they were read from."""

    evidence: Path
    plan: Plan
    story: Story


def account_of(evidence: Path) -> Account:
    """Read plan and journal. Raises EvidenceError where they cannot be read."""
    path = evidence / JOURNAL
    return Account(
        evidence=evidence,
        plan=read_form(Plan, evidence / PLAN, PLAN_FORMAT),
        story=tell(read_journal(path).lines, where=str(path)),
    )


def agreement_faults(account: Account, bundle: Path) -> Iterator[EvidenceError]:
    """Yield what in a record contradicts something else in it."""
    yield from _plan_faults(account, bundle)
    yield from _summary_faults(account)
    yield from _order_faults(account)
    yield from _trace_faults(account)
    yield from _model_faults(account)
    yield from _origin_faults(account)


def figure_faults(account: Account) -> Iterator[EvidenceError]:
    """Yield figures that cannot be: a completion before its issue, a time gone back.

    Among them a time, or a power, of a target that has none.
    """
    untimed = {t.id for t in account.plan.trials if not is_timed(t.target)}
    for attempt in account.story.attempts.values():
        queries, readings = read_traces(account.evidence, attempt.traces)
        rows = [len(queries)] if queries is not None else []
        rows += [len(block.values) for block in readings]
        if sorted(rows) != sorted(trace.rows for trace in attempt.traces):
            yield _impossible(account, attempt, "rows are missing from its traces")
        if queries is not None:
            for what in _impossible_queries(queries):
                yield _impossible(account, attempt, what)
        if attempt.trial in untimed and _tells_time(attempt, queries, readings):
            yield _impossible(account, attempt, "its target has no time")
        for block in readings:
            if _goes_back(_ns(block.times_ns)):
                yield _impossible(account, attempt, _back_in(block))


def _plan_faults(account: Account, bundle: Path) -> Iterator[EvidenceError]:
    evidence, started = account.evidence, account.story.started
    read_form(LabInfo, evidence / LAB, LAB_FORMAT)
    actual = digest_of(file_bytes(evidence / PLAN))
    for name, said in ((PLAN, "plan_id"), (LAB, "lab_sha256")):
        digest = digest_of(file_bytes(evidence / name))
        if started and started.get(said) != digest:
            yield DigestMismatch(
                f"{name} is not the one that the run was started with: the journal "
                f"says sha256 {started.get(said)}, the file has {digest}",
                where=str(evidence / name),
                remedy=ANEW,
            )
    short = short_id_in(bundle.resolve().name)
    if short not in {None, actual[:8]}:
        yield DigestMismatch(
            f"The folder is named after plan {short}, but holds plan {actual[:8]}",
            where=str(bundle),
            remedy="Give the folder its own name again; else " + ANEW.lower(),
        )


def _summary_faults(account: Account) -> Iterator[EvidenceError]:
    ended = account.story.ended or {}
    where = str(account.evidence / JOURNAL)
    said = readable(dict[str, str], ended.get("files", {}), where=where)
    for name, form in _SUMMARIES.items():
        if name not in said:
            continue
        path = account.evidence / name
        data = file_bytes(path)
        if digest_of(data) != said[name]:
            yield DigestMismatch(
                f"{name} is not the one that the run ended with: the journal says "
                f"sha256 {said[name]}, the file has {digest_of(data)}",
                where=str(path),
                remedy=ANEW,
            )
        found = load_object(data, str(path)).get("format")
        require_format(found, form, where=str(path))


def _order_faults(account: Account) -> Iterator[EvidenceError]:
    path = account.evidence / JOURNAL
    for line, what in account.story.oddities:
        yield EvidenceError(
            f"The journal contradicts itself: {what}",
            where=f"{path}, line {line}",
            remedy=DO_NOT_RELY,
        )
    places = {trial.id: n for n, trial in enumerate(account.plan.trials)}
    for trial in account.story.attempts:
        if trial not in places:
            yield EvidenceError(
                f"Trial {trial} was executed, but the plan has no such trial",
                where=str(path),
                remedy=DO_NOT_RELY,
            )
    known = [a for a in account.story.attempts.values() if a.trial in places]
    for before, after in pairwise(known):
        # what was interrupted is made up for when the run is gone on with
        is_one_sitting = before.sitting == after.sitting
        if is_one_sitting and places[before.trial] > places[after.trial]:
            yield EvidenceError(
                f"Trial {after.trial} was executed after {before.trial}, against the "
                "plan's order",
                where=str(path),
                remedy=DO_NOT_RELY,
            )


def _trace_faults(account: Account) -> Iterator[EvidenceError]:
    story = account.story
    named: list[tuple[str, FileEntry]] = [
        (trace.file, trace.entry)
        for attempt in story.attempts.values()
        for trace in attempt.traces
    ]
    named += [(file.file, file.entry) for file in story.abandoned]
    named += [
        (capture.file, capture.entry)
        for attempt in story.attempts.values()
        for capture in attempt.captures
    ]
    for name, said in named:
        if not (is_trace_name(name) or is_capture_name(name)):
            yield Unverifiable(
                f"The journal names a trace outside the bundle: {name!r}",
                where=str(account.evidence / JOURNAL),
                remedy=DO_NOT_RELY,
            )
            continue
        fault = entry_fault(account.evidence, name, said)
        if fault is not None:
            yield fault


def _model_faults(account: Account) -> Iterator[EvidenceError]:
    planned = {
        trial.id: account.plan.model(trial.model) for trial in account.plan.trials
    }
    for attempt in account.story.attempts.values():
        model = planned.get(attempt.trial)
        loaded = [e for e in attempt.events if isinstance(e, ModelLoaded)]
        for event in loaded:
            if model is not None and event.sha256 != model.sha256:
                yield DigestMismatch(
                    f"Trial {attempt.trial} loaded another model than planned: "
                    f"{model.name} has sha256 {model.sha256}, the device read back "
                    f"{event.sha256}",
                    where=str(account.evidence / JOURNAL),
                    remedy=DO_NOT_RELY,
                )


def _origin_faults(account: Account) -> Iterator[EvidenceError]:
    for address, sut in account.story.suts.items():
        if not is_timed(address) and sut.origin is not Origin.EMULATED:
            yield EvidenceError(
                f"What {address} emulates is called {sut.origin.value}",
                where=str(account.evidence / JOURNAL),
                remedy=DO_NOT_RELY,
            )


def _tells_time(
    attempt: Attempt, queries: Queries | None, readings: tuple[ReadingBlock, ...]
) -> bool:
    is_stamped = queries is not None or bool(readings)
    return is_stamped or any(map(says_a_time, attempt.events))


def _impossible_queries(queries: Queries) -> Iterator[str]:
    scheduled, issued = _ns(queries.scheduled_ns), _ns(queries.issued_ns)
    completed, segment = _ns(queries.completed_ns), _ns(queries.segment)
    for what, early, late in (
        ("completed before it was issued", issued, completed),
        ("issued before it was scheduled", scheduled, issued),
    ):
        wrong = np.flatnonzero(late < early)
        if wrong.size:
            yield f"query {wrong[0]} was {what}"
    if _has_stray_instant(queries):
        yield "a stage or a token lies outside its query"
    for probe in np.unique(segment):
        if _goes_back(issued[segment == probe]):
            yield "its queries are not in order of issue"
            return


def _has_stray_instant(queries: Queries) -> bool:
    if not queries.inner_counts:
        return False
    counts, instants = _ns(queries.inner_counts), _ns(queries.inner_ns)
    issued = np.repeat(_ns(queries.issued_ns), counts)
    completed = np.repeat(_ns(queries.completed_ns), counts)
    return bool(np.any((instants < issued) | (instants > completed)))


def _ns(numbers: Any) -> NDArray[np.int64]:  # noqa: ANN401 - array.array is not generic
    return np.asarray(numbers, dtype=np.int64)


def _goes_back(times_ns: NDArray[np.int64]) -> bool:
    return bool(np.any(times_ns[1:] < times_ns[:-1]))


def _back_in(block: ReadingBlock) -> str:
    channel = block.channel
    return f"the times of {channel.name} from {channel.source} go back"


def _impossible(account: Account, attempt: Attempt, what: str) -> EvidenceError:
    return EvidenceError(
        f"The figures of trial {attempt.trial} cannot be: {what}",
        where=str(account.evidence / "traces"),
        remedy=DO_NOT_RELY,
    )

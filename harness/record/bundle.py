"""Writing a bundle: every event as it comes, every file once.

A killed run leaves a record that can be read: journal lines and blocks are with
the kernel as soon as they are added, and everything is on disk (fsync) at the end
of each trial. A full disk ends the run with a StorageError; what was written
before it stays readable, and `RecordWriter.resume` goes on from there.
"""

import base64
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.domain.finding import Finding
from harness.domain.plan import Plan, Trial, is_timed
from harness.domain.query import (
    Outcome,
    QueryBlock,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
    TrialStarted,
    says_a_time,
)
from harness.domain.record import LabInfo, Manifest
from harness.domain.sut import ConditionsReached, SutDescription
from harness.errors import StorageError
from harness.record.captures import keep_captures
from harness.record.digest import digest_of, entry_at, entry_of, names_under
from harness.record.journal import JournalWriter, LineType, parse
from harness.record.layout import (
    EVIDENCE,
    JOURNAL,
    JOURNAL_FORMAT,
    LAB,
    LAB_FORMAT,
    MANIFEST,
    PLAN,
    RAW,
    TRACES,
    form_bytes,
    plan_bytes,
)
from harness.record.recovery import recover, require_unfinished
from harness.record.spool import SpoolWriter, read_spool
from harness.record.storage import (
    new_folder,
    storing,
    sync_folder,
    unused,
    write_durably,
)
from harness.record.story import TraceLine, tell
from harness.record.summary import summaries
from harness.record.traces import Trace, traces_of
from harness.schema.codec import dump_bytes, to_plain

Utc = Callable[[], datetime]


class RecordWriter:
    """Writes the evidence of one run. Made by `create` or `resume`, used in `with`.

    Leaving it after `finish` leaves a whole record. Leaving it after `leave` or
    `break_off` leaves one that says why it is not whole. Leaving it earlier, by an
    error or by Ctrl-C, writes a line `interrupted` if that can still be written; a
    record without its manifest says by itself that it is not whole.
    """

    def __init__(
        self, bundle: Path, plan: Plan, journal: JournalWriter, utc: Utc
    ) -> None:
        """Take over a bundle whose plan is written; use `create` or `resume`."""
        self.bundle = bundle
        """Folder of the bundle."""
        self._evidence = bundle / EVIDENCE
        self.plan = plan
        """What is executed."""
        self._journal = journal
        self._utc = utc
        self._trial: Trial | None = None
        self._spool: SpoolWriter | None = None
        self._clock = ""
        self._finished: set[str] = set()
        self._says_how_it_ends = False

    @classmethod
    def create(
        cls, parent: Path, plan: Plan, *, utc: Utc, harness_version: str, lab: LabInfo
    ) -> Self:
        """Make a new bundle in `parent`, with its plan on disk.

        `utc` gives the wall-clock time whenever a line is written. Raises
        StorageError where nothing can be written there.
        """
        written, lab_written = plan_bytes(plan), form_bytes(LAB_FORMAT, to_plain(lab))
        identity = digest_of(written)
        stamp = utc().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        name = f"{stamp}_{plan.profile.name}_{identity[:8]}"
        with _making(parent):
            parent.mkdir(parents=True, exist_ok=True)
            bundle = new_folder(parent, name)
            evidence = bundle / EVIDENCE
            (evidence / TRACES).mkdir(parents=True)
            write_durably(evidence / PLAN, written)
            write_durably(evidence / LAB, lab_written)
            journal = JournalWriter(evidence / JOURNAL, utc)
            started = {
                "format": JOURNAL_FORMAT,
                "name": bundle.name,
                "plan_id": identity,
                "lab_sha256": digest_of(lab_written),
                "harness_version": harness_version,
            }
            journal.append(LineType.RUN_STARTED, started)
            for folder in (evidence, bundle, parent):
                sync_folder(folder)
        return cls(bundle, plan, journal, utc)

    @classmethod
    def resume(cls, bundle: Path, *, utc: Utc, harness_version: str) -> Self:
        """Go on with a bundle that was cut short.

        Trials that have not ended are executed again; what they left is moved to
        `traces/abandoned/` and named, with its digest, in the line `resumed`, as is
        a torn end of the journal. Raises UsageError for a record that is whole,
        EvidenceError for one that is damaged, StorageError where it cannot be
        written or another process writes it.
        """
        require_unfinished(bundle)
        path = bundle / EVIDENCE / JOURNAL
        with _going_on(bundle):
            journal = JournalWriter(path, utc)
            try:
                recovered = recover(bundle, parse(path.read_bytes()))
                resumed = {
                    "harness_version": harness_version,
                    "torn": base64.b64encode(journal.torn).decode(),
                    "abandoned": [to_plain(file) for file in recovered.abandoned],
                }
                journal.append(LineType.RESUMED, resumed)
                journal.sync()
            except BaseException:
                journal.close()
                raise
        writer = cls(bundle, recovered.plan, journal, utc)
        writer._finished.update(recovered.finished)
        return writer

    @property
    def finished_trials(self) -> frozenset[str]:
        """Ids of the trials that need no further execution."""
        return frozenset(self._finished)

    def raw_folder(self) -> Path:
        """Give the folder for the raw captures of meters; made where it is not there.

        What a reader leaves there (`captures.spool_path`) is kept when its trial
        ends. Raises StorageError.
        """
        folder = self._evidence / RAW
        with self._storing():
            folder.mkdir(exist_ok=True)
        return folder

    def describe(self, sut: SutDescription) -> None:
        """Record what a target said it is. Raises StorageError."""
        with self._storing():
            self._journal.append(LineType.SUT, {"sut": to_plain(sut)})

    def begin(self, trial: Trial, conditions: ConditionsReached) -> None:
        """Open a trial, with the conditions read just before it.

        Raises StorageError; ValueError while another trial is open, or for a trial
        that is not left to execute.
        """
        if self._trial is not None:
            raise ValueError(f"trial {self._trial.id} has not ended")
        if trial not in self.plan.trials or trial.id in self._finished:
            raise ValueError(f"trial {trial.id} is not left to execute in this plan")
        data = {"trial": trial.id, "conditions": to_plain(conditions)}
        with self._storing():
            self._journal.append(LineType.TRIAL_STARTED, data)
            self._spool = SpoolWriter(self._evidence / TRACES / f"{trial.id}.part")
        self._trial, self._clock = trial, ""

    def add(self, event: TrialEvent) -> None:
        """Take in one event of the open trial; after its last, all of it is on disk.

        Raises StorageError; ValueError for an event of a trial that is not open, and
        for one that says a time where the trial's target has none.
        """
        if self._trial is None or self._spool is None or event.trial != self._trial.id:
            raise ValueError(f"an event of trial {event.trial}, which is not open")
        if not is_timed(self._trial.target) and says_a_time(event):
            raise ValueError(f"{event.kind} says a time, and {event.trial} has none")
        with self._storing():
            match event:
                case QueryBlock() | ReadingsTaken():
                    self._spool.append(event)
                case TrialEnded():
                    self._end(event, self._spool)
                case _:
                    if isinstance(event, TrialStarted):
                        self._clock = event.clock
                    self._journal.append(LineType.EVENT, to_plain(event))

    def find(self, finding: Finding) -> None:
        """Record what was noticed during the run. Raises StorageError."""
        with self._storing():
            self._journal.append(LineType.FINDING, to_plain(finding))

    def finish(self) -> None:
        """Close the record: summaries, the last line, and the manifest.

        Raises StorageError; ValueError where a trial of the plan has not ended.
        """
        path = self._evidence / JOURNAL
        with self._storing():
            story = tell(parse(path.read_bytes()).lines, where=str(path))
            for trial in self.plan.trials:
                if trial.id not in story.attempts or trial == self._trial:
                    raise ValueError(f"trial {trial.id} has not ended")
            summed = summaries(story, self.plan)
            for name, data in summed.items():
                write_durably(self._evidence / name, data)
            digests = {name: digest_of(data) for name, data in summed.items()}
            self._journal.append(LineType.RUN_ENDED, {"files": digests})
            self._journal.sync()
            write_durably(self._evidence / MANIFEST, self._manifest())
        self._says_how_it_ends = True

    def leave(self, facts: Mapping[str, str]) -> None:
        """Record that the run goes on without this process, and what is known of it.

        Raises StorageError.
        """
        with self._storing():
            self._journal.append(LineType.LEFT, facts)
            self._journal.sync()
        self._says_how_it_ends = True

    def break_off(self, why: str) -> None:
        """Record why the run ends here before its time. Raises StorageError."""
        with self._storing():
            self._journal.append(LineType.INTERRUPTED, {"why": why, "trial": None})
            self._journal.sync()
        self._says_how_it_ends = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._spool is not None:
            self._spool.close()
        self._journal.close()
        if not self._says_how_it_ends:
            # where this cannot be written either, the missing end says the same
            with suppress(OSError, StorageError):
                self._note_interruption(kind.__name__ if kind else "not finished")

    def _end(self, event: TrialEnded, spool: SpoolWriter) -> None:
        spool.close()
        blocks = read_spool(spool.path.read_bytes(), event.trial, where=str(spool.path))
        for trace in traces_of(event.trial, self._clock, blocks):
            self._write_trace(event.trial, trace)
        for line in keep_captures(self._evidence, event.trial):
            self._journal.append(LineType.CAPTURE, to_plain(line))
        self._journal.append(LineType.TRIAL_ENDED, to_plain(event))
        self._journal.sync()
        spool.path.unlink()
        self._trial = self._spool = None
        if event.outcome is not Outcome.INTERRUPTED:
            self._finished.add(event.trial)

    def _write_trace(self, trial: str, trace: Trace) -> None:
        path = unused(self._evidence / TRACES, trace.stem, ".parquet")
        write_durably(path, trace.data)
        entry = entry_of(trace.data)
        line = TraceLine(
            trial=trial,
            file=f"{TRACES}/{path.name}",
            sha256=entry.sha256,
            size_bytes=entry.size_bytes,
            rows=trace.rows,
            use=trace.use,
        )
        self._journal.append(LineType.TRACE, to_plain(line))

    def _manifest(self) -> bytes:
        names = names_under(self._evidence)
        return dump_bytes(
            Manifest(files={name: entry_at(self._evidence / name) for name in names})
        )

    def _note_interruption(self, why: str) -> None:
        # opened anew: Ctrl-C may have come in the middle of a line
        with JournalWriter(self._evidence / JOURNAL, self._utc) as journal:
            trial = self._trial.id if self._trial else None
            journal.append(LineType.INTERRUPTED, {"why": why, "trial": trial})
            journal.sync()

    def _storing(self) -> AbstractContextManager[None]:
        done, total = len(self._finished), len(self.plan.trials)
        return storing(
            self._evidence,
            survives=f"{done} of {total} trials are safe, and what was measured since "
            "is kept as far as it could be written",
            remedy="Make room or gain the right to write there, then go on: "
            f"duanping run --resume {self.bundle}",
        )


def _making(parent: Path) -> AbstractContextManager[None]:
    return storing(
        parent,
        survives="nothing was measured yet",
        remedy="Make room or gain the right to write there, or use --out.",
    )


def _going_on(bundle: Path) -> AbstractContextManager[None]:
    return storing(
        bundle,
        survives="what was recorded is as it was",
        remedy="Make room or gain the right to write there, then go on: "
        f"duanping run --resume {bundle}",
    )

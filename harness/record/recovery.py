"""Making a bundle that was cut short ready to be gone on with.

Nothing that was measured is deleted: what a trial left that has to be executed
again is moved to `traces/abandoned/` and named, with its digest, in the journal.
"""

from dataclasses import dataclass
from pathlib import Path

from harness.domain.plan import Plan
from harness.errors import RecordTruncated, UsageError
from harness.record.digest import entry_at, names_under
from harness.record.journal import Journal
from harness.record.layout import (
    ABANDONED,
    EVIDENCE,
    JOURNAL,
    MANIFEST,
    PLAN,
    PLAN_FORMAT,
    RAW,
    TRACES,
    read_form,
)
from harness.record.storage import sync_folder, unused
from harness.record.story import AbandonedFile, Story, tell
from harness.record.verify import require_intact


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a record holds that is gone on with."""

    plan: Plan
    finished: tuple[str, ...]
    abandoned: tuple[AbandonedFile, ...]


def require_unfinished(bundle: Path) -> None:
    """Raise UsageError for a record that is whole, RecordTruncated for none at all."""
    evidence = bundle / EVIDENCE
    if (evidence / MANIFEST).exists():
        raise UsageError(
            "This record is whole; there is nothing left to execute",
            where=str(bundle),
            remedy="Leave --resume out to start a new run.",
        )
    if not (evidence / JOURNAL).is_file():
        raise RecordTruncated(
            "There is no journal here to go on from",
            where=str(bundle),
            remedy="Name the folder of a bundle, or start a new run.",
        )


def recover(bundle: Path, journal: Journal) -> Recovered:
    """Check what is there, and put aside what has to be executed again.

    Raises EvidenceError for a record that is damaged: going on would bury it.
    """
    require_intact(bundle)
    evidence = bundle / EVIDENCE
    plan = read_form(Plan, evidence / PLAN, PLAN_FORMAT)
    story = tell(journal.lines, where=JOURNAL)
    return Recovered(
        plan=plan,
        finished=story.finished,
        abandoned=_put_aside(evidence, story),
    )


def _put_aside(evidence: Path, story: Story) -> tuple[AbandonedFile, ...]:
    for form in ("*.tmp", f"{TRACES}/*.tmp", f"{RAW}/*.tmp"):
        for half in evidence.glob(form):
            half.unlink()
    kept = _kept(story)
    finished = set(story.finished)
    (evidence / ABANDONED).mkdir(exist_ok=True)
    left = [*(evidence / TRACES).iterdir(), *evidence.glob(f"{RAW}/*")]
    for path in sorted(left):
        name = f"{path.parent.name}/{path.name}"
        if path.is_dir() or name in kept:
            continue
        if path.suffix == ".part" and path.stem in finished:
            # killed between the trial's last line and the removal of its spool
            path.unlink()
        else:
            path.rename(unused(evidence / ABANDONED, path.stem, path.suffix))
    sync_folder(evidence / ABANDONED)
    for folder in (evidence / TRACES, evidence / RAW):
        if folder.is_dir():
            sync_folder(folder)
    return _abandoned(evidence, story)


def _kept(story: Story) -> set[str]:
    attempts = story.attempts.values()
    finished = [attempt for attempt in attempts if attempt.is_finished]
    traces = {trace.file for attempt in finished for trace in attempt.traces}
    return traces | {file.file for attempt in finished for file in attempt.captures}


def _abandoned(evidence: Path, story: Story) -> tuple[AbandonedFile, ...]:
    """List the abandoned files that no line names yet."""
    named = {file.file for file in story.abandoned}
    unfinished = [a.trial for a in story.attempts.values() if not a.is_finished]
    found = []
    for name in names_under(evidence / ABANDONED):
        file = f"{ABANDONED}/{name}"
        if file not in named:
            entry = entry_at(evidence / file)
            found.append(
                AbandonedFile(
                    trial=_trial_of(name, unfinished),
                    file=file,
                    sha256=entry.sha256,
                    size_bytes=entry.size_bytes,
                )
            )
    return tuple(found)


def _trial_of(name: str, trials: list[str]) -> str:
    """Find whose file this is; empty where its name tells no trial that is known."""
    fitting = [trial for trial in trials if name.startswith(f"{trial}.")]
    return max(fitting, key=len, default="")

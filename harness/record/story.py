"""What a journal tells, line by line, before anything of it is weighed.

A pure fold over lines: which targets answered, how far each trial got, which files
belong to it. The reader, the verifier and a resumed run all start from here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from harness.domain.counting import InstructionsCounted, KernelsCompared
from harness.domain.finding import CODES, Finding
from harness.domain.query import (
    ItemsScored,
    MemoryMeasured,
    ModelLoaded,
    NetworkTried,
    Noted,
    Outcome,
    OutputsChecked,
    OverheadMeasured,
    PhaseEntered,
    PulsesMade,
    RepeatsProbed,
    ServiceAsked,
    TrialEnded,
    TrialStarted,
    WindowsMarked,
)
from harness.domain.record import FileEntry
from harness.domain.sut import ConditionsReached, SutDescription
from harness.record.journal import Line, LineType
from harness.record.layout import readable
from harness.record.traces import ChannelUse

PlainEvent = (
    TrialStarted
    | PhaseEntered
    | PulsesMade
    | WindowsMarked
    | ModelLoaded
    | OverheadMeasured
    | MemoryMeasured
    | InstructionsCounted
    | KernelsCompared
    | OutputsChecked
    | ItemsScored
    | RepeatsProbed
    | ServiceAsked
    | NetworkTried
    | Noted
)
"""The events that go to the journal as they are: all without arrays."""

_EVENTS: dict[str, type[PlainEvent]] = {
    "TrialStarted": TrialStarted,
    "PhaseEntered": PhaseEntered,
    "PulsesMade": PulsesMade,
    "WindowsMarked": WindowsMarked,
    "ModelLoaded": ModelLoaded,
    "OverheadMeasured": OverheadMeasured,
    "MemoryMeasured": MemoryMeasured,
    "InstructionsCounted": InstructionsCounted,
    "KernelsCompared": KernelsCompared,
    "OutputsChecked": OutputsChecked,
    "ItemsScored": ItemsScored,
    "RepeatsProbed": RepeatsProbed,
    "ServiceAsked": ServiceAsked,
    "NetworkTried": NetworkTried,
    "Noted": Noted,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLine:
    """A trace file as the journal names it; `file` is relative to `evidence/`."""

    trial: str
    file: str
    sha256: str
    size_bytes: int
    rows: int
    use: ChannelUse | None = None
    """What was read; None for queries."""

    @property
    def entry(self) -> FileEntry:
        """Digest and size."""
        return FileEntry(sha256=self.sha256, size_bytes=self.size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureLine:
    """A raw capture as the journal names it; `file` is relative to `evidence/`."""

    trial: str
    file: str
    sha256: str
    size_bytes: int
    raw_bytes: int
    """Size once it is no longer compressed."""

    @property
    def entry(self) -> FileEntry:
        """Digest and size."""
        return FileEntry(sha256=self.sha256, size_bytes=self.size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonedFile:
    """What a trial left that was cut short and executed again."""

    trial: str
    file: str
    sha256: str
    size_bytes: int

    @property
    def entry(self) -> FileEntry:
        """Digest and size."""
        return FileEntry(sha256=self.sha256, size_bytes=self.size_bytes)


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One execution of a trial, as far as it got."""

    trial: str
    sitting: int = 0
    """How often the run had been gone on with when this was executed."""
    started_at: str = ""
    ended_at: str = ""
    conditions: ConditionsReached | None = None
    events: list[PlainEvent] = field(default_factory=list)
    traces: list[TraceLine] = field(default_factory=list)
    captures: list[CaptureLine] = field(default_factory=list)
    ended: TrialEnded | None = None

    @property
    def is_finished(self) -> bool:
        """Say whether the trial needs no second execution."""
        return self.ended is not None and self.ended.outcome is not Outcome.INTERRUPTED

    @property
    def clock(self) -> str:
        """Name of the clock of the trial's times; empty where it never started."""
        for event in self.events:
            if isinstance(event, TrialStarted):
                return event.clock
        return ""


@dataclass(slots=True, kw_only=True)
class Story:
    """Everything that a journal tells."""

    started: dict[str, Any] = field(default_factory=dict)
    """Data of the first line; empty where there is none."""
    started_at: str = ""
    suts: dict[str, SutDescription] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    """Trial id → its last execution, in order of execution."""
    findings: list[Finding] = field(default_factory=list)
    abandoned: list[AbandonedFile] = field(default_factory=list)
    left: dict[str, Any] = field(default_factory=dict)
    """Data of the last line `left`: the run goes on elsewhere; empty without one."""
    sittings: int = 0
    """How often the run was gone on with."""
    ended: dict[str, Any] | None = None
    """Data of the run-ended line, where that is the last line."""
    ended_at: str = ""
    oddities: list[tuple[int, str]] = field(default_factory=list)
    """(line number, what): lines that cannot stand where they stand."""

    @property
    def finished(self) -> tuple[str, ...]:
        """Trials that need no second execution, in order."""
        return tuple(a.trial for a in self.attempts.values() if a.is_finished)

    @property
    def broken_off(self) -> str | None:
        """The trial inside which the record ends, if it does."""
        for attempt in self.attempts.values():
            if attempt.ended is None:
                return attempt.trial
        return None


def tell(lines: Iterable[Line], *, where: str) -> Story:
    """Fold the lines of a journal. Raises Unverifiable for data that make no noun."""
    story = Story()
    for line in lines:
        place = f"{where}, line {line.seq + 1}"
        story.ended = None
        _told(story, line, place)
    return story


def _told(story: Story, line: Line, place: str) -> None:
    data = line.data
    if (line.seq == 0) != (line.type == LineType.RUN_STARTED):
        story.oddities.append((line.seq + 1, "a journal begins with run-started once"))
    match line.type:
        case LineType.RUN_STARTED:
            story.started, story.started_at = data, line.utc
        case LineType.SUT:
            sut = readable(SutDescription, data.get("sut"), where=place)
            story.suts[sut.address] = sut
        case LineType.FINDING:
            # codes of a newer version are left to that version
            if str(data.get("code")) in CODES:
                story.findings.append(readable(Finding, data, where=place))
        case LineType.LEFT:
            story.left = data
        case LineType.RESUMED:
            _resumed(story, data, place)
        case LineType.RUN_ENDED:
            story.ended, story.ended_at = data, line.utc
        case _:
            _told_of_trial(story, line, place)


def _told_of_trial(story: Story, line: Line, place: str) -> None:
    data = line.data
    match line.type:
        case LineType.TRIAL_STARTED:
            if story.broken_off is not None:
                story.oddities.append((line.seq + 1, "the trial before has not ended"))
            _begun(story, line, place)
        case LineType.EVENT:
            form = _EVENTS.get(str(data.get("kind")))
            if form is not None and (attempt := _open(story, line)):
                attempt.events.append(readable(form, data, where=place))
        case LineType.TRACE | LineType.CAPTURE:
            _told_of_file(story, line, place)
        case LineType.TRIAL_ENDED:
            if attempt := _open(story, line):
                attempt.ended = readable(TrialEnded, data, where=place)
                attempt.ended_at = line.utc


def _told_of_file(story: Story, line: Line, place: str) -> None:
    attempt = _open(story, line)
    if attempt is None:
        return
    if line.type == LineType.TRACE:
        attempt.traces.append(readable(TraceLine, line.data, where=place))
    else:
        attempt.captures.append(readable(CaptureLine, line.data, where=place))


def _begun(story: Story, line: Line, place: str) -> None:
    trial = str(line.data.get("trial"))
    if trial in story.attempts:
        story.oddities.append((line.seq + 1, f"trial {trial} starts a second time"))
    story.attempts[trial] = Attempt(
        trial=trial,
        sitting=story.sittings,
        started_at=line.utc,
        conditions=readable(
            ConditionsReached, line.data.get("conditions"), where=place
        ),
    )


def _open(story: Story, line: Line) -> Attempt | None:
    """Give the attempt that a line belongs to; note a line that belongs to none."""
    attempt = story.attempts.get(str(line.data.get("trial")))
    if attempt is None or attempt.ended is not None:
        story.oddities.append((line.seq + 1, f"{line.type} outside its trial"))
        return None
    return attempt


def _resumed(story: Story, data: dict[str, Any], place: str) -> None:
    """Forget the attempts that are made again, keep the files that they left."""
    story.sittings += 1
    story.attempts = {t: a for t, a in story.attempts.items() if a.is_finished}
    files = readable(tuple[AbandonedFile, ...], data.get("abandoned"), where=place)
    story.abandoned.extend(files)

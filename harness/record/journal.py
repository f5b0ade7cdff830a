"""The journal: what happened, in order, one JSON object a line.

Each line holds its number (`seq`, from 0), the sha256 of the bytes of the line
before it without the line feed (`prev`), the wall-clock time in UTC, a type and
data. So a changed, removed or inserted line shows at the line after it; a change
of the last line shows in the manifest only.

A line that does not end in a line feed is torn: the writer was killed in the
middle of it. That is no fault of the lines before.
"""

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from harness.errors import StorageError
from harness.record.digest import digest_of

NO_LINE_BEFORE = "0" * 64
"""`prev` of the first line."""


class LineType(StrEnum):
    """What a line tells. A reader passes over types that it does not know."""

    RUN_STARTED = "run-started"
    SUT = "sut"
    TRIAL_STARTED = "trial-started"
    EVENT = "event"
    TRACE = "trace"
    CAPTURE = "capture"
    FINDING = "finding"
    TRIAL_ENDED = "trial-ended"
    LEFT = "left"
    RESUMED = "resumed"
    INTERRUPTED = "interrupted"
    RUN_ENDED = "run-ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a journal. `seq` counts from 0; line numbers for people from 1."""

    seq: int
    prev: str
    utc: str
    type: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first place at which a journal does not hold together."""

    line: int
    """From 1, as an editor counts."""
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """A journal as read: the lines before the first fault, and what follows them."""

    lines: tuple[Line, ...]
    head: str
    """sha256 of the last whole line: the `prev` of the line to come."""
    whole_bytes: int
    """Length of the whole lines."""
    torn: bytes
    """Bytes after the last line feed."""
    fault: Fault | None = None


def parse(data: bytes) -> Journal:
    """Read a journal's bytes. Never raises: a fault is part of the answer."""
    *whole, torn = data.split(b"\n")
    lines: list[Line] = []
    head = NO_LINE_BEFORE
    fault = None
    for number, text in enumerate(whole, start=1):
        line = _line(text)
        fault = _fault(line, number, head)
        if line is None or fault is not None:
            break
        lines.append(line)
        head = digest_of(text)
    return Journal(
        lines=tuple(lines),
        head=head,
        whole_bytes=len(data) - len(torn),
        torn=torn,
        fault=fault,
    )


def utc_text(instant: datetime) -> str:
    """Write an instant as ISO 8601 in UTC to the millisecond.

    >>> utc_text(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02T03:04:05.000Z'
    """
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class JournalWriter:
    """Appends lines; each is with the kernel at once and on disk after `sync`.

    Holds a lock on the file, so that no second process writes the same record.
    """

    def __init__(self, path: Path, utc: Callable[[], datetime]) -> None:
        """Open the journal at `path`, or begin one; a torn tail is cut off.

        Raises OSError, and StorageError where another process writes it.
        """
        self.path = path
        self._utc = utc
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o644)
        try:
            self._lock()
            journal = parse(path.read_bytes())
            os.ftruncate(self._descriptor, journal.whole_bytes)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.torn = journal.torn
        self._size = journal.whole_bytes
        self._seq = len(journal.lines)
        self._head = journal.head

    def append(self, kind: LineType, data: Mapping[str, Any]) -> None:
        """Append one line. Raises OSError; then nothing of the line stays."""
        plain = {
            "seq": self._seq,
            "prev": self._head,
            "utc": utc_text(self._utc()),
            "type": kind,
            "data": data,
        }
        text = json.dumps(
            plain,
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        ).encode()
        self._write(text + b"\n")
        self._seq += 1
        self._head = digest_of(text)

    def sync(self) -> None:
        """Have every line on disk, not only with the kernel. Raises OSError."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file and let the lock go."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except BaseException:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                "Another process is writing this record",
                where=str(self.path),
                remedy="Wait until it ends, or end it, and try again.",
            ) from error


def _line(text: bytes) -> Line | None:
    try:
        plain = json.loads(text)
        line = Line(**{name: plain[name] for name in Line.__slots__})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = (line.prev, line.utc, line.type)
    is_whole = type(line.seq) is int and isinstance(line.data, dict)
    return line if is_whole and all(isinstance(t, str) for t in texts) else None


def _fault(line: Line | None, number: int, head: str) -> Fault | None:
    if line is None:
        return Fault(line=number, what=f"line {number} is not a line of a journal")
    if line.prev != head:
        before = f"line {number - 1}" if number > 1 else "the beginning"
        return Fault(
            line=max(1, number - 1),
            what=f"line {number} follows a line with sha256 {line.prev}, "
            f"but {before} has {head}",
        )
    if line.seq != number - 1:
        return Fault(
            line=number, what=f"line {number} says that it is number {line.seq}"
        )
    return None

"""Captures: the bytes of a link with their times, recorded and played back.

A capture (`FORMAT`) is a line that names the form, a line of JSON that says what was
captured, and frames: a kind of one byte, ``W`` for written by the host, ``R`` for read
by it and ``M`` for a mark (the begin or the end of an acquisition), the time in ns as
int64, the length as uint32, all little endian, and the bytes or the name of the mark.
A frame that is cut short ends the capture; what is before it is good.

In playing back, what the host writes moves the capture on to where it wrote the same
before; from there on each byte comes as long after as it did then (`Pace.SHIFTED`), so
that a driver that asks in another order, or stops sooner, still gets the answers to its
questions; or exactly when it came (`Pace.EXACT`), so that what is decoded on a clock of
its own is a function of the capture alone.
"""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from harness.clock import Clock, Deadline
from harness.errors import SchemaError, StorageError
from harness.links.bytelink import ByteLink

FORMAT = "duanping/capture/1"
BEGUN, ENDED = "begun", "ended"
"""Names of the marks at the begin and the end of an acquisition."""
_FRAME = struct.Struct("<cqI")
_WRITTEN, _READ, _MARK = b"W", b"R", b"M"


class Pace(Enum):
    """When the bytes of a capture come while it is played back."""

    SHIFTED = "shifted"
    """As long after what the host wrote as they did then."""
    EXACT = "exact"
    """At their own times; writing waits for the time at which it was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Bytes that were written or read at once."""

    is_written: bool
    at_ns: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A capture that was read: what it is of, and what went over the link."""

    facts: dict[str, str]
    moments: tuple[Moment, ...]
    marks: dict[str, int] = field(default_factory=dict)
    """Name of a mark → its time in ns."""


class Tape(Protocol):
    """What takes down frames."""

    def append(self, kind: bytes, at_ns: int, data: bytes) -> None:
        """Take down one frame."""
        ...


class RecordingLink:
    """Wraps a link and writes down all that goes over it, with its time."""

    def __init__(self, inner: ByteLink, clock: Clock, recorder: Tape) -> None:
        self.where = inner.where
        self._inner = inner
        self._clock = clock
        self._recorder = recorder

    def read(self, most: int, until: Deadline) -> bytes:
        """Give what the link gives, after writing it down."""
        data = self._inner.read(most, until)
        if data:
            self._recorder.append(_READ, self._clock.now_ns(), data)
        return data

    def write(self, data: bytes) -> None:
        """Pass the bytes on, after writing them down."""
        self._recorder.append(_WRITTEN, self._clock.now_ns(), data)
        self._inner.write(data)


class FrameList:
    """Frames that are kept in memory, to begin later captures with."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, int, bytes]] = []

    def append(self, kind: bytes, at_ns: int, data: bytes) -> None:
        """Take down one frame."""
        self.frames.append((kind, at_ns, data))


class Recorder:
    """An open capture file. Made by `recording`."""

    def __init__(self, path: Path, facts: dict[str, str]) -> None:
        self._path = path
        head = f"{FORMAT}\n{json.dumps(facts, ensure_ascii=False)}\n".encode()
        try:
            self._file = path.open("xb")
            self._file.write(head)
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, kind: bytes, at_ns: int, data: bytes) -> None:
        """Add one frame. Raises StorageError where it cannot be written."""
        try:
            self._file.write(_FRAME.pack(kind, at_ns, len(data)) + data)
        except OSError as error:
            raise self._unwritable(error) from error

    def mark(self, name: str, at_ns: int) -> None:
        """Add a mark. Raises StorageError where it cannot be written."""
        self.append(_MARK, at_ns, name.encode())

    def flush(self) -> None:
        """Hand what was added to the kernel. Raises StorageError."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the file; it stays. Raises StorageError where the rest cannot go."""
        try:
            self._file.close()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StorageError:
        return StorageError(
            f"The capture cannot be written: {error.strerror}",
            where=str(self._path),
            remedy="Name another file; one that is there is not written over.",
        )


@contextmanager
def recording(path: Path, facts: dict[str, str]) -> Iterator[Recorder]:
    """Begin a capture file. Raises StorageError; a file that is there stays."""
    recorder = Recorder(path, facts)
    try:
        yield recorder
    finally:
        recorder.close()


def load_capture(path: Path) -> Capture:
    """Read a capture. Raises SchemaError for what is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SchemaError(
            f"The capture cannot be read: {error.strerror}", where=str(path)
        ) from error
    return read_capture(data, str(path))


def read_capture(data: bytes, where: str) -> Capture:
    """Read the bytes of a capture. Raises SchemaError for what is none."""
    head, _, rest = data.partition(b"\n")
    line, _, frames = rest.partition(b"\n")
    if head != FORMAT.encode():
        raise SchemaError(
            f"This is no capture of the form {FORMAT}",
            where=where,
            remedy="Make one with: duanping meters capture METER --raw FILE",
        )
    try:
        facts = {str(key): str(value) for key, value in json.loads(line).items()}
    except (ValueError, AttributeError) as error:
        raise SchemaError(
            "The second line of the capture is no JSON object", where=where
        ) from error
    moments: list[Moment] = []
    marks: dict[str, int] = {}
    for kind, at_ns, held in _frames(frames):
        if kind == _MARK:
            marks[held.decode(errors="replace")] = at_ns
        else:
            moments.append(Moment(is_written=kind == _WRITTEN, at_ns=at_ns, data=held))
    return Capture(facts=facts, moments=tuple(moments), marks=marks)


def _frames(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    at = 0
    while at + _FRAME.size <= len(data):
        kind, at_ns, length = _FRAME.unpack_from(data, at)
        begin, end = at + _FRAME.size, at + _FRAME.size + length
        if kind not in {_WRITTEN, _READ, _MARK} or end > len(data):
            return
        yield kind, at_ns, data[begin:end]
        at = end


class ReplayLink:
    """A link that plays a capture back on a clock."""

    def __init__(
        self, capture: Capture, clock: Clock, where: str, pace: Pace = Pace.SHIFTED
    ) -> None:
        self.where = where
        self._moments = capture.moments
        self._clock = clock
        self._pace = pace
        self._place = 0
        self._pending = b""
        first_ns = self._moments[0].at_ns if self._moments else 0
        is_exact = pace is Pace.EXACT
        self._offset_ns = 0 if is_exact else clock.now_ns() - first_ns

    def read(self, most: int, until: Deadline) -> bytes:
        """Give what had come by now, or ``b""`` at the deadline.

        After the end of the capture nothing comes any more.
        """
        while not self._pending:
            moment = self._next_read()
            due_ns = until.at_ns if moment is None else moment.at_ns + self._offset_ns
            self._clock.wait_until(min(due_ns, until.at_ns))
            if moment is None or due_ns > until.at_ns:
                return b""
            self._pending = moment.data
            self._place += 1
        data, self._pending = self._pending[:most], self._pending[most:]
        return data

    def write(self, data: bytes) -> None:
        """Go to where the same was written, and on from there at this time."""
        for place in range(self._place, len(self._moments)):
            moment = self._moments[place]
            if moment.is_written and moment.data == data:
                self._place = place + 1
                self._pending = b""
                if self._pace is Pace.EXACT:
                    self._clock.wait_until(moment.at_ns)
                else:
                    self._offset_ns = self._clock.now_ns() - moment.at_ns
                return

    def _next_read(self) -> Moment | None:
        """Give the next bytes; None where the host wrote something before them."""
        if self._place >= len(self._moments):
            return None
        moment = self._moments[self._place]
        return None if moment.is_written else moment


@contextmanager
def replayed(capture: Capture, clock: Clock, where: str) -> Iterator[ReplayLink]:
    """Open a capture as a link."""
    yield ReplayLink(capture, clock, where)

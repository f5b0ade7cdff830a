"""Captures of a link, and their playing back."""

from pathlib import Path

import pytest

from harness.clock import Deadline, VirtualClock
from harness.errors import SchemaError, StorageError
from harness.links.replay import (
    FORMAT,
    RecordingLink,
    ReplayLink,
    load_capture,
    recording,
)


class Scripted:
    """A link on which each write is answered after 10 ms, byte by byte."""

    where = "scripted"

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._due: list[tuple[int, bytes]] = []

    def write(self, data: bytes) -> None:
        now_ns = self._clock.now_ns()
        self._due = [
            (now_ns + 10_000_000 * (place + 1), bytes([byte]))
            for place, byte in enumerate(data.upper())
        ]

    def read(self, most: int, until: Deadline) -> bytes:
        assert most > 0
        if not self._due or self._due[0][0] > until.at_ns:
            self._clock.wait_until(until.at_ns)
            return b""
        at_ns, data = self._due.pop(0)
        self._clock.wait_until(at_ns)
        return data


def captured(path: Path, *written: bytes) -> None:
    clock = VirtualClock(start_ns=7_000_000_000)
    with recording(path, {"address": "toy@serial:/dev/x"}) as recorder:
        link = RecordingLink(Scripted(clock), clock, recorder)
        for data in written:
            link.write(data)
            while link.read(100, Deadline.after(0.05, clock)):
                pass


def drained(link: ReplayLink, clock: VirtualClock) -> list[tuple[int, bytes]]:
    """Read until 50 ms of silence; give what came, and when, in ms."""
    got = []
    while data := link.read(100, Deadline.after(0.05, clock)):
        got.append((clock.now_ns() // 1_000_000, data))
    return got


def test_a_capture_gives_back_what_came_when_it_came(tmp_path: Path) -> None:
    captured(tmp_path / "a.cap", b"abc")
    capture, clock = load_capture(tmp_path / "a.cap"), VirtualClock()

    link = ReplayLink(capture, clock, "replay")
    link.write(b"abc")

    assert capture.facts == {"address": "toy@serial:/dev/x"}
    assert drained(link, clock) == [(10, b"A"), (20, b"B"), (30, b"C")]


def test_nothing_comes_before_the_question_was_asked(tmp_path: Path) -> None:
    captured(tmp_path / "a.cap", b"abc")
    clock = VirtualClock()
    link = ReplayLink(load_capture(tmp_path / "a.cap"), clock, "replay")

    silence = drained(link, clock)
    link.write(b"abc")

    assert silence == []
    assert [data for _, data in drained(link, clock)] == [b"A", b"B", b"C"]


def test_writing_something_else_first_skips_to_its_answer(tmp_path: Path) -> None:
    captured(tmp_path / "a.cap", b"abc", b"xy", b"abc")
    clock = VirtualClock()
    link = ReplayLink(load_capture(tmp_path / "a.cap"), clock, "replay")

    link.write(b"xy")
    skipped = drained(link, clock)
    link.write(b"never written")
    nothing = drained(link, clock)

    assert [data for _, data in skipped] == [b"X", b"Y"]
    assert nothing == []


def test_a_read_gives_no_more_than_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.cap"
    clock = VirtualClock()
    with recording(path, {}) as recorder:
        recorder.append(b"R", 0, b"hello")
    link = ReplayLink(load_capture(path), clock, "replay")

    pieces = [link.read(2, Deadline.after(0.01, clock)) for _ in range(4)]

    assert pieces == [b"he", b"ll", b"o", b""]


def test_a_capture_that_was_cut_short_is_good_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "a.cap"
    captured(path, b"abc")
    path.write_bytes(path.read_bytes()[:-1])

    capture = load_capture(path)

    assert [m.data for m in capture.moments] == [b"abc", b"A", b"B"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"something else\n{}\n", "no capture of the form"),
        (f"{FORMAT}\nno json\n".encode(), "second line of the capture"),
        (f"{FORMAT}\n[1]\n".encode(), "second line of the capture"),
    ],
)
def test_what_is_no_capture_is_refused(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "a.cap"
    path.write_bytes(content)

    with pytest.raises(SchemaError, match=sentence):
        load_capture(path)


def test_a_capture_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="No such file"):
        load_capture(tmp_path / "none.cap")


def test_a_capture_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.cap"
    path.write_bytes(b"precious")

    with pytest.raises(StorageError, match="not written over"), recording(path, {}):
        pass

    assert path.read_bytes() == b"precious"

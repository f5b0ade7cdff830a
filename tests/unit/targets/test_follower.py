"""Following a run over links that come back and say nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.clock import Deadline, VirtualClock
from harness.errors import LinkClosed, LinkTimeout
from harness.links.shell import Finished, LineLink
from harness.targets.follower import MOST_SILENCES, Follower


class MuteShell:
    """A board that lets every command start, and never says a word."""

    where = "board"

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.starts = 0

    @contextmanager
    def start(self, command: Sequence[str]) -> Iterator[LineLink]:
        del command
        self.starts += 1
        yield self

    def write(self, data: bytes) -> None:
        pass

    def read_line(self, until: Deadline) -> bytes:
        self.clock.wait_until(until.at_ns)
        raise LinkTimeout("Nothing came", where=self.where)

    def run(
        self, command: Sequence[str], until: Deadline, *, stdin: bytes = b""
    ) -> Finished:
        raise NotImplementedError

    def push(self, data: Path | bytes, to: str) -> None:
        raise NotImplementedError

    def last_words(self) -> str:
        return ""

    def let_go(self) -> None:
        pass

    def reconnect(self) -> None:
        pass


def test_a_board_that_never_says_anything_is_given_up() -> None:
    shell = MuteShell(clock := VirtualClock())
    follower = Follower(
        shell=shell,
        clock=clock,
        come_back=shell.reconnect,
        let_go=shell.let_go,
        begin=["run"],
        go_on=lambda offset: ["follow", str(offset)],
        job=b"{}\n",
    )

    with pytest.raises(LinkClosed, match="says nothing of the run"):
        list(follower.events())

    assert shell.starts == MOST_SILENCES

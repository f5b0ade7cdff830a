"""The keeper's journal stays whole, whenever the keeper is interrupted."""

import os
import signal

import pytest

from harness.domain.query import Noted
from harness.loadgen.transcript import Done, Listener, Speaker
from harness.targets.board.keeper import said_whole

NOTE = Noted(trial="kws.r1", key="device", value="board")


class _Journal:
    """Takes lines; one of them is interrupted before it is written."""

    def __init__(self, *, interrupted: int) -> None:
        self.lines: list[bytes] = []
        self._until = interrupted

    def write(self, data: bytes) -> None:
        if len(self.lines) == self._until:
            self._until = -1
            os.kill(os.getpid(), signal.SIGINT)
        self.lines.append(data)


def test_an_interrupt_in_the_middle_of_a_line_comes_after_it() -> None:
    journal = _Journal(interrupted=1)
    speaker = Speaker(journal.write)
    speaker.hello({})

    with pytest.raises(KeyboardInterrupt), said_whole():
        speaker.event(NOTE)
    speaker.done()

    listener = Listener()
    heard = [listener.take(line) for line in journal.lines]
    assert heard[1:] == [NOTE, Done(count=1)]


def test_without_an_interrupt_the_usual_handler_is_back() -> None:
    usual = signal.getsignal(signal.SIGINT)

    with said_whole():
        pass

    assert signal.getsignal(signal.SIGINT) is usual

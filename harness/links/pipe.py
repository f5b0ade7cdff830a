"""Lines to and from a child process, with deadlines; no protocol.

Two threads keep the child's pipes empty, so that it never waits for its reader. The
child gets a session of its own: a Ctrl-C at the terminal reaches the parent only,
which then ends the child in good order.
"""

import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO

from harness.clock import Deadline, SystemClock
from harness.errors import LinkClosed, LinkTimeout

_TAIL_LINES = 40
_WORDS_LENGTH = 600
_GRACE_S = 2.0
"""How long a child may take to end once its standard input is closed."""


class ChildLink:
    """A running child. Made by `spawn`, which also ends it."""

    def __init__(self, child: "subprocess.Popen[bytes]", name: str) -> None:
        self.pid = child.pid
        self.where = f"{name}, process {child.pid}"
        self._child = child
        self._stdin = _piped(child.stdin)
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._is_over = False
        self._threads = (
            Thread(target=self._read_lines, daemon=True),
            Thread(target=self._read_errors, daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes) -> None:
        """Send all of it. Raises LinkClosed where the child is gone."""
        try:
            self._stdin.write(data)
            self._stdin.flush()
        except OSError as error:
            raise self._closed() from error

    def read_line(self, until: Deadline) -> bytes:
        """Give the next whole line with its end.

        Raises LinkTimeout where none came before the deadline, LinkClosed once the
        child has closed its output and every line has been given. A last line
        without an end is not a line.
        """
        if self._is_over:
            raise self._closed()
        try:
            line = self._lines.get(timeout=until.remaining_s())
        except Empty:
            raise LinkTimeout(
                "The process said nothing in time", where=self.where
            ) from None
        if line is None:
            self._is_over = True
            raise self._closed()
        return line

    def exit_status(self, until: Deadline) -> int | None:
        """Wait for the end and give the status, -n for signal n; None: still there."""
        try:
            return self._child.wait(timeout=until.remaining_s())
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End the child at once, whatever it is doing."""
        self._child.kill()

    def last_words(self) -> str:
        """Give the end of what the child wrote to standard error, in one line."""
        text = " ".join(line for line in self._tail if line)
        return text[-_WORDS_LENGTH:]

    def close(self) -> None:
        """Close its standard input, wait a little, then end it by force."""
        with suppress(BrokenPipeError):  # what was not sent has nobody left to read it
            self._stdin.close()
        if self.exit_status(Deadline.after(_GRACE_S, SystemClock())) is None:
            self._child.kill()
            self._child.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._child.stdout, self._child.stderr):
            _piped(pipe).close()

    def _read_lines(self) -> None:
        for line in _piped(self._child.stdout):
            if line.endswith(b"\n"):
                self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        for line in _piped(self._child.stderr):
            self._tail.append(line.decode(errors="replace").strip())

    def _closed(self) -> LinkClosed:
        return LinkClosed("The process has closed its output", where=self.where)


@contextmanager
def spawn(
    command: Sequence[str], env: Mapping[str, str], *, name: str
) -> Iterator[ChildLink]:
    """Start a child with exactly that environment, and end it on leaving.

    Raises LinkClosed where it cannot be started.
    """
    try:
        child = subprocess.Popen(  # noqa: S603 - a list, no shell
            command,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise LinkClosed(f"{command[0]} cannot be started: {error}") from error
    link = ChildLink(child, name)
    try:
        yield link
    finally:
        link.close()


def _piped(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("a child without a pipe")
    return pipe

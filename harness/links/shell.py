"""A board that takes commands and files: what ssh, and later adb, have in common."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.clock import Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that has ended on the board."""

    status: int
    """Exit status; -1 where a signal or the link ended it."""
    stdout: bytes
    stderr: str


class LineLink(Protocol):
    """Lines to and from a process, with deadlines."""

    @property
    def where(self) -> str:
        """Name the process as error messages do."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of it. Raises LinkClosed where the process is gone."""
        ...

    def read_line(self, until: Deadline) -> bytes:
        """Give the next whole line with its end.

        Raises LinkTimeout where none came before the deadline, LinkClosed once the
        process has closed its output and every line has been given.
        """
        ...

    def last_words(self) -> str:
        """Give the end of what the process wrote to standard error, in one line."""
        ...


class Shell(Protocol):
    """A board behind a link."""

    @property
    def where(self) -> str:
        """Name the board as error messages do."""
        ...

    def run(
        self, command: Sequence[str], until: Deadline, *, stdin: bytes = b""
    ) -> Finished:
        """Execute a command to its end. Raises LinkTimeout, LinkClosed."""
        ...

    def start(self, command: Sequence[str]) -> AbstractContextManager[LineLink]:
        """Start a command; leaving the context closes its standard input and ends it.

        Raises LinkClosed where the link is gone.
        """
        ...

    def push(self, data: Path | bytes, to: str) -> None:
        """Write a file on the board, whole or not at all.

        Raises TargetError where the board takes no more, LinkClosed.
        """
        ...

    def let_go(self) -> None:
        """Close the link on purpose; `reconnect` opens it again."""
        ...

    def reconnect(self) -> None:
        """Open the link anew. Raises LinkError while the board is not there."""
        ...

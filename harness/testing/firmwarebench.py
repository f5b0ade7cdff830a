"""Firmware in C as a process of this machine, behind a pseudo terminal.

For tests of whoever talks to a board over a port. A process that ends and is started
again at the same name is a board that was unplugged and plugged in.
"""

import os
import pty
import subprocess
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def build(source: Path, made: Path) -> Path:
    """Compile firmware for this machine. Raises CalledProcessError."""
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(made)]
    subprocess.run([*command, str(source), "-lm"], check=True)  # noqa: S603 - a list
    return made


@contextmanager
def port(binary: Path, *options: str) -> Iterator[str]:
    """Give the port at which the firmware listens."""
    with unplugging(binary, *options) as board:
        yield board.name


class Board:
    """Firmware behind a pseudo terminal, which can be pulled out and put back."""

    def __init__(self, binary: Path, options: Sequence[str]) -> None:
        self._binary = binary
        self._options = options
        self._plug_in()

    def _plug_in(self) -> None:
        device, self._end = pty.openpty()
        tty.setraw(device)
        tty.setraw(self._end)
        self.process = subprocess.Popen(  # noqa: S603 - a list, no shell
            [self._binary, *self._options], stdin=device, stdout=device
        )
        os.close(device)
        self.name = os.ttyname(self._end)
        """Where it is; another place each time that it is plugged in."""

    def pull_out(self) -> None:
        """End the process and the terminal."""
        self.process.kill()
        self.process.wait()
        if self._end >= 0:
            os.close(self._end)
            self._end = -1

    def put_back(self, *options: str) -> None:
        """Start it again, as it was or with other options."""
        self.pull_out()
        self._options = options or self._options
        self._plug_in()


@contextmanager
def unplugging(binary: Path, *options: str) -> Iterator[Board]:
    """Give a board that can be pulled out."""
    board = Board(binary, options)
    try:
        yield board
    finally:
        board.pull_out()

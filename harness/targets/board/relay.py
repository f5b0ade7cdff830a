"""The relay: gives the host a run's journal, from any place in it, as it grows.

It lives as long as its link does and no longer. While the journal is silent it says
that it is there; each line from the host renews the keeper's lease.
"""

import fcntl
import os
import shutil
import sys
import threading
from pathlib import Path

from harness.clock import Deadline, SystemClock
from harness.meters.kernel import Kernel
from harness.targets.board.job import RunFolder, speak

BEAT_S = 2.0
_LOOK_EVERY_S = 0.05
_PIECE_BYTES = 1 << 20


def relay(folder: RunFolder, offset: int) -> None:
    """Write the journal to standard output until the run is over or the link closes.

    Line by whole line: a keeper that is killed leaves half a line, and what is said
    after it would be lost with it.

    Standard input renews the lease; ``stop`` ends the run, ``taken`` removes it.
    """
    out = sys.stdout.buffer
    out.write(speak("relay", offset=offset))
    out.flush()
    listener = _Ear(folder)
    listener.start()
    clock = SystemClock()
    beat = Deadline.after(BEAT_S, clock)
    with folder.journal.open("rb") as journal:
        journal.seek(offset)
        torn = b""
        while not listener.is_closed.is_set():
            has_ended = not is_locked(folder.alive)  # before the read: nothing is lost
            data = journal.read(_PIECE_BYTES)
            whole, feed, torn = (torn + data).rpartition(b"\n")
            if whole:
                out.write(whole + feed)
            elif data:
                continue  # of a long line
            elif has_ended:
                break
            elif beat.is_over():
                out.write(speak("beat"))
            else:
                listener.is_closed.wait(_LOOK_EVERY_S)
                continue
            out.flush()
            beat = Deadline.after(BEAT_S, clock)
    out.write(speak("over", reason=ending(folder)))
    out.flush()
    listener.is_closed.wait()


def is_locked(path: Path) -> bool:
    """Say whether a living process holds the lock of that file."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def ending(folder: RunFolder) -> str:
    """Say why the journal may end without ``done``."""
    words = folder.last.read_text(errors="replace").strip()
    if words:
        return words
    if folder.boot.read_text() != Kernel().boot_id():
        return "The board was started again in the middle of the trial"
    errors = (folder.path / "errors").read_text(errors="replace").strip()
    said = f": {errors.splitlines()[-1]}" if errors else ""
    return f"The keeper of the trial was ended on the board{said}"


class _Ear(threading.Thread):
    """Listens to the host."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(daemon=True, name="host")
        self.is_closed = threading.Event()
        self._folder = folder

    def run(self) -> None:
        """Take lines until there are no more."""
        while data := os.read(0, 4096):
            if b"stop" in data:
                self._folder.stop.touch()
            if b"taken" in data:
                shutil.rmtree(self._folder.path)
                break
            self._folder.lease.touch()
        self.is_closed.set()

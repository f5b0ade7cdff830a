"""One lab at a time on a board; a second is told who the first is."""

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from harness.targets.board.job import speak
from harness.targets.board.relay import is_locked


def hold(base: Path, token: str, holder: str) -> None:
    """Hold the board for `holder` until standard input closes; say how it went.

    A run that goes on without its host keeps the board for the host with its token.
    """
    path = base / "lock"
    out = sys.stdout.buffer
    base.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            out.write(speak("held", by=_holder(file)))
            return
        busy = _read(base / "busy")
        if is_locked(_touched(base / "busy")) and busy.get("token") != token:
            out.write(speak("held", by=str(busy.get("holder", "another lab"))))
            return
        _write(file, {"token": token, "holder": holder})
        _sweep(base / "runs", token)
        out.write(speak("holds"))
        out.flush()
        while os.read(0, 4096):
            pass


@contextmanager
def busy_for(base: Path) -> Iterator[IO[str]]:
    """Open the file whose lock says that a run is going on. Raises BlockingIOError."""
    with (base / "busy").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write(file, _read(base / "lock"))
        yield file


def _sweep(runs: Path, token: str) -> None:
    """Remove what runs left whose host never came back; ours may yet be collected."""
    if not runs.is_dir():
        return
    for folder in runs.iterdir():
        if not folder.name.startswith(token) and not is_locked(folder / "alive"):
            shutil.rmtree(folder)


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        return str(json.load(file)["holder"])
    except (ValueError, KeyError):
        return "another lab"  # it is writing its name just now


def _read(path: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # nobody has held it yet
    return found


def _write(file: IO[str], facts: dict[str, str]) -> None:
    file.seek(0)
    file.truncate()
    json.dump(facts, file)
    file.flush()


def _touched(path: Path) -> Path:
    path.touch()
    return path

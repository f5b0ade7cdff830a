"""What a run that was left on a board has done so far; needs Python and nothing else.

Under a series' folder lies a folder for each trial, by its number: its journal as of
any run, and ``conditions`` with what was reached before it, or why that failed.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.clock import Clock, Deadline
from harness.meters.kernel import Kernel
from harness.targets.board.android import PhoneKernel
from harness.targets.board.conditions import ledger_in, standing
from harness.targets.board.job import RunFolder, speak
from harness.targets.board.knobs import Panel
from harness.targets.board.relay import ending, is_locked

ALIVE = "alive"
TOTAL = "total"
CONDITIONS = "conditions"
STOP = "stop"
PATIENCE_S = 30.0
"""How long a trial may take to end by itself before its process is killed."""
_LOOK_EVERY_NS = 100_000_000
_DONE = b'{"line":"done"'


def look(base: Path, path: Path, clock: Clock) -> bytes:
    """Say whether the series is there and over, and how many trials have ended."""
    kernel = PhoneKernel()
    boot = kernel.boot_id()
    if not (path / TOTAL).is_file():
        return speak("series", is_there=False, boot=boot)
    total = int((path / TOTAL).read_text())
    is_over = not is_locked(path / ALIVE)
    # while it goes on, what is set is meant to be
    left = _outstanding(base, kernel, clock) if is_over else []
    return speak(
        "series",
        is_there=True,
        is_over=is_over,
        ended=sum(_has_ended(RunFolder(path / str(n))) for n in range(total)),
        total=total,
        not_put_back="; ".join(left),
        boot=boot,
    )


def _outstanding(base: Path, kernel: Kernel, clock: Clock) -> list[str]:
    """Say what is still set; a note that cannot be read keeps no figure back."""
    try:
        return ledger_in(base).outstanding(Panel(kernel, clock))
    except OSError as error:
        return [error.strerror or str(error)]


def end(base: Path, path: Path, reason: str, clock: Clock) -> None:
    """Have the series end: its trial says so and ends, what was set is put back.

    A trial that does not end by itself is killed. What a series that is dead already
    has left set is put back too, unless somebody else has set the board since.
    """
    if not (path / TOTAL).is_file():
        return
    _stop(path, reason, clock)
    if not is_locked(path / ALIVE) and not is_locked(base / "conditions"):
        with standing(base, PhoneKernel(), clock):
            pass


def _stop(path: Path, reason: str, clock: Clock) -> None:
    (path / STOP).touch()
    for number in range(int((path / TOTAL).read_text())):
        folder = RunFolder(path / str(number))
        if folder.path.is_dir():
            _replace(folder.stop, reason)
    for is_last in (False, True):
        until = Deadline.after(PATIENCE_S, clock)
        while is_locked(path / ALIVE):
            if until.is_over():
                break
            clock.wait_until(clock.now_ns() + _LOOK_EVERY_NS)
        else:
            return
        if not is_last:
            _kill_trial(path)


def _replace(file: Path, text: str) -> None:
    """Give a file its text at once: whoever sees it sees all of it."""
    part = file.with_name(f"{file.name}.part")
    part.write_text(text)
    part.replace(file)


def _kill_trial(path: Path) -> None:
    for file in path.glob("*/pid"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            os.kill(int(file.read_text()), signal.SIGKILL)


def given(path: Path, number: int) -> Iterator[bytes]:
    """Give a trial's conditions, its journal, and why that may end without ``done``."""
    folder = RunFolder(path / str(number))
    found = folder.path / CONDITIONS
    if not found.is_file():
        yield speak("over", reason="The board did not come to this trial")
        return
    reached: dict[str, Any] = json.loads(found.read_bytes())
    if "what" in reached:
        yield speak("over", reason=reached["what"])
        return
    yield speak("conditions", conditions=reached, boot=folder.boot.read_text())
    if folder.journal.is_file():
        with folder.journal.open("rb") as journal:
            yield from (line for line in journal if line.endswith(b"\n"))
    yield speak("over", reason=ending(folder))


def _has_ended(folder: RunFolder) -> bool:
    if not folder.journal.is_file():
        return False
    lines = folder.journal.read_bytes().splitlines()
    return bool(lines) and lines[-1].startswith(_DONE)

"""What a run that was left on a board has done so far; needs Python and nothing else.

Under a series' folder lies a folder for each trial, by its number: its journal as of
any run, and ``conditions`` with what was reached before it, or why that failed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.targets.board.job import RunFolder, speak
from harness.targets.board.relay import ending, is_locked

ALIVE = "alive"
TOTAL = "total"
CONDITIONS = "conditions"
NOT_PUT_BACK = "not-put-back"
_DONE = b'{"line":"done"'


def look(path: Path) -> bytes:
    """Say whether the series is there and over, and how many trials have ended."""
    if not (path / TOTAL).is_file():
        return speak("series", is_there=False)
    total = int((path / TOTAL).read_text())
    ended = sum(_has_ended(RunFolder(path / str(n))) for n in range(total))
    failed = path / NOT_PUT_BACK
    return speak(
        "series",
        is_there=True,
        is_over=not is_locked(path / ALIVE),
        ended=ended,
        total=total,
        not_put_back=failed.read_text() if failed.is_file() else "",
    )


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
    yield speak("conditions", conditions=reached)
    if folder.journal.is_file():
        with folder.journal.open("rb") as journal:
            yield from (line for line in journal if line.endswith(b"\n"))
    yield speak("over", reason=ending(folder))


def _has_ended(folder: RunFolder) -> bool:
    if not folder.journal.is_file():
        return False
    lines = folder.journal.read_bytes().splitlines()
    return bool(lines) and lines[-1].startswith(_DONE)

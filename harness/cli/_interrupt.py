"""Ctrl-C: once ends the run in good order, twice at once. Neither loses a figure."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from harness.errors import ExitCode, Interrupted


@contextmanager
def resumable(bundle: Path) -> Iterator[None]:
    """Turn Ctrl-C into a sentence that says how to go on.

    The second Ctrl-C leaves at once: the record is on disk, and the agent ends by
    itself when its standard input closes.
    """
    presses = 0

    def pressed(_number: int, _frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            print(f"\nduanping: {_how_to_go_on(bundle).sentence()}", file=sys.stderr)
            sys.stderr.flush()
            os._exit(ExitCode.INTERRUPTED)
        raise KeyboardInterrupt

    afterwards = signal.signal(signal.SIGINT, pressed)
    try:
        yield
    except KeyboardInterrupt:
        # the command is leaving: another press has nothing left to stop
        afterwards = signal.SIG_IGN
        raise _how_to_go_on(bundle) from None
    finally:
        signal.signal(signal.SIGINT, afterwards)


def _how_to_go_on(bundle: Path) -> Interrupted:
    return Interrupted(
        "Interrupted; what was measured is kept",
        where=str(bundle),
        remedy=f"Go on with: duanping run --resume {bundle}",
    )

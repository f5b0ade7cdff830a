"""``python -m harness.agent``: take one order from standard input and carry it out."""

import os
import sys
import threading

from harness.agent.serve import serve
from harness.clock import SystemClock

LEASE_ENDED = 3
"""Exit status when standard input closed before the order was carried out."""


def main() -> None:
    """Serve one order between standard input and output."""
    # Lines go to a duplicate of standard output, and the original is turned to
    # standard error, so that nothing that a library prints gets among them.
    with os.fdopen(os.dup(1), "wb") as lines:
        os.dup2(2, 1)
        order = sys.stdin.buffer.readline()
        threading.Thread(target=_hold_lease, daemon=True).start()

        def write(line: bytes) -> None:
            lines.write(line)
            lines.flush()

        serve(order, write, SystemClock())


def _hold_lease() -> None:
    # os.read, since a daemon thread inside sys.stdin stops the interpreter from ending
    while os.read(0, 4096):
        pass
    os._exit(LEASE_ENDED)


main()

"""What the host hears of one agent, and how an agent ended that did not say so."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass

from harness.clock import Clock, Deadline
from harness.domain.query import LinkEvent, Outcome
from harness.errors import LinkTimeout
from harness.links.pipe import ChildLink
from harness.loadgen.transcript import Done, Hello, Listener

TICK_S = 0.5
"""Silence is broken this often, so that the host can go on with other things."""
_MEMORY_SIGNS = ("MemoryError", "bad_alloc", "allocate memory", "Cannot allocate")


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing was heard for a while; the agent is still there."""


class Conversation:
    """One order and everything that is said about it."""

    def __init__(self, link: ChildLink, clock: Clock, *, silence_s: float) -> None:
        self._link = link
        self._clock = clock
        self._silence_s = silence_s
        self._listener = Listener()

    def ask(self, order: bytes) -> None:
        """Send the order. Raises LinkClosed where nobody is there to take it."""
        self._link.write(order)

    def answers(self) -> Iterator[LinkEvent | Hello | Tick]:
        """Yield what is heard, up to ``done``; may be called again after a break.

        Raises LinkTimeout after so many seconds of silence, LinkClosed where the agent
        ends without ``done``, LinkError for a line that is out of turn.
        """
        patience = Deadline.after(self._silence_s, self._clock)
        while True:
            try:
                line = self._link.read_line(Deadline.after(TICK_S, self._clock))
            except LinkTimeout:
                if patience.is_over():
                    raise
                yield Tick()
                continue
            patience = Deadline.after(self._silence_s, self._clock)
            heard = self._listener.take(line)
            if isinstance(heard, Done):
                return
            yield heard


def outcome_of_exit(
    status: int | None, words: str, *, was_short_of_memory: bool
) -> tuple[Outcome, str]:
    """Say how an agent ended that did not say so itself.

    `status` is -n for signal n, None for a process that still runs without output;
    `words` is the end of its standard error. A SIGKILL counts as the kernel's only
    with evidence of it: anybody can send one.
    """
    said = f": {words}" if words else ""
    if any(sign in words for sign in _MEMORY_SIGNS):
        return Outcome.OUT_OF_MEMORY, f"The process ran out of memory{said}"
    if status == -signal.SIGKILL and was_short_of_memory:
        return Outcome.OUT_OF_MEMORY, "The kernel killed the process for memory"
    if status is None:
        return Outcome.CRASHED, f"The process closed its output and went on{said}"
    if status < 0:
        by = _signal_name(-status)
        return Outcome.CRASHED, f"The process was ended by {by}{said}"
    return Outcome.CRASHED, f"The process ended with exit status {status}{said}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

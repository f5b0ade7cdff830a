"""A byte link whose other end is a simulator in this process, on a clock we control."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from harness.clock import Clock, Deadline
from harness.errors import LinkClosed


class Instrument(Protocol):
    """The other end of a wire: takes bytes, gives bytes, lives in time."""

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes that the host sent."""
        ...

    def transmit(self, now_ns: int) -> bytes:
        """Give the bytes that have left the instrument up to now."""
        ...

    def next_ns(self, now_ns: int) -> int | None:
        """Say when the next byte will leave; None: not by itself."""
        ...


class LoopLink:
    """The host's end of a wire to a simulated instrument.

    Waiting for a byte waits on the clock: at once with a VirtualClock, in real time
    with a SystemClock. `unplug` makes every later use raise LinkClosed.
    """

    def __init__(self, instrument: Instrument, clock: Clock, where: str) -> None:
        self.where = where
        self._instrument = instrument
        self._clock = clock
        self._pending = b""
        self._is_plugged = True

    def read(self, most: int, until: Deadline) -> bytes:
        """Give what has arrived, or ``b""`` at the deadline."""
        while True:
            self._require_plugged()
            now_ns = self._clock.now_ns()
            self._pending += self._instrument.transmit(now_ns)
            if self._pending:
                data, self._pending = self._pending[:most], self._pending[most:]
                return data
            if until.is_over():
                return b""
            due = self._instrument.next_ns(now_ns)
            self._clock.wait_until(
                until.at_ns if due is None else min(due, until.at_ns)
            )

    def write(self, data: bytes) -> None:
        """Hand the bytes to the instrument."""
        self._require_plugged()
        self._instrument.receive(data, self._clock.now_ns())

    def unplug(self) -> None:
        """Pull the cable."""
        self._is_plugged = False

    def _require_plugged(self) -> None:
        if not self._is_plugged:
            raise LinkClosed(
                "The device went away",
                where=self.where,
                remedy="Look at cable and hub.",
            )


@contextmanager
def looped(instrument: Instrument, clock: Clock, where: str) -> Iterator[LoopLink]:
    """Open a link to a simulated instrument."""
    yield LoopLink(instrument, clock, where)

"""A link that is looked at every so often at most, however much comes over it."""

from harness.clock import Clock, Deadline
from harness.links.bytelink import ByteLink
from harness.units import NS_PER_S

PACE_NS = NS_PER_S // 1000
"""A stream of 100 000 words a second then wakes its reader a thousand times a second
instead of many thousand times, and a terminal's buffer, which holds 51 ms of it, stays
almost empty. Looking every three milliseconds cost hardly less, and lost readings on a
host that was starved."""


class PacedLink:
    """Wraps a link; after bytes have come, lets a millisecond pass, or `pace_ns`."""

    def __init__(self, inner: ByteLink, clock: Clock, pace_ns: int = PACE_NS) -> None:
        self.where = inner.where
        self._inner = inner
        self._clock = clock
        self._pace_ns = pace_ns
        self._next_look_ns = clock.now_ns()

    def read(self, most: int, until: Deadline) -> bytes:
        """Give what has come, or ``b""`` at the deadline."""
        self._clock.wait_until(min(self._next_look_ns, until.at_ns))
        data = self._inner.read(most, until)
        if data:
            self._next_look_ns = self._clock.now_ns() + self._pace_ns
        return data

    def write(self, data: bytes) -> None:
        """Pass the bytes on at once."""
        self._inner.write(data)

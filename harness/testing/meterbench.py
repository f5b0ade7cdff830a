"""A bench for the contract of meters: one meter, its clock, and a wire to spoil."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from harness.clock import Clock, Deadline, VirtualClock
from harness.errors import LinkClosed
from harness.links.bytelink import ByteLink
from harness.links.faulty import Faults, FaultyLink
from harness.meters.base import Meter
from harness.meters.opening import Wrap, open_through
from harness.plugins import Address


class SwitchLink:
    """A link that works until it is told to misbehave."""

    def __init__(self, inner: ByteLink) -> None:
        self.where = inner.where
        self._inner = inner
        self._reader: ByteLink = inner
        self._is_silent = False
        self._is_plugged = True

    def spoil(self, faults: Faults) -> None:
        """From now on, drop, garble or split what is read."""
        self._reader = FaultyLink(self._inner, faults)

    def fall_silent(self) -> None:
        """From now on nothing comes any more, though the cable is in."""
        self._is_silent = True

    def unplug(self) -> None:
        """Pull the cable."""
        self._is_plugged = False

    def read(self, most: int, until: Deadline) -> bytes:
        """Give what the wire gives, in the state that it is in."""
        self._require_plugged()
        if self._is_silent:
            until.clock.wait_until(until.at_ns)
            return b""
        return self._reader.read(most, until)

    def write(self, data: bytes) -> None:
        """Pass the bytes on."""
        self._require_plugged()
        self._inner.write(data)

    def _require_plugged(self) -> None:
        if not self._is_plugged:
            raise LinkClosed("The device went away", where=self.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterBench:
    """What a subclass of `MeterContract` gives as its fixture ``bench``."""

    clock: Clock
    open: Callable[[Wrap], AbstractContextManager[Meter]]
    """Opens the meter, with something put between the driver and its link. A driver
    that has no byte link ignores it, and says so by `has_link`."""
    channel: str = "power"
    seconds: float = 3.0
    """Long enough for several readings."""
    truth: tuple[float, float] | None = None
    """Between these lies every reading of the channel, on an undamaged wire."""
    has_link: bool = True
    has_integrity: bool = True
    """Whether the wire's form tells damaged bytes from good ones."""
    is_lossless: bool = True
    """Whether nothing may be lost here; on real hardware something may."""


def bench_at(
    address: str,
    *,
    truth: tuple[float, float] | None = None,
    seconds: float = 3.0,
    has_integrity: bool = True,
) -> MeterBench:
    """Make a bench for a simulated or captured meter, in virtual time."""
    clock = VirtualClock()
    parsed = Address.parse(address)
    return MeterBench(
        clock=clock,
        open=lambda wrap: open_through(parsed, clock, wrap),
        truth=truth,
        seconds=seconds,
        has_integrity=has_integrity,
    )

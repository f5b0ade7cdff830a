"""Clocks and deadlines; the only place in the harness that reads a clock.

A time stamp means nothing without the name of the clock that gave it, so every
clock has one. Wall-clock time is for people and file names only; all durations
come from a monotonic clock.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from harness.units import NS_PER_S


@runtime_checkable
class Clock(Protocol):
    """A monotonic clock in nanoseconds that can also be waited on."""

    @property
    def name(self) -> str:
        """Name the clock, as time stamps in the record do."""
        ...

    def now_ns(self) -> int:
        """Read the clock, in nanoseconds since an arbitrary origin."""
        ...

    def wait_until(self, instant_ns: int) -> None:
        """Return as soon after `instant_ns` as can be; at once if it is past."""
        ...


class SystemClock:
    """This machine's monotonic clock (CLOCK_MONOTONIC on Linux).

    `wait_until` sleeps until `spin_ns` before the instant and then polls, since a
    sleep overshoots by up to the scheduler's slack (50 µs by default on Linux,
    prctl(2) PR_SET_TIMERSLACK) and often by more.
    """

    name = "monotonic"

    def __init__(self, *, spin_ns: int = 200_000) -> None:
        self._spin_ns = spin_ns

    def now_ns(self) -> int:
        """Read CLOCK_MONOTONIC, in nanoseconds."""
        return time.monotonic_ns()

    def wait_until(self, instant_ns: int) -> None:
        """Sleep, then poll, until the instant has come."""
        coarse = instant_ns - time.monotonic_ns() - self._spin_ns
        if coarse > 0:
            time.sleep(coarse / NS_PER_S)
        while time.monotonic_ns() < instant_ns:
            pass

    def utc_now(self) -> datetime:
        """Give the wall-clock time, for people and file names only."""
        return datetime.now(tz=UTC)


class VirtualClock:
    """A clock that moves only when told to: for emulated devices and for tests."""

    def __init__(self, name: str = "virtual", start_ns: int = 0) -> None:
        self.name = name
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Read the virtual time, in nanoseconds."""
        return self._now_ns

    def advance(self, duration_ns: int) -> None:
        """Let time pass. Raises ValueError for a negative duration."""
        if duration_ns < 0:
            raise ValueError("time does not go back")
        self._now_ns += duration_ns

    def wait_until(self, instant_ns: int) -> None:
        """Jump to the instant, unless it is past."""
        self._now_ns = max(self._now_ns, instant_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """An instant on a clock before which something has to happen."""

    clock: Clock
    at_ns: int

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> "Deadline":
        """Make the deadline that lies `seconds` from now on `clock`."""
        return cls(clock=clock, at_ns=clock.now_ns() + round(seconds * NS_PER_S))

    def remaining_s(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, (self.at_ns - self.clock.now_ns()) / NS_PER_S)

    def is_over(self) -> bool:
        """Say whether the instant has come."""
        return self.clock.now_ns() >= self.at_ns

"""Clocks: virtual time moves only when told to; deadlines belong to a clock."""

import pytest

from harness.clock import Clock, Deadline, SystemClock, VirtualClock
from harness.units import NS_PER_S


def test_virtual_time_stands_still_by_itself() -> None:
    clock = VirtualClock()

    assert clock.now_ns() == clock.now_ns() == 0


def test_waiting_jumps_virtual_time_forward_and_never_back() -> None:
    clock = VirtualClock(start_ns=5)

    clock.wait_until(10)
    clock.wait_until(3)

    assert clock.now_ns() == 10


def test_virtual_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        VirtualClock().advance(-1)


def test_a_deadline_runs_out_on_its_own_clock() -> None:
    clock = VirtualClock()
    deadline = Deadline.after(2.0, clock)

    clock.advance(3 * NS_PER_S // 2)

    assert deadline.remaining_s() == pytest.approx(0.5)
    assert not deadline.is_over()
    clock.advance(NS_PER_S)
    assert deadline.is_over()
    assert deadline.remaining_s() == 0.0


def test_the_system_clock_never_returns_before_the_instant() -> None:
    clock = SystemClock()
    instant = clock.now_ns() + 2_000_000

    clock.wait_until(instant)

    assert clock.now_ns() >= instant
    assert isinstance(clock, Clock)

"""Faults of simulated meters by name: each happens where it says, and only then."""
# ruff: noqa: PT012 - what is raised is raised inside an acquisition

import numpy as np
import pytest

from harness.clock import Deadline, VirtualClock
from harness.domain.reading import ReadingBlock
from harness.errors import HarnessError, LinkClosed, LinkTimeout, SchemaError
from harness.meters.opening import open_meter
from harness.plugins import Address


def readings(link: str, seconds: float) -> tuple[list[float], list[float]]:
    """Give times since the first in s, and watts."""
    clock, blocks = VirtualClock(), list[ReadingBlock]()
    with (
        open_meter(Address.parse(link), clock) as meter,
        meter.acquire(["power"]) as acquisition,
    ):
        blocks.extend(acquisition.blocks(Deadline.after(seconds, clock)))
    times = [at / 1e9 for block in blocks for at in block.times_ns]
    return times, [value for block in blocks for value in block.values]


def test_an_unplugged_meter_gives_what_came_before() -> None:
    clock, blocks = VirtualClock(), list[ReadingBlock]()

    with (
        pytest.raises(LinkClosed, match="The device went away"),
        open_meter(Address.parse("ppk2@sim:idle-10mW?fault=unplug:2s"), clock) as meter,
        meter.acquire(["power"]) as acquisition,
    ):
        for block in acquisition.blocks(Deadline.after(5.0, clock)):
            blocks.append(block)

    count = sum(len(block.values) for block in blocks)
    # the opening takes a little of the two seconds
    assert 150_000 < count <= 200_000


def test_a_stalled_meter_is_still_there() -> None:
    with pytest.raises(LinkTimeout, match="silent"):
        readings("pzem@sim:idle-61W?fault=stall:3s", 20.0)


def test_a_stuck_load_stays_what_it_was() -> None:
    _, watts = readings("um25c@sim:bursts-1W-6W?fault=stuck:2s", 8.0)

    assert len(set(watts[-12:])) == 1


def test_a_changed_unit_is_a_factor_of_a_thousand() -> None:
    _, watts = readings("scpi@sim:idle-60mW?fault=unit:3s", 8.0)

    assert watts[-1] / watts[0] == pytest.approx(1000, rel=0.1)


def test_a_slow_clock_sends_fewer_readings() -> None:
    times, _ = readings("ppk2@sim:idle-10mW?fault=skew:-10000", 2.0)
    right, _ = readings("ppk2@sim:idle-10mW", 2.0)

    assert len(times) / len(right) == pytest.approx(0.99, abs=1e-3)


def test_several_faults_are_separated_by_commas() -> None:
    with pytest.raises(LinkClosed):
        readings("ppk2@sim:idle-10mW?fault=skew:-140,unplug:1s", 3.0)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("explode:1s", "There is no fault 'explode'"),
        ("drop:often", "'often' is no number"),
        ("unplug:soon", "soon"),
    ],
)
def test_a_fault_that_is_none_is_named(fault: str, words: str) -> None:
    with pytest.raises(HarnessError, match=words):
        readings(f"ppk2@sim:idle-10mW?fault={fault}", 0.1)


def test_a_real_meter_takes_no_faults() -> None:
    with (
        pytest.raises(HarnessError, match="option of this meter 'fault'"),
        open_meter(
            Address.parse("ppk2@serial:/dev/ttyNOPE?voltage=3V&fault=drop:1"),
            VirtualClock(),
        ),
    ):
        pass


def test_a_fault_needs_an_argument_of_its_kind() -> None:
    with pytest.raises(SchemaError):
        readings("ppk2@sim:idle-10mW?fault=skew:", 0.1)


def test_lost_bytes_lose_readings_and_nothing_else() -> None:
    _, watts = readings("ppk2@sim:idle-10mW?fault=drop:1e-4", 1.0)

    assert 0.9e5 < len(watts) < 1e5
    assert np.median(watts) == pytest.approx(0.01, rel=0.02)
    assert max(watts) < 0.011

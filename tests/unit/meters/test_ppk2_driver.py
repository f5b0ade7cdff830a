"""The PPK2 as a meter: truth, losses, saturation, sessions, and its sentences."""
# ruff: noqa: PT012 - what is raised is raised inside an acquisition

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.clock import Deadline, VirtualClock
from harness.domain.origin import Origin
from harness.domain.reading import ReadingBlock
from harness.errors import LinkClosed, LinkTimeout, MeterError, NotCalibrated
from harness.links.loop import LoopLink
from harness.meters.ppk2.driver import Ppk2, Ppk2Acquisition, Supply
from harness.meters.ppk2.sim import Misbehaviour, Ppk2Simulator

Load = Callable[[NDArray[np.float64]], NDArray[np.float64]]
WHERE = "ppk2@sim:bench"


def steady(amperes: float) -> Load:
    return lambda seconds: np.full(len(seconds), amperes)


class Bench:
    """A simulated PPK2, its wire and its clock."""

    def __init__(
        self, load: Load, fault: Misbehaviour | None = None, *, is_source: bool = True
    ) -> None:
        self.clock = VirtualClock()
        self.instrument = Ppk2Simulator(load, misbehaviour=fault)
        self.link = LoopLink(self.instrument, self.clock, WHERE)
        self.supply = Supply(voltage_v=3.3, is_source=is_source)

    def meter(self) -> Ppk2:
        return Ppk2(
            self.link,
            self.clock,
            address=WHERE,
            origin=Origin.SIMULATED,
            supply=self.supply,
        )

    def read(self, acquisition: Ppk2Acquisition, seconds: float) -> list[ReadingBlock]:
        return list(acquisition.blocks(Deadline.after(seconds, self.clock)))


def values(blocks: list[ReadingBlock], channel: str = "power") -> NDArray[np.float64]:
    return np.concatenate(
        [np.asarray(b.values) for b in blocks if b.channel.name == channel]
    )


def times(blocks: list[ReadingBlock]) -> NDArray[np.int64]:
    return np.concatenate([np.asarray(block.times_ns) for block in blocks])


@pytest.mark.parametrize("amperes", [5e-6, 40e-6, 300e-6, 2e-3, 30e-3, 0.4])
def test_power_is_current_times_the_set_voltage_in_every_range(amperes: float) -> None:
    bench = Bench(steady(amperes))

    with bench.meter().acquire(["power", "current"]) as acquisition:
        blocks = bench.read(acquisition, 0.2)

    # rounding to counts is unbiased, and the mean of 20 000 readings tells 0.1 %
    assert values(blocks, "current").mean() == pytest.approx(amperes, rel=2e-3)
    assert values(blocks).mean() == pytest.approx(3.3 * amperes, rel=2e-3)


def test_source_mode_sets_the_voltage_before_it_feeds_the_device() -> None:
    bench = Bench(steady(1e-3))

    bench.meter()

    assert bench.instrument.mode == 2
    assert bench.instrument.source_mv == 3300
    assert bench.instrument.is_dut_powered


def test_ampere_mode_sets_no_voltage() -> None:
    bench = Bench(steady(1e-3), is_source=False)

    who = bench.meter().identify()

    assert bench.instrument.mode == 1
    assert bench.instrument.source_mv is None
    assert who.facts["mode"] == "ampere"


def test_readings_stand_on_a_grid_of_ten_microseconds() -> None:
    bench = Bench(steady(1e-3))

    with bench.meter().acquire(["power"]) as acquisition:
        begin_ns = bench.clock.now_ns()
        at_ns = times(bench.read(acquisition, 0.3))

    assert set(np.diff(at_ns).tolist()) == {10_000}
    # the first word is the interval that ends 10 µs after start, right to a packet
    assert abs(int(at_ns[0]) - begin_ns - 10_000) <= 160_000


def test_one_session_serves_a_whole_suite() -> None:
    bench = Bench(steady(1e-3))
    meter = bench.meter()

    counts = []
    for _ in range(3):
        with meter.acquire(["power"]) as acquisition:
            counts.append(len(values(bench.read(acquisition, 0.1))))

    assert bench.instrument.sessions == 3
    assert bench.instrument.is_dut_powered
    assert not bench.instrument.is_streaming
    assert min(counts) > 9_900


def test_logic_inputs_are_a_channel_and_an_edge_is_found_to_one_reading() -> None:
    bench = Bench(steady(1e-3))
    bench.instrument.logic = lambda seconds: np.where(
        seconds >= 0.05, np.uint8(0b1000_0001), np.uint8(0)
    ).astype(np.uint8)

    with bench.meter().acquire(["logic"]) as acquisition:
        begin_ns = bench.clock.now_ns()
        blocks = bench.read(acquisition, 0.1)

    levels = values(blocks, "logic")
    edge = int(np.flatnonzero(levels)[0])
    assert set(levels.tolist()) == {0.0, 129.0}
    assert edge == 5000
    assert abs(int(times(blocks)[edge]) - begin_ns - 50_000_000) < 200_000


def test_lost_readings_leave_a_gap_and_are_counted() -> None:
    fault = Misbehaviour(lost_readings=frozenset(range(4000, 4037)))
    bench = Bench(steady(1e-3), fault)

    with bench.meter().acquire(["power"]) as acquisition:
        blocks = bench.read(acquisition, 0.2)
        loss = acquisition.loss()

    steps = np.diff(times(blocks))
    assert loss.missing == 37
    assert sorted(set(steps.tolist())) == [10_000, 380_000]
    assert loss.expected == len(values(blocks)) + 37


@pytest.mark.parametrize("multiples", [1, 4, 40])
def test_a_loss_of_whole_multiples_of_64_is_seen_by_the_clock(multiples: int) -> None:
    lost = frozenset(range(400_000, 400_000 + 64 * multiples))
    bench = Bench(steady(1e-3), Misbehaviour(lost_readings=lost))

    with bench.meter().acquire(["power"]) as acquisition:
        blocks = bench.read(acquisition, 8.0)
        loss, tally = acquisition.loss(), acquisition.tally()
        late_ns = bench.clock.now_ns() - int(times(blocks)[-1])

    assert loss.missing == 64 * multiples
    assert not tally.is_timebase_unclear
    # from then on the time axis is right again
    assert 0 <= late_ns < 400_000


def test_a_host_that_reads_too_late_is_told_what_it_lost() -> None:
    bench = Bench(steady(1e-3))

    with bench.meter().acquire(["power"]) as acquisition:
        before = bench.read(acquisition, 0.1)
        bench.clock.advance(500_000_000)
        after = bench.read(acquisition, 5.0)
        loss = acquisition.loss()

    # of half a second the instrument's buffer holds 16 384 readings
    assert loss.missing == pytest.approx(50_000 - 16_384, abs=64)
    assert loss.missing > 1e-3 * loss.expected
    assert times(before)[-1] < times(after)[0]


def test_a_current_above_one_ampere_is_over_range() -> None:
    bench = Bench(lambda seconds: np.where(seconds < 0.05, 0.2, 6.0))

    with bench.meter().acquire(["power"]) as acquisition:
        bench.read(acquisition, 0.1)
        loss = acquisition.loss()

    assert loss.over_range == pytest.approx(5000, abs=50)
    assert loss.missing == 0


def test_a_range_without_constants_is_refused_when_it_is_used() -> None:
    fault = Misbehaviour(uncalibrated_ranges=frozenset({3}))
    bench = Bench(steady(30e-3), fault)
    meter = bench.meter()
    got: list[ReadingBlock] = []

    with (
        pytest.raises(NotCalibrated) as caught,
        meter.acquire(["power"]) as acquisition,
    ):
        got.extend(acquisition.blocks(Deadline.after(1.0, bench.clock)))

    assert meter.identify().facts["unusable_ranges"] == "3"
    assert "range 3, whose constants are not numbers" in caught.value.sentence()


def test_a_range_without_constants_that_is_hardly_used_leaves_gaps() -> None:
    fault = Misbehaviour(uncalibrated_ranges=frozenset({3}))
    bench = Bench(lambda s: np.where((s % 0.1) < 50e-6, 30e-3, 1e-3), fault)

    with bench.meter().acquire(["power"]) as acquisition:
        blocks = bench.read(acquisition, 0.5)
        loss = acquisition.loss()

    assert np.isfinite(values(blocks)).all()
    assert values(blocks).max() < 5e-3
    assert loss.missing == pytest.approx(25, abs=5)


def test_a_silent_meter_is_given_up_after_two_seconds() -> None:
    bench = Bench(steady(1e-3), Misbehaviour(silent_after_s=0.45))
    got: list[ReadingBlock] = []

    with (
        pytest.raises(LinkTimeout, match="silent for 2 s"),
        bench.meter().acquire(["power"]) as acquisition,
    ):
        for block in acquisition.blocks(Deadline.after(10.0, bench.clock)):
            got.append(block)  # noqa: PERF402 - what came before the error is kept

    assert len(values(got)) >= 44_900


def test_what_came_before_an_unplugged_cable_is_kept() -> None:
    bench = Bench(steady(1e-3))
    got: list[ReadingBlock] = []

    with (
        pytest.raises(LinkClosed) as caught,
        bench.meter().acquire(["power"]) as acquisition,
    ):
        for block in acquisition.blocks(Deadline.after(10.0, bench.clock)):
            got.append(block)
            if len(values(got)) > 30_000:
                bench.link.unplug()

    assert len(values(got)) > 30_000
    assert caught.value.sentence() == (
        "The device went away (ppk2@sim:bench). Look at cable and hub."
    )


def test_another_instrument_on_the_port_is_named_as_a_stranger() -> None:
    stranger = b"PowerShield > error \x19\r\nError detail: END of input\r\n"
    bench = Bench(steady(1e-3), Misbehaviour(answers_as=stranger))

    with pytest.raises(MeterError) as caught:
        bench.meter()

    assert caught.value.sentence().startswith("This does not answer as a PPK2: the ")
    assert "duanping meters --probe PORT" in caught.value.sentence()


def test_a_port_on_which_nobody_answers_is_told() -> None:
    bench = Bench(steady(1e-3), Misbehaviour(answers_as=b""))

    with pytest.raises(MeterError, match="0 bytes came, and no END"):
        bench.meter()

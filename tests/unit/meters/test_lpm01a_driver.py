"""The LPM01A as a meter: truth, time held by its stamps, losses, and its sentences."""
# ruff: noqa: PT012 - what is raised is raised inside an acquisition

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.clock import Deadline, VirtualClock
from harness.domain.origin import Origin
from harness.domain.reading import ReadingBlock
from harness.errors import LinkClosed, LinkTimeout, MeterError, Unsupported
from harness.links.loop import LoopLink
from harness.meters.lpm01a.acquisition import LpmAcquisition
from harness.meters.lpm01a.driver import Lpm01a, Setting
from harness.meters.lpm01a.sim import Lpm01aSimulator, Misbehaviour
from harness.meters.lpm01a.wire import Format

WHERE = "lpm01a@sim:bench"


def bursts(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """20 mA for 30 ms of every 100 ms, else 0.1 mA; 6.07 mA in the mean."""
    return np.where(seconds % 0.1 < 0.03, 20e-3, 1e-4)


MEAN_A = 0.3 * 20e-3 + 0.7 * 1e-4


class Bench:
    """A simulated LPM01A, its wire and its clock."""

    def __init__(
        self,
        fault: Misbehaviour | None = None,
        *,
        setting: Setting | None = None,
        clock_ppm: float = 0.0,
        events_s: tuple[float, ...] = (),
    ) -> None:
        self.clock = VirtualClock()
        self.instrument = Lpm01aSimulator(
            bursts, clock_ppm=clock_ppm, events_s=events_s, misbehaviour=fault
        )
        self.link = LoopLink(self.instrument, self.clock, WHERE)
        self.setting = setting or Setting(voltage_v=3.3)

    def meter(self) -> Lpm01a:
        return Lpm01a(
            self.link,
            self.clock,
            address=WHERE,
            origin=Origin.SIMULATED,
            setting=self.setting,
        )

    def read(self, acquisition: LpmAcquisition, seconds: float) -> list[ReadingBlock]:
        return list(acquisition.blocks(Deadline.after(seconds, self.clock)))


def values(blocks: list[ReadingBlock], channel: str = "power") -> NDArray[np.float64]:
    found = [np.asarray(b.values) for b in blocks if b.channel.name == channel]
    return np.concatenate(found) if found else np.zeros(0)


def times(blocks: list[ReadingBlock], channel: str = "power") -> NDArray[np.int64]:
    return np.concatenate(
        [np.asarray(b.times_ns) for b in blocks if b.channel.name == channel]
    )


@pytest.mark.parametrize(
    ("form", "rate_hz"),
    [
        (None, 100.0),
        (None, 1000.0),
        (None, 5000.0),
        (None, 10_000.0),
        (Format.BINARY, 2000.0),
    ],
)
def test_energy_of_each_period_is_given_as_mean_power(
    form: Format | None, rate_hz: float
) -> None:
    bench = Bench(setting=Setting(voltage_v=3.3, format=form))

    with bench.meter().acquire(["power"], rate_hz=rate_hz) as acquisition:
        power = values(bench.read(acquisition, 2.0))

    whole = power[: len(power) // round(rate_hz / 10) * round(rate_hz / 10)]
    assert whole.mean() == pytest.approx(3.3 * MEAN_A, rel=2e-3)
    assert whole.max() == pytest.approx(3.3 * 20e-3, rel=1e-3)


def test_current_is_given_up_to_100_khz_and_power_is_it_times_the_voltage() -> None:
    bench = Bench(setting=Setting(voltage_v=1.8, is_energy=False))

    with bench.meter().acquire(["power", "current"], rate_hz=100e3) as acquisition:
        blocks = bench.read(acquisition, 0.5)

    current, power = values(blocks, "current"), values(blocks)
    assert len(current) > 45_000
    assert current.max() == pytest.approx(20e-3, rel=1e-3)
    assert power == pytest.approx(1.8 * current)


def test_the_device_gets_the_voltage_that_was_asked_for_and_no_other() -> None:
    bench = Bench(setting=Setting(voltage_v=1.8))

    who = bench.meter().identify()

    assert "volt 1800m" in bench.instrument.commands
    assert bench.instrument.is_target_powered
    assert who.serial_number == "540554545-1430736921-1900587"
    assert who.firmware.endswith("1.0.7")


@pytest.mark.parametrize("volts", [1.2, 5.0])
def test_a_voltage_that_it_cannot_give_is_refused_before_anything_is_sent(
    volts: float,
) -> None:
    bench = Bench(setting=Setting(voltage_v=volts))

    with pytest.raises(Unsupported, match=r"supplies 1\.8 to 3\.3 V"):
        bench.meter()

    assert bench.instrument.commands == []


@pytest.mark.parametrize(
    ("setting", "channels", "rate_hz", "sentence"),
    [
        (Setting(voltage_v=3.0), ["power"], 3000.0, "does not give 3000 readings"),
        (Setting(voltage_v=3.0), ["power"], 20e3, "integrates energy at 10000 Hz"),
        (Setting(voltage_v=3.0), ["current"], None, "gives event, power here"),
        (Setting(voltage_v=3.0), ["event"], 10e3, "events in decimal lines only"),
        (
            Setting(voltage_v=3.0, format=Format.ASCII),
            ["power"],
            10e3,
            "decimal lines at 5000 Hz at most",
        ),
        (
            Setting(voltage_v=3.0, format=Format.BINARY),
            ["power"],
            100.0,
            "in binary from 1000 Hz on",
        ),
    ],
)
def test_what_it_cannot_do_is_refused_with_what_it_can(
    setting: Setting, channels: list[str], rate_hz: float | None, sentence: str
) -> None:
    meter = Bench(setting=setting).meter()

    with (
        pytest.raises(Unsupported, match=sentence) as caught,
        meter.acquire(channels, rate_hz=rate_hz),
    ):
        pass

    assert caught.value.remedy


def test_readings_stand_on_a_grid_and_end_when_they_arrive() -> None:
    bench = Bench()

    with bench.meter().acquire(["power"]) as acquisition:
        begin_ns = bench.clock.now_ns()
        at_ns = times(bench.read(acquisition, 2.0))

    assert set(np.diff(at_ns).tolist()) == {1_000_000}
    # the first millisecond ends 1 ms after start; a packet is 2 ms
    assert abs(int(at_ns[0]) - begin_ns - 1_000_000) <= 2_000_000


@pytest.mark.parametrize("form", [Format.ASCII, Format.BINARY])
def test_lost_readings_are_seen_by_the_time_stamps(form: Format) -> None:
    fault = Misbehaviour(lost_readings=frozenset(range(1500, 1540)))
    bench = Bench(fault, setting=Setting(voltage_v=3.3, format=form))

    with bench.meter().acquire(["power"]) as acquisition:
        blocks = bench.read(acquisition, 4.5)
        loss = acquisition.loss()
        late_ns = bench.clock.now_ns() - int(times(blocks)[-1])

    assert loss.missing == 40
    assert loss.expected == len(values(blocks)) + 40
    # the axis is right again after the next stamp; binary words wait for one
    assert late_ns < (10_000_000 if form is Format.ASCII else 1_010_000_000)


def test_a_garbled_line_costs_one_reading_and_keeps_its_place() -> None:
    bench = Bench(Misbehaviour(garbled_readings=frozenset({250, 700})))

    with bench.meter().acquire(["power"]) as acquisition:
        blocks = bench.read(acquisition, 2.5)
        loss, tally = acquisition.loss(), acquisition.tally()

    steps = np.diff(times(blocks)).tolist()
    assert loss.missing == 2
    assert tally.unreadable == 2
    assert steps.count(2_000_000) == 2
    assert values(blocks).max() < 0.07


def test_a_clock_that_is_140_ppm_slow_is_no_loss() -> None:
    bench = Bench(clock_ppm=-140.0)

    with bench.meter().acquire(["power"]) as acquisition:
        bench.read(acquisition, 60.0)
        loss = acquisition.loss()

    assert loss.missing == 0
    assert loss.expected == pytest.approx(60_000 * (1 - 140e-6), abs=3)


def test_edges_at_d7_are_events_with_the_time_of_their_reading() -> None:
    bench = Bench(events_s=(0.5004, 1.2501))

    with bench.meter().acquire(["power", "event"]) as acquisition:
        begin_ns = bench.clock.now_ns()
        blocks = bench.read(acquisition, 2.0)

    at_s = (times(blocks, "event") - begin_ns) * 1e-9
    assert at_s.tolist() == pytest.approx([0.501, 1.251], abs=2.1e-3)
    assert values(blocks, "event").tolist() == [1.0, 1.0]


def test_a_current_above_fifty_milliamperes_is_over_range() -> None:
    bench = Bench()
    bench.instrument = Lpm01aSimulator(lambda s: np.where(s < 0.5, 0.01, 0.06))
    bench.link = LoopLink(bench.instrument, bench.clock, WHERE)

    with bench.meter().acquire(["power"]) as acquisition:
        bench.read(acquisition, 1.0)
        loss = acquisition.loss()

    assert loss.over_range == pytest.approx(500, abs=10)


def test_an_instrument_that_starts_again_splits_the_run() -> None:
    bench = Bench(Misbehaviour(restarts_after_s=2.0))
    got: list[ReadingBlock] = []

    with (
        pytest.raises(MeterError, match="its time went back"),
        bench.meter().acquire(["power"]) as acquisition,
    ):
        for block in acquisition.blocks(Deadline.after(5.0, bench.clock)):
            got.append(block)  # noqa: PERF402 - what came before is kept

    assert len(values(got)) >= 1990


def test_a_silent_meter_is_given_up() -> None:
    bench = Bench(Misbehaviour(silent_after_s=1.0))

    with (
        pytest.raises(LinkTimeout, match="silent for 2 s"),
        bench.meter().acquire(["power"]) as acquisition,
    ):
        bench.read(acquisition, 10.0)

    assert not bench.instrument.is_streaming


def test_what_came_before_an_unplugged_cable_is_kept() -> None:
    bench = Bench()
    got: list[ReadingBlock] = []

    with pytest.raises(LinkClosed), bench.meter().acquire(["power"]) as acquisition:
        for block in acquisition.blocks(Deadline.after(5.0, bench.clock)):
            got.append(block)
            if len(values(got)) > 1000:
                bench.link.unplug()

    assert len(values(got)) > 1000


def test_a_command_that_older_firmware_refuses_is_named() -> None:
    bench = Bench(Misbehaviour(refused=frozenset({"pwr"})))

    with pytest.raises(MeterError) as caught:
        bench.meter()

    assert caught.value.sentence() == (
        "The LPM01A refuses 'pwr on nostatus': command unknown (lpm01a@sim:bench). "
        "Older firmware knows fewer commands; 1.0.6 or newer is needed."
    )


def test_a_start_that_is_refused_is_told() -> None:
    bench = Bench(Misbehaviour(refused=frozenset({"start"})))

    with (
        pytest.raises(MeterError, match="refuses to start: command unknown"),
        bench.meter().acquire(["power"]) as acquisition,
    ):
        bench.read(acquisition, 5.0)


def test_another_instrument_on_the_port_is_named_as_a_stranger() -> None:
    bench = Bench(Misbehaviour(answers_as=b"YOKOGAWA,WT310E,C2TA,F1.04\n"))

    with pytest.raises(MeterError) as caught:
        bench.meter()

    assert "does not answer as an LPM01A" in caught.value.sentence()
    assert "duanping meters --probe PORT" in caught.value.sentence()

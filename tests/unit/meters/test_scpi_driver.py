"""A SCPI power meter over a simulated wire: what is read, lost, refused and said."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.clock import Deadline, VirtualClock
from harness.domain.origin import Origin
from harness.domain.reading import Loss
from harness.errors import LinkClosed, LinkTimeout, MeterError, Unsupported
from harness.links.bytelink import ByteLink
from harness.links.faulty import Faults, FaultyLink
from harness.links.loop import LoopLink
from harness.meters.base import Meter
from harness.meters.scpi.driver import Inputs, ScpiMeter
from harness.meters.scpi.profiles import profile_named
from harness.meters.scpi.sim import (
    LineSimulator,
    Load,
    Mains,
    Misbehaviour,
    Wt310eSimulator,
)

DESK = Inputs(voltage_v=230.0, current_a=1.0)


def step(at_s: float, before_w: float, after_w: float) -> Load:
    return lambda t: after_w if t >= at_s else before_w


def flat(power_w: float) -> Load:
    return lambda _: power_w


def connect(
    link: ByteLink, clock: VirtualClock, inputs: Inputs | None = None
) -> ScpiMeter:
    return ScpiMeter(
        link, clock, address="scpi@sim:", origin=Origin.SIMULATED, inputs=inputs
    )


def bench(
    simulator: Wt310eSimulator, inputs: Inputs | None = DESK
) -> tuple[ScpiMeter, LoopLink, VirtualClock]:
    clock = VirtualClock()
    link = LoopLink(simulator, clock, "sim:")
    return connect(link, clock, inputs), link, clock


class AgeingLink:
    """A link that is good until it is told to go bad."""

    def __init__(self, inner: ByteLink, faults: Faults) -> None:
        self.where = inner.where
        self._good = inner
        self._now: ByteLink = inner
        self._bad = FaultyLink(inner, faults)

    def go_bad(self) -> None:
        self._now = self._bad

    def mend(self) -> None:
        self._now = self._good

    def read(self, most: int, until: Deadline) -> bytes:
        return self._now.read(most, until)

    def write(self, data: bytes) -> None:
        self._now.write(data)


def read(
    meter: Meter,
    clock: VirtualClock,
    duration_s: float,
    *channels: str,
    rate_hz: float | None = None,
) -> tuple[dict[str, list[tuple[float, float]]], Loss]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in channels}
    with meter.acquire(set(channels), rate_hz=rate_hz) as acquisition:
        for block in acquisition.blocks(Deadline.after(duration_s, clock)):
            found[block.channel.name].append((block.times_ns[0] / 1e9, block.values[0]))
        return found, acquisition.loss()


def test_it_says_who_it_is_and_which_ranges_are_fixed() -> None:
    meter, _, _ = bench(Wt310eSimulator(flat(50.0)))

    who = meter.identify()

    assert (who.maker, who.model, who.firmware) == ("YOKOGAWA", "WT310E", "F1.04")
    assert who.origin is Origin.SIMULATED
    assert who.facts == {
        "profile": "wt310e",
        "profile_is_proven": "true",
        "voltage_range_v": "300",
        "current_range_a": "1",
    }


def test_ranges_that_the_user_leaves_open_are_fixed_where_they_stand() -> None:
    simulator = Wt310eSimulator(flat(50.0))

    meter, _, _ = bench(simulator, None)

    assert simulator.settings["volt_auto"] == simulator.settings["curr_auto"] == "0"
    assert meter.identify().facts["current_range_a"] == "1"


def test_each_update_is_read_once_and_is_the_mean_of_its_interval() -> None:
    meter, _, clock = bench(Wt310eSimulator(step(2.03, 40.0, 60.0)))

    found, loss = read(meter, clock, 5.0, "power", "voltage", "current")

    watts = dict(found["power"])
    mixed = [w for w in watts.values() if w not in {40.0, 60.0}]
    assert len(watts) >= 49
    assert all(abs(b - a - 0.1) < 1e-9 for a, b in pairwise(sorted(watts)))
    assert len(mixed) == 1
    assert 40.0 < mixed[0] < 60.0
    assert loss == Loss(missing=0, expected=len(watts))
    assert found["voltage"][-1][1] == 230.0
    assert found["current"][-1][1] == pytest.approx(60.0 / (230.0 * 0.95), rel=1e-4)


def test_integrated_energy_is_that_of_the_load_and_integration_is_ended() -> None:
    simulator = Wt310eSimulator(flat(100.0))
    meter, _, clock = bench(simulator)

    found, _ = read(meter, clock, 10.0, "energy", "power")

    (t0, e0), (t1, e1) = found["energy"][0], found["energy"][-1]
    assert (e1 - e0) / (t1 - t0) == pytest.approx(100.0, rel=1e-4)
    assert not simulator.is_integrating
    assert simulator.commands[-2:] == [":INTEG:STOP", ":INTEG:RES"]


def test_another_rate_of_the_instrument_is_taken() -> None:
    meter, _, clock = bench(Wt310eSimulator(flat(50.0)))

    found, loss = read(meter, clock, 10.0, "power", rate_hz=1.0)

    assert len(found["power"]) in {9, 10}
    assert loss.missing == 0


def test_a_rate_that_it_does_not_have_is_refused_with_those_it_has() -> None:
    meter, _, clock = bench(Wt310eSimulator(flat(50.0)))

    with pytest.raises(Unsupported, match=r"7 readings a second.*10, 4, 2, 1, 0.5"):
        read(meter, clock, 1.0, "power", rate_hz=7.0)


def test_an_unknown_channel_is_refused() -> None:
    meter, _, clock = bench(Wt310eSimulator(flat(50.0)))

    with pytest.raises(Unsupported, match="not phase"):
        read(meter, clock, 1.0, "phase")


def test_a_slow_host_finds_the_updates_that_it_missed() -> None:
    meter, _, clock = bench(Wt310eSimulator(flat(50.0)))

    with meter.acquire({"power"}) as acquisition:
        first = list(acquisition.blocks(Deadline.after(1.0, clock)))
        clock.advance(1_000_000_000)
        second = list(acquisition.blocks(Deadline.after(1.0, clock)))

        assert acquisition.loss().missing in {8, 9}
        assert (
            acquisition.loss().expected
            == len(first) + len(second) + acquisition.loss().missing
        )


def test_a_deadline_inside_a_wait_loses_no_reading() -> None:
    meter, _, clock = bench(Wt310eSimulator(flat(50.0)))

    with meter.acquire({"power"}) as acquisition:
        count = 0
        for _ in range(100):
            count += len(list(acquisition.blocks(Deadline.after(0.033, clock))))

        assert count in {32, 33}
        assert acquisition.loss().missing == 0


def test_it_can_be_used_again_after_it_was_left_by_an_exception() -> None:
    meter, _, clock = bench(Wt310eSimulator(flat(50.0)))

    def stumble() -> None:
        with meter.acquire({"power"}) as acquisition:
            next(iter(acquisition.blocks(Deadline.after(1.0, clock))))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    found, loss = read(meter, clock, 1.0, "power")

    assert {watts for _, watts in found["power"]} == {50.0}
    assert loss.missing == 0


def test_over_range_is_flagged_and_never_a_number() -> None:
    meter, _, clock = bench(
        Wt310eSimulator(step(1.0, 50.0, 500.0)), Inputs(voltage_v=230, current_a=0.5)
    )

    found, loss = read(meter, clock, 2.0, "power", "voltage")

    assert {watts for _, watts in found["power"]} == {50.0}
    assert len(found["voltage"]) == loss.expected
    assert loss.over_range >= 9
    assert loss.missing == loss.over_range


def test_a_voltage_beyond_its_range_is_flagged_too() -> None:
    meter, _, clock = bench(
        Wt310eSimulator(flat(50.0), mains=Mains(voltage_v=30.0)),
        Inputs(voltage_v=15.0, current_a=5.0),
    )

    found, loss = read(meter, clock, 1.0, "power")

    assert found["power"] == []
    assert loss.over_range == loss.missing == loss.expected > 0


def test_a_setting_that_is_refused_is_named_with_the_instruments_words() -> None:
    simulator = Wt310eSimulator(
        flat(50.0), misbehaviour=Misbehaviour(refused=frozenset({"RATE"}))
    )
    meter, _, clock = bench(simulator)

    with pytest.raises(MeterError, match="refused ':RATE 100MS': 113 Undefined header"):
        read(meter, clock, 1.0, "power")


def test_a_silent_meter_is_told_after_two_seconds_and_what_came_is_kept() -> None:
    meter, _, clock = bench(
        Wt310eSimulator(flat(50.0), misbehaviour=Misbehaviour(silent_after_s=3.0))
    )
    kept = []

    def measure() -> None:
        with meter.acquire({"power", "energy"}) as acquisition:
            for block in acquisition.blocks(Deadline.after(60.0, clock)):
                kept.append(block)  # noqa: PERF402 - what came before is kept

    with pytest.raises(LinkTimeout, match=r"The meter has been silent for 2\.\d s"):
        measure()

    assert len(kept) >= 20


def test_an_unplugged_meter_is_told_as_gone() -> None:
    meter, link, clock = bench(Wt310eSimulator(flat(50.0)))

    def measure() -> None:
        with meter.acquire({"power"}) as acquisition:
            list(acquisition.blocks(Deadline.after(1.0, clock)))
            link.unplug()
            list(acquisition.blocks(Deadline.after(1.0, clock)))

    with pytest.raises(LinkClosed, match="The device went away"):
        measure()


def test_another_device_on_the_port_is_told_with_what_it_said() -> None:
    clock = VirtualClock()
    stranger = LineSimulator({"*IDN?": lambda _: "PowerShield > error *idn?"})

    with pytest.raises(MeterError, match=r"not answer as a SCPI instrument.*PowerSh"):
        connect(LoopLink(stranger, clock, "sim:"), clock)


def test_a_port_where_nobody_answers_is_told() -> None:
    clock = VirtualClock()

    with pytest.raises(MeterError, match=r"No usable answer to '\*IDN\?': nothing"):
        connect(LoopLink(LineSimulator({}), clock, "sim:"), clock)


def test_an_instrument_without_a_profile_is_told_with_the_known_ones() -> None:
    clock = VirtualClock()
    other = LineSimulator({"*IDN?": lambda _: "ACME,PM1,1,1"})

    with pytest.raises(Unsupported, match=r"no profile for ACME PM1.*wt310e"):
        connect(LoopLink(other, clock, "sim:"), clock)


@settings(max_examples=25, deadline=None)
@given(most=st.integers(1, 40))
def test_any_split_of_the_bytes_gives_the_same_readings(most: int) -> None:
    clock = VirtualClock()
    loop = LoopLink(Wt310eSimulator(step(1.23, 40.0, 60.0)), clock, "sim:")
    link = FaultyLink(loop, Faults(most_per_read=most))

    found, loss = read(connect(link, clock, DESK), clock, 2.0, "power")

    whole_meter, _, whole_clock = bench(Wt310eSimulator(step(1.23, 40.0, 60.0)))
    whole, _ = read(whole_meter, whole_clock, 2.0, "power")
    assert found == whole
    assert loss.missing == 0


@pytest.mark.parametrize("seed", range(5))
def test_garbled_and_lost_bytes_make_missing_readings_and_no_wrong_ones(
    seed: int,
) -> None:
    clock = VirtualClock()
    loop = LoopLink(Wt310eSimulator(flat(50.0)), clock, "sim:")
    link = AgeingLink(loop, Faults(drop=0.002, garble=0.002, seed=seed))
    meter = connect(link, clock, DESK)

    watts = []
    with meter.acquire({"voltage", "current", "power"}) as acquisition:
        link.go_bad()
        for block in acquisition.blocks(Deadline.after(20.0, clock)):
            watts += list(block.values) if block.channel.name == "power" else []
        loss = acquisition.loss()
        link.mend()

    assert loss.missing > 0
    assert loss.expected == pytest.approx(200, abs=15)
    # a digit that turns into another digit cannot be seen: SCPI has no checksum
    assert sum(power == 50.0 for power in watts) >= 0.97 * len(watts)


def test_a_wire_that_gives_nothing_but_noise_is_told() -> None:
    clock = VirtualClock()
    loop = LoopLink(Wt310eSimulator(flat(50.0)), clock, "sim:")
    link = AgeingLink(loop, Faults(garble=0.7, seed=1))
    meter = connect(link, clock, DESK)

    def measure() -> None:
        with meter.acquire({"power"}) as acquisition:
            link.go_bad()
            list(acquisition.blocks(Deadline.after(30.0, clock)))

    with pytest.raises((MeterError, LinkTimeout), match=r"could not be read|silent"):
        measure()


def test_leaving_gives_the_keys_back() -> None:
    simulator = Wt310eSimulator(flat(50.0))
    meter, _, _ = bench(simulator)
    was_remote = simulator.is_remote

    meter.release()

    assert (was_remote, simulator.is_remote) == (True, False)


def a_hioki() -> LineSimulator:
    return LineSimulator(
        {
            "*IDN?": lambda _: "HIOKI,PW3335,123456789,V1.00",
            ":MEAS? U,I,P": lambda t: f"U +110.14E+0;I +0.1000E+0;P +{10 + t:06.2f}E+0",
        },
        end=b"\r\n",
    )


def test_a_labelled_profile_is_polled_on_its_grid() -> None:
    clock = VirtualClock()
    meter = connect(LoopLink(a_hioki(), clock, "sim:"), clock)

    found, loss = read(meter, clock, 2.0, "power", "voltage", "current")

    times = [t for t, _ in found["power"]]
    assert meter.identify().facts["profile_is_proven"] == "false"
    assert len(times) == 10
    assert all(abs(b - a - 0.2) < 1e-9 for a, b in pairwise(times))
    assert found["power"][0][1] == pytest.approx(10 + times[0], abs=0.01)
    assert loss == Loss(missing=0, expected=10)


def test_a_profile_with_one_query_a_quantity_asks_for_each() -> None:
    clock = VirtualClock()
    itech = LineSimulator(
        {
            "*IDN?": lambda _: "ITECH Ltd., IT9121, 8000, V1.0",
            "SYST:ERR?": lambda _: '0,"No Error"',
            "FETC:VOLT:RMS?": lambda _: "229.5",
            "FETC:POW:ACT?": lambda _: "9.9E37",
        }
    )
    meter = connect(LoopLink(itech, clock, "sim:"), clock)

    found, loss = read(meter, clock, 1.0, "power", "voltage")

    assert [volts for _, volts in found["voltage"]] == [229.5] * 4
    assert found["power"] == []
    assert loss == Loss(missing=4, expected=4, over_range=4)


def test_a_profile_can_be_named_for_an_instrument_that_is_not_in_the_table() -> None:
    clock = VirtualClock()
    clone = LineSimulator(
        {
            "*IDN?": lambda _: "ACME,PM1,1,1",
            ":MEAS? P": lambda _: "P +5.000E+0",
        }
    )
    inputs = Inputs(profile=profile_named("pw3335"))

    meter = connect(LoopLink(clone, clock, "sim:"), clock, inputs)

    assert read(meter, clock, 0.9, "power")[0]["power"][0][1] == 5.0


def test_the_simulator_is_quick_on_a_host_that_has_been_up_for_a_year() -> None:
    year_ns = 365 * 86_400 * 1_000_000_000
    asked: list[float] = []

    def load(second: float) -> float:
        asked.append(second)
        return 61.0

    simulator = Wt310eSimulator(load)
    simulator.receive(b"*IDN?\n", year_ns)

    assert simulator.transmit(year_ns + 1000).startswith(b"YOKOGAWA")
    assert len(asked) < 100

"""DL/T 645: the codec on frames of the standard, the driver over a simulated line."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.clock import Deadline, VirtualClock
from harness.domain.origin import Origin
from harness.domain.reading import ReadingBlock
from harness.errors import LinkClosed, LinkTimeout, MeterError, Unsupported
from harness.links.faulty import Faults, FaultyLink
from harness.links.loop import LoopLink
from harness.meters.answer import Fault, Frame, Garbage, NeedMore
from harness.meters.dlt645 import wire
from harness.meters.dlt645.driver import Dlt645, Line
from harness.meters.dlt645.sim import Dlt645Simulator, Misbehaviour

NUMBER = "202301018888"
# 68 | 88 88 01 01 23 20 | 68 | 91 06 | 00 01 01 02 + 33 | 04 22 + 33 | CS | 16
VOLTAGE_220_4 = bytes.fromhex("68 88 88 01 01 23 20 68 91 06 33 34 34 35 37 55 06 16")
# 02 03 00 00 + 33, then -1.2345 kW: 45 23 81 + 33
POWER_BACK = bytes.fromhex("68 88 88 01 01 23 20 68 91 07 33 33 36 35 78 56 B4 7A 16")


def with_sum(frame: bytes) -> bytes:
    """Put the right sum into a frame written out by hand."""
    return frame[:-2] + bytes([sum(frame[:-2]) & 0xFF]) + frame[-1:]


def steady(watts: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda seconds: np.full(len(seconds), watts)


def a_meter(
    simulator: Dlt645Simulator,
    faults: Faults | None = None,
    line: Line | None = None,
) -> tuple[Dlt645, LoopLink, VirtualClock]:
    clock = VirtualClock()
    loop = LoopLink(simulator, clock, "sim:dlt645")
    link = loop if faults is None else FaultyLink(loop, faults)
    meter = Dlt645(
        link, clock, address="dlt645@sim:", origin=Origin.SIMULATED, line=line
    )
    return meter, loop, clock


def readings(blocks: list[ReadingBlock], name: str) -> list[float]:
    return [v for b in blocks if b.channel.name == name for v in b.values]


def test_a_request_has_the_address_reversed_and_data_shifted() -> None:
    request = wire.read_request(NUMBER, wire.ITEMS["voltage"])

    assert request == bytes.fromhex(
        "FE FE FE FE 68 88 88 01 01 23 20 68 11 04 33 34 34 35 0A 16"
    )


def test_the_question_for_the_address_is_that_of_the_standard() -> None:
    expected = bytes.fromhex("FE FE FE FE 68 AA AA AA AA AA AA 68 13 00 DF 16")

    assert wire.address_request() == expected


def test_a_voltage_is_read_from_its_frame() -> None:
    frame = with_sum(VOLTAGE_220_4)

    assert wire.decode_value(frame, NUMBER, wire.ITEMS["voltage"]) == Frame(value=2204)


def test_power_fed_back_is_negative() -> None:
    frame = with_sum(POWER_BACK)

    assert wire.decode_value(frame, NUMBER, wire.ITEMS["power"]) == Frame(value=-12345)


@given(place=st.integers(0, 8 * 18 - 1))
def test_a_flipped_bit_never_gives_a_value(place: int) -> None:
    spoilt = bytearray(with_sum(VOLTAGE_220_4))
    spoilt[place // 8] ^= 1 << place % 8

    decoded = wire.decode_value(bytes(spoilt), NUMBER, wire.ITEMS["voltage"])

    assert not isinstance(decoded, Frame)


@given(length=st.integers(0, 17))
def test_part_of_a_reply_needs_more(length: int) -> None:
    part = with_sum(VOLTAGE_220_4)[:length]

    assert wire.decode_value(part, NUMBER, wire.ITEMS["voltage"]) == NeedMore()


def test_preamble_noise_and_the_echo_of_the_request_are_skipped() -> None:
    item = wire.ITEMS["voltage"]
    before = b"\xfe\xfe\x68\x00" + wire.read_request(NUMBER, item) + b"\xfe" * 4

    decoded = wire.decode_value(before + with_sum(VOLTAGE_220_4), NUMBER, item)

    assert decoded == Frame(value=2204)


@pytest.mark.parametrize(
    ("frame", "fault", "detail"),
    [
        ("68 88 88 01 01 23 20 68 D1 01 35 00 16", Fault.REFUSED, "no such data"),
        (
            "68 11 11 11 11 11 11 68 91 06 33 34 34 35 37 55 00 16",
            Fault.SHAPE,
            "of meter 111111111111",
        ),
        (
            "68 88 88 01 01 23 20 68 91 06 33 34 34 35 32 32 00 16",
            Fault.SHAPE,
            "no value in BCD",
        ),
    ],
)
def test_what_is_no_value_says_why(frame: str, fault: Fault, detail: str) -> None:
    decoded = wire.decode_value(
        with_sum(bytes.fromhex(frame)), NUMBER, wire.ITEMS["voltage"]
    )

    assert isinstance(decoded, Garbage)
    assert decoded.fault is fault
    assert detail in decoded.detail


@pytest.mark.parametrize("number", ["12", "x" * 12, "1" * 14])
def test_a_number_that_no_meter_has_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match=r"twelve digits|hexadecimal"):
        wire.read_request(number, wire.ITEMS["power"])


def test_a_steady_load_reads_as_it_is_and_the_meter_tells_its_number() -> None:
    meter, _, clock = a_meter(Dlt645Simulator(steady(61.0)))

    with meter.acquire(["power", "round_trip"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(10.0, clock)))

    assert meter.identify().serial_number == NUMBER
    assert readings(blocks, "power") == pytest.approx([61.0] * 10)
    # 20 characters out, 30 ms of delay, 23 characters back at 2400 Bd, 8E1
    assert readings(blocks, "round_trip") == pytest.approx([0.227] * 10, abs=0.002)
    assert acquisition.loss().missing == 0


def test_several_quantities_are_asked_for_one_after_the_other_without_loss() -> None:
    meter, _, clock = a_meter(Dlt645Simulator(steady(-100.0)))
    names = ["power", "voltage", "current", "frequency", "power_factor"]

    with meter.acquire(names) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(30.0, clock)))

    assert set(readings(blocks, "power")) == {-100.0}
    assert set(readings(blocks, "voltage")) == {220.0}
    assert readings(blocks, "frequency")[0] == pytest.approx(50.0)
    assert readings(blocks, "current")[0] == pytest.approx(-0.478, abs=5e-4)
    assert acquisition.loss().missing == 0
    assert blocks[0].channel.rate_hz == pytest.approx(1 / 3.6, rel=0.05)


def test_a_power_below_the_starting_current_is_flagged_and_never_zero() -> None:
    meter, _, clock = a_meter(Dlt645Simulator(steady(2.0)))

    with meter.acquire(["power", "below_threshold"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(4.0, clock)))

    assert readings(blocks, "power") == []
    assert readings(blocks, "below_threshold") == [1.0] * 4
    assert acquisition.tally().below_threshold == 4


def test_the_energy_register_is_followed_over_its_rollover() -> None:
    # 36 kW is a hundredth of a kilowatt-hour a second
    simulator = Dlt645Simulator(steady(36_000.0), energy_kwh=999_999.955)
    meter, _, clock = a_meter(simulator)

    with meter.acquire(["energy"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(10.0, clock)))

    energy = readings(blocks, "energy")
    assert energy[0] == 0.0
    assert np.diff(energy).tolist() == [36_000.0] * 9


def test_a_damaged_and_a_mute_reply_are_asked_for_again() -> None:
    fault = Misbehaviour(wrong_sum=frozenset({5}), mute=frozenset({9}))
    meter, _, clock = a_meter(Dlt645Simulator(steady(61.0), misbehaviour=fault))

    with meter.acquire(["power"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(30.0, clock)))

    tally = acquisition.tally()
    assert (tally.damaged, tally.mute, tally.repeated) == (1, 1, 2)
    assert len(readings(blocks, "power")) == 30


def test_times_that_retries_run_over_are_missing() -> None:
    fault = Misbehaviour(mute=frozenset(range(5, 9)))
    meter, _, clock = a_meter(Dlt645Simulator(steady(61.0), misbehaviour=fault))

    with meter.acquire(["power"]) as acquisition:
        list(acquisition.blocks(Deadline.after(20.0, clock)))

    loss = acquisition.loss()
    assert loss.missing == 2
    assert loss.expected == 20


def test_an_adapter_that_echoes_does_no_harm() -> None:
    fault = Misbehaviour(echoes=True)
    meter, _, clock = a_meter(Dlt645Simulator(steady(61.0), misbehaviour=fault))

    with meter.acquire(["power"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(5.0, clock)))

    assert readings(blocks, "power") == pytest.approx([61.0] * 5)
    assert acquisition.tally().damaged == 0


def test_a_meter_that_falls_silent_is_told() -> None:
    fault = Misbehaviour(silent_after_s=6.0)
    meter, _, clock = a_meter(Dlt645Simulator(steady(61.0), misbehaviour=fault))

    with (
        meter.acquire(["power"]) as acquisition,
        pytest.raises(LinkTimeout, match="The meter has been silent for"),
    ):
        list(acquisition.blocks(Deadline.after(60.0, clock)))


def test_unplugging_is_told() -> None:
    meter, loop, clock = a_meter(Dlt645Simulator(steady(61.0)))

    with meter.acquire(["power"]) as acquisition:
        loop.unplug()

        with pytest.raises(LinkClosed, match="The device went away"):
            list(acquisition.blocks(Deadline.after(60.0, clock)))


def test_another_instrument_on_the_line_is_told_with_what_it_said() -> None:
    fault = Misbehaviour(answers_as=b"FNIRSI")

    with pytest.raises(MeterError, match="DL/T 645 meter: 6 bytes came"):
        a_meter(Dlt645Simulator(steady(61.0), misbehaviour=fault))


def test_a_meter_of_another_number_does_not_answer() -> None:
    with pytest.raises(MeterError, match="nothing came"):
        a_meter(Dlt645Simulator(steady(1.0)), line=Line(number="000000000001"))


def test_a_rate_at_which_the_questions_do_not_fit_is_refused() -> None:
    meter, _, _ = a_meter(Dlt645Simulator(steady(61.0)))

    with (
        pytest.raises(Unsupported, match="2 quantities"),
        meter.acquire(["power", "voltage"], rate_hz=1.0),
    ):
        pass


@pytest.mark.parametrize("most", [1, 3, 7])
def test_any_split_of_the_bytes_gives_the_same_readings(most: int) -> None:
    taken = []
    for faults in (None, Faults(most_per_read=most)):
        meter, _, clock = a_meter(Dlt645Simulator(steady(61.0)), faults)
        with meter.acquire(["power", "voltage"]) as acquisition:
            blocks = list(acquisition.blocks(Deadline.after(8.0, clock)))
        taken.append([(b.times_ns[0], b.values[0]) for b in blocks])

    assert taken[0] == taken[1]
    assert len(taken[0]) == 12


@pytest.mark.parametrize("seed", range(3))
def test_garbled_and_lost_bytes_never_become_wrong_readings(seed: int) -> None:
    faults = Faults(drop=1e-4, garble=3e-4, seed=seed)
    meter, _, clock = a_meter(Dlt645Simulator(steady(61.0)), faults)

    with meter.acquire(["power"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(300.0, clock)))

    assert readings(blocks, "power") == pytest.approx(
        [61.0] * (300 - acquisition.loss().missing)
    )
    assert acquisition.tally().damaged > 0


@given(watts=st.floats(-20_000.0, 20_000.0).filter(lambda w: abs(w) > 4.5))
def test_any_load_reads_to_within_the_resolution(watts: float) -> None:
    meter, _, clock = a_meter(Dlt645Simulator(steady(watts)))

    with meter.acquire(["power"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(3.0, clock)))

    assert readings(blocks, "power") == pytest.approx([watts] * 3, abs=0.051)

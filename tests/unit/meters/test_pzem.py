"""PZEM-004T: the codec on real frames, the driver over a simulated wire."""

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
from harness.meters.checksum import crc16_modbus
from harness.meters.pzem import wire
from harness.meters.pzem.driver import Pzem
from harness.meters.pzem.sim import Misbehaviour, PzemSimulator

REAL_FRAME = bytes.fromhex(
    "01 04 14 09 7D 34 20 00 00 76 33 00 00 1F 4D 00 00 01 F4 00 5D 00 00 20 2E"
)
"""Sent by a real instrument; github.com/arendst/Tasmota, issue 11817."""


def steady(watts: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda seconds: np.full(len(seconds), watts)


def a_meter(
    simulator: PzemSimulator, faults: Faults | None = None
) -> tuple[Pzem, LoopLink, VirtualClock]:
    clock = VirtualClock()
    loop = LoopLink(simulator, clock, "sim:pzem")
    link = loop if faults is None else FaultyLink(loop, faults)
    meter = Pzem(link, clock, address="pzem@sim:", origin=Origin.SIMULATED)
    return meter, loop, clock


def readings(blocks: list[ReadingBlock], name: str) -> list[float]:
    return [v for b in blocks if b.channel.name == name for v in b.values]


def test_a_frame_of_a_real_instrument_is_read_as_its_owner_saw_it() -> None:
    decoded = wire.decode(REAL_FRAME, 1)

    assert isinstance(decoded, Frame)
    assert decoded.value == wire.Registers(
        unit=1,
        voltage_v=242.9,
        current_a=13.344,
        power_w=3025.9,
        energy_wh=8013,
        frequency_hz=50.0,
        power_factor=0.93,
        is_alarmed=False,
    )
    assert decoded.value.power_w == pytest.approx(242.9 * 13.344 * 0.93, rel=0.01)


def test_the_request_is_that_of_the_manual() -> None:
    assert wire.read_request(1) == bytes.fromhex("01 04 00 00 00 0A 70 0D")


@pytest.mark.parametrize(
    ("words", "amperes"), [((0xFFFF, 0), 65.535), ((0, 1), 65.536)]
)
def test_the_low_word_of_a_pair_comes_first(
    words: tuple[int, int], amperes: float
) -> None:
    body = REAL_FRAME[:5] + b"".join(w.to_bytes(2, "big") for w in words)
    body += REAL_FRAME[9:-2]

    decoded = wire.decode(body + crc16_modbus(body).to_bytes(2, "little"), 1)

    assert isinstance(decoded, Frame)
    assert decoded.value.current_a == amperes


@given(place=st.integers(0, len(REAL_FRAME) * 8 - 1))
def test_a_flipped_bit_never_gives_readings(place: int) -> None:
    spoilt = bytearray(REAL_FRAME)
    spoilt[place // 8] ^= 1 << place % 8

    assert not isinstance(wire.decode(bytes(spoilt), 1), Frame)


@given(noise=st.binary(max_size=20).filter(lambda b: b"\x01" not in b))
def test_noise_before_the_reply_is_skipped(noise: bytes) -> None:
    assert wire.decode(noise + REAL_FRAME, 1) == wire.decode(REAL_FRAME, 1)


@given(length=st.integers(0, len(REAL_FRAME) - 1))
def test_part_of_a_reply_needs_more(length: int) -> None:
    assert wire.decode(REAL_FRAME[:length], 1) == NeedMore()


def test_a_refusal_is_told_from_damage() -> None:
    body = bytes([0x01, 0x84, 0x02])
    refusal = wire.decode(body + crc16_modbus(body).to_bytes(2, "little"), 1)
    damage = wire.decode(REAL_FRAME[:-1] + b"\x00", 1)

    assert isinstance(refusal, Garbage)
    assert isinstance(damage, Garbage)
    assert refusal.fault is Fault.REFUSED
    assert "illegal address" in refusal.detail
    assert damage.fault is Fault.CHECKSUM


def test_a_steady_load_reads_as_it_is_and_every_second() -> None:
    meter, _, clock = a_meter(PzemSimulator(steady(61.0)))

    with meter.acquire(["power", "voltage", "round_trip"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(10.0, clock)))

    power = readings(blocks, "power")
    assert power == [61.0] * 10
    assert readings(blocks, "voltage") == [230.0] * 10
    assert acquisition.loss().missing == 0
    assert acquisition.loss().expected == 10
    assert all(block.origin is Origin.SIMULATED for block in blocks)


def test_a_reading_is_stamped_in_the_middle_of_request_and_reply() -> None:
    meter, _, clock = a_meter(PzemSimulator(steady(61.0)))
    started_ns = clock.now_ns()

    with meter.acquire(["power", "round_trip"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(5.0, clock)))

    power = [b for b in blocks if b.channel.name == "power"]
    round_trips = readings(blocks, "round_trip")
    # 8 characters out, 8 ms of service, 25 characters back at 9600 Bd
    assert round_trips == pytest.approx([0.0423] * 5, abs=0.001)
    late_s = [
        (b.times_ns[0] - started_ns) / 1e9 - second for second, b in enumerate(power)
    ]
    assert late_s == pytest.approx([round_trips[0] / 2] * len(power), abs=0.005)


def test_a_power_below_the_threshold_is_flagged_and_never_zero() -> None:
    meter, _, clock = a_meter(PzemSimulator(steady(0.3)))

    with meter.acquire(["power", "current", "below_threshold"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(5.0, clock)))

    assert readings(blocks, "power") == []
    assert readings(blocks, "current") == []
    assert readings(blocks, "below_threshold") == [1.0] * 5
    assert acquisition.tally().below_threshold == 5
    assert acquisition.loss().missing == 0


def test_the_energy_register_is_followed_over_its_rollover() -> None:
    # 3600 W is one watt-hour a second
    meter, _, clock = a_meter(PzemSimulator(steady(3600.0), energy_wh=9_999_995))

    with meter.acquire(["energy"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(10.0, clock)))

    energy = readings(blocks, "energy")
    assert energy[0] == 0.0
    assert np.diff(energy).tolist() == [3600.0] * 9


def test_an_energy_register_set_back_while_measuring_is_an_error() -> None:
    simulator = PzemSimulator(steady(3600.0), energy_wh=500)
    meter, loop, clock = a_meter(simulator)

    with meter.acquire(["energy"]) as acquisition:
        list(acquisition.blocks(Deadline.after(3.0, clock)))
        loop.write(bytes.fromhex("01 42 80 11"))

        with pytest.raises(MeterError, match="set back while measuring"):
            list(acquisition.blocks(Deadline.after(3.0, clock)))


def test_one_damaged_reply_is_asked_for_again_and_counted() -> None:
    fault = Misbehaviour(wrong_crc=frozenset({5}))
    meter, _, clock = a_meter(PzemSimulator(steady(61.0), misbehaviour=fault))

    with meter.acquire(["power"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(30.0, clock)))

    tally = acquisition.tally()
    assert readings(blocks, "power") == [61.0] * 30
    assert acquisition.loss().missing == 0
    assert (tally.repeated, tally.damaged, tally.mute) == (1, 1, 0)


def test_a_reading_whose_three_retries_fail_is_one_missing_reading() -> None:
    fault = Misbehaviour(mute=frozenset(range(5, 9)))
    meter, _, clock = a_meter(PzemSimulator(steady(61.0), misbehaviour=fault))

    with meter.acquire(["power"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(20.0, clock)))

    times_ns = [t for b in blocks for t in b.times_ns]
    assert acquisition.loss().missing == 1
    assert acquisition.loss().expected == 20
    assert np.diff(times_ns).max() == pytest.approx(2e9, rel=0.01)


def test_many_damaged_replies_are_told_as_a_matter_of_wiring() -> None:
    fault = Misbehaviour(wrong_crc=frozenset(range(4, 1000, 6)))
    meter, _, clock = a_meter(PzemSimulator(steady(61.0), misbehaviour=fault))

    with (
        meter.acquire(["power"]) as acquisition,
        pytest.raises(MeterError, match="replies were damaged") as caught,
    ):
        list(acquisition.blocks(Deadline.after(60.0, clock)))

    assert "limit 5 %" in caught.value.what
    assert "Check wiring and termination" in caught.value.remedy


def test_a_meter_that_falls_silent_is_told_and_what_came_before_is_kept() -> None:
    fault = Misbehaviour(silent_after_s=6.0)
    meter, _, clock = a_meter(PzemSimulator(steady(61.0), misbehaviour=fault))
    kept: list[ReadingBlock] = []

    with (
        meter.acquire(["power"]) as acquisition,
        pytest.raises(LinkTimeout, match="silent for 5"),
    ):
        kept.extend(acquisition.blocks(Deadline.after(60.0, clock)))

    assert readings(kept, "power") == [61.0] * 6


def test_unplugging_ends_the_acquisition_with_what_came_before() -> None:
    meter, loop, clock = a_meter(PzemSimulator(steady(61.0)))
    kept: list[ReadingBlock] = []

    with meter.acquire(["power"]) as acquisition:
        kept.extend(acquisition.blocks(Deadline.after(3.0, clock)))
        loop.unplug()

        with pytest.raises(LinkClosed, match="The device went away"):
            kept.extend(acquisition.blocks(Deadline.after(3.0, clock)))

    assert len(kept) == 3


@pytest.mark.parametrize("seed", range(3))
def test_garbled_and_lost_bytes_never_become_wrong_readings(seed: int) -> None:
    faults = Faults(drop=2e-4, garble=2e-4, seed=seed)
    meter, _, clock = a_meter(PzemSimulator(steady(61.0)), faults)

    with meter.acquire(["power", "voltage"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(200.0, clock)))

    assert set(readings(blocks, "voltage")) == {230.0}
    assert set(readings(blocks, "power")[1:]) == {61.0}
    assert acquisition.tally().damaged > 0


@pytest.mark.parametrize("most", [1, 2, 7, None])
def test_any_split_of_the_bytes_gives_the_same_readings(most: int | None) -> None:
    meter, _, clock = a_meter(PzemSimulator(steady(61.0)), Faults(most_per_read=most))

    with meter.acquire(["power", "round_trip"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(3.0, clock)))

    assert [(b.times_ns[0], b.values[0]) for b in blocks] == SPLIT_FREE


def _split_free() -> list[tuple[int, float]]:
    meter, _, clock = a_meter(PzemSimulator(steady(61.0)))
    with meter.acquire(["power", "round_trip"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(3.0, clock)))
    return [(b.times_ns[0], b.values[0]) for b in blocks]


SPLIT_FREE = _split_free()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "nothing came"),
        (b"PowerShield > ack\r\n", "19 bytes came that are no whole reply"),
        (REAL_FRAME[:-1] + b"\x00", "CRC"),
        (bytes.fromhex("01 84 02 C2 C1"), "illegal address"),
    ],
)
def test_another_instrument_on_the_port_is_told_with_what_it_said(
    answer: bytes | None, why: str
) -> None:
    fault = (
        Misbehaviour(silent_after_s=0.0)
        if answer is None
        else Misbehaviour(answers_as=answer)
    )

    with pytest.raises(MeterError, match="does not answer as a PZEM") as caught:
        a_meter(PzemSimulator(steady(61.0), misbehaviour=fault))

    assert why in caught.value.what


@pytest.mark.parametrize(("names", "rate"), [(["torque"], None), (["power"], 50.0)])
def test_what_it_cannot_measure_is_refused(
    names: list[str], rate: float | None
) -> None:
    meter, _, _ = a_meter(PzemSimulator(steady(61.0)))

    with (
        pytest.raises(Unsupported),
        meter.acquire(names, rate_hz=rate),
    ):
        pass


def test_a_lone_instrument_answers_to_the_general_address() -> None:
    clock = VirtualClock()
    link = LoopLink(PzemSimulator(steady(61.0), unit=7), clock, "sim:pzem")

    meter = Pzem(link, clock, address="pzem@sim:", origin=Origin.SIMULATED, unit=0xF8)

    assert meter.identify().facts["unit"] == "7"


@given(watts=st.floats(0.5, 22_000.0))
def test_any_load_reads_to_within_the_resolution(watts: float) -> None:
    meter, _, clock = a_meter(PzemSimulator(steady(watts)))

    with meter.acquire(["power", "energy"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(30.0, clock)))

    # whole watts from 1000 W on; the register counts whole watt-hours
    step_w = 1.0 if watts >= 999.9 else 0.1
    assert readings(blocks, "power") == pytest.approx([watts] * 30, abs=step_w)
    assert readings(blocks, "energy")[-1] == pytest.approx(watts * 29, abs=3601)

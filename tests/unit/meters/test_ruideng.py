"""Ruideng testers: both codecs on literal frames, the driver over simulated wires.

No client for these exists on PyPI, so the frames are written out here, byte by byte,
from the layouts on the sigrok wiki. The TC66C's was encrypted with the OpenSSL command
line, and its check values were computed by pymodbus.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

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
from harness.meters.ruideng import cipher, wire
from harness.meters.ruideng.driver import Ruideng, Series
from harness.meters.ruideng.sim import Misbehaviour, Tc66cSimulator, UmSimulator

needs_aes = pytest.mark.skipif(
    importlib.util.find_spec("cryptography") is None,
    reason="a TC66C encrypts; install the extra tc66c",
)
Wires = Callable[[], tuple[UmSimulator | Tc66cSimulator, Series]]

UM25C_FRAME = bytes.fromhex(
    "09C9 1418 0F3D 000007D6 001B 0051 0002"  # 5.144 V, 0.3901 A, 2.006 W, 27 °C
    + "00000000 00000000" * 2
    + "000000C8 00000403"  # group 2: 200 mAh, 1027 mWh
    + "00000000 00000000" * 7
    + "0113 0115 0000"  # D+ 2.75 V, D- 2.77 V
    + "00000005 0000001A 000A 0000003C 0000 0001 0004 00000084 0000 FFF1"
)
UM34C_FRAME = bytes.fromhex(
    "0D4C 0200 0190 00000800 0019 004D 0001"  # 5.12 V, 0.400 A, 2.048 W, group 1
    + "00" * 112
    # of the bytes that are checked only 4C, 4D and 01 differ from 0 (not 19)
    + "00 00"
)
TC66C_CIPHERTEXT = bytes.fromhex(
    "ffd9b095a970d7e03409742dc03cf2e52aca6ec4a4554d5542e8674b097e259c"
    "c0a1c6a01367b6f0e8c86f46107e46f4166f7fa95584b8dbfa619e1388bbe48b"
    "74a407febb0ca0a3ee7e3db724ebcac019ddc83e30bc9646add36eab60c0e9da"
    "e6a8d8bdc50bacbc49ce7e621e91f08149c1e1068e50f847a417426d995ad8b3"
    "4231f411e56f5c203c590b4a68fd5b092aca6ec4a4554d5542e8674b097e259c"
    "2aca6ec4a4554d5542e8674b097e259ce09c4004c92da948c3165eebdb8b9ec2"
)


def steady(watts: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda seconds: np.full(len(seconds), watts)


def a_um(**settings: Any) -> tuple[UmSimulator, Series]:  # noqa: ANN401 - passed on
    return UmSimulator(steady(2.0), **settings), Series.UM


def a_tc66c(**settings: Any) -> tuple[Tc66cSimulator, Series]:  # noqa: ANN401 - same
    return Tc66cSimulator(steady(2.0), **settings), Series.TC66C


both = pytest.mark.parametrize("make", [a_um, pytest.param(a_tc66c, marks=needs_aes)])


def a_meter(
    simulator: UmSimulator | Tc66cSimulator,
    series: Series,
    faults: Faults | None = None,
) -> tuple[Ruideng, LoopLink, VirtualClock]:
    clock = VirtualClock()
    loop = LoopLink(simulator, clock, "sim:ruideng")
    link = loop if faults is None else FaultyLink(loop, faults)
    meter = Ruideng(
        link, clock, address="um25c@sim:", origin=Origin.SIMULATED, series=series
    )
    return meter, loop, clock


def readings(blocks: list[ReadingBlock], name: str) -> list[float]:
    return [v for b in blocks if b.channel.name == name for v in b.values]


def test_a_um25c_frame_is_read_by_its_layout() -> None:
    decoded = wire.decode_um(UM25C_FRAME)

    assert len(UM25C_FRAME) == 130
    assert isinstance(decoded, Frame)
    assert decoded.value == wire.Snapshot(
        model="UM25C",
        voltage_v=5144 * 0.001,
        current_a=3901 * 0.0001,
        power_w=2.006,
        energy_mwh=1027,
        energy_group=2,
        temperature_degc=27.0,
        data_plus_v=2.75,
        data_minus_v=2.77,
    )


def test_a_um24c_counts_in_ten_millivolts_and_milliamperes() -> None:
    frame = bytes.fromhex("0963 0202 0186") + UM25C_FRAME[6:]

    decoded = wire.decode_um(frame)

    assert isinstance(decoded, Frame)
    assert decoded.value.model == "UM24C"
    assert decoded.value.voltage_v == pytest.approx(5.14)
    assert decoded.value.current_a == pytest.approx(0.390)


def test_a_um34c_is_checked_by_exclusive_or() -> None:
    good = UM34C_FRAME[:-1] + bytes([0x4C ^ 0x01])
    bad = UM34C_FRAME[:-1] + b"\xf1"

    assert isinstance(wire.decode_um(good), Frame)
    assert isinstance(wire.decode_um(bad), Garbage)


@given(noise=st.binary(max_size=40).filter(lambda b: not {0x09, 0x0D} & set(b)))
def test_noise_before_a_um_reply_is_skipped(noise: bytes) -> None:
    assert wire.decode_um(noise + UM25C_FRAME) == wire.decode_um(UM25C_FRAME)


@given(length=st.integers(0, 129))
def test_part_of_a_um_reply_needs_more(length: int) -> None:
    assert wire.decode_um(UM25C_FRAME[:length]) == NeedMore()


def test_power_that_contradicts_voltage_and_current_is_taken_for_damage() -> None:
    spoilt = UM25C_FRAME[:7] + b"\x04" + UM25C_FRAME[8:]  # 264 W

    decoded = wire.decode_um(spoilt)

    assert isinstance(decoded, Garbage)
    assert decoded.fault is Fault.CHECKSUM
    assert "are not" in decoded.detail


@needs_aes
def test_a_tc66c_transcript_is_read_by_its_layout() -> None:
    decoded = wire.decode_tc(TC66C_CIPHERTEXT, cipher.tc66c_decipher(where="x"))

    assert isinstance(decoded, Frame)
    assert decoded.value == wire.Snapshot(
        model="TC66C",
        voltage_v=5.1234,
        current_a=1.23456,
        power_w=6.3252,
        energy_mwh=6321,
        energy_group=0,
        temperature_degc=-7.0,
        data_plus_v=2.71,
        data_minus_v=0.03,
        serial_number="123456",
        firmware="1.15",
    )


@needs_aes
@given(place=st.integers(0, 192 * 8 - 1))
def test_a_flipped_bit_of_a_tc66c_never_gives_readings(place: int) -> None:
    spoilt = bytearray(TC66C_CIPHERTEXT)
    spoilt[place // 8] ^= 1 << place % 8

    decoded = wire.decode_tc(bytes(spoilt), cipher.tc66c_decipher(where="x"))

    assert isinstance(decoded, Garbage)


def test_without_aes_a_tc66c_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cipher, "find_spec", lambda _: None)

    with pytest.raises(Unsupported, match=r"pip install 'duanping\[tc66c\]'"):
        cipher.tc66c_decipher(where="tc66c@serial:/dev/ttyACM0")


@both
def test_a_steady_load_reads_as_it_is_four_times_a_second(make: Wires) -> None:
    meter, _, clock = a_meter(*make())

    with meter.acquire(["power", "voltage", "current", "round_trip"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(5.0, clock)))

    assert readings(blocks, "power") == [2.0] * 20
    assert readings(blocks, "voltage") == pytest.approx([5.1] * 20)
    assert readings(blocks, "current") == pytest.approx([2.0 / 5.1] * 20, abs=5e-5)
    assert max(readings(blocks, "round_trip")) < 0.04
    assert acquisition.loss().missing == 0


@pytest.mark.parametrize("model", ["UM24C", "UM25C", "UM34C"])
def test_each_um_is_told_by_the_number_in_its_reply(model: str) -> None:
    simulator, series = a_um()
    simulator.model = model

    meter, _, _ = a_meter(simulator, series)

    assert meter.identify().model == model
    assert "no check value" in meter.identify().facts["integrity"]


@needs_aes
def test_a_tc66c_tells_serial_number_and_firmware() -> None:
    description = a_meter(*a_tc66c())[0].identify()

    assert description.model == "TC66C"
    assert description.serial_number == "66001"
    assert description.firmware == "1.14"


@both
def test_the_energy_counter_is_followed_over_its_rollover(make: Any) -> None:  # noqa: ANN401 - keywords
    # 2 W for 18 s are 10 mWh
    meter, _, clock = a_meter(*make(energy_mwh=2**32 - 5))

    with meter.acquire(["energy"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(18.5, clock)))

    energy = readings(blocks, "energy")
    assert energy[0] == 0.0
    assert energy[-1] == pytest.approx(36.0)
    assert np.diff(energy).min() >= 0


def test_changing_the_data_group_while_measuring_energy_is_an_error() -> None:
    simulator, series = a_um(energy_mwh=100)
    meter, _, clock = a_meter(simulator, series)

    with meter.acquire(["energy"]) as acquisition:
        list(acquisition.blocks(Deadline.after(1.0, clock)))
        simulator.group = 3

        with pytest.raises(MeterError, match="data group was changed from 0 to 3"):
            list(acquisition.blocks(Deadline.after(1.0, clock)))


@both
def test_damaged_and_mute_replies_are_asked_for_again(make: Any) -> None:  # noqa: ANN401 - keywords
    fault = Misbehaviour(damaged=frozenset({30}), mute=frozenset({50}))
    meter, _, clock = a_meter(*make(misbehaviour=fault))

    with meter.acquire(["power"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(20.0, clock)))

    tally = acquisition.tally()
    assert (tally.damaged, tally.mute, tally.repeated) == (1, 1, 2)
    # the half second that the mute one cost holds two more readings
    assert acquisition.loss().missing == 80 - len(readings(blocks, "power"))
    assert acquisition.loss().missing in {1, 2}


@both
def test_a_stall_is_told(make: Any) -> None:  # noqa: ANN401 - keywords
    meter, _, clock = a_meter(*make(misbehaviour=Misbehaviour(silent_after_s=3.0)))

    with (
        meter.acquire(["power"]) as acquisition,
        pytest.raises(LinkTimeout, match="The meter has been silent for 2"),
    ):
        list(acquisition.blocks(Deadline.after(20.0, clock)))


@both
def test_unplugging_is_told(make: Wires) -> None:
    meter, loop, clock = a_meter(*make())

    with meter.acquire(["power"]) as acquisition:
        loop.unplug()

        with pytest.raises(LinkClosed, match="The device went away"):
            list(acquisition.blocks(Deadline.after(20.0, clock)))


@both
def test_another_instrument_on_the_port_is_told(make: Any) -> None:  # noqa: ANN401 - keywords
    fault = Misbehaviour(answers_as=b"PowerShield > ack\r\n")

    with pytest.raises(MeterError, match="19 bytes came that are no whole reply"):
        a_meter(*make(misbehaviour=fault))


@both
@pytest.mark.parametrize("most", [1, 13])
def test_any_split_of_the_bytes_gives_the_same_readings(make: Wires, most: int) -> None:
    taken = []
    for faults in (None, Faults(most_per_read=most)):
        meter, _, clock = a_meter(*make(), faults)
        with meter.acquire(["power", "temperature"]) as acquisition:
            blocks = list(acquisition.blocks(Deadline.after(2.0, clock)))
        taken.append([(b.times_ns[0], b.values[0]) for b in blocks])

    assert taken[0] == taken[1]
    assert len(taken[0]) == 16


@needs_aes
@pytest.mark.parametrize("seed", range(3))
def test_garbled_bytes_of_a_tc66c_never_become_wrong_readings(seed: int) -> None:
    faults = Faults(drop=1e-5, garble=4e-5, seed=seed)
    meter, _, clock = a_meter(*a_tc66c(), faults)

    with meter.acquire(["power"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(60.0, clock)))

    assert set(readings(blocks, "power")) == {2.0}
    assert acquisition.tally().damaged > 0


@pytest.mark.parametrize("seed", range(3))
def test_garbled_bytes_of_a_um_are_wrong_by_no_more_than_its_check_lets_pass(
    seed: int,
) -> None:
    faults = Faults(drop=2e-5, garble=8e-5, seed=seed)
    meter, _, clock = a_meter(*a_um(), faults)

    with meter.acquire(["power"]) as acquisition:
        blocks = list(acquisition.blocks(Deadline.after(600.0, clock)))

    assert readings(blocks, "power") == pytest.approx(
        [2.0] * len(readings(blocks, "power")), abs=0.35
    )
    assert acquisition.tally().damaged > 0


@pytest.mark.parametrize(("names", "rate"), [(["torque"], None), (["power"], 50.0)])
def test_what_it_cannot_do_is_refused(names: list[str], rate: float | None) -> None:
    meter, _, _ = a_meter(*a_um())

    with pytest.raises(Unsupported), meter.acquire(names, rate_hz=rate):
        pass


def test_many_damaged_replies_are_told_as_a_matter_of_wiring() -> None:
    fault = Misbehaviour(damaged=frozenset(range(4, 1000, 9)))
    meter, _, clock = a_meter(*a_um(misbehaviour=fault))

    with (
        meter.acquire(["power"]) as acquisition,
        pytest.raises(MeterError, match="limit 5 %") as caught,
    ):
        list(acquisition.blocks(Deadline.after(60.0, clock)))

    assert "Check wiring" in caught.value.remedy

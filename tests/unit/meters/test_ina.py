"""INA boards: no damaged line is a reading, and what is lost or late is counted."""

import binascii
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.clock import Deadline, VirtualClock
from harness.domain.origin import Origin
from harness.domain.reading import Loss
from harness.errors import (
    LinkClosed,
    LinkTimeout,
    MeterError,
    SchemaError,
    Unsupported,
)
from harness.links.bytelink import ByteLink
from harness.links.faulty import Faults, FaultyLink
from harness.links.loop import LoopLink
from harness.meters.answer import Fault, Frame, Garbage, NeedMore
from harness.meters.base import Meter
from harness.meters.ina import wire
from harness.meters.ina.driver import InaMeter
from harness.meters.ina.sim import INA228, Board, InaSimulator, Load, Misbehaviour
from harness.meters.ina.tolerant import LineMeter, compile_pattern, parse_line

EXAMPLE = b"$P,17,80214,4998750,8125000,0*1C21\r\n"
"""The line of the protocol's description."""


def line(body: str) -> bytes:
    check = binascii.crc_hqx(body.encode(), 0xFFFF)
    return f"${body}*{check:04X}\r\n".encode()


def step(at_s: float, before_a: float, after_a: float) -> Load:
    return lambda t: after_a if t >= at_s else before_a


def connect(link: ByteLink, clock: VirtualClock) -> InaMeter:
    return InaMeter(link, clock, address="ina@sim:", origin=Origin.SIMULATED)


def bench(simulator: InaSimulator) -> tuple[InaMeter, LoopLink, VirtualClock]:
    clock = VirtualClock()
    link = LoopLink(simulator, clock, "sim:")
    return connect(link, clock), link, clock


def read(
    meter: Meter, clock: VirtualClock, duration_s: float, *channels: str
) -> tuple[dict[str, list[tuple[int, float]]], Loss]:
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in channels}
    with meter.acquire(set(channels)) as acquisition:
        for block in acquisition.blocks(Deadline.after(duration_s, clock)):
            found[block.channel.name] += zip(block.times_ns, block.values, strict=True)
        return found, acquisition.loss()


def test_the_check_value_is_that_of_the_description() -> None:
    assert binascii.crc_hqx(b"123456789", 0xFFFF) == 0x29B1
    assert isinstance(wire.decode(EXAMPLE), Frame)


def test_a_reading_is_read_in_its_units() -> None:
    answer = wire.decode(EXAMPLE)

    assert isinstance(answer, Frame)
    assert isinstance(answer.value, wire.Reading)
    assert answer.value.bus_uv == 4_998_750
    assert answer.value.current_a(0.01) == pytest.approx(0.8125)
    assert answer.value.current_a(None) == pytest.approx(8.125)


def test_a_header_is_read_with_its_shunt() -> None:
    answer = wire.decode(
        line("H,INA226,column=shunt_nv,shunt_uohm=10000,period_us=100")
    )

    assert isinstance(answer, Frame)
    assert isinstance(answer.value, wire.Header)
    assert (answer.value.chip, answer.value.shunt_ohm) == ("INA226", 0.01)
    assert answer.value.period_s == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (EXAMPLE.replace(b"8125000", b"8125001"), Fault.CHECKSUM),
        (EXAMPLE.replace(b"$", b""), Fault.SHAPE),
        (EXAMPLE[:-4] + b"\r\n", Fault.SHAPE),
        (b"Voltage: 5.02 V\r\n", Fault.SHAPE),
        (line("P,70000,1,1,1,0"), Fault.SHAPE),
        (line("P,1,1,1,1"), Fault.SHAPE),
        (line("H,INA226,column=shunt_nv,period_us=100"), Fault.SHAPE),
        (line("H,INA226,column=current_ua,period_us=0"), Fault.SHAPE),
        (b"x" * 300, Fault.SHAPE),
    ],
)
def test_what_is_no_line_of_the_protocol_is_garbage(data: bytes, fault: Fault) -> None:
    answer = wire.decode(data)

    assert isinstance(answer, Garbage)
    assert answer.fault is fault


def test_half_a_line_needs_more() -> None:
    assert all(isinstance(wire.decode(EXAMPLE[:n]), NeedMore) for n in range(36))


@given(st.integers(0, len(EXAMPLE) - 3), st.integers(1, 255))
def test_one_changed_byte_is_never_another_reading(place: int, change: int) -> None:
    data = bytearray(EXAMPLE)
    data[place] ^= change

    answer = wire.decode(bytes(data))

    # lower-case hexadecimal digits of the check value mean the same
    same = wire.decode(EXAMPLE)
    assert isinstance(answer, Garbage | NeedMore) or answer == same


@given(st.binary(max_size=100))
def test_any_bytes_at_all_give_one_of_three_answers(data: bytes) -> None:
    assert isinstance(wire.decode(data), Frame | NeedMore | Garbage)


def test_it_says_what_the_header_says() -> None:
    meter, _, _ = bench(InaSimulator(lambda _: 0.1))

    who = meter.identify()

    assert (who.driver, who.model, who.firmware) == ("ina", "INA226", "1.0")
    assert who.facts["shunt_uohm"] == "10000"
    assert who.facts["integrity"] == "sequence, time and CRC-16"


def test_the_power_of_the_load_is_read_at_the_boards_rate() -> None:
    meter, _, clock = bench(InaSimulator(step(1.0, 0.1, 0.5)))

    found, loss = read(meter, clock, 2.0, "power", "voltage", "current")

    times = [t for t, _ in found["power"]]
    amperes = [a for _, a in found["current"]]
    assert len(times) in range(1998, 2002)
    assert {b - a for a, b in pairwise(times)} == {1_000_000}
    assert loss == Loss(missing=0, expected=len(times))
    assert amperes[:900] == pytest.approx([0.1] * 900)
    assert amperes[-900:] == pytest.approx([0.5] * 900)
    # one step of the shunt converter is 0.25 mA here, of the bus converter 1.25 mV
    assert found["power"][-1][1] == pytest.approx(0.5 * (5.0 - 0.5 * 0.05), rel=1e-3)


def test_the_ina228_resolves_finer_steps() -> None:
    meter, _, clock = bench(InaSimulator(lambda _: 0.00101, board=Board(chip=INA228)))

    found, _ = read(meter, clock, 0.5, "current")

    assert found["current"][0][1] == pytest.approx(0.00101, abs=16e-6)


def test_number_and_time_run_over_without_a_trace() -> None:
    board = Board(first_sequence=65_000, first_us=(1 << 32) - 300_000)
    meter, _, clock = bench(InaSimulator(lambda _: 0.1, board=board))

    found, loss = read(meter, clock, 2.0, "power")

    times = [t for t, _ in found["power"]]
    assert {b - a for a, b in pairwise(times)} == {1_000_000}
    assert loss.missing == 0


def test_the_boards_own_clock_is_kept_so_that_its_drift_can_be_fitted() -> None:
    board = Board(clock_ppm=-140.0)
    meter, _, clock = bench(InaSimulator(lambda _: 0.1, board=board))

    begun_ns = clock.now_ns()
    found, _ = read(meter, clock, 20.0, "power")

    span_ns = found["power"][-1][0] - found["power"][0][0]
    lag_ns = clock.now_ns() - begun_ns - span_ns
    assert lag_ns == pytest.approx(20.0e9 * 140e-6, rel=0.5, abs=110e6)
    assert len(found["power"]) == pytest.approx(20_000 * (1 - 140e-6), abs=2)


def test_lost_readings_are_counted_and_leave_their_gap() -> None:
    lost = frozenset({100, 101, 102, 500})
    meter, _, clock = bench(
        InaSimulator(lambda _: 0.1, misbehaviour=Misbehaviour(lost_readings=lost))
    )

    found, loss = read(meter, clock, 1.0, "power")

    times = [t for t, _ in found["power"]]
    gaps = [b - a for a, b in pairwise(times) if b - a > 1_000_000]
    assert gaps == [4_000_000, 2_000_000]
    assert loss.missing == 4
    assert loss.expected == len(times) + 4


def test_saturation_is_flagged_and_the_reading_is_a_lower_bound() -> None:
    meter, _, clock = bench(InaSimulator(step(0.5, 1.0, 20.0)))

    found, loss = read(meter, clock, 1.0, "current")

    assert max(amperes for _, amperes in found["current"]) == pytest.approx(8.19175)
    assert loss.over_range == pytest.approx(500, abs=110)
    assert loss.missing == 0


class Scripted:
    """A board that answers the header and then says what it is given."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._outbox = b""

    def receive(self, data: bytes, now_ns: int) -> None:
        del now_ns
        if b"?" in data:
            self._outbox += line("H,INA226,shunt_uohm=10000,period_us=1000")
        if b"S" in data:
            self._outbox += b"".join(self._lines)

    def transmit(self, now_ns: int) -> bytes:
        del now_ns
        out, self._outbox = self._outbox, b""
        return out

    def next_ns(self, now_ns: int) -> int | None:
        return now_ns if self._outbox else None


def test_conversions_that_the_firmware_missed_are_missing_by_their_time() -> None:
    clock = VirtualClock()
    lines = [line("P,7,1000,5000000,0,0"), line("P,8,6000,5000000,0,2")]
    meter = connect(LoopLink(Scripted(lines), clock, "sim:"), clock)

    found, loss = read(meter, clock, 0.1, "power")

    assert len(found["power"]) == 2
    assert loss == Loss(missing=4, expected=6)


@pytest.mark.parametrize(
    ("second", "how"),
    [
        (line("P,0,500,5000000,0,0"), "its time went back"),
        (line("H,INA226,shunt_uohm=10000,period_us=1000"), "it sent its header again"),
    ],
)
def test_a_board_that_starts_again_is_told(second: bytes, how: str) -> None:
    clock = VirtualClock()
    lines = [line("P,7,1000,5000000,0,0"), second]
    meter = connect(LoopLink(Scripted(lines), clock, "sim:"), clock)

    with pytest.raises(MeterError, match=f"started again while measuring: {how}"):
        read(meter, clock, 0.1, "power")


def test_a_simulated_brown_out_is_told() -> None:
    meter, _, clock = bench(
        InaSimulator(lambda _: 0.1, misbehaviour=Misbehaviour(restarts_at=700))
    )

    with pytest.raises(MeterError, match="started again"):
        read(meter, clock, 2.0, "power")


def test_a_silent_board_is_told_after_two_seconds() -> None:
    meter, _, clock = bench(
        InaSimulator(lambda _: 0.1, misbehaviour=Misbehaviour(silent_after=500))
    )

    with pytest.raises(LinkTimeout, match=r"The meter has been silent for 2\.0 s"):
        read(meter, clock, 60.0, "power")


def test_an_unplugged_board_is_told_as_gone() -> None:
    meter, link, clock = bench(InaSimulator(lambda _: 0.1))

    def measure() -> None:
        with meter.acquire({"power"}) as acquisition:
            list(acquisition.blocks(Deadline.after(1.0, clock)))
            link.unplug()
            list(acquisition.blocks(Deadline.after(1.0, clock)))

    with pytest.raises(LinkClosed, match="The device went away"):
        measure()


def test_another_device_on_the_port_is_told() -> None:
    clock = VirtualClock()

    with pytest.raises(MeterError, match=r"not answer as an INA board.*pattern="):
        connect(LoopLink(Chatter(b"5.02,81.3\r\n"), clock, "sim:"), clock)


def test_the_board_is_silent_afterwards_and_can_be_used_again() -> None:
    simulator = InaSimulator(lambda _: 0.1)
    meter, _, clock = bench(simulator)

    read(meter, clock, 0.5, "power")
    was_streaming = simulator.is_streaming
    found, loss = read(meter, clock, 0.5, "power")

    assert not was_streaming
    assert len(found["power"]) == loss.expected == 500


def test_another_rate_or_channel_is_refused() -> None:
    meter, _, clock = bench(InaSimulator(lambda _: 0.1))

    with pytest.raises(Unsupported, match="power, voltage, current at 1000 readings"):
        read(meter, clock, 0.1, "phase")
    with pytest.raises(Unsupported), meter.acquire({"power"}, rate_hz=50.0):
        pass


@settings(max_examples=20, deadline=None)
@given(most=st.integers(1, 60))
def test_any_split_of_the_bytes_gives_the_same_readings(most: int) -> None:
    clock = VirtualClock()
    loop = LoopLink(InaSimulator(step(0.2, 0.1, 0.4)), clock, "sim:")
    meter = connect(FaultyLink(loop, Faults(most_per_read=most)), clock)

    found, loss = read(meter, clock, 0.4, "power")

    whole_meter, _, whole_clock = bench(InaSimulator(step(0.2, 0.1, 0.4)))
    whole, _ = read(whole_meter, whole_clock, 0.4, "power")
    # what has arrived but was not read before the deadline is not lost, only later
    count = len(found["power"])
    assert count >= 398
    assert [w for _, w in found["power"]] == [w for _, w in whole["power"]][:count]
    assert loss.missing == 0


@pytest.mark.parametrize("seed", range(5))
def test_garbled_and_lost_bytes_make_missing_readings_and_no_wrong_ones(
    seed: int,
) -> None:
    clock = VirtualClock()
    loop = LoopLink(InaSimulator(lambda _: 0.1), clock, "sim:")
    faults = Faults(drop=0.0002, garble=0.0002, seed=seed)
    meter = connect(FaultyLink(loop, faults), clock)

    found, loss = read(meter, clock, 5.0, "current")

    assert all(amperes == pytest.approx(0.1) for _, amperes in found["current"])
    assert loss.missing > 0
    assert loss.expected == pytest.approx(5000, abs=5)


def test_a_noisy_wire_is_told_with_what_to_check() -> None:
    clock = VirtualClock()
    loop = LoopLink(InaSimulator(lambda _: 0.1), clock, "sim:")
    meter = connect(FaultyLink(loop, Faults(garble=0.003, seed=2)), clock)

    with pytest.raises(MeterError, match=r"lines were damaged.*Check line speed"):
        read(meter, clock, 5.0, "power")


class Chatter:
    """A sketch that prints one line every 100 ms from power-on."""

    def __init__(self, text: bytes, *, silent_after_s: float = 1e9) -> None:
        self._text = text
        self._end_ns = round(silent_after_s * 1e9)
        self._sent = 0

    def receive(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""

    def transmit(self, now_ns: int) -> bytes:
        due = min(now_ns, self._end_ns) // 100_000_000
        out, self._sent = self._text * (due - self._sent), max(due, self._sent)
        return out

    def next_ns(self, now_ns: int) -> int | None:
        return (self._sent + 1) * 100_000_000 if now_ns < self._end_ns else None


def listen(chatter: Chatter, pattern: str) -> tuple[LineMeter, VirtualClock]:
    clock = VirtualClock()
    meter = LineMeter(
        LoopLink(chatter, clock, "sim:"),
        clock,
        address="ina@sim:",
        origin=Origin.SIMULATED,
        pattern=pattern,
    )
    return meter, clock


CSV = r"(?P<V>\S+),(?P<mA>\S+)"


def test_other_sketches_are_read_without_a_claim_of_integrity() -> None:
    meter, clock = listen(Chatter(b"5.00,80.0\r\n"), CSV)

    found, loss = read(meter, clock, 2.0, "power", "current")

    assert meter.identify().facts["integrity"] == "none"
    assert all(watts == pytest.approx(0.4) for _, watts in found["power"])
    assert all(amperes == pytest.approx(0.08) for _, amperes in found["current"])
    assert len(found["power"]) in {19, 20}
    assert loss.missing == 0


def test_a_line_has_to_match_as_a_whole() -> None:
    pattern = compile_pattern(r"(?P<mW>-?\d+\.\d) mW")

    assert (parse_line("400.0 mW\r", pattern) or {}).keys() == {"power"}
    assert parse_line("400.0 mW 400.0 mW", pattern) is None
    assert parse_line("00.0 mWx", pattern) is None


def test_lines_that_do_not_match_are_counted() -> None:
    meter, clock = listen(Chatter(b"5.00,80.0\nfive,80.0\n"), CSV)

    found, loss = read(meter, clock, 2.0, "power")

    assert loss.missing in {len(found["power"]), len(found["power"]) + 1}


@pytest.mark.parametrize(
    "pattern", [r"(?P<V>\S+)", r"(?P<volts>\S+),(?P<W>\S+)", "(", r"\S+"]
)
def test_a_pattern_that_tells_no_power_is_refused(pattern: str) -> None:
    with pytest.raises(SchemaError, match=r"regular expression|does not tell power"):
        compile_pattern(pattern)


def test_lines_that_never_match_are_shown() -> None:
    with pytest.raises(MeterError, match=r"No line matched.*last was 'Hello'"):
        listen(Chatter(b"Hello\r\n"), CSV)


def test_a_sketch_that_falls_silent_is_told() -> None:
    meter, clock = listen(Chatter(b"5.0,80.0\n", silent_after_s=2.0), CSV)

    with pytest.raises(LinkTimeout, match="No line has come for 5 s"):
        read(meter, clock, 60.0, "power")


def test_other_sketches_have_no_rate_to_be_set() -> None:
    meter, _ = listen(Chatter(b"5.0,80.0\n"), CSV)

    with pytest.raises(Unsupported), meter.acquire({"power"}, rate_hz=10.0):
        pass

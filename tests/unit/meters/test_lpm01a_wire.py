"""The LPM01A's lines and words, and what is no reading."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.meters.answer import Fault, Frame, Garbage, NeedMore
from harness.meters.lpm01a import wire


def readings(items: tuple[wire.Item, ...]) -> list[float]:
    return [
        float(value)
        for item in items
        if isinstance(item, wire.Values)
        for value in item.values
    ]


def cut_in_pieces(
    data: bytes, sizes: list[int], form: wire.Format
) -> tuple[list[float], int, bytes]:
    cut = wire.cut_ascii if form is wire.Format.ASCII else wire.cut_binary
    rest, at, unreadable = b"", 0, 0
    values: list[float] = []
    for size in [*sizes, len(data)]:
        piece = cut(rest + data[at : at + size])
        rest, at = piece.rest, at + size
        values += readings(piece.items)
        unreadable += sum(isinstance(item, wire.Unreadable) for item in piece.items)
    return values, unreadable, rest


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"6409-07", 640.9e-6),  # the example of the instrument's help text
        (b"9069-07", 906.9e-6),  # from a capture in mlcommons/tiny
        (b"0000-09", 0.0),
        (b"1234+00", 1234.0),
        (b"\x006409-07", 640.9e-6),  # after a time stamp a NUL may come first
    ],
)
def test_a_decimal_line_is_four_digits_and_a_power_of_ten(
    line: bytes, value: float
) -> None:
    items = wire.cut_ascii(line + b"\r\n").items

    assert readings(items) == pytest.approx([value], rel=1e-12)


@pytest.mark.parametrize(
    "line",
    [
        b"6409-0\x007",  # one garbage byte once became 6409 J elsewhere
        b"6409-0",
        b"409-07",
        b"64096410-07",
        b"6409 -07",
        b"640A-07",
    ],
)
def test_a_line_that_is_not_wholly_a_reading_is_none(line: bytes) -> None:
    items = wire.cut_ascii(line + b"\r\n").items

    assert readings(items) == []
    assert [type(item) for item in items] == [wire.Unreadable]


def test_binary_words_are_a_power_of_sixteen_and_twelve_bits() -> None:
    data = b"\xf0\xf3\x00\x00\x00\x00\x03\xff\xff\x52\xa0\xf0\xf4\xff\xff"

    items = wire.cut_binary(data).items

    assert readings(items) == pytest.approx([0x2A0 * 16.0**-5])
    assert items[-1] == wire.Ended()


def test_an_odd_number_of_bytes_between_stamps_is_no_reading() -> None:
    stamp = b"\xf0\xf3\x00\x00\x00\x00\x03\xff\xff"
    data = stamp + b"\x52\xa0\xa0\x52\xa0" + stamp

    items = wire.cut_binary(data).items

    assert readings(items) == []
    assert wire.Unreadable(count=5, readings=2) in items


@pytest.mark.parametrize(
    ("message", "item"),
    [
        (
            b"\xf0\xf3\x00\x01\x00\x02\x20\xff\xff",
            wire.TimeStamp(at_ms=65_538, buffer_ratio=0.32),
        ),
        (b"\xf0\xf5\xff\xff", wire.OverCurrent()),
        (
            b"\xf0\xf6\xff\xff",
            wire.Ended(why="it has switched the device under test off"),
        ),
        (b"\xf0\xf1overload\xff\xff", wire.Ended(why="overload")),
    ],
)
def test_binary_messages_are_told_from_readings(
    message: bytes, item: wire.Item
) -> None:
    items = wire.cut_binary(message).items

    assert items == (item,)


@pytest.mark.parametrize(
    ("line", "item"),
    [
        (
            b"TimeStamp: 003s 250ms, buff 03%",
            wire.TimeStamp(at_ms=3250, buffer_ratio=0.03),
        ),
        (
            b"TimeStamp: 012s 000ms, buff>98%",
            wire.TimeStamp(at_ms=12_000, buffer_ratio=0.98),
        ),
        (b"event 00 ris", wire.Event(is_rising=True)),
        (b"event 03 fal", wire.Event(is_rising=False)),
        (b"PowerShield > Acquisition completed", wire.Ended()),
        (b"error: overcurrent", wire.OverCurrent()),
        (b"error: target supply", wire.Ended(why="error: target supply")),
    ],
)
def test_lines_that_are_no_reading_say_what_they_are(
    line: bytes, item: wire.Item
) -> None:
    items = wire.cut_ascii(line + b"\r\n").items

    assert items == (item,)


def test_an_acknowledgement_may_carry_a_value() -> None:
    said = b"\r\nPowerShield > ack volt get 3292-03\r\n\r\n"

    answer = wire.decode_answer(said, "volt get")

    assert answer == Frame(value="3292-03")


def test_a_refusal_is_told_with_its_detail() -> None:
    said = b"\r\nPowerShield > error freq 3k\r\nError detail: out of list\r\n"

    answer = wire.decode_answer(said, "freq 3k")

    assert answer == Garbage(fault=Fault.REFUSED, detail="out of list")


def test_answers_to_other_commands_are_passed_over() -> None:
    said = b"\r\nPowerShield > ack stop\r\n6409-07\r\n"

    answer = wire.decode_answer(said, "htc")

    assert answer == NeedMore()


ASCII_STREAM = b"".join(
    b"%04d-07\r\n" % (1000 + number)
    + (b"TimeStamp: 001s 000ms, buff 03%\r\n\x00" if number == 40 else b"")
    for number in range(80)
)
BINARY_STREAM = b"".join(
    (0x5000 | (number % 0xFFF)).to_bytes(2, "big")
    + (b"\xf0\xf3\x00\x00\x03\xe8\x03\xff\xff" if number % 40 == 39 else b"")
    for number in range(80)
)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 60), max_size=30))
@pytest.mark.parametrize(
    ("form", "data"),
    [(wire.Format.ASCII, ASCII_STREAM), (wire.Format.BINARY, BINARY_STREAM)],
)
def test_any_split_of_the_bytes_gives_the_same_readings(
    form: wire.Format, data: bytes, sizes: list[int]
) -> None:
    whole = cut_in_pieces(data, [], form)
    split = cut_in_pieces(data, sizes, form)

    assert len(whole[0]) == 80
    assert split == whole


@settings(max_examples=100, deadline=None)
@given(lost=st.integers(0, len(ASCII_STREAM) - 1))
def test_a_lost_character_never_makes_a_reading_of_another_size(lost: int) -> None:
    data = ASCII_STREAM[:lost] + ASCII_STREAM[lost + 1 :]

    values, _, _ = cut_in_pieces(data, [], wire.Format.ASCII)

    assert len(values) >= 77
    assert min(values) > 0.9e-4
    assert max(values) < 1.2e-4


def test_binary_values_fall_with_their_exponent() -> None:
    words = [power << 12 | 0x800 for power in range(15)]
    data = b"".join(word.to_bytes(2, "big") for word in words) + b"\xf0\xf4\xff\xff"

    values = readings(wire.cut_binary(data).items)

    assert [a / b for a, b in pairwise(values)] == pytest.approx([16.0] * 14)


def test_garbage_is_no_reading_in_either_format() -> None:
    noise = np.random.default_rng(4).integers(0, 256, 20_000, dtype=np.uint8).tobytes()

    decimal = cut_in_pieces(noise, [], wire.Format.ASCII)

    assert decimal[0] == []
    assert decimal[1] > 10

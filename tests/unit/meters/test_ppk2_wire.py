"""The PPK2's stream: words, their boundary, losses, and readings that settle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.meters.ppk2 import wire

METADATA = (
    "\n".join(
        ["Calibrated: 0"]
        + [
            f"R{r}: {ohm}"
            for r, ohm in enumerate((1031.64, 101.65, 10.15, 0.94, 0.043))
        ]
        + [f"{name}{r}: 0.0" for name in ("GS", "O", "S", "I") for r in range(5)]
        + [f"{name}{r}: 1.0" for name in ("GI", "UG") for r in range(5)]
        + ["VDD: 3300", "HW: 9173", "mode: 2", "IA: 56", "END", ""]
    )
).encode()


def stream(
    count: int, *, first: int = 0, adc: int = 3000, scale: int = 2, logic: int = 0
) -> NDArray[np.uint32]:
    """Words as the instrument sends them, with readings that say which one they are."""
    number = np.arange(first, first + count, dtype=np.uint32)
    return (
        (adc + number % 7)
        | np.uint32(scale << 14)
        | ((number % 64) << np.uint32(18))
        | np.uint32(logic << 24)
    ).astype("<u4")


def cut(data: bytes, sizes: list[int]) -> tuple[list[int], list[int], int]:
    """Feed bytes in pieces of these sizes; give words, gaps and unreadable bytes."""
    state = wire.Framing()
    words: list[int] = []
    missing: list[int] = []
    unreadable = at = 0
    for size in [*sizes, len(data)]:
        frames = wire.frame(data[at : at + size], state)
        at, state = at + size, frames.state
        words += frames.words.tolist()
        missing += frames.missing_before.tolist()
        unreadable += frames.unreadable_bytes
    return words, missing, unreadable


def test_metadata_is_read_once_its_end_has_come() -> None:
    metadata = wire.parse_metadata(METADATA)

    assert wire.parse_metadata(METADATA[:-5]) is None
    assert metadata is not None
    assert metadata.vdd_mv == 3300
    assert metadata.constants["R"][4] == 0.043
    assert metadata.usable_ranges() == (True,) * 5
    assert not metadata.has_user_gain()


def test_a_constant_that_is_nan_makes_its_range_unusable() -> None:
    metadata = wire.parse_metadata(METADATA.replace(b"R3: 0.94", b"R3: -nan"))

    assert metadata is not None
    assert metadata.usable_ranges() == (True, True, True, False, True)


def test_text_of_another_instrument_is_refused_by_what_is_missing() -> None:
    with pytest.raises(ValueError, match="R0, R1"):
        wire.parse_metadata(b"hello END")


@pytest.mark.parametrize(
    ("millivolts", "encoded"),
    [(800, b"\x0d\x03\x20"), (3300, b"\x0d\x0c\xe4"), (5000, b"\x0d\x13\x88")],
)
def test_a_voltage_is_sent_in_millivolts_high_byte_first(
    millivolts: int, encoded: bytes
) -> None:
    command = wire.set_voltage(millivolts)

    assert command == encoded


def test_a_voltage_that_it_cannot_give_is_refused() -> None:
    with pytest.raises(ValueError, match="800 to 5000 mV"):
        wire.set_voltage(5001)


def test_amperes_follow_the_published_formula() -> None:
    metadata = wire.parse_metadata(
        METADATA.replace(b"O1: 0.0", b"O1: 80")
        .replace(b"GS1: 0.0", b"GS1: 2.5")
        .replace(b"S1: 0.0", b"S1: 1e-7")
        .replace(b"I1: 0.0", b"I1: -2e-7")
        .replace(b"UG1: 1.0", b"UG1: 1.02")
    )
    assert metadata is not None

    table = wire.ampere_table(metadata, 3.3)

    x = (4 * 5000 - 80) * (1.8 / 163_840) / 101.65
    expected = 1.02 * (x * (2.5 * x + 1.0) + 1e-7 * 3.3 - 2e-7)
    assert table[(1 << 14) | 5000] == pytest.approx(expected, rel=1e-14)
    # there are five ranges; the numbers above them read as the highest
    assert table[(7 << 14) | 5000] == table[(4 << 14) | 5000]


def test_whole_words_come_out_as_they_went_in() -> None:
    sent = stream(500)

    words, missing, unreadable = cut(sent.tobytes(), [])

    # the last two wait for the next to vouch for them
    assert words == sent[:-2].tolist()
    assert sum(missing) == 0
    assert unreadable == 0


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 400), max_size=12),
    lost=st.lists(st.integers(0, 1999), max_size=4),
    gap=st.integers(0, 63),
)
def test_any_split_of_the_bytes_gives_the_same_words(
    sizes: list[int], lost: list[int], gap: int
) -> None:
    sent = np.concatenate([stream(250), stream(250, first=250 + gap)]).tobytes()
    data = bytes(byte for at, byte in enumerate(sent) if at not in lost)

    whole = cut(data, [])
    split = cut(data, sizes)

    assert split == whole


@pytest.mark.parametrize("gap", [1, 16, 37, 63])
def test_lost_readings_are_counted_where_they_are_missing(gap: int) -> None:
    data = np.concatenate([stream(100), stream(100, first=100 + gap)]).tobytes()

    _, missing, unreadable = cut(data, [])

    assert missing[100] == gap
    assert sum(missing) == gap
    assert unreadable == 0


def test_sixty_four_lost_readings_cannot_be_seen_by_the_counter() -> None:
    data = np.concatenate([stream(100), stream(100, first=164)]).tobytes()

    _, missing, _ = cut(data, [])

    assert sum(missing) == 0


@pytest.mark.parametrize("place", range(4))
def test_a_lost_byte_costs_the_words_around_it_and_no_more(place: int) -> None:
    sent = stream(400).tobytes()
    at = 4 * 200 + place

    words, missing, unreadable = cut(sent[:at] + sent[at + 1 :], [])

    assert set(words) <= set(stream(400).tolist())
    assert 1 <= sum(missing) <= 6
    assert len(words) + sum(missing) == 398
    assert unreadable < 24


def test_what_was_lost_in_a_long_damage_is_told_by_its_length() -> None:
    sent = bytearray(stream(600).tobytes())
    sent[4 * 200 : 4 * 330] = bytes(4 * 130)

    words, missing, _ = cut(bytes(sent), [])

    assert len(words) + sum(missing) == 598
    assert sum(missing) >= 130


def test_random_bytes_before_the_stream_are_no_words() -> None:
    noise = np.random.default_rng(3).integers(0, 256, 3001, dtype=np.uint8).tobytes()

    words, missing, unreadable = cut(noise + stream(300).tobytes(), [])

    assert set(words) <= set(stream(300).tolist())
    assert len(words) >= 290
    assert sum(missing) == 0
    assert 3001 <= unreadable <= 3001 + 40


@pytest.mark.parametrize("seed", range(20))
def test_lost_bytes_let_no_false_word_through(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sent = np.frombuffer(stream(20_000).tobytes(), np.uint8)
    is_kept = generator.random(len(sent)) >= 0.001

    words, missing, _ = cut(sent[is_kept].tobytes(), [7000, 11, 30_000])

    assert set(words) <= set(stream(448).tolist())
    assert 19_900 <= len(words) + sum(missing) <= 20_000


def test_a_counting_pattern_on_the_logic_inputs_does_not_mislead() -> None:
    number = np.arange(2000, dtype=np.uint32)
    sent = (stream(2000) | ((number % 256) << np.uint32(24))).astype("<u4")
    data = sent.tobytes()

    words, missing, _ = cut(data[:4001] + data[4002:], [])

    assert set(words) <= set(sent.tolist())
    assert len(words) + sum(missing) == 1998


def test_logic_range_and_full_scale_are_read_from_their_bits() -> None:
    words = np.array(
        [(0xA5 << 24) | (3 << 14) | 5, (4 << 14) | 16_383, (7 << 14) | 16_383],
        np.uint32,
    )

    logic, ranges = wire.logic_of(words), wire.ranges_of(words)

    assert logic.tolist() == [0xA5, 0, 0]
    assert ranges.tolist() == [3, 4, 4]
    assert wire.is_saturated(words).tolist() == [False, True, True]


def test_three_readings_after_a_change_of_range_are_replaced_by_the_average() -> None:
    amperes = np.array([1.0, 1.0, 9.0, 9.0, 9.0, 2.0])
    ranges = np.array([1, 1, 2, 2, 2, 2], np.int8)

    settled, is_replaced, _ = wire.settle(amperes, ranges, wire.Settling())

    average = [1 + 8 * 0.18, 0.82 * (1 + 8 * 0.18) + 9 * 0.18]
    assert is_replaced.tolist() == [False, False, True, True, True, False]
    assert settled[2:4].tolist() == pytest.approx(average)
    assert settled[5] == 2.0


def test_a_range_without_constants_does_not_poison_the_average() -> None:
    amperes = np.array([1.0, np.nan, 1.0, 1.0, 1.0, 1.0, 1.0])
    ranges = np.array([1, 3, 1, 1, 1, 1, 1], np.int8)

    settled, _, state = wire.settle(amperes, ranges, wire.Settling())

    assert settled[2:].tolist() == pytest.approx([1.0] * 5)
    assert state.fast == pytest.approx(1.0)


@settings(max_examples=50, deadline=None)
@given(
    scales=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    sizes=st.lists(st.integers(0, 9), max_size=10),
)
def test_settling_does_not_depend_on_how_the_stream_is_cut(
    scales: list[int], sizes: list[int]
) -> None:
    ranges = np.array(scales, np.int8)
    amperes = np.linspace(1.0, 2.0, len(scales)) * (ranges + 1)
    whole, _, _ = wire.settle(amperes, ranges, wire.Settling())

    state, pieces, at = wire.Settling(), [], 0
    for size in [*sizes, len(scales)]:
        piece, _, state = wire.settle(
            amperes[at : at + size], ranges[at : at + size], state
        )
        pieces.append(piece)
        at += size

    assert np.concatenate(pieces) == pytest.approx(whole, rel=1e-12)

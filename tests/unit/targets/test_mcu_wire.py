"""Lines of the MLPerf Tiny protocol, as the grammar and as real firmware have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.targets.mcu.wire import (
    COMMAND_MAX,
    Banner,
    Expecting,
    Fact,
    Lap,
    Mode,
    Other,
    Ready,
    Refused,
    Results,
    Said,
    Step,
    encode,
    load_commands,
    read_line,
    split,
)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"m-ready", Ready()),
        (b"m-lap-us-4294967295", Lap(4294967295)),
        (b"m-timestamp-mode-energy", Banner(Mode.ENERGY)),
        (b"m-name-dut-[ a board ]", Fact("name", "a board")),
        (b"m-model-[kws01]", Fact("model", "kws01")),
        (b"m-[Expecting 490 bytes]", Expecting(490)),
        (b"m-load-done", Step("load-done")),
        (b"m-infer-start-10", Step("infer-start-10")),
        (b"m-results-[0.125,0.875]", Results((0.125, 0.875))),
        (b"m-results-[0.125, 0.875,]", Results((0.125, 0.875))),
        (b"m-results-[]", Results(())),
        # of one there are a thousand thousandths; with four decimals each, it is 0.1
        (b"m-results-[0.000,0.1000,0.000]", Results((0.0, 1.0, 0.0))),
        (b"m-results-[0.9000,0.1000]", Results((0.9, 0.1))),
        (b"m-results-[0.1000]", Results((0.1,))),
        (b"e-[Unknown command: x]", Refused("Unknown command: x")),
        (
            b"Supplied buffer size 500 exceeds maximum of 490",
            Refused("Supplied buffer size 500 exceeds maximum of 490"),
        ),
        (
            b"ULPMark for tinyML Firmware V0.0.1",
            Other("ULPMark for tinyML Firmware V0.0.1"),
        ),
    ],
)
def test_a_line_means_what_the_grammar_says(line: bytes, said: Said) -> None:
    assert read_line(line) == said


@pytest.mark.parametrize(
    "line",
    [
        b"m-lap-us-12x",
        b"m-lap-us-",
        b"xm-lap-us-12",
        b"m-lap-us-12345678901",
        b"m-lap-us-\xff12",
        b"m-results-[0.1,zz]",
        b"m-results-[0.1,,0.2]",
        b"m-read",
    ],
)
def test_a_line_that_is_not_whole_gives_no_number(line: bytes) -> None:
    assert isinstance(read_line(line), Other)


@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_lines_are_the_same_wherever_the_bytes_are_cut(data: bytes, cut: int) -> None:
    first, rest = split(data[:cut])
    second, left = split(rest + data[cut:])

    assert (first + second, left) == split(data)


@given(st.binary(max_size=120))
def test_no_bytes_are_too_strange_to_be_read(line: bytes) -> None:
    read_line(line)


@given(st.binary(min_size=1, max_size=500))
def test_a_sample_is_loaded_by_commands_that_the_firmware_can_hold(data: bytes) -> None:
    first, *chunks = load_commands(data)

    assert first == f"db load {len(data)}"
    assert bytes.fromhex("".join(c.removeprefix("db ") for c in chunks)) == data
    assert max(map(len, (encode(c) for c in chunks))) <= COMMAND_MAX


@pytest.mark.parametrize("command", ["", "  ", "a%b", "name\r", "x" * 81, "naïve"])
def test_what_firmware_does_not_survive_is_never_sent(command: str) -> None:
    with pytest.raises(ValueError, match=r"crashes|more than|framing"):
        encode(command)


def test_a_command_has_no_line_end() -> None:
    assert encode("name") == b"name%"

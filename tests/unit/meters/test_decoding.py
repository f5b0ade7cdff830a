"""From raw bytes to readings: the same bytes give the same, for every driver."""

from pathlib import Path

import numpy as np
import pytest

from harness.clock import Deadline, VirtualClock
from harness.domain.reading import ReadingBlock
from harness.links.replay import BEGUN, ENDED, load_capture, recording
from harness.meters.decoding import POWER, decode, thinned
from harness.meters.drivers import DRIVERS
from harness.meters.opening import capture_facts, open_taped
from harness.plugins import Address

LEVELS_W = {"ppk2": 0.01, "lpm01a": 0.01, "ina": 0.6, "um25c": 6.0, "tc66c": 6.0}
"""A power that this meter is made for; 61 W for those that are not named."""


def captured(path: Path, link: str, seconds: float = 6.0) -> list[ReadingBlock]:
    """Read a simulated meter into a capture; give the readings as they were live."""
    address, clock = Address.parse(link), VirtualClock("bench", 5_000_000_000)
    blocks = []
    with (
        recording(path, capture_facts(address, clock)) as recorder,
        open_taped(address, clock, recorder) as meter,
    ):
        clock.advance(3_000_000_000)  # the bench has other things to do first
        recorder.mark(BEGUN, clock.now_ns())
        with meter.acquire([POWER]) as acquisition:
            blocks = list(acquisition.blocks(Deadline.after(seconds, clock)))
            recorder.mark(ENDED, clock.now_ns())
    return [thinned(block) for block in blocks if len(block.values)]


def joined(blocks: list[ReadingBlock]) -> tuple[list[int], list[float]]:
    return (
        [at for block in blocks for at in block.times_ns],
        [value for block in blocks for value in block.values],
    )


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_what_is_decoded_from_the_bytes_is_what_was_read(
    driver: str, tmp_path: Path
) -> None:
    if driver == "tc66c":
        pytest.importorskip("cryptography", reason="install the extra tc66c")
    link = f"{driver}@sim:idle-{LEVELS_W.get(driver, 61.0)}W?seed=3"
    live = captured(tmp_path / "a.cap", link)

    decoded = decode(load_capture(tmp_path / "a.cap"), "a.cap")

    assert decoded.fault is None
    assert decoded.loss.missing == 0
    times, values = joined(list(decoded.blocks))
    live_times, live_values = joined(live)
    assert {block.clock for block in decoded.blocks} == {"bench"}
    assert len(times) == len(live_times)
    assert values == pytest.approx(live_values, rel=1e-9)
    assert np.abs(np.subtract(times, live_times)).max() <= 1_000_000


@pytest.mark.parametrize("driver", ["ppk2", "pzem"])
def test_decoding_twice_gives_the_very_same(driver: str, tmp_path: Path) -> None:
    level_w = LEVELS_W.get(driver, 61.0)
    captured(tmp_path / "a.cap", f"{driver}@sim:idle-{level_w}W?fault=garble:2e-4")
    capture = load_capture(tmp_path / "a.cap")

    first, second = (decode(capture, "a.cap") for _ in range(2))

    assert joined(list(first.blocks)) == joined(list(second.blocks))
    assert (first.loss, first.tally) == (second.loss, second.tally)


def test_a_capture_that_was_cut_short_gives_what_is_before_the_cut(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.cap"
    captured(path, "ppk2@sim:idle-10mW", seconds=1.0)
    whole = decode(load_capture(path), "a.cap")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])

    half = decode(load_capture(path), "a.cap")

    times, values = joined(list(half.blocks))
    all_times, all_values = joined(list(whole.blocks))
    assert 0.4 < len(times) / len(all_times) < 0.6
    assert values[:-1] == all_values[: len(values) - 1]


def test_damaged_replies_and_lost_readings_are_counted_as_they_were(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.cap"
    captured(path, "pzem@sim:idle-61W?fault=garble:8e-4&seed=2", seconds=40.0)

    tally = decode(load_capture(path), "a.cap").tally

    assert tally["damaged"] + tally["mute"] > 0
    assert tally["repeated"] > 0


def test_a_meter_that_fell_silent_is_silent_in_its_capture_too(tmp_path: Path) -> None:
    path = tmp_path / "a.cap"
    with pytest.raises(Exception, match="silent"):
        captured(path, "ppk2@sim:idle-10mW?fault=stall:5s")

    decoded = decode(load_capture(path), "a.cap")

    seconds = sum(len(block.values) for block in decoded.blocks) / 1000
    assert 1.0 < seconds < 2.5


def test_levels_are_kept_where_they_change_however_blocks_are_cut(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.cap"
    captured(path, "ppk2@sim:idle-10mW", seconds=1.0)

    decoded = decode(load_capture(path), "a.cap", edges=True)

    (levels,) = [b for b in decoded.blocks if b.channel.name == "logic"]
    # nothing moves the inputs: of 100 000 levels only the first is kept
    assert len(levels.values) == 1
    assert sum(len(b.values) for b in decoded.blocks if b.channel.name == POWER) > 900

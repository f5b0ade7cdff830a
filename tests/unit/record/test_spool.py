from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.domain.origin import Origin
from harness.domain.query import Phase, QueryBlock, ReadingsTaken
from harness.domain.reading import Channel, ReadingBlock
from harness.errors import Unverifiable
from harness.record.spool import SpoolWriter, read_spool


def some_blocks() -> list[QueryBlock | ReadingsTaken]:
    times = array("q", [1, 2**62, -3])
    channel = Channel(name="rss", unit="B", source="psutil", rate_hz=10.0)
    return [
        QueryBlock(
            trial="kws.r1",
            phase=Phase.MEASURED,
            samples_per_query=2,
            scheduled_ns=times,
            issued_ns=times,
            completed_ns=times,
            segment=4,
            rate_hz=0.1,
        ),
        ReadingsTaken(
            trial="kws.r1",
            block=ReadingBlock(
                channel=channel,
                clock="monotonic",
                origin=Origin.HOST,
                times_ns=array("q", [7]),
                values=array("d", [0.1]),
            ),
        ),
    ]


def a_spool(path: Path) -> bytes:
    spool = SpoolWriter(path)
    for block in some_blocks():
        spool.append(block)
    spool.close()
    return path.read_bytes()


def test_blocks_come_back_as_they_were(tmp_path: Path) -> None:
    data = a_spool(tmp_path / "t.part")

    assert list(read_spool(data, "kws.r1")) == some_blocks()


def test_blocks_are_with_the_kernel_before_the_spool_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "t.part"
    spool = SpoolWriter(path)

    spool.append(some_blocks()[0])

    assert list(read_spool(path.read_bytes(), "kws.r1")) == some_blocks()[:1]
    spool.close()


def test_a_spool_cut_anywhere_gives_its_whole_blocks(tmp_path: Path) -> None:
    data = a_spool(tmp_path / "t.part")

    for length in range(len(data)):
        found = list(read_spool(data[:length], "kws.r1"))

        assert found == some_blocks()[: len(found)]
        assert len(found) < len(some_blocks())


def test_a_block_that_was_damaged_ends_the_spool(tmp_path: Path) -> None:
    data = bytearray(a_spool(tmp_path / "t.part"))
    data[-1] ^= 1

    assert list(read_spool(bytes(data), "kws.r1")) == some_blocks()[:1]


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_what_follows_the_head_may_be_anything(data: bytes) -> None:
    assert list(read_spool(b"duanping/spool/1\n" + data, "kws.r1")) == []


def test_a_spool_of_a_newer_version_is_not_guessed_at() -> None:
    with pytest.raises(Unverifiable, match="written by a newer version"):
        list(read_spool(b"duanping/spool/2\n", "kws.r1"))

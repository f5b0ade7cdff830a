"""Readings that the host stamped, laid over queries on a board's own clock."""

from array import array
from dataclasses import replace

import numpy as np
import pytest

from harness.domain.origin import Origin
from harness.domain.query import CLOCK_PAIRS, HOST_CLOCK
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import TrialRecord
from harness.stats.laying import laid_over
from harness.stats.metered import MEANS
from harness.stats.relation import Means, after, from_clock_pairs
from harness.testing.builders import a_record
from harness.units import NS_PER_S

BOARD_AHEAD_NS = 86_400 * NS_PER_S
SKEW = 40e-6


def board_ns(host_ns: float) -> float:
    return host_ns + BOARD_AHEAD_NS + SKEW * host_ns


def pairs(u_ns: float = 1e5) -> str:
    return ";".join(
        f"{host} {round(board_ns(host))} {u_ns:.0f}" for host in (0, 60 * NS_PER_S)
    )


def test_a_line_through_two_pairs_gives_offset_and_skew() -> None:
    relation = from_clock_pairs(pairs())

    for host in (0.0, 30e9, 60e9):
        found = float(relation.to_host(np.array([host]))[0])
        assert found == pytest.approx(board_ns(host), abs=1e3)
    assert relation.skew == pytest.approx(SKEW, rel=1e-6)
    assert relation.u_at(30e9) == pytest.approx(1e5 / np.sqrt(2))
    assert relation.u_at(60e9) == pytest.approx(1e5)  # the pair's own, at its place


def test_one_pair_leaves_the_skew_as_large_as_crystals_have_it() -> None:
    relation = from_clock_pairs("1000 2000 50")

    assert relation.skew == 0.0
    assert relation.u_skew == pytest.approx(300e-6 / np.sqrt(3))


@pytest.mark.parametrize("text", ["", "1 2", "1 2 3;4", "a b c"])
def test_a_text_without_pairs_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no pairs|could not convert"):
        from_clock_pairs(text)


def test_marks_found_in_a_moved_trace_lie_where_both_steps_put_them() -> None:
    first = from_clock_pairs(pairs())
    found = replace(
        first,
        means=Means.PULSES,
        reference_ns=round(board_ns(30e9)),
        offset_ns=-4e5,
        skew=1e-5,
        u_offset_ns=3e4,
    )

    whole = after(first, found)

    for host in (0.0, 30e9, 60e9):
        moved = first.to_host(np.array([host]))
        expected = float(found.to_host(moved)[0])
        assert float(whole.to_host(np.array([host]))[0]) == pytest.approx(
            expected, abs=2e3
        )
    assert whole.means is Means.PULSES
    assert whole.u_offset_ns == 3e4


def a_board_trial(clock: str = HOST_CLOCK) -> TrialRecord:
    trial = a_record().trials[0]
    times = array("q", (n * NS_PER_S // 10 for n in range(1, 100)))
    block = ReadingBlock(
        channel=Channel(name="power", unit="W", source="ina@serial:x", rate_hz=10.0),
        clock=clock,
        origin=Origin.MEASURED,
        times_ns=times,
        values=array("d", [0.5] * len(times)),
    )
    return replace(
        trial, clock="board", readings=(block,), notes={CLOCK_PAIRS: pairs()}, pulses=()
    )


def test_readings_of_the_host_come_to_lie_on_the_board_s_clock() -> None:
    laid = laid_over(a_board_trial())

    assert laid.notes[MEANS] == "clock-pairs"
    assert laid.readings[0].clock == "board"
    first = laid.readings[0].times_ns[0]
    # a reading may have arrived anywhere up to its meter's latency late
    assert first == pytest.approx(board_ns(NS_PER_S / 10), abs=NS_PER_S)


def test_readings_of_a_third_clock_stay_where_they_are() -> None:
    laid = laid_over(a_board_trial("meter"))

    assert MEANS not in laid.notes
    assert laid.readings[0].clock == "meter"

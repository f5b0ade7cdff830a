from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.domain.origin import Origin
from harness.domain.query import Phase, QueryBlock, ReadingsTaken
from harness.domain.reading import Channel, ReadingBlock
from harness.errors import Unverifiable
from harness.record.traces import (
    gathered,
    queries_bytes,
    read_queries,
    read_readings,
    readings_bytes,
    traces_of,
)
from harness.testing.builders import some_latencies, some_queries

METER = Channel(
    name="power", unit="W", source="ppk2@serial:/dev/ttyACM0", rate_hz=100_000.0
)


def a_block(phase: Phase, count: int, *, at: int = 0, segment: int = 0) -> QueryBlock:
    times = array("q", range(at, at + count))
    return QueryBlock(
        trial="kws.r1",
        phase=phase,
        samples_per_query=8,
        scheduled_ns=times,
        issued_ns=times,
        completed_ns=array("q", (t + 5 for t in times)),
        segment=segment,
        rate_hz=10.5 + segment,
    )


def some_readings(values: list[float], channel: Channel = METER) -> ReadingBlock:
    return ReadingBlock(
        channel=channel,
        clock="monotonic",
        origin=Origin.MEASURED,
        times_ns=array("q", range(len(values))),
        values=array("d", values),
    )


def test_queries_come_back_as_they_were() -> None:
    queries = replace(
        some_queries(some_latencies(5000)),
        samples_per_query=3,
        segment_rates_hz={0: 12.5, 7: 1e6},
    )

    assert read_queries(queries_bytes(queries, "monotonic"), where="q") == queries


@given(
    st.lists(st.floats(allow_nan=False)),
    st.sampled_from([None, 0.1, 1e5]),
    st.text(max_size=8),
)
@settings(deadline=None)
def test_readings_come_back_as_they_were(
    values: list[float], rate_hz: float | None, source: str
) -> None:
    channel = Channel(name="power", unit="W", source=source, rate_hz=rate_hz)
    block = some_readings(values, channel)

    assert read_readings(readings_bytes(block), where="r") == block


def test_a_reading_that_is_no_number_stays_none() -> None:
    block = some_readings([1.0, float("nan")])

    values = read_readings(readings_bytes(block), where="r").values

    assert np.isnan(values[1])


def test_the_same_arrays_give_the_same_bytes() -> None:
    queries = some_queries(some_latencies(1000))
    again = some_queries(some_latencies(1000))

    assert queries_bytes(queries, "c") == queries_bytes(again, "c")


def test_blocks_are_put_together_in_order_with_phase_and_segment() -> None:
    blocks = [
        a_block(Phase.WARM_UP, 2),
        a_block(Phase.MEASURED, 3, at=2),
        a_block(Phase.MEASURED, 1, at=5, segment=1),
    ]

    queries, readings = gathered(blocks)

    assert queries is not None
    assert readings == ()
    assert list(queries.issued_ns) == [0, 1, 2, 3, 4, 5]
    assert list(queries.is_measured) == [0, 0, 1, 1, 1, 1]
    assert list(queries.segment) == [0, 0, 0, 0, 0, 1]
    assert queries.segment_rates_hz == {0: 10.5, 1: 11.5}


def test_blocks_of_different_query_sizes_are_refused() -> None:
    blocks = [
        a_block(Phase.MEASURED, 1),
        replace(a_block(Phase.MEASURED, 1), samples_per_query=1),
    ]

    with pytest.raises(ValueError, match="differ in their samples"):
        gathered(blocks)


def test_each_channel_has_a_file_named_after_it_without_odd_characters() -> None:
    def blocks() -> Iterator[QueryBlock | ReadingsTaken]:
        yield a_block(Phase.MEASURED, 2)
        for values in ([1.0], [2.0, 3.0]):
            yield ReadingsTaken(trial="kws.r1", block=some_readings(values))
        other = Channel(name="../RSS", unit="B", source="")
        yield ReadingsTaken(trial="kws.r1", block=some_readings([4.0], other))

    traces = traces_of("kws.r1", "virtual", blocks())

    assert [(trace.stem, trace.rows) for trace in traces] == [
        ("kws.r1.queries", 2),
        ("kws.r1.power.ppk2-serial-dev-ttyacm0", 3),
        ("kws.r1.rss.unnamed", 1),
    ]


def test_a_trial_without_queries_has_no_queries_file() -> None:
    assert traces_of("kws.r1", "virtual", []) == ()


def test_bytes_that_are_no_trace_are_unverifiable() -> None:
    with pytest.raises(Unverifiable, match="not a trace that can be read"):
        read_queries(b"PAR1 and nothing more", where="traces/x.parquet")


@given(at=st.integers(min_value=0), value=st.integers(1, 255))
@settings(deadline=None)
def test_a_damaged_trace_is_read_or_refused_and_never_crashes(
    at: int, value: int
) -> None:
    data = bytearray(queries_bytes(some_queries(some_latencies(20)), "c"))
    data[at % len(data)] ^= value

    with suppress(Unverifiable):
        queries = read_queries(bytes(data), where="traces/x.parquet")

        assert len(queries.issued_ns) == len(queries.completed_ns)


def test_a_readings_file_is_not_taken_for_queries() -> None:
    data = readings_bytes(some_readings([1.0]))

    with pytest.raises(Unverifiable, match="names the format"):
        read_queries(data, where="traces/x.parquet")

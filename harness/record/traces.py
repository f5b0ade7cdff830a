"""Traces: the arrays of one trial as Parquet files, and back.

Queries lie in ``traces/<trial>.queries.parquet`` (times in ns of the trial's
clock; `is_measured` 0 or 1; `segment`; a list `inner_ns` of stages or tokens), and
readings in one file a channel, ``traces/<trial>.<channel>.<source>.parquet``. What
is no column is in the file's own metadata. The same arrays give the same bytes with
the same pyarrow.
"""

import json
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.domain.origin import Origin
from harness.domain.query import Phase, QueryBlock, ReadingsTaken
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import Queries
from harness.errors import Unverifiable
from harness.record.layout import QUERIES_FORMAT, READINGS_FORMAT, require_format
from harness.record.spool import Block

# pyarrow reports a damaged footer as OSError
_UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError)
_TIMES = ("scheduled_ns", "issued_ns", "completed_ns")
_TIMES_CODE = "DELTA_BINARY_PACKED"
_INNER_LEAF = "inner_ns.list.element"
_NOT_A_NAME = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUse:
    """A channel that was read, by which clock, and what its readings are worth."""

    channel: Channel
    clock: str
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace file before it is written. `use` is None for queries."""

    stem: str
    """Name without suffix and without folder."""
    data: bytes
    rows: int
    use: ChannelUse | None = None


def traces_of(trial: str, clock: str, blocks: Iterable[Block]) -> tuple[Trace, ...]:
    """Make the trace files of one trial from its blocks, in order of arrival.

    `clock` is the trial's. Raises ValueError where blocks of one trial differ in
    their samples per query.
    """
    queries, readings = gathered(blocks)
    traces = []
    if queries is not None:
        stem = f"{trial}.queries"
        data = queries_bytes(queries, clock)
        traces.append(Trace(stem=stem, data=data, rows=len(queries)))
    for block in readings:
        channel = block.channel
        use = ChannelUse(channel=channel, clock=block.clock, origin=block.origin)
        stem = f"{trial}.{_name(channel.name)}.{_name(channel.source)}"
        data = readings_bytes(block)
        traces.append(Trace(stem=stem, data=data, rows=len(block.values), use=use))
    return tuple(traces)


def gathered(
    blocks: Iterable[Block],
) -> tuple[Queries | None, tuple[ReadingBlock, ...]]:
    """Put the blocks of one trial together: its queries, and its channels' readings.

    Raises ValueError where blocks differ in their samples per query.
    """
    queries = _QueryColumns()
    readings: dict[ChannelUse, _ReadingColumns] = {}
    for block in blocks:
        match block:
            case QueryBlock():
                queries.extend(block)
            case ReadingsTaken(block=b):
                use = ChannelUse(channel=b.channel, clock=b.clock, origin=b.origin)
                columns = readings.setdefault(use, _ReadingColumns())
                columns.times_ns.extend(b.times_ns)
                columns.values.extend(b.values)
    together = tuple(columns.as_block(use) for use, columns in readings.items())
    return queries.as_queries(), together


def queries_bytes(queries: Queries, clock: str) -> bytes:
    """Write queries as Parquet: delta-coded times, runs of flags, zstd."""
    table = pa.table(
        {
            **{name: _column(getattr(queries, name), "i8") for name in _TIMES},
            "is_measured": _column(queries.is_measured, "i1"),
            "segment": _column(queries.segment, "i8"),
            **_inner_column(queries),
        }
    )
    rates = {str(segment): rate for segment, rate in queries.segment_rates_hz.items()}
    metadata = {
        "format": QUERIES_FORMAT,
        "clock": clock,
        "unit": "ns",
        "samples_per_query": str(queries.samples_per_query),
        "segment_rates": json.dumps(rates),
    }
    encoding = dict.fromkeys(_TIMES, _TIMES_CODE)
    if queries.inner_counts:
        encoding[_INNER_LEAF] = _TIMES_CODE
    return _parquet(table, metadata, encoding, ["is_measured", "segment"])


def readings_bytes(block: ReadingBlock) -> bytes:
    """Write the readings of one channel as Parquet."""
    table = pa.table(
        {
            "time_ns": _column(block.times_ns, "i8"),
            "value": _column(block.values, "f8"),
        }
    )
    channel = block.channel
    metadata = {
        "format": READINGS_FORMAT,
        "channel": channel.name,
        "unit": channel.unit,
        "source": channel.source,
        "rate": "" if channel.rate_hz is None else repr(channel.rate_hz),
        "clock": block.clock,
        "origin": block.origin.value,
    }
    encoding = {"time_ns": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"}
    return _parquet(table, metadata, encoding, [])


def read_queries(data: bytes, *, where: str) -> Queries:
    """Read a queries file. Raises Unverifiable for what is not one."""
    try:
        table, metadata = _read(data, QUERIES_FORMAT, where)
        rates = json.loads(metadata["segment_rates"])
        return Queries(
            **{name: array("q", _bytes_of(table, name, "i8")) for name in _TIMES},
            is_measured=array("b", _bytes_of(table, "is_measured", "i1")),
            segment=array("q", _bytes_of(table, "segment", "i8")),
            samples_per_query=int(metadata["samples_per_query"]),
            segment_rates_hz={int(name): float(rates[name]) for name in rates},
            **_inner_of(table),
        )
    except _UNREADABLE as error:
        raise _unreadable(error, where) from error


def read_readings(data: bytes, *, where: str) -> ReadingBlock:
    """Read the file of one channel. Raises Unverifiable for what is not one."""
    try:
        table, metadata = _read(data, READINGS_FORMAT, where)
        return ReadingBlock(
            channel=Channel(
                name=metadata["channel"],
                unit=metadata["unit"],
                source=metadata["source"],
                rate_hz=float(metadata["rate"]) if metadata["rate"] else None,
            ),
            clock=metadata["clock"],
            origin=Origin(metadata["origin"]),
            times_ns=array("q", _bytes_of(table, "time_ns", "i8")),
            values=array("d", _bytes_of(table, "value", "f8")),
        )
    except _UNREADABLE as error:
        raise _unreadable(error, where) from error


class _QueryColumns:
    """Queries of one trial while their blocks are put together."""

    def __init__(self) -> None:
        self._times = {name: array("q") for name in _TIMES}
        self._is_measured = array("b")
        self._segment = array("q")
        self._rates: dict[int, float] = {}
        self._samples: int | None = None
        self._inner_counts = array("q")
        self._inner_ns = array("q")

    def extend(self, block: QueryBlock) -> None:
        if self._samples not in {None, block.samples_per_query}:
            raise ValueError("the queries of one trial differ in their samples")
        self._samples = block.samples_per_query
        for name, column in self._times.items():
            column.extend(getattr(block, name))
        count = len(block.issued_ns)
        self._is_measured.extend(array("b", [block.phase is Phase.MEASURED]) * count)
        self._segment.extend(array("q", [block.segment]) * count)
        self._inner_counts.extend(block.inner_counts)
        self._inner_ns.extend(block.inner_ns)
        if block.rate_hz is not None:
            self._rates[block.segment] = block.rate_hz

    def as_queries(self) -> Queries | None:
        if self._samples is None:
            return None
        return Queries(
            **self._times,
            is_measured=self._is_measured,
            segment=self._segment,
            samples_per_query=self._samples,
            segment_rates_hz=self._rates,
            inner_counts=self._inner_counts,
            inner_ns=self._inner_ns,
        )


class _ReadingColumns:
    """Readings of one channel while their blocks are put together."""

    def __init__(self) -> None:
        self.times_ns = array("q")
        self.values = array("d")

    def as_block(self, use: ChannelUse) -> ReadingBlock:
        return ReadingBlock(
            channel=use.channel,
            clock=use.clock,
            origin=use.origin,
            times_ns=self.times_ns,
            values=self.values,
        )


def _column(numbers: "array[Any]", form: str) -> Any:  # noqa: ANN401 - pyarrow
    # from_buffers: pa.array() of numpy imports pandas, in the middle of a run
    kind = {"i8": pa.int64(), "f8": pa.float64(), "i1": pa.int8()}[form]
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)])


def _inner_column(queries: Queries) -> dict[str, Any]:
    """Give the inner instants as a column of lists; none where there are none."""
    if not queries.inner_counts:
        return {}
    offsets = np.cumsum([0, *queries.inner_counts], dtype=np.int32)
    ends = pa.Array.from_buffers(
        pa.int32(), len(offsets), [None, pa.py_buffer(offsets)]
    )
    values = _column(queries.inner_ns, "i8")
    return {"inner_ns": pa.ListArray.from_arrays(ends, values)}


def _inner_of(table: Any) -> dict[str, "array[int]"]:  # noqa: ANN401 - pyarrow
    if "inner_ns" not in table.column_names:
        return {}
    lists = table.column("inner_ns").combine_chunks()
    if lists.null_count or lists.values.null_count:
        raise ValueError("column inner_ns has gaps")
    counts = np.diff(lists.offsets.to_numpy()).astype(np.int64)
    instants = lists.flatten().to_numpy().astype(np.int64)
    return {
        "inner_counts": array("q", counts.tobytes()),
        "inner_ns": array("q", instants.tobytes()),
    }


def _parquet(
    table: Any,  # noqa: ANN401 - pyarrow has no types
    metadata: Mapping[str, str],
    encoding: Mapping[str, str],
    dictionary: list[str],
) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        sink,
        compression="zstd",
        use_dictionary=dictionary,
        column_encoding=dict(encoding),
        version="2.6",
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _read(data: bytes, form: str, where: str) -> tuple[Any, dict[str, str]]:
    table = pq.ParquetFile(pa.BufferReader(data)).read()
    metadata = {
        key.decode(): value.decode()
        for key, value in (table.schema.metadata or {}).items()
    }
    require_format(metadata.get("format"), form, where=where)
    return table, metadata


def _bytes_of(table: Any, name: str, form: str) -> bytes:  # noqa: ANN401 - pyarrow
    column = table.column(name)
    if column.null_count:
        raise ValueError(f"column {name} has gaps")
    values = column.to_numpy()
    if values.dtype != np.dtype(form):
        raise ValueError(f"column {name} holds {values.dtype}")
    return bytes(values.tobytes())


def _unreadable(error: Exception, where: str) -> Unverifiable:
    return Unverifiable(
        f"This is not a trace that can be read: {error}",
        where=where,
        remedy="Take the bundle anew from where it was made.",
    )


def _name(text: str) -> str:
    """Make part of a file name from a channel or the address of an instrument."""
    return _NOT_A_NAME.sub("-", text.lower()).strip("-") or "unnamed"

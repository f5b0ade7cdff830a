"""Files of ``duanping meters capture``: CSV with its metadata before it, and Parquet.

They say where their readings come from; what was simulated stays simulated.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.domain.origin import Origin
from harness.domain.query import HOST_CLOCK
from harness.domain.reading import Loss, ReadingBlock
from harness.errors import SchemaError, UnknownName, Unsupported
from harness.meters.exports.forms import Stamp
from harness.meters.exports.table import heading_at, read_columns
from harness.meters.exports.timeline import timeline
from harness.meters.exports.trace import (
    ImportedTrace,
    Reals,
    Source,
    TraceOptions,
    assembled,
    digest_of,
)
from harness.record.traces import read_readings
from harness.units import NS_PER_S

PARQUET_MAGIC = b"PAR1"
CSV_BEGINS = b"# origin: "
_FORM, _PROGRAM = "capture", "duanping meters capture"
_NOT_KEPT = ("begin_ns", "clock", "rate_hz", "origin", "format", "channel", "unit")


def decode_csv(data: bytes, options: TraceOptions, where: str) -> ImportedTrace:
    """Decode a capture in CSV. Raises SchemaError, Unsupported."""
    facts, begin, line = _preamble(data)
    table = heading_at(data, begin, line, where)
    if table.headings != ("time_s", "power_W"):
        raise Unsupported(
            f"This capture holds {' and '.join(table.headings)}, not power",
            where=f"{where}, line {line}",
            remedy="Capture the channel 'power'.",
        )
    columns = read_columns(table, (0, 1))
    if columns.is_cut_short:
        facts["cut_short"] = "the last line had no end and was left out"
    return _made(data, facts, (columns.numbers[0], columns.numbers[1]), options, where)


def decode_parquet(data: bytes, options: TraceOptions, where: str) -> ImportedTrace:
    """Decode a capture in Parquet. Raises EvidenceError, SchemaError, Unsupported."""
    block = read_readings(data, where=where)
    if block.channel.name != "power":
        raise Unsupported(
            f"This capture holds {block.channel.name}, not power",
            where=where,
            remedy="Capture the channel 'power'.",
        )
    metadata = pq.ParquetFile(pa.BufferReader(data)).schema_arrow.metadata or {}
    facts = {
        key.decode(): value.decode()
        for key, value in metadata.items()
        if not key.startswith(b"ARROW")
    }
    times = np.asarray(block.times_ns, dtype=np.int64)
    seconds = (times - times[0]) / NS_PER_S if len(times) else np.zeros(0)
    return _made(data, facts, (seconds, np.asarray(block.values)), options, where)


def _preamble(data: bytes) -> tuple[dict[str, str], int, int]:
    """Give the facts, the place of the heading line, and its number."""
    facts, begin, line = {}, 0, 1
    while data[begin : begin + 2] == b"# ":
        end = data.find(b"\n", begin)
        end = len(data) if end < 0 else end
        key, _, value = data[begin + 2 : end].decode(errors="replace").partition(": ")
        facts[key] = value.strip()
        begin, line = min(end + 1, len(data)), line + 1
    return facts, begin, line


def _made(
    data: bytes,
    facts: Mapping[str, str],
    columns: tuple[Reals, Reals],
    options: TraceOptions,
    where: str,
) -> ImportedTrace:
    seconds, power_w = columns
    line = timeline(seconds, where)
    source = Source(
        where=where,
        form=_FORM,
        program=_PROGRAM,
        driver=options.meter or facts.get("driver", ""),
        digest=digest_of(data),
        origin=_origin(facts.get("origin", ""), where),
    )
    line = replace(line, missing=max(line.missing, _counted(facts)))
    blocks = assembled(line, power_w, None, source, Stamp.END)
    if options.by_stamps:
        blocks = tuple(_stamped(block, facts, where) for block in blocks)
    return ImportedTrace(
        form=_FORM,
        program=_PROGRAM,
        driver=source.driver,
        clock=blocks[0].clock,
        blocks=blocks,
        loss=Loss(
            missing=line.missing,
            expected=line.loss.expected,
            over_range=_whole(facts.get("readings_over_range", "0")),
        ),
        step_s=line.step_s,
        facts={key: value for key, value in facts.items() if key not in _NOT_KEPT}
        | ({"voltage_v": f"{options.voltage_v:g}"} if options.voltage_v else {}),
    )


def _stamped(block: ReadingBlock, facts: Mapping[str, str], where: str) -> ReadingBlock:
    """Give readings the times of the clock of the machine that took them.

    Raises Unsupported for readings by the clock of their meter.
    """
    if facts.get("clock") != HOST_CLOCK or "host_boot" not in facts:
        raise Unsupported(
            "These readings do not bear the stamps of the machine that took them, but "
            f"times of '{facts.get('clock', 'no clock')}'",
            where=where,
            remedy="Leave by=host-stamps out: marks of load place them.",
        )
    begin_ns = _whole(facts.get("begin_ns", ""))
    times = np.asarray(block.times_ns, dtype=np.int64) + begin_ns
    return replace(
        block, clock=HOST_CLOCK, times_ns=type(block.times_ns)("q", times.tobytes())
    )


def _origin(word: str, where: str) -> Origin:
    try:
        return Origin(word)
    except ValueError as error:
        raise UnknownName(
            "origin", word, [one.value for one in Origin], where=where
        ) from error


def _counted(facts: Mapping[str, str]) -> int:
    return _whole(facts.get("readings_missing", "0"))


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise SchemaError(
            f"'{text}' is no number of readings", remedy="Take the capture anew."
        ) from error

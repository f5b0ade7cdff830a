"""CSV exports of the programs in `forms`, decoded."""

import math
from collections.abc import Callable, Mapping
from math import nan

import numpy as np
from numpy.typing import NDArray

from harness.errors import SchemaError
from harness.meters.exports.forms import Layout, known_programs, layout_of
from harness.meters.exports.table import (
    Columns,
    Table,
    Words,
    heading_at,
    read_columns,
)
from harness.meters.exports.timeline import timeline, utc_seconds
from harness.meters.exports.trace import (
    ImportedTrace,
    Quantities,
    Reals,
    Source,
    TraceOptions,
    assembled,
    digest_of,
    watts,
)

_HEADING_LINES = 5
"""A heading stands in one of the first lines: a title may come before it."""
_CHANNELS = 8
_STATES = {"0": 0.0, "1": 1.0, "-": 0.0}
"""A channel that is off reads 0; where both states came (``X``) none is known."""


def decode_table(data: bytes, options: TraceOptions, where: str) -> ImportedTrace:
    """Decode a CSV export of a known program.

    Raises SchemaError naming the place that cannot be read, Unsupported where a
    voltage is missing.
    """
    table, layout = _recognised(data, where)
    form = layout.form
    columns = read_columns(table, *_wanted(layout, table))
    found, facts = _quantities(columns, layout, where)
    found = found.chosen(_is_whole(found))
    line = timeline(found.seconds, where)
    power_w, how, voltage_ratio = watts(found, options, where)
    source = Source(
        where=where,
        form=form.name,
        program=form.program,
        driver=options.meter or form.driver,
        digest=digest_of(data),
    )
    if columns.is_cut_short:
        facts["cut_short"] = "the last line had no end and was left out"
    if line.is_evened:
        facts["times"] = "coarse in the file, spread evenly"
    return ImportedTrace(
        form=form.name,
        program=form.program,
        driver=source.driver,
        clock=source.clock,
        blocks=assembled(line, power_w, found.logic, source, form.stamp),
        loss=line.loss,
        step_s=line.step_s,
        voltage_ratio=voltage_ratio,
        facts={**facts, **how},
    )


def _recognised(data: bytes, where: str) -> tuple[Table, Layout]:
    begin, first = 0, None
    for line in range(1, _HEADING_LINES + 1):
        table = heading_at(data, begin, line, where)
        layout = layout_of(table.headings)
        if layout is not None:
            _require_time(layout, table)
            return table, layout
        first = first or table
        begin = table.begin
        if begin >= len(data):
            break
    headings = ", ".join(first.headings)[:80] if first else ""
    raise SchemaError(
        f"No known program writes such headings: {headings!r}",
        where=f"{where}, line 1",
        remedy=f"Known: {known_programs()}; and files of duanping meters capture. The "
        "headings must name the units.",
    )


def _require_time(layout: Layout, table: Table) -> None:
    if not layout.has_time:
        raise SchemaError(
            f"This looks like an export of {layout.form.program}, but has no column "
            "of times with their unit",
            where=f"{table.where}, line {table.heading_line}",
            remedy="Export it anew, with time stamps.",
        )


def _wanted(layout: Layout, table: Table) -> tuple[list[int], list[int]]:
    """Give the columns to read as numbers, and those to read as text."""
    numbers = [n for name, (n, _) in layout.columns.items() if name not in _TEXTS]
    texts = [n for name, (n, _) in layout.columns.items() if name in _TEXTS]
    texts += layout.digital
    if "time" in layout.columns and _is_wall_clock(table, layout.columns["time"][0]):
        numbers.remove(layout.columns["time"][0])
        texts.append(layout.columns["time"][0])
    return numbers, texts


_TEXTS = ("utc", "logic")


def _is_wall_clock(table: Table, column: int) -> bool:
    """Say whether the first time is a date: a statistics file may have either."""
    first = table.data[table.begin : table.begin + 4096].split(b"\n", 1)[0]
    cells = first.decode("utf-8", errors="replace").split(table.delimiter)
    return len(cells) > column and "T" in cells[column]


def _quantities(
    columns: Columns, layout: Layout, where: str
) -> tuple[Quantities, dict[str, str]]:
    seconds, facts = _seconds(columns, layout, where)
    values: Mapping[str, Reals] = {
        name: columns.numbers[n] * factor
        for name, (n, factor) in layout.columns.items()
        if name in {"power", "current", "voltage"}
    }
    return Quantities(
        seconds=seconds,
        power_w=values.get("power"),
        current_a=values.get("current"),
        voltage_v=values.get("voltage"),
        logic=_logic(columns, layout),
    ), facts


def _seconds(
    columns: Columns, layout: Layout, where: str
) -> tuple[Reals, dict[str, str]]:
    if "time" not in layout.columns:
        seconds, begin = utc_seconds(
            columns.texts[layout.columns["utc"][0]].all(), where
        )
        return seconds, {"begin_utc": begin}
    column, factor = layout.columns["time"]
    if column in columns.texts:
        seconds, begin = utc_seconds(columns.texts[column].all(), where)
        return seconds, {"begin_utc": begin}
    stated = columns.numbers[column]
    if _is_too_fast(stated * factor, layout):
        return stated, {"time_unit": "seconds, against the heading"}
    return stated * factor, {}


def _is_too_fast(seconds: Reals, layout: Layout) -> bool:
    """Say whether the heading's unit makes more readings than the instrument has."""
    span = float(seconds[-1] - seconds[0]) if len(seconds) else 0.0
    most = layout.form.most_hz
    return most is not None and span > 0 and len(seconds) / span > most


def _is_whole(found: Quantities) -> NDArray[np.bool_]:
    """Say which rows have all their values."""
    kept = np.ones(len(found.seconds), dtype=bool)
    for values in (found.power_w, found.current_a, found.voltage_v):
        if values is not None:
            kept &= np.isfinite(values)
    return kept


def _logic(columns: Columns, layout: Layout) -> Reals | None:
    """Give the logic inputs as a byte, D0 the lowest bit; None where all are off."""
    if "logic" in layout.columns:
        words = columns.texts[layout.columns["logic"][0]]
        return None if _is_off(words) else _looked_up(words, _byte)
    if len(layout.digital) != _CHANNELS:
        return None
    channels = [columns.texts[column] for column in layout.digital]
    if all(_is_off(words) for words in channels):
        return None
    bits = [
        _looked_up(words, lambda state: _STATES.get(state, nan)) for words in channels
    ]
    byte: Reals = np.sum([bit * 2**n for n, bit in enumerate(bits)], axis=0)
    return byte


def _is_off(words: Words) -> bool:
    return {char for word in words.distinct for char in word} <= {"-"}


def _looked_up(words: Words, value: Callable[[str], float]) -> Reals:
    found: Reals = np.array([value(word) for word in words.distinct])[words.rows]
    return found


def _byte(word: str) -> float:
    if len(word) != _CHANNELS:
        return nan
    return math.fsum(_STATES.get(state, nan) * 2.0**n for n, state in enumerate(word))

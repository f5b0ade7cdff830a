"""A table of text as columns of numbers, or a sentence that says where it is none."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from harness.errors import SchemaError

Reals = NDArray[np.float64]

_DELIMITERS = (",", ";", "\t")
_SHOWN = 60
_LOOKED_AT = 4096
"""Bytes that are looked at to tell how a row is written."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Text in columns: its headings, how it is written, and where its rows begin."""

    where: str
    data: bytes
    headings: tuple[str, ...]
    delimiter: str
    begin: int
    """Place of the first byte after the heading line."""
    heading_line: int
    """Number of the heading line, from 1."""

    @property
    def decimal(self) -> str:
        """The decimal sign: a comma can only be one where it divides no columns."""
        if self.delimiter == ",":
            return "."
        first = self.data[self.begin : self.begin + _LOOKED_AT].split(b"\n", 1)[0]
        return "," if b"," in first and b"." not in first else "."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Words:
    """A column of text: its distinct words, and which of them each row holds."""

    distinct: tuple[str, ...]
    rows: NDArray[np.intp]

    def all(self) -> list[str]:
        """Give the text of every row."""
        return [self.distinct[row] for row in self.rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Columns that were asked for, as text where `texts` names them."""

    numbers: Mapping[int, Reals]
    texts: Mapping[int, Words]
    is_cut_short: bool
    """Whether a last line without its end was left out."""


def heading_at(data: bytes, begin: int, line: int, where: str) -> Table:
    """Take the line at `begin` as headings, with the delimiter that divides it best.

    Raises SchemaError for what is no text.
    """
    if data[:2] in _UTF16:
        raise SchemaError(
            "This text is UTF-16", where=where, remedy="Save it as UTF-8, as CSV."
        )
    end = data.find(b"\n", begin)
    raw = data[begin : end if end >= 0 else len(data)]
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise SchemaError(
            "This is no text in UTF-8",
            where=f"{where}, line {line}",
            remedy="Export it anew, as CSV in UTF-8.",
        ) from error
    delimiter = max(_DELIMITERS, key=text.count)
    try:
        cells = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error as error:
        raise SchemaError(
            f"This is no line of headings: {error}",
            where=f"{where}, line {line}",
            remedy="Export it anew, as CSV.",
        ) from error
    return Table(
        where=where,
        data=data,
        headings=tuple(cell.strip() for cell in cells),
        delimiter=delimiter,
        begin=end + 1 if end >= 0 else len(data),
        heading_line=line,
    )


def read_columns(
    table: Table, numbers: Sequence[int], texts: Sequence[int] = ()
) -> Columns:
    """Read columns by their number.

    An empty cell or ``nan`` is NaN. A last line without its end may have lost digits
    and is left out. Raises SchemaError naming the line that cannot be read.
    """
    end = max(table.data.rfind(b"\n") + 1, table.begin)
    body = memoryview(table.data)[table.begin : end]
    if not bytes(body[:_LOOKED_AT]).strip():
        raise SchemaError(
            "There are headings, and no reading under them",
            where=table.where,
            remedy="Export the recording anew, with the whole of it selected.",
        )
    read = _parsed(table, body, {*numbers}, {*texts})
    return Columns(
        numbers={n: _as_reals(read.column(str(n))) for n in numbers},
        texts={n: _as_words(read.column(str(n))) for n in texts},
        is_cut_short=bool(table.data[end:].strip()),
    )


def _parsed(
    table: Table, body: memoryview, numbers: set[int], texts: set[int]
) -> pa.Table:
    width = len(table.headings)
    names = [str(n) for n in range(width)]
    kinds = {str(n): pa.float64() for n in numbers}
    # a few distinct words stand for millions of rows
    kinds |= {str(n): pa.dictionary(pa.int32(), pa.string()) for n in texts}
    bad: list[arrow_csv.InvalidRow] = []

    def refuse(row: arrow_csv.InvalidRow) -> str:
        # a delimiter at the end of each line is no column
        bad.append(row)
        return "error"

    if _has_tail(body, table.delimiter, width):
        names.append("tail")
    try:
        return arrow_csv.read_csv(
            pa.py_buffer(body),
            read_options=arrow_csv.ReadOptions(column_names=names, use_threads=False),
            parse_options=arrow_csv.ParseOptions(
                delimiter=table.delimiter, invalid_row_handler=refuse
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=kinds,
                include_columns=list(kinds),
                decimal_point=table.decimal,
                null_values=["", "nan", "NaN", "NAN", "-nan"],
            ),
        )
    except pa.ArrowInvalid as error:
        raise _unreadable(table, body, bad, error) from error


def _has_tail(body: memoryview, delimiter: str, width: int) -> bool:
    line = bytes(body[:_LOOKED_AT]).split(b"\n", 1)[0]
    first = line.decode("utf-8", errors="replace").rstrip("\r")
    cells = first.split(delimiter)
    return len(cells) == width + 1 and not cells[-1].strip()


def _unreadable(
    table: Table, body: memoryview, bad: list[arrow_csv.InvalidRow], error: Exception
) -> SchemaError:
    if not bad:
        what = str(error).split(":", 1)[-1].strip()
        return SchemaError(
            f"A cell holds no number: {what[:120]}",
            where=table.where,
            remedy="Numbers want a decimal point and no separator of thousands; export "
            "the recording anew.",
        )
    row = bad[0]
    line = table.heading_line + (row.number or _number_of(body, row.text))
    remedy = "Export the recording anew; do not save it from a spreadsheet."
    if table.delimiter == "," and row.actual_columns > row.expected_columns:
        remedy = (
            "If decimals are written with a comma, export with a decimal point, or "
            "with semicolons between columns."
        )
    return SchemaError(
        f"There are {row.actual_columns} values where the headings name "
        f"{row.expected_columns}: {row.text[:_SHOWN]}",
        where=f"{table.where}, line {line}",
        remedy=remedy,
    )


def _number_of(body: memoryview, text: str) -> int:
    rows = bytes(body)
    return rows.count(b"\n", 0, max(rows.find(text.encode()), 0)) + 1


def _as_words(column: pa.ChunkedArray) -> Words:
    whole = column.unify_dictionaries().combine_chunks()
    rows = np.asarray(whole.indices.fill_null(-1), dtype=np.intp)
    # the last one is that of empty cells, whose index is -1
    return Words(distinct=(*whole.dictionary.to_pylist(), ""), rows=rows)


def _as_reals(column: pa.ChunkedArray) -> Reals:
    values: Reals = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    return values

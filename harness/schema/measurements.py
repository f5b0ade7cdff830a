"""Measurements of one board as people write them: a CSV, one model a line.

Columns carry their unit in their name::

    model, latency_ms, energy_mj, power_mw, peak_mb, shape, note
    dscnn-kws.onnx, 28.9, 0.66, , , ,
    mobilenet_v2, 24.1, , , , ,

`model` is the path of an .onnx file, from the CSV's folder, or the name of a standard
network; `latency` is the median of one inference; `energy` and `power` are gross, while
it computes; `peak` is the most memory that the model held, above the runtime without
it (of a microcontroller: the activations). Only model and latency are needed.
A line may be repeated. Other columns are left alone, and named.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from harness.errors import SchemaError, UnknownName
from harness.units import SCALES

_QUANTITIES = {"latency": "s", "energy": "J", "power": "W", "peak": "B"}
_PLAIN = ("model", "shape", "note")
_HIGHEST = {"latency": 3600.0, "energy": 1e6, "power": 1e4, "peak": 1e13}
"""What no single inference takes: above it a unit must be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One line: a model and what one inference of it took, SI units."""

    model: str
    latency_s: float
    energy_j: float | None = None
    power_w: float | None = None
    peak_bytes: float | None = None
    shape: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """All lines of a file, and the columns that nobody reads."""

    rows: tuple[Measurement, ...]
    ignored: tuple[str, ...] = ()


def load_measurements(path: Path) -> Measurements:
    """Read a CSV of measurements.

    Raises SchemaError with the line for a value that cannot be, for a column that is
    missing, and for a file that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(
            "The measurements cannot be read as text",
            where=str(path),
            remedy="Name a CSV in UTF-8 with the columns model and latency_ms.",
        ) from error
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    heads = [head.strip() for head in reader.fieldnames or ()]
    columns = {head: _column(head) for head in heads}
    _require(columns, str(path))
    rows = tuple(_rows(reader, columns, str(path)))
    if not rows:
        raise SchemaError(
            "There is no measurement in this file",
            where=str(path),
            remedy="Give at least one line with model and latency_ms.",
        )
    known = {head for head, column in columns.items() if column is not None}
    ignored = tuple(head for head in heads if head not in {*known, *_PLAIN})
    return Measurements(rows=rows, ignored=ignored)


def _column(head: str) -> tuple[str, float] | None:
    """Read a column's name: which quantity, and the factor to the unit inside."""
    name, _, unit = head.rpartition("_")
    if name not in _QUANTITIES:
        return None
    for written, (inside, factor) in SCALES.items():
        if written.lower() == unit.lower() and inside == _QUANTITIES[name]:
            return name, factor
    return None


def _require(columns: Mapping[str, tuple[str, float] | None], where: str) -> None:
    found = {column[0] for column in columns.values() if column is not None}
    if "model" not in columns:
        raise SchemaError(
            "There is no column 'model'",
            where=where,
            remedy="Name the columns in the first line: model, latency_ms, …",
        )
    if "latency" not in found:
        near = [head for head in columns if head.startswith("lat")]
        raise SchemaError(
            "There is no column of latencies with a unit"
            + (f", but '{near[0]}'" if near else ""),
            where=where,
            remedy="Name it latency_ms, latency_us or latency_s.",
        )


def _rows(
    reader: "csv.DictReader[str]",
    columns: Mapping[str, tuple[str, float] | None],
    where: str,
) -> Iterator[Measurement]:
    for raw in reader:
        line = {(head or "").strip(): (value or "") for head, value in raw.items()}
        at = f"{where}, line {reader.line_num}"
        model = line["model"].strip()
        if not any(isinstance(v, str) and v.strip() for v in line.values()):
            continue
        if not model:
            raise SchemaError("No model is named", where=at, remedy="Name one.")
        values: dict[str, float] = {}
        for head, column in columns.items():
            if column is not None and line.get(head, "").strip():
                name, factor = column
                values[name] = _value(line[head], name, factor, f"{at}, {head}")
        if "latency" not in values:
            raise SchemaError(
                f"'{model}' has no latency", where=at, remedy="Give its median."
            )
        yield Measurement(
            model=model,
            latency_s=values["latency"],
            energy_j=values.get("energy"),
            power_w=values.get("power"),
            peak_bytes=values.get("peak"),
            shape=line.get("shape", "").strip(),
            line=reader.line_num,
        )


def _value(text: str, name: str, factor: float, where: str) -> float:
    try:
        value = float(text) * factor
    except ValueError as error:
        raise SchemaError(
            f"'{text}' is no number", where=where, remedy="Write it with a point."
        ) from error
    if not isfinite(value) or not 0 < value <= _HIGHEST[name]:
        raise SchemaError(
            f"A {name} of {text} cannot be",
            where=where,
            remedy="Look at the unit in the column's name.",
        )
    return value


def shapes_of(text: str, where: str) -> dict[str, tuple[int, ...]]:
    """Read ``x=1,3,224,224; y=1,5`` as shapes by input."""
    shapes = {}
    for part in filter(None, (one.strip() for one in text.split(";"))):
        name, _, sizes = part.rpartition("=")
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError as error:
            raise SchemaError(
                f"'{part}' is no shape",
                where=where,
                remedy="Write x=1,3,224,224, with ';' between inputs.",
            ) from error
    return shapes


def unknown_model(name: str, known: Sequence[str], where: str) -> UnknownName:
    """Make the answer to a model that is neither a file nor a standard network."""
    return UnknownName("model file or standard network", name, known, where=where)

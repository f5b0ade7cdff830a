"""A list of files with what is true of each: a .csv with a column ``file``.

What is true stands beside it: a ``label`` (a class, or a number), a box in ``class``,
``x1``, ``y1``, ``x2``, ``y2`` (a line a box; empty: there is none), a ``text``, or a
``target``, the file of a mask or of the picture that should come out. Paths start at
the list.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.catalogue.grouping import kind_among
from harness.catalogue.itemfiles import Broken, read_item, read_target
from harness.domain.labelled import Metric
from harness.domain.workload import InputSpec
from harness.errors import UsageError

Array = NDArray[Any]
Skip = Callable[[str], None]
"""Called with what is broken and where; raises, or lets the rest go on."""
Lines = Sequence[Mapping[str, str]]
TOKENS_FILE = "tokens.txt"
"""Beside a list of texts: what token 0 (the blank), 1, … is in words, a line each."""
_CORNERS = ("x1", "y1", "x2", "y2")
_NO_BOX = (-1.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Arrays as the .npz for an agent holds them, names of classes, texts of tokens."""

    arrays: Mapping[str, Array]
    labels: Array
    classes: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    kind: str = ""
    """What items are put together by; empty: nothing."""
    names: tuple[str, ...] = ()
    """Of each item's group."""


@dataclass(slots=True)
class _Classes:
    """Numbers of classes; names get theirs in the order of the alphabet."""

    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, said: Sequence[str]) -> "_Classes":
        if all(one.isdigit() for one in said):
            return cls()
        return cls(names=tuple(sorted(set(said))))

    def number(self, said: str) -> float:
        return float(self.names.index(said) if self.names else said)


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """Items that could be read, with the lines that are about each."""

    values: list[Array] = field(default_factory=list)
    lines: list[Lines] = field(default_factory=list)
    kind: str = ""
    """The column that says how items belong together; empty: there is none."""

    def grouped(self, items: Items, truths: Sequence[Any]) -> Items:
        """Say of each item that has a truth which group it belongs to."""
        if not self.kind:
            return items
        pairs = zip(self.lines, truths, strict=True)
        names = (lines[0].get(self.kind, "") for lines, t in pairs if t is not None)
        return replace(items, kind=self.kind, names=tuple(names))


def is_list(head: Sequence[str]) -> bool:
    """Say whether a .csv with that first line lists files."""
    return "file" in head


def read_list(path: Path, spec: InputSpec, metric: Metric, skip: Skip) -> Items:
    """Read all files of a list as samples of an input, with what is true of them.

    Raises UsageError for a list that says nothing of its files, or holds none that can
    be used; a broken file, or line, is told to `skip`.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        head = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = head
        rows = [{k: (v or "").strip() for k, v in row.items() if k} for row in reader]
    by_file: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        by_file.setdefault(row["file"], []).append(row)
    found = _read(by_file, path, spec, skip)
    found.kind = kind_among(head)
    if {"class", *_CORNERS} <= set(head):
        return _boxes(found, spec, path, skip)
    if "text" in head:
        return _texts(found, spec, path)
    if "target" in head:
        return _targets(found, spec, metric, path, skip)
    if "label" in head:
        return _labels(found, spec, path, skip)
    raise UsageError(
        "The list says nothing of its files but their names",
        where=str(path),
        remedy="Add a column label, text or target, or class, x1, y1, x2 and y2.",
    )


def stacked(spec: InputSpec, values: Sequence[Array], path: Path) -> dict[str, Array]:
    """Join samples along axis 0. Raises UsageError where there are none."""
    if not values:
        raise UsageError(
            "The data set holds no item that can be used",
            where=str(path),
            remedy="A folder has a subfolder a class, labels.csv, or .bin files and "
            "y_labels.csv; a .csv a line an item.",
        )
    is_batched = bool(spec.shape) and spec.shape[0] == 1
    return {spec.name: np.concatenate(values) if is_batched else np.stack(values)}


def _read(
    by_file: Mapping[str, Lines], path: Path, spec: InputSpec, skip: Skip
) -> _Gathered:
    found = _Gathered()
    for name, lines in by_file.items():
        try:
            value = read_item(_inside(path.parent, name), spec)
        except Broken as error:
            skip(f"{name or 'a line without a file'}: {error}")
            continue
        found.values.append(value)
        found.lines.append(lines)
    return found


def _inside(folder: Path, name: str) -> Path:
    """Give a file of the list's folder. Raises Broken for one that lies elsewhere."""
    place = (folder / name).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise Broken("it leads out of the folder")
    return place


def _kept(found: _Gathered, truths: Sequence[Any]) -> list[Array]:
    pairs = zip(found.values, truths, strict=True)
    return [value for value, truth in pairs if truth is not None]


def _labels(found: _Gathered, spec: InputSpec, path: Path, skip: Skip) -> Items:
    said = [lines[0]["label"] for lines in found.lines]
    if all(map(_is_number, said)):
        numbers = np.array([float(one) for one in said])
        is_whole = bool((numbers == np.rint(numbers)).all())
        labels = numbers.astype(np.int64) if is_whole else numbers
        items = Items(arrays=stacked(spec, found.values, path), labels=labels)
        return found.grouped(items, said)
    for lines in found.lines:
        if not lines[0]["label"]:
            skip(f"{lines[0]['file']}: it has no label")
    truths = [one or None for one in said]
    named = [one for one in said if one]
    classes = _Classes.of(named)
    items = Items(
        arrays=stacked(spec, _kept(found, truths), path),
        labels=np.array([classes.number(one) for one in named]).astype(np.int64),
        classes=classes.names,
    )
    return found.grouped(items, truths)


def _boxes(found: _Gathered, spec: InputSpec, path: Path, skip: Skip) -> Items:
    said = [row["class"] for lines in found.lines for row in lines if row["class"]]
    classes = _Classes.of(said)
    truths = [_boxes_of(lines, classes, skip) for lines in found.lines]
    kept = [truth for truth in truths if truth is not None]
    most = max((len(truth) for truth in kept), default=0)
    padded = [[*truth, *[_NO_BOX] * (max(most, 1) - len(truth))] for truth in kept]
    items = Items(
        arrays=stacked(spec, _kept(found, truths), path),
        labels=np.array(padded, dtype=np.float64),
        classes=classes.names,
    )
    return found.grouped(items, truths)


def _boxes_of(
    lines: Lines, classes: _Classes, skip: Skip
) -> list[tuple[float, ...]] | None:
    found: list[tuple[float, ...]] = []
    for row in (row for row in lines if row["class"]):
        corners = [row[name] for name in _CORNERS]
        if not all(map(_is_number, corners)):
            skip(f"{row['file']}: a box is x1, y1, x2, y2, not {', '.join(corners)}")
            return None
        x1, y1, x2, y2 = map(float, corners)
        if x1 > x2 or y1 > y2:
            skip(f"{row['file']}: a box ends before it begins: {', '.join(corners)}")
            return None
        found.append((classes.number(row["class"]), x1, y1, x2, y2))
    return found


def _texts(found: _Gathered, spec: InputSpec, path: Path) -> Items:
    said = [lines[0]["text"] for lines in found.lines]
    arrays = stacked(spec, found.values, path)
    tokens = _tokens(path.parent / TOKENS_FILE)
    parts = [text.split() for text in said]
    if tokens or not all(part.isdigit() for text in parts for part in text):
        items = Items(arrays=arrays, labels=np.array(said), tokens=tokens)
        return found.grouped(items, said)
    ids = np.full((len(parts), max(map(len, parts))), -1, np.int64)
    for row, text in zip(ids, parts, strict=True):
        row[: len(text)] = [int(part) for part in text]
    return found.grouped(Items(arrays=arrays, labels=ids), said)


def _tokens(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    return tuple(path.read_text(encoding="utf-8").split("\n")[:-1])


def _targets(
    found: _Gathered, spec: InputSpec, metric: Metric, path: Path, skip: Skip
) -> Items:
    truths: list[Array | None] = []
    for lines in found.lines:
        name = lines[0]["target"]
        truth = None
        try:
            truth = read_target(
                _inside(path.parent, name), spec, is_mask=metric is Metric.MIOU
            )
        except Broken as error:
            skip(f"{name or 'a line without a target'}: {error}")
        first = next((one.shape for one in truths if one is not None), None)
        if truth is not None and first not in {None, truth.shape}:
            skip(f"{name}: it is {list(truth.shape)}, others are {list(first or ())}")
            truth = None
        truths.append(truth)
    arrays = stacked(spec, _kept(found, truths), path)
    kept = np.stack([truth for truth in truths if truth is not None])
    return found.grouped(Items(arrays=arrays, labels=kept), truths)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False

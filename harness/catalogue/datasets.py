"""A user's labelled items, whatever form they come in → one .npz that an agent reads.

Forms: an .npz with one array an input and ``labels``; a .csv with a column ``label``
and a column for each value of the input, or one that lists files; a folder with a
subfolder a class, or with such a list in ``labels.csv``; MLPerf Tiny's folder of .bin
files with ``y_labels.csv``. Layout of the .npz: docs/reference/labelled-data.md.
Items may say their language, or another group that they belong to.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.catalogue.anatomy import take_apart
from harness.catalogue.bindings import InputBindings
from harness.catalogue.describe import describe, input_names
from harness.catalogue.grouping import (
    Grouping,
    grouping_of,
    kind_among,
    read_groups,
    taken_from,
)
from harness.catalogue.itemfiles import Broken, read_item
from harness.catalogue.itemlists import Items, Skip, is_list, read_list, stacked
from harness.catalogue.labels import check_classes, check_labels
from harness.catalogue.samples import load_arrays
from harness.domain.labelled import LabelledData, Metric
from harness.domain.workload import InputSpec
from harness.errors import UsageError
from harness.links.filedigest import digest_of

Array = NDArray[Any]
MLPERF_LABELS, LIST = "y_labels.csv", "labels.csv"
_LABELS = ("labels", "label", "y")
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a user wants of his data: how they are scored, and against which parent."""

    path: Path
    metric: Metric = Metric.TOP1
    parent: Path | None = None
    goes_on: bool = False
    """Whether broken items are left out; else the first ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnData:
    """Labelled items for a model of one's own, ready for an agent."""

    file: Path
    name: str
    sha256: str
    items: int
    metric: Metric
    parent: Path | None
    classes: tuple[str, ...] = ()
    grouping: Grouping = field(default_factory=Grouping)
    broken: tuple[str, ...] = ()
    """Items that were left out, each with the reason."""

    def labelled(self, parent: str) -> LabelledData:
        """Name the items for a plan; `parent` is a model of the plan, or empty."""
        return LabelledData(
            name=self.name,
            sha256=self.sha256,
            items=self.items,
            metric=self.metric,
            parent=parent,
            classes=self.classes,
            grouping=self.grouping.kind,
            groups=self.grouping.groups,
            group_of=self.grouping.group_of,
        )


def open_dataset(
    wanted: Wanted, model: Path, bindings: InputBindings, scratch: Path
) -> OwnData:
    """Read a user's items for a model and write them to `scratch` as one .npz.

    Raises UsageError for a broken item, naming it (or, where it `goes_on`, only where
    no item is left), and for labels that do not fit items or metric.
    """
    broken: list[str] = []

    def skip(what: str) -> None:
        broken.append(what)
        if not wanted.goes_on:
            raise UsageError(
                f"An item of the data set is broken: {what}",
                where=str(wanted.path),
                remedy="Mend or remove it, or leave such items out: --skip-broken.",
            )

    items = _read(wanted, model, bindings, skip)
    check_labels(
        items.labels,
        items.arrays,
        wanted.metric,
        str(wanted.path),
        has_tokens=bool(items.tokens),
    )
    output = take_apart(model).outputs[0]
    check_classes(items.labels, wanted.metric, output, str(wanted.path))
    grouping = grouping_of(items.kind, items.names, str(wanted.path))
    file = scratch / "labelled.npz"
    arrays: dict[str, Any] = {"labels": items.labels, **items.arrays}
    if items.tokens:
        arrays["tokens"] = np.array(items.tokens)
    np.savez(file, **arrays)
    return OwnData(
        file=file,
        name=wanted.path.name,
        sha256=digest_of((file,)),
        items=len(items.labels),
        metric=wanted.metric,
        parent=wanted.parent,
        classes=items.classes,
        grouping=grouping,
        broken=tuple(broken),
    )


def _read(wanted: Wanted, model: Path, bindings: InputBindings, skip: Skip) -> Items:
    path = wanted.path
    if path.is_dir():
        spec = _only_input(model, bindings, path)
        if (path / LIST).is_file():
            return read_list(path / LIST, spec, wanted.metric, skip)
        if (path / MLPERF_LABELS).is_file():
            return _gathered(_mlperf(path, skip), spec, path, skip)
        return _gathered(_class_folders(path), spec, path, skip)
    if not path.is_file():
        raise UsageError(
            "There is no such data set",
            where=str(path),
            remedy="Give a folder, an .npz or a .csv.",
        )
    if path.suffix == ".csv":
        spec = _only_input(model, bindings, path)
        if is_list(_head(path)):
            return read_list(path, spec, wanted.metric, skip)
        return _csv(path, spec, skip)
    return _npz(path, model, skip)


def _only_input(model: Path, bindings: InputBindings, path: Path) -> InputSpec:
    inputs = describe(model, replace(bindings, samples=None)).inputs
    if len(inputs) != 1:
        raise UsageError(
            f"The model has {len(inputs)} inputs; a folder or a .csv can fill one",
            where=str(path),
            remedy="Give an .npz with one array an input, and labels.",
        )
    return inputs[0]


def _npz(path: Path, model: Path, skip: Skip) -> Items:
    arrays = load_arrays(path)
    key = next((name for name in _LABELS if name in arrays), None)
    if key is None:
        raise UsageError(
            f"The data set holds no labels; it holds {', '.join(arrays) or 'nothing'}",
            where=str(path),
            remedy="Save them as an array 'labels', axis 0 counting the items.",
        )
    labels = np.atleast_1d(arrays.pop(key))
    names = arrays.pop("classes", np.array([], dtype=str))
    tokens = arrays.pop("tokens", np.array([], dtype=str))
    kind, groups = taken_from(arrays)
    if groups is not None and groups.shape != labels.shape[:1]:
        raise UsageError(
            f"There are {len(labels)} labels, but {groups.size} items say their {kind}",
            where=str(path),
            remedy=f"Give every item one {kind}, in the same order.",
        )
    arrays = _named(arrays, model)
    is_good = _good_items(arrays, labels, skip)
    counted = {
        name: array[is_good] if array.shape[:1] == is_good.shape else array
        for name, array in arrays.items()
    }
    classes = tuple(str(name) for name in names)
    return Items(
        arrays=counted,
        labels=labels[is_good],
        classes=classes,
        tokens=tuple(map(str, tokens)),
        kind=kind,
        names=() if groups is None else tuple(map(str, groups[is_good])),
    )


def _named(arrays: dict[str, Array], model: Path) -> dict[str, Array]:
    """Let the only array, ``x`` say, stand for the only input, whatever its name."""
    inputs = input_names(model)
    if len(inputs) != 1:
        return arrays
    name = inputs[0]
    lone = [key for key in (name, "x", "inputs", "input", "data") if key in arrays]
    if not lone:
        return arrays
    found = {name: arrays[lone[0]]}
    for part in ("scale", "zero_point"):
        for key in (part, f"{lone[0]}.{part}"):
            if key in arrays:
                found[f"{name}.{part}"] = arrays[key]
    return found


def _good_items(
    arrays: Mapping[str, Array], labels: Array, skip: Skip
) -> NDArray[np.bool_]:
    """Say which items hold finite values only."""
    is_good = np.ones(len(labels), dtype=bool)
    for name, array in arrays.items():
        if array.dtype.kind != "f" or array.shape[:1] != is_good.shape:
            continue
        finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        for number in np.flatnonzero(~finite):
            skip(f"item {number}: '{name}' holds values that are not finite")
        is_good &= finite
    return is_good


def _head(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return [name.strip() for name in file.readline().split(",")]


def _csv(path: Path, spec: InputSpec, skip: Skip) -> Items:
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    head = _head(path)
    if "label" not in head:
        raise UsageError(
            "The data set has no column 'label'",
            where=str(path),
            remedy="The first line names the columns; one of them is label.",
        )
    at = head.index("label")
    kind = kind_among(head)
    size = int(np.prod(spec.shape))
    values, labels, names = [], [], []
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split(",")
        if not line.strip():
            continue
        try:
            label = float(cells[at])
            name = cells[head.index(kind)].strip() if kind else ""
            row = np.array(
                [
                    float(c)
                    for h, c in zip(head, cells, strict=True)
                    if h not in {"label", kind}
                ]
            )
        except (ValueError, IndexError) as error:
            skip(f"line {number}: {error}")
            continue
        if row.size != size or not np.isfinite(row).all():
            skip(f"line {number}: {row.size} values, or some not finite; not {size}")
            continue
        values.append(row.reshape(spec.shape).astype(spec.dtype))
        labels.append(label)
        names.append(name)
    items = _stacked(spec, values, labels, path, ())
    return replace(items, kind=kind, names=tuple(names) if kind else ())


def _class_folders(path: Path) -> Iterator[tuple[Path, str]]:
    for folder in sorted(one for one in path.iterdir() if one.is_dir()):
        for file in sorted(one for one in folder.iterdir() if one.is_file()):
            yield file, folder.name


def _mlperf(path: Path, skip: Skip) -> Iterator[tuple[Path, str]]:
    """Read ``file,classes,label`` a line (eembc/energyrunner, "Datasets")."""
    text = (path / MLPERF_LABELS).read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip() for cell in line.split(",")]
        if not line.strip():
            continue
        if len(cells) < 3 or not cells[2].isdigit():  # noqa: PLR2004 - three columns
            skip(f"{MLPERF_LABELS}, line {number}: not file, classes, label")
            continue
        if Path(cells[0]).name != cells[0]:
            skip(
                f"{MLPERF_LABELS}, line {number}: '{cells[0]}' leads out of the folder"
            )
            continue
        yield path / cells[0], cells[2]


def _gathered(
    files: Iterator[tuple[Path, str]], spec: InputSpec, path: Path, skip: Skip
) -> Items:
    values, said, names = [], [], []
    kind, groups = read_groups(path)
    for file, label in files:
        try:
            values.append(read_item(file, spec))
        except Broken as error:
            skip(f"{file.name}: {error}")
            continue
        said.append(label)
        names.append(groups.get(file.relative_to(path).as_posix(), ""))
    is_numbered = all(label.isdigit() for label in said)
    classes = () if is_numbered else tuple(sorted(set(said)))
    labels = [float(label if is_numbered else classes.index(label)) for label in said]
    items = _stacked(spec, values, labels, path, classes)
    return replace(items, kind=kind, names=tuple(names) if kind else ())


def _stacked(
    spec: InputSpec,
    values: list[Array],
    labels: list[float],
    path: Path,
    classes: tuple[str, ...],
) -> Items:
    numbers = np.array(labels)
    is_whole = bool((numbers == np.rint(numbers)).all())
    return Items(
        arrays=stacked(spec, values, path),
        labels=numbers.astype(np.int64) if is_whole else numbers,
        classes=classes,
    )

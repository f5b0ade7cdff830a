"""The index of reference models: what is known of each before it is built.

Reads ``models/index.toml`` (format ``duanping/models/1``), which the builder writes,
and ``models/trained/index.toml``, of the same form, where the models are that were
trained: their files are shipped, with labelled items beside them. Files of the others
are not here: `harness.catalogue.build` makes them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from harness import shipped
from harness.domain.labelled import LabelledData, Metric
from harness.domain.profile import Scheme
from harness.domain.workload import Fill, InputSpec, ModelArtifact, Suite
from harness.errors import UnknownName
from harness.links.filedigest import digest_of
from harness.schema.reading import Written, attributed_to, pointer, read_toml, validate

N = TypeVar("N")

TRAINED = "trained"
"""Folder of the models that were trained, inside the folder of models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What the ranges of a quantised model were taken from."""

    data: str
    seed: int
    samples: int
    ranges: str
    """File with the ranges, relative to the index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFile:
    """Digest and size of the file that a build gives, or that is shipped."""

    sha256: str
    size_bytes: int
    file: str = ""
    """Shipped file, relative to the folder of models; empty: it is built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Labelled items of a trained model, and what its answers must reach."""

    data: str
    """File of the items, relative to the folder of models."""
    sha256: str
    items: int
    metric: Metric
    floor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One reference model. `macs` are those of one sample."""

    name: str
    task: str
    script: str
    inputs: tuple[InputSpec, ...]
    macs: int
    parameters: int
    opset: int
    quantisation: str
    calibration: Calibration | None
    licence: str
    is_trained: bool
    note_zh: str
    note_en: str
    source: str
    files: dict[Scheme, BuiltFile]
    accuracy: Accuracy | None = None
    parent: BuiltFile | None = None
    """The float32 model that it was quantised from, where that is shipped."""
    card: str = ""
    """Model card, relative to the folder of models; empty: none."""

    def size_bytes(self, scheme: Scheme) -> int:
        """Give the size of the quantised file."""
        return self.files[scheme].size_bytes

    def artifact(self, scheme: Scheme, path: Path) -> ModelArtifact:
        """Describe the built file at `path`, whose digest is read, not believed."""
        return ModelArtifact(
            name=f"{self.name}-{scheme}",
            sha256=digest_of((path,)),
            size_bytes=path.stat().st_size,
            inputs=self._filled(),
            task=self.task,
            quantisation=f"{self.quantisation}; {scheme}",
            opset=self.opset,
            macs=self.macs,
            parameters=self.parameters,
            licence=self.licence,
            is_trained=self.is_trained,
        )

    def parent_artifact(self, path: Path) -> ModelArtifact:
        """Describe the float32 parent at `path`."""
        return replace(
            self.artifact(next(iter(self.files)), path),
            name=f"{self.name}-fp32",
            quantisation="none",
        )

    def labelled(self) -> LabelledData | None:
        """Name the labelled items for a plan; None where there are none."""
        if self.accuracy is None:
            return None
        return LabelledData(
            name=self.accuracy.data,
            sha256=self.accuracy.sha256,
            items=self.accuracy.items,
            metric=self.accuracy.metric,
            parent=f"{self.name}-fp32" if self.parent else "",
            floor=self.accuracy.floor,
        )

    def _filled(self) -> tuple[InputSpec, ...]:
        """Give the inputs, filled from the labelled items where there are any."""
        if self.accuracy is None:
            return self.inputs
        return tuple(replace(one, fill=Fill.FILE) for one in self.inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """All reference models."""

    entries: tuple[Entry, ...]

    def entry(self, name: str, *, where: str = "") -> Entry:
        """Give the model of that name. Raises UnknownName with the near ones."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        known = [entry.name for entry in self.entries]
        raise UnknownName("reference model", name, known, where=where)


class _WrittenInput(Written):
    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: Fill
    low: float
    high: float
    batch_axis: bool


class _WrittenOutput(Written):
    name: str
    dtype: str
    shape: tuple[int, ...]


class _WrittenCalibration(Written):
    data: str
    seed: int
    samples: int
    ranges: str


class _WrittenFile(Written):
    sha256: str
    size_bytes: int
    file: str = ""


class _WrittenAccuracy(Written):
    data: str
    sha256: str
    items: int
    metric: Metric
    floor: float | None = None


class _WrittenModel(Written):
    name: str
    task: str
    script: str
    inputs: tuple[_WrittenInput, ...]
    outputs: tuple[_WrittenOutput, ...]
    macs: int
    parameters: int
    opset: int
    quantisation: str
    calibration: _WrittenCalibration | None = None
    licence: str
    trained: bool
    note_en: str
    note_zh: str
    source: str
    u8s8: _WrittenFile
    s8s8: _WrittenFile
    fp32: _WrittenFile | None = None
    accuracy: _WrittenAccuracy | None = None
    card: str = ""


class _WrittenIndex(Written):
    format: Literal["duanping/models/1"]
    model: tuple[_WrittenModel, ...]


def load_index(path: Path | None = None) -> Index:
    """Read the shipped indexes, or the one at `path`.

    Raises SchemaError where a file does not say what it must.
    """
    if path is not None:
        return _one_index(path)
    models = shipped.folder("models")
    files = (models / "index.toml", models / TRAINED / "index.toml")
    found = [_one_index(file) for file in files if file.is_file()]
    return Index(entries=tuple(entry for index in found for entry in index.entries))


def _one_index(where: Path) -> Index:
    data = read_toml(where)
    written = validate(_WrittenIndex, data, str(where))
    return Index(
        entries=tuple(
            _entry(model, f"{where}: {_place(data, number)}")
            for number, model in enumerate(written.model)
        )
    )


def check_models(suite: Suite, index: Index) -> None:
    """Raise UnknownName for the first workload whose model the index lacks."""
    for workload in suite.workloads:
        index.entry(
            workload.model, where=f"suite '{suite.name}', workload '{workload.id}'"
        )


def _place(data: Mapping[str, Any], number: int) -> str:
    return pointer(data, ("model", number))


def _entry(written: _WrittenModel, where: str) -> Entry:
    with attributed_to(where):
        inputs = tuple(_input_spec(one) for one in written.inputs)
    return Entry(
        name=written.name,
        task=written.task,
        script=written.script,
        inputs=inputs,
        macs=written.macs,
        parameters=written.parameters,
        opset=written.opset,
        quantisation=written.quantisation,
        calibration=_maybe(Calibration, written.calibration),
        licence=written.licence,
        is_trained=written.trained,
        note_zh=written.note_zh,
        note_en=written.note_en,
        source=written.source,
        files={
            Scheme.U8S8: BuiltFile(**written.u8s8.model_dump()),
            Scheme.S8S8: BuiltFile(**written.s8s8.model_dump()),
        },
        accuracy=_maybe(Accuracy, written.accuracy),
        parent=_maybe(BuiltFile, written.fp32),
        card=written.card,
    )


def _maybe(noun: Callable[..., N], written: Written | None) -> N | None:
    return None if written is None else noun(**written.model_dump())


def _input_spec(written: _WrittenInput) -> InputSpec:
    return InputSpec(
        name=written.name,
        dtype=written.dtype,
        shape=written.shape,
        fill=written.fill,
        low=written.low,
        high=written.high,
        has_batch_axis=written.batch_axis,
    )

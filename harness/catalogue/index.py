"""The index of reference models: what is known of each before it is built.

Reads ``models/index.toml`` (format ``duanping/models/1``), which the builder writes.
The files themselves are not here: `harness.catalogue.build` makes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness import shipped
from harness.domain.profile import Scheme
from harness.domain.workload import (
    DecoderFacts,
    Fill,
    InputSpec,
    ModelArtifact,
    Suite,
)
from harness.errors import UnknownName
from harness.links.filedigest import digest_of
from harness.schema.reading import Written, attributed_to, pointer, read_toml, validate


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
    """Digest and size of the file that a build gives."""

    sha256: str
    size_bytes: int


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
    """None: the weights were drawn in their few bits, and nothing was calibrated."""
    licence: str
    is_trained: bool
    note_zh: str
    note_en: str
    source: str
    files: dict[Scheme, BuiltFile]
    outputs: tuple[str, ...] = ()
    decoder: DecoderFacts | None = None

    def size_bytes(self, scheme: Scheme) -> int:
        """Give the size of the quantised file."""
        return self.files[scheme].size_bytes

    def artifact(self, scheme: Scheme, path: Path) -> ModelArtifact:
        """Describe the built file at `path`, whose digest is read, not believed."""
        return ModelArtifact(
            name=f"{self.name}-{scheme}",
            sha256=digest_of((path,)),
            size_bytes=path.stat().st_size,
            inputs=self.inputs,
            task=self.task,
            quantisation=f"{self.quantisation}; {scheme}",
            opset=self.opset,
            macs=self.macs,
            parameters=self.parameters,
            licence=self.licence,
            is_trained=self.is_trained,
            decoder=self.decoder,
        )


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


class _WrittenDecoder(Written):
    vocabulary: int
    context: int
    end_tokens: tuple[int, ...]


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
    decoder: _WrittenDecoder | None = None
    licence: str
    trained: bool
    note_en: str
    note_zh: str
    source: str
    u8s8: _WrittenFile
    s8s8: _WrittenFile


class _WrittenIndex(Written):
    format: Literal["duanping/models/1"]
    model: tuple[_WrittenModel, ...]


def load_index(path: Path | None = None) -> Index:
    """Read the shipped index, or the one at `path`.

    Raises SchemaError where the file does not say what it must.
    """
    where = path or shipped.folder("models") / "index.toml"
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
        for model in workload.models:
            index.entry(model, where=f"suite '{suite.name}', workload '{workload.id}'")


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
        outputs=tuple(one.name for one in written.outputs),
        macs=written.macs,
        parameters=written.parameters,
        opset=written.opset,
        quantisation=written.quantisation,
        calibration=Calibration(**written.calibration.model_dump())
        if written.calibration
        else None,
        decoder=DecoderFacts(**written.decoder.model_dump())
        if written.decoder
        else None,
        licence=written.licence,
        is_trained=written.trained,
        note_zh=written.note_zh,
        note_en=written.note_en,
        source=written.source,
        files={
            Scheme.U8S8: BuiltFile(**written.u8s8.model_dump()),
            Scheme.S8S8: BuiltFile(**written.s8s8.model_dump()),
        },
    )


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

"""Measurements → anchors of a fit: from a CSV, or from the records of runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.catalogue.build import ensure_built
from harness.cli._forecast import costed
from harness.domain.estimate import Estimate
from harness.domain.profile import Scheme
from harness.domain.record import RunRecord
from harness.emulation.amounts import Amounts, amounts_of
from harness.emulation.fit import Anchor
from harness.emulation.networks import standard_networks
from harness.errors import UsageError
from harness.record.reader import read_record
from harness.schema.measurements import (
    Measurement,
    load_measurements,
    shapes_of,
    unknown_model,
)
from harness.stats.estimating import estimate

_ALONE = "SingleStream"
"""The scenario in which a latency is one inference and no waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """What was measured, and what must be said of how it was read."""

    anchors: tuple[Anchor, ...]
    remarks: tuple[str, ...] = ()
    idle_w: float | None = None


def anchors_from(source: Path, *, precision: str, prunes: bool) -> Anchors:
    """Read a CSV, a bundle, or a folder of bundles.

    Raises UsageError where there is nothing to be read, SchemaError for a bad line,
    EvidenceError for a record that cannot be relied on.
    """
    found = _records(source) if source.is_dir() else _table(source, precision)
    if not prunes:
        return found
    pruned = (replace(one, amounts=one.amounts.pruned()) for one in found.anchors)
    return replace(found, anchors=tuple(pruned))


def _table(path: Path, precision: str) -> Anchors:
    measured = load_measurements(path)
    known: dict[tuple[str, str], Amounts] = {}
    anchors = []
    for row in measured.rows:
        key = (row.model, row.shape)
        if key not in known:
            known[key] = _amounts(row, path, precision)
        energy = row.energy_j
        if energy is None and row.power_w is not None:
            energy = row.power_w * row.latency_s
        anchors.append(
            Anchor(
                model=row.model,
                amounts=known[key],
                seconds=row.latency_s,
                energy_j=energy,
                peak_bytes=row.peak_bytes,
            )
        )
    remarks = (
        (f"Columns left alone: {', '.join(measured.ignored)}.",)
        if measured.ignored
        else ()
    )
    return Anchors(anchors=tuple(anchors), remarks=remarks)


def _amounts(row: Measurement, path: Path, precision: str) -> Amounts:
    where = f"{path}, line {row.line}"
    file = path.parent / row.model
    if file.is_file():
        return amounts_of(costed(file, shapes_of(row.shape, where)).cost)
    networks = standard_networks()
    if row.model in networks:
        return networks[row.model].amounts(precision)
    raise unknown_model(row.model, tuple(networks), where)


def _records(folder: Path) -> Anchors:
    bundles = (
        [folder]
        if (folder / "evidence").is_dir()
        else sorted(one.parent for one in folder.glob("*/evidence") if one.is_dir())
    )
    if not bundles:
        raise UsageError(
            "There is no record in this folder",
            where=str(folder),
            remedy="Name a CSV, a bundle, or a folder of bundles.",
        )
    anchors: list[Anchor] = []
    remarks: list[str] = []
    idles: list[float] = []
    for bundle in bundles:
        record = read_record(bundle)
        if record.plan.is_emulated:
            remarks.append(f"Left out, since it is emulated: {bundle.name}.")
            continue
        figures, _ = estimate(record)
        anchors += _measured(record, figures)
        idles += [one.value for one in figures if one.measurand.name == "idle_power"]
    if not anchors:
        raise UsageError(
            "No record here holds a measured latency",
            where=str(folder),
            remedy="Measure first: duanping run --target local@",
        )
    idle = sum(idles) / len(idles) if idles else None
    return Anchors(anchors=tuple(anchors), remarks=tuple(remarks), idle_w=idle)


def _measured(record: RunRecord, figures: Sequence[Estimate]) -> Iterator[Anchor]:
    """Give an anchor for each workload whose median latency was measured."""
    for workload in record.plan.suite.workloads:
        ours = {
            one.measurand.name: one
            for one in figures
            if one.workload == workload.id
            and one.origin.is_evidence
            and one.scenario == _ALONE
        }
        latency = ours.get("latency_p50")
        if latency is None:
            continue
        energy = ours.get("energy_per_inference_gross")
        memory = ours.get("model_memory")
        yield Anchor(
            model=workload.model,
            amounts=_built(record, workload.model),
            seconds=latency.value,
            energy_j=None if energy is None else energy.value,
            peak_bytes=None if memory is None else memory.value,
        )


def _built(record: RunRecord, name: str) -> Amounts:
    for scheme in Scheme:
        if any(model.name == f"{name}-{scheme}" for model in record.plan.models):
            path = ensure_built([name], scheme, lambda _: None)[name]
            return amounts_of(costed(path, {}).cost)
    raise UsageError(
        f"The model '{name}' of this record is not at hand",
        where=record.name,
        remedy="Write its figures into a CSV that names the model's file.",
    )

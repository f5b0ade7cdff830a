"""Records of runs → anchors of a fit: what was measured, never what was emulated."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.catalogue.build import ensure_built
from harness.cli._forecast import costed
from harness.domain.estimate import Estimate
from harness.domain.profile import Scheme
from harness.domain.record import RunRecord
from harness.emulation.amounts import Amounts, amounts_of
from harness.emulation.fit import Anchor
from harness.errors import UsageError
from harness.record.reader import read_record
from harness.stats.estimating import estimate

Recorded = tuple[tuple[Anchor, ...], tuple[str, ...], float | None]

_ALONE = "SingleStream"
"""The scenario in which a latency is one inference and no waiting."""


def records(folder: Path) -> Recorded:
    """Give an anchor for each measured workload, what is to be said, and idle power.

    Raises UsageError where there is none, EvidenceError for a record that is not sound.
    """
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
    return tuple(anchors), tuple(remarks), idle


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

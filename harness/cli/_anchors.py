"""Measurements → anchors of a fit: from a CSV, or from the records of runs."""

from dataclasses import dataclass, replace
from pathlib import Path

from harness.cli._forecast import costed
from harness.emulation.amounts import Amounts, amounts_of
from harness.emulation.fit import Anchor
from harness.emulation.networks import standard_networks
from harness.schema.measurements import (
    Measurement,
    load_measurements,
    shapes_of,
    unknown_model,
)


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
    if source.is_dir():
        # reading records loads statistics and Parquet, which a table does without
        from harness.cli._recorded import records  # noqa: PLC0415

        anchors, remarks, idle_w = records(source)
        found = Anchors(anchors=anchors, remarks=remarks, idle_w=idle_w)
    else:
        found = _table(source, precision)
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

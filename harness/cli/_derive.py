"""Evidence → derived files and the table in the terminal; shared by three verbs."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from harness.assessment import assess
from harness.cli._counted import counted_table
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.domain.assessment import Assessment
from harness.domain.estimate import Estimate
from harness.domain.finding import Severity
from harness.domain.origin import Origin
from harness.domain.record import RunRecord
from harness.domain.requirement import Grade, RowResult, RowStatus, Tier, TierSet
from harness.domain.scenario import Talking
from harness.errors import ExitCode, StorageError, Unverifiable
from harness.grading import meets
from harness.record.reader import read_record
from harness.report.page import Language, render
from harness.report.quantities import estimate_text
from harness.report.tables import tables
from harness.report.words import catalogue
from harness.schema.codec import dump_bytes, to_plain
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.stats.laying import lay_over
from harness.units import from_si


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A record, what was derived from it, and where that lies."""

    bundle: Path
    record: RunRecord
    assessment: Assessment
    report: Path | None


def derive(bundle: Path, *, language: Language | None, tiers: Path | None) -> Derived:
    """Assess a bundle's evidence and write `derived/`.

    `language` None leaves the report out; `tiers` takes another tier file than the
    plan names. Raises EvidenceError for a record that cannot be read, Unverifiable
    where the tier file is not the one that the plan was made with.
    """
    record = lay_over(read_record(bundle))
    tier_set = _tier_set(record, tiers)
    assessment = assess(record, tier_set)
    folder = bundle / "derived"
    try:
        folder.mkdir(exist_ok=True)
        (folder / "estimates.json").write_bytes(_estimates(assessment))
        (folder / "grade.json").write_bytes(dump_bytes(assessment.grade))
        for name, frame in tables(record, assessment).items():
            frame.to_csv(folder / f"{name}.csv", index=False)
        report = None
        if language is not None:
            report = folder / "report.html"
            report.write_bytes(render(record, assessment, tier_set, language=language))
    except OSError as error:
        raise StorageError(
            f"Derived files cannot be written: {error.strerror}",
            where=str(folder),
            remedy="The evidence is whole. Make room or gain the right to write, "
            f"then: duanping report {bundle}",
        ) from error
    return Derived(bundle=bundle, record=record, assessment=assessment, report=report)


def print_result(derived: Derived, *, as_json: bool) -> None:
    """Print verdicts and where the files are, as a table or as JSON."""
    if as_json:
        print_json(_facts(derived))
        return
    out = console()
    record, assessment = derived.record, derived.assessment
    has_times = bool(assessment.estimates) and record.plan.is_timed
    figures = _tables_of_figures(record, assessment) if has_times else ()
    for table in (
        *figures,
        counted_table(record, assessment),
        _accuracy(record, assessment),
        _groups(assessment),
        _privacy(record),
        _networks(assessment),
    ):
        if table is not None:
            out.print(table)
    if any(row.status is not RowStatus.NOT_MEASURED for row in assessment.grade.rows):
        out.print(_verdicts(record, assessment.grade))
        for reason, rows in _undetermined(assessment.grade).items():
            out.print(f"? {', '.join(rows)}: {reason}")
    out.print(_summary(assessment))
    for finding in assessment.findings:
        if finding.severity is not Severity.NOTE:
            reason = str(finding.values.get("reason", ""))
            said = f"{finding.subject}: {reason}" if reason else finding.subject
            out.print(escape(f"  {finding.severity}: {finding.code} · {said}"))
    if record.plan.is_emulated:
        out.print(
            "仿真结果,不可作为申报依据 · Emulated: not evidence for an application",
            style="bold yellow",
        )
    out.print(f"Bundle: {derived.bundle}", soft_wrap=True)
    if derived.report:
        out.print(f"Report: {derived.report}", soft_wrap=True)


def gate_code(grade: Grade, gate: Tier | None) -> int:
    """Turn a grade into an exit code: 0 met, 1 missed, 5 could not tell."""
    if gate is None:
        return ExitCode.OK
    answer = meets(grade, gate)
    if answer is None:
        return ExitCode.NO_ANSWER
    return ExitCode.OK if answer else ExitCode.NO


def _tier_set(record: RunRecord, tiers: Path | None) -> TierSet:
    path = tiers or tier_set_path(record.plan.tier_set)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if tiers is None and digest != record.plan.tier_set_sha256:
        raise Unverifiable(
            f"Tier set {record.plan.tier_set} is not the file that this run was "
            "planned with",
            where=str(path),
            remedy="Grade with the harness version of the run, or say which tiers "
            f"you mean: --tiers {path}",
        )
    return load_tier_set(path)


def _estimates(assessment: Assessment) -> bytes:
    return dump_bytes(assessment)


_Columns = tuple[tuple[str, str, str, str], ...]
_COLUMNS: _Columns = (
    # heading, measurand, scenario ("" : any), unit
    ("p50", "latency_p50", "SingleStream", "ms"),
    ("p90", "latency_p90", "SingleStream", "ms"),
    ("p99", "latency_p99", "SingleStream", "ms"),
    ("energy", "energy_per_inference_net", "SingleStream", "mJ"),
    ("memory", "weights_and_arena", "", "KiB"),
    ("memory", "model_memory", "", "MiB"),
)
_TALK_COLUMNS: _Columns = (
    ("TTFT", "ttft_mean", "LlmDecode", "ms"),
    ("TPOT", "tpot_mean", "LlmDecode", "ms"),
    ("output", "output_rate", "LlmDecode", "tok/s"),
    ("energy/token", "energy_per_token", "LlmDecode", "mJ"),
    ("memory", "model_memory", "LlmDecode", "MiB"),
)

_PRIVACY = "privacy-"
_NETWORK = "network-"
_ACCURACY = (
    ("this model", "task_metric"),
    ("float32 parent", "task_metric_parent"),
    ("kept", "accuracy_retention"),
    ("same decisions", "decision_agreement"),
)


def _privacy(record: RunRecord) -> Table | None:
    """Show whether data stay on the device; None where that was not asked."""
    table = Table(title="Do data stay on the device?", title_justify="left")
    for column in ("model", "check", "answer", "detail"):
        table.add_column(column, overflow="fold")
    for found in record.findings:
        if found.code.startswith(_PRIVACY):
            check, detail = (str(found.values[key]) for key in ("condition", "detail"))
            answer = found.code.removeprefix(_PRIVACY)
            table.add_row(found.subject, check, answer, escape(detail))
    return table if table.row_count else None


def _networks(assessment: Assessment) -> Table | None:
    """Show whether workloads go on where the network fails; None: not asked."""
    table = Table(title="Where the network fails", title_justify="left")
    for column in ("workload", "network", "answer", "detail"):
        table.add_column(column, overflow="fold")
    for found in assessment.findings:
        if found.code.startswith(_NETWORK):
            network = str(found.values.get("condition", "–"))
            answer = found.code.removeprefix(_NETWORK)
            detail = escape(str(found.values["detail"]))
            table.add_row(found.subject, network, answer, detail)
    return table if table.row_count else None


def _accuracy(record: RunRecord, assessment: Assessment) -> Table | None:
    """Show how good the answers to labelled items were; None where there are none."""
    found = {(one.workload, one.measurand.name): one for one in assessment.estimates}
    table = Table(title="Accuracy on labelled items", title_justify="left")
    for column in ("workload", "metric", "items", *(name for name, _ in _ACCURACY)):
        table.add_column(column)
    for workload, data in record.plan.labelled.items():
        cells = (
            estimate_text(one) if (one := found.get((workload, name))) else "–"
            for _, name in _ACCURACY
        )
        table.add_row(workload, data.metric.value, str(data.items), *cells)
    return table if table.row_count else None


def _groups(assessment: Assessment) -> Table | None:
    """Show the accuracy of each language or other group; None where none was said."""
    table = Table(title="Accuracy by group of items", title_justify="left")
    for column in ("workload", "group", "metric", "over Chinese"):
        table.add_column(column)
    ratios = {
        (one.workload, one.condition): estimate_text(one)
        for one in assessment.estimates
        if one.measurand.name == "language_ratio"
    }
    for one in assessment.estimates:
        if one.measurand.name == "group_metric":
            place = (one.workload, one.condition)
            table.add_row(
                *map(escape, place), estimate_text(one), ratios.get(place, "–")
            )
    return table if table.row_count else None


def _tables_of_figures(record: RunRecord, assessment: Assessment) -> Iterator[Table]:
    """Give the main figures: of language models in a table of their own."""
    kinds = {
        w.id: any(isinstance(s, Talking) for s in w.scenarios)
        for w in record.plan.suite.workloads
    }
    for columns, talks in ((_COLUMNS, False), (_TALK_COLUMNS, True)):
        names = [name for name, is_talk in kinds.items() if is_talk is talks]
        if names:
            yield _figures(names, assessment, columns)


def _figures(names: list[str], assessment: Assessment, wanted: _Columns) -> Table:
    """Show the main figures of some workloads; the host's stand under their name."""
    found: dict[tuple[str, Origin, str, str], Estimate] = {}
    for one in assessment.estimates:
        for scenario in (one.scenario, ""):
            # of several loads the first, which is one user's
            key = (one.workload, one.origin, one.measurand.name, scenario)
            found.setdefault(key, one)
    columns = [
        c for c in wanted if any(key[0] in names and key[2:] == c[1:3] for key in found)
    ]
    table = Table(
        title="Figures, each with its expanded uncertainty", title_justify="left"
    )
    table.add_column("workload")
    table.add_column("on")
    for heading, _, _, unit in columns:
        table.add_column(f"{heading} ({unit})", justify="right", no_wrap=True)
    origins = dict.fromkeys(one.origin for one in assessment.estimates)
    for workload in names:
        for origin in sorted(origins):
            cells = (
                _cell(found.get((workload, origin, name, scenario)), unit)
                for _, name, scenario, unit in columns
            )
            table.add_row(workload, origin.value, *cells)
    if Origin.HOST in origins:
        table.caption = "host: this machine, for reference, never graded"
        table.caption_justify = "left"
    return table


def _cell(one: Estimate | None, unit: str) -> str:
    if one is None:
        return "–"
    text = f"{from_si(one.value, unit):.3g}"
    if not one.expanded_uncertainty or not one.value:
        return text
    share = 100 * one.expanded_uncertainty / abs(one.value)
    digits = f"{share:.2g}" if share < 100 else f"{share:.0f}"  # noqa: PLR2004
    return f"{text} ± {digits} %"


def _verdicts(record: RunRecord, grade: Grade) -> Table:
    plan = record.plan
    title = f"{plan.profile.title_en} · {plan.preset.name} · tiers {plan.tier_set}"
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("row", "what", "value ± U", "A / B / C", "tier", "simple"):
        table.add_column(column, no_wrap=column != "what")
    for row in grade.rows:
        if row.status is not RowStatus.NOT_MEASURED:
            table.add_row(*_cells(row))
    return table


def _cells(row: RowResult) -> tuple[str, ...]:
    requirement = row.requirement
    limits = " / ".join(
        f"{from_si(requirement.limits[tier], requirement.unit):g}"
        for tier in (Tier.A, Tier.B, Tier.C)
    )
    value = estimate_text(row.estimate, requirement.unit) if row.estimate else ""
    return (
        f"{'●' if row.is_core else '○'} {requirement.id}",
        requirement.statement,
        value,
        f"{requirement.sense} {limits}",
        row.guarded.value if row.guarded else "?",
        row.simple.value if row.simple else "",
    )


def _undetermined(grade: Grade) -> dict[str, list[str]]:
    """Group the rows that were measured and could not be told, by reason in words."""
    words = catalogue("en")
    reasons: dict[str, list[str]] = {}
    for row in grade.rows:
        if row.status is RowStatus.NOT_DETERMINED:
            reason = words[f"reason.{row.reason}"]
            reasons.setdefault(reason, []).append(row.requirement.id)
    return reasons


def _summary(assessment: Assessment) -> str:
    grade = assessment.grade
    text = f"{assessment.validity} · class grade: "
    if grade.missed_gates and grade.tier is not None:
        return f"{text}{grade.tier} (gates missed: {', '.join(grade.missed_gates)})"
    if grade.tier is not None:
        return f"{text}{grade.tier} (worst core row: {grade.worst_row})"
    text += "not determined"
    if grade.missing:
        text += f"; core rows without an answer: {', '.join(grade.missing)}"
    if grade.partial is not None:
        text += f"; worst so far: {grade.partial} ({grade.worst_row})"
    return text


def _facts(derived: Derived) -> dict[str, object]:
    record, assessment = derived.record, derived.assessment
    grade = assessment.grade
    return {
        "bundle": str(derived.bundle),
        "report": str(derived.report) if derived.report else None,
        "device": record.plan.profile.name,
        "plan_id": record.plan_id,
        "origin": grade.origin.value,
        "is_evidence": grade.is_evidence,
        "validity": assessment.validity.value,
        "tier": grade.tier,
        "partial": grade.partial,
        "missing": list(grade.missing),
        "gates": {one.gate.id: one.status.value for one in grade.gates},
        "rows": [_row_facts(row) for row in grade.rows],
        "findings": to_plain(assessment.findings, tuple),
    }


def _row_facts(row: RowResult) -> dict[str, object]:
    estimate = row.estimate
    return {
        "id": row.requirement.id,
        "is_core": row.is_core,
        "status": row.status.value,
        "reason": row.reason,
        "value": estimate.value if estimate else None,
        "expanded_uncertainty": estimate.expanded_uncertainty if estimate else None,
        "unit": estimate.measurand.unit if estimate else None,
        "origin": estimate.origin.value if estimate else None,
        "guarded": row.guarded,
        "simple": row.simple,
    }

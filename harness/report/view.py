"""A record and its assessment as the page shows them: codes and values, no words.

Everything that the templates need is worked out here, so that they only lay it out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.domain.assessment import Assessment
from harness.domain.finding import Finding, Severity, Validity
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.plan import Arm
from harness.domain.record import RunRecord
from harness.domain.requirement import GateStatus, RowStatus, Tier, TierSet
from harness.domain.workload import ModelArtifact
from harness.report.countedview import CountedView, counted_view
from harness.report.labview import LabField, lab_fields, report_id, title_of
from harness.report.powerview import MeterView, meter_view
from harness.report.predictionview import PredictionView, prediction_views
from harness.report.rowview import RowView, row_view
from harness.report.workloadview import WorkloadView, workload_views

_SEVERITIES = (Severity.INVALIDATING, Severity.CONDITIONAL, Severity.NOTE)
_WORD = re.compile(r"[\w-]+")
_STAMPED = (Origin.EMULATED, Origin.SIMULATED, Origin.HOST, Origin.DECLARED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingGroup:
    """All findings of one code and severity, about the device or about the host."""

    code: str
    severity: Severity
    is_about_host: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """Everything on the page, worked out but not worded."""

    report_id: str
    title: str
    """Key of the title: a test report of an accredited laboratory, or a self-test."""
    stamp: Origin | None
    """Why nothing here is evidence (watermark on every page); None: all measured."""
    obstacles: tuple[str, ...]
    """What keeps the result from supporting an application; empty: nothing does."""
    rows: tuple[RowView, ...]
    judged: tuple[RowView, ...]
    unanswered_core: tuple[RowView, ...]
    worst: RowView | None
    tiers_of: dict[str, int]
    """How many judged rows reached each tier."""
    evidence_class: EvidenceClass | None
    """The weakest class behind a power figure of the device; None: no such figure."""
    workloads: tuple[WorkloadView, ...]
    host: tuple[WorkloadView, ...]
    predictions: tuple[PredictionView, ...]
    """What the device model said of each workload; empty unless it is emulated."""
    counted: CountedView | None
    """Instructions of an emulated processor; None: nothing was counted."""
    meter: MeterView | None
    """What read the device's power, and how its clock was related; None: nothing."""
    findings: tuple[FindingGroup, ...]
    models: tuple[ModelArtifact, ...]
    lab: tuple[LabField, ...]
    sources: tuple[tuple[str, str], ...]
    """Keys that the rows cite, and what they stand for."""


def report_view(
    record: RunRecord, assessment: Assessment, tier_set: TierSet
) -> ReportView:
    """Work out what the page shows."""
    rows = tuple(row_view(result, record.plan) for result in assessment.grade.rows)
    judged = tuple(row for row in rows if row.is_judged)
    stamp = stamp_of(record, assessment)
    return ReportView(
        report_id=report_id(record),
        title=title_of(record, stamp),
        stamp=stamp,
        obstacles=tuple(_obstacles(record, assessment)),
        rows=rows,
        judged=judged,
        unanswered_core=tuple(_unanswered_core(rows, assessment)),
        worst=next((row for row in rows if _is_worst(row, assessment)), None),
        tiers_of={
            tier.value: sum(row.result.guarded is tier for row in judged)
            for tier in Tier
        },
        evidence_class=_weakest_class(assessment),
        workloads=workload_views(record, assessment, rows, Arm.DEVICE),
        host=workload_views(record, assessment, (), Arm.HOST),
        predictions=prediction_views(record),
        counted=counted_view(record, assessment),
        meter=meter_view(record),
        findings=tuple(_grouped(all_findings(record, assessment), record)),
        models=record.plan.models,
        lab=lab_fields(record, tier_set, stamp),
        sources=tuple(_sources(rows, tier_set)),
    )


def stamp_of(record: RunRecord, assessment: Assessment) -> Origin | None:
    """Say which origin keeps the figures from being evidence; None where none does.

    Asked of everything that knows an origin, so that a record that is emulated in
    any part can never be shown as measured.
    """
    found = {assessment.grade.origin}
    found |= {row.estimate.origin for row in assessment.grade.rows if row.estimate}
    found |= {e.origin for e in assessment.estimates} - {Origin.HOST}
    if record.plan.is_emulated:
        found.add(Origin.EMULATED)
    for trial in record.trials:
        if trial.trial.arm is Arm.DEVICE:
            found |= {block.origin for block in trial.readings} - {Origin.HOST}
    for planned in record.plan.trials:
        if planned.arm is Arm.DEVICE and planned.target in record.suts:
            found.add(record.suts[planned.target].origin)
    return next((origin for origin in _STAMPED if origin in found), None)


def all_findings(record: RunRecord, assessment: Assessment) -> tuple[Finding, ...]:
    """Give the findings of the assessment, and those of the run not among them."""
    missing = [f for f in record.findings if f not in assessment.findings]
    return (*assessment.findings, *missing)


def _obstacles(record: RunRecord, assessment: Assessment) -> Iterable[str]:
    if stamp_of(record, assessment) is not None:
        yield "origin"
    if not record.plan.preset.is_evidential:
        yield "preset"
    if assessment.validity is Validity.INVALID:
        yield "invalid"
    if assessment.grade.tier is None:
        yield "undetermined"
    if not record.is_complete:
        yield "incomplete"
    if any(one.status is not GateStatus.MET for one in assessment.grade.gates):
        yield "gates"


def _unanswered_core(
    rows: Iterable[RowView], assessment: Assessment
) -> Iterable[RowView]:
    missing = set(assessment.grade.missing)
    for row in rows:
        is_unanswered = row.result.status is not RowStatus.JUDGED
        if row.requirement.id in missing or (row.result.is_core and is_unanswered):
            yield row


def _is_worst(row: RowView, assessment: Assessment) -> bool:
    return row.requirement.id == assessment.grade.worst_row and row.is_judged


def _weakest_class(assessment: Assessment) -> EvidenceClass | None:
    classes = [
        estimate.evidence_class
        for estimate in assessment.estimates
        if estimate.evidence_class is not None and estimate.origin is not Origin.HOST
    ]
    return max(classes, key=lambda one: one.value, default=None)


def _grouped(findings: Iterable[Finding], record: RunRecord) -> Iterable[FindingGroup]:
    on_host = {t.id for t in record.plan.trials if t.arm is Arm.HOST}
    groups: dict[tuple[Severity, str, bool], list[Finding]] = {}
    for finding in findings:
        arm = finding.values.get("arm", "")
        is_about_host = finding.subject in on_host or arm == Arm.HOST.value
        key = (finding.severity, finding.code, is_about_host)
        groups.setdefault(key, []).append(finding)
    for (severity, code, is_about_host), members in sorted(
        groups.items(), key=lambda item: (_SEVERITIES.index(item[0][0]), item[0][2])
    ):
        yield FindingGroup(
            code=code,
            severity=severity,
            is_about_host=is_about_host,
            findings=tuple(members),
        )


def _sources(rows: Iterable[RowView], tier_set: TierSet) -> Iterable[tuple[str, str]]:
    """Give the citations that the rows name, and those of the gates."""
    said = " ".join(
        [row.requirement.source for row in rows]
        + [gate.source for gate in tier_set.gates]
    )
    named = set(_WORD.findall(said))
    return ((key, text) for key, text in tier_set.sources.items() if key in named)

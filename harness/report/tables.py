"""The figures of a report as pandas tables, in the units used inside.

For machines and for people with a spreadsheet: nothing is rounded, and every row
that holds a figure says its unit, its uncertainty and its origin.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pandas as pd

from harness.domain.assessment import Assessment
from harness.domain.estimate import Estimate, Withheld
from harness.domain.finding import Finding
from harness.domain.record import RunRecord, TrialRecord
from harness.domain.requirement import RowResult, Tier
from harness.report.view import all_findings
from harness.units import si_unit

T = TypeVar("T")
Columns = Mapping[str, Callable[[T], object]]
"""Name of a column → how its value is taken from a noun."""


def tables(record: RunRecord, assessment: Assessment) -> dict[str, pd.DataFrame]:
    """Give ``estimates``, ``withheld``, ``rows``, ``findings`` and ``trials``.

    Values are in the unit that the column ``unit`` names. A table without a row
    still has its columns.
    """
    rows = _frame(_ROW, assessment.grade.rows)
    rows["grade_origin"] = assessment.grade.origin.value
    return {
        "estimates": _frame(_ESTIMATE, assessment.estimates),
        "withheld": _frame(_WITHHELD, assessment.withheld),
        "rows": rows,
        "findings": _frame(_FINDING, all_findings(record, assessment)),
        "trials": _frame(_TRIAL, record.trials),
    }


def _frame(columns: Columns[T], nouns: Sequence[T]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: [take(noun) for noun in nouns] for name, take in columns.items()}
    )


def _of_estimate(
    take: Callable[[Estimate], object],
) -> Callable[[RowResult], object]:
    return lambda row: None if row.estimate is None else take(row.estimate)


def _verdict(tier: Tier) -> Callable[[RowResult], object]:
    return lambda row: row.verdicts[tier].value if tier in row.verdicts else None


def _conformance(tier: Tier) -> Callable[[RowResult], object]:
    return lambda row: row.conformance.get(tier)


def _limit(tier: Tier) -> Callable[[RowResult], object]:
    return lambda row: row.requirement.limits[tier]


_ESTIMATE: Columns[Estimate] = {
    "workload": lambda e: e.workload,
    "scenario": lambda e: e.scenario,
    "condition": lambda e: e.condition,
    "measurand": lambda e: e.measurand.name,
    "origin": lambda e: e.origin.value,
    "value": lambda e: e.value,
    "unit": lambda e: e.measurand.unit,
    "standard_uncertainty": lambda e: e.standard_uncertainty,
    "coverage_factor": lambda e: e.coverage_factor,
    "expanded_uncertainty": lambda e: e.expanded_uncertainty,
    "lower_bound": lambda e: e.lower_bound,
    "upper_bound": lambda e: e.upper_bound,
    "runs": lambda e: e.runs,
    "queries": lambda e: e.queries,
    "method": lambda e: e.method,
    "evidence_class": lambda e: e.evidence_class.value if e.evidence_class else None,
}

_WITHHELD: Columns[Withheld] = {
    "workload": lambda w: w.workload,
    "scenario": lambda w: w.scenario,
    "condition": lambda w: w.condition,
    "measurand": lambda w: w.measurand.name,
    "origin": lambda w: w.origin.value,
    "reason": lambda w: w.reason,
    "observed_queries": lambda w: w.observed_queries,
    "needed_queries": lambda w: w.needed_queries,
}

_ROW: Columns[RowResult] = {
    "row": lambda r: r.requirement.id,
    "statement": lambda r: r.requirement.statement,
    "measurand": lambda r: r.requirement.measurand,
    "is_core": lambda r: r.is_core,
    "status": lambda r: r.status.value,
    "reason": lambda r: r.reason,
    "workload": _of_estimate(lambda e: e.workload),
    "origin": _of_estimate(lambda e: e.origin.value),
    "value": _of_estimate(lambda e: e.value),
    "unit": lambda r: si_unit(r.requirement.unit),
    "expanded_uncertainty": _of_estimate(lambda e: e.expanded_uncertainty),
    "lower_bound": _of_estimate(lambda e: e.lower_bound),
    "upper_bound": _of_estimate(lambda e: e.upper_bound),
    "sense": lambda r: r.requirement.sense.value,
    "limit_a": _limit(Tier.A),
    "limit_b": _limit(Tier.B),
    "limit_c": _limit(Tier.C),
    "guarded_tier": lambda r: r.guarded.value if r.guarded else None,
    "simple_tier": lambda r: r.simple.value if r.simple else None,
    "verdict_a": _verdict(Tier.A),
    "verdict_b": _verdict(Tier.B),
    "verdict_c": _verdict(Tier.C),
    "conformance_a": _conformance(Tier.A),
    "conformance_b": _conformance(Tier.B),
    "conformance_c": _conformance(Tier.C),
    "score": lambda r: r.score,
    "evidence": lambda r: r.requirement.evidence,
    "source": lambda r: r.requirement.source,
}

_FINDING: Columns[Finding] = {
    "code": lambda f: f.code,
    "severity": lambda f: f.severity.value,
    "subject": lambda f: f.subject,
    "values": lambda f: json.dumps(f.values, ensure_ascii=False, sort_keys=True),
}

_TRIAL: Columns[TrialRecord] = {
    "trial": lambda t: t.trial.id,
    "arm": lambda t: t.trial.arm.value,
    "target": lambda t: t.trial.target,
    "workload": lambda t: t.trial.workload,
    "scenario": lambda t: t.trial.scenario.kind,
    "run": lambda t: t.trial.run,
    "outcome": lambda t: t.outcome.value if t.outcome else None,
    "reason": lambda t: t.reason,
    "clock": lambda t: t.clock,
    "queries": lambda t: len(t.queries) if t.queries else 0,
    "measured_queries": lambda t: sum(t.queries.is_measured) if t.queries else 0,
    "started_at": lambda t: t.started_at,
    "ended_at": lambda t: t.ended_at,
}

"""Rows of the tier set as the page shows them: where the value stands, and how sure."""

from dataclasses import dataclass

from harness.domain.plan import Plan
from harness.domain.requirement import Requirement, RowResult, RowStatus
from harness.report.tierscale import Mark, mark

_UNVERIFIED = frozenset({"S", "K"})
"""Evidence codes of limits that rest on second-hand or unchecked sources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowView:
    """One row: its result, its name in parts, and its mark on the common scale.

    `name` are parts as `Words.joined` takes them: what was run, and what is asked.
    """

    result: RowResult
    name: tuple[tuple[str, str] | str, ...]
    mark: Mark | None
    evidence_codes: tuple[str, ...]

    @property
    def requirement(self) -> Requirement:
        """The row of the tier set."""
        return self.result.requirement

    @property
    def is_judged(self) -> bool:
        """Say whether the row has an answer."""
        return self.result.status is RowStatus.JUDGED

    @property
    def is_unverified(self) -> bool:
        """Say whether its limits rest on a second-hand or unchecked source."""
        return not _UNVERIFIED.isdisjoint(self.evidence_codes)


def row_view(result: RowResult, plan: Plan) -> RowView:
    """Prepare one row for the page."""
    requirement = result.requirement
    asked = (
        f"measurand.{requirement.measurand}"
        if requirement.measurand
        else (requirement.statement, requirement.statement)
    )
    return RowView(
        result=result,
        name=(*_what_was_run(result, plan), asked),
        mark=mark(result, plan.guard_ratio),
        evidence_codes=tuple(requirement.evidence.split("+")),
    )


def _what_was_run(result: RowResult, plan: Plan) -> tuple[tuple[str, str], ...]:
    known = {
        workload.id: (workload.title_zh, workload.title_en)
        for workload in plan.suite.workloads
    }
    ids = result.requirement.workloads
    if result.estimate is not None and result.estimate.workload:
        ids = (result.estimate.workload,)
    if not ids:
        return ()
    titles = [known.get(name, (name, name)) for name in ids]
    return ((" / ".join(zh for zh, _ in titles), " / ".join(en for _, en in titles)),)

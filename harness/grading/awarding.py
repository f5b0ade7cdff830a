"""Rows to a grade: which rows are core, what each says, and the worst of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from statistics import fmean

from harness.domain.estimate import Estimate, Withheld
from harness.domain.finding import Finding, Validity
from harness.domain.origin import Origin
from harness.domain.plan import Plan
from harness.domain.requirement import (
    ClassTiers,
    GateResult,
    Grade,
    Requirement,
    RowResult,
    RowStatus,
    Tier,
    TierSet,
    Verdict,
)
from harness.errors import UnknownName
from harness.grading.facts import (
    NETWORKED,
    PLACED,
    Facts,
    why_not_determined,
    why_not_measured,
)
from harness.grading.gates import GateFacts, decide_gates
from harness.grading.rule import conformance, judge, meets_limit, score

_AWARDED = (Tier.A, Tier.B, Tier.C)


def award(  # noqa: PLR0913 - each is another input of one pure step
    tier_set: TierSet,
    plan: Plan,
    *,
    estimates: Iterable[Estimate],
    withheld: Iterable[Withheld],
    validity: Validity,
    origin: Origin,
    findings: Iterable[Finding] = (),
) -> Grade:
    """Grade a device by the tier set, from the figures of one origin alone.

    Gates are decided from `findings` and figures; a missed one makes the grade D.

    Raises UnknownName for a device class or a sub-type that the tier set lacks, and
    ValueError for `Origin.HOST`: the machine that stands in is never graded.
    """
    if origin is Origin.HOST:
        raise ValueError("the host is a reference and is never graded")
    tiers = _class_tiers(tier_set, plan)
    core = core_rows(tiers, plan.profile.subtypes)
    facts = Facts(
        plan=plan,
        estimates=tuple(one for one in estimates if one.origin is origin),
        withheld=tuple(one for one in withheld if one.origin is origin),
        validity=validity,
        origin=origin,
    )
    rows = tuple(_answer(row, facts, is_core=row.id in core) for row in tiers.rows)
    gates = decide_gates(
        tier_set.gates,
        GateFacts(plan=plan, estimates=facts.estimates, findings=tuple(findings)),
    )
    return _behind_gates(_grade(rows, tiers.weights, facts), gates)


def core_rows(tiers: ClassTiers, subtypes: Iterable[str]) -> frozenset[str]:
    """Name the rows that the class grade rests on, for the declared sub-types.

    Without a declared sub-type, those that are core by default. Raises UnknownName.
    """
    declared = tuple(subtypes)
    for name in declared:
        if name not in tiers.applies:
            kind = f"sub-type of {tiers.device_class.value}"
            raise UnknownName(kind, name, tiers.applies)
    if not declared:
        return frozenset(row.id for row in tiers.rows if row.is_core)
    return frozenset(row for name in declared for row in tiers.applies[name])


def meets(grade: Grade, tier: Tier) -> bool | None:
    """Say whether a grade is that tier or a better one; None: could not tell.

    Where some core rows lack an answer, a judged core row that misses the tier
    already settles it: the class grade is never better than its worst row.
    """
    if grade.tier is not None:
        return grade.tier <= tier
    if grade.partial is not None and grade.partial > tier:
        return False
    return None


def _class_tiers(tier_set: TierSet, plan: Plan) -> ClassTiers:
    device_class = plan.profile.device_class
    if device_class not in tier_set.classes:
        raise UnknownName(
            f"device class in tier set {tier_set.version}",
            device_class.value,
            [known.value for known in tier_set.classes],
        )
    return tier_set.classes[device_class]


def _behind_gates(grade: Grade, gates: tuple[GateResult, ...]) -> Grade:
    """Have a missed gate decide, unless the run is invalid: that is no answer."""
    judged = replace(grade, gates=gates)
    if not judged.missed_gates or grade.validity is Validity.INVALID:
        return judged
    return replace(judged, tier=Tier.D, partial=Tier.D)


def _answer(requirement: Requirement, facts: Facts, *, is_core: bool) -> RowResult:
    """Answer one row by the worst of the figures that it is about."""
    reason = why_not_measured(requirement, facts)
    if reason:
        return _unmeasured(requirement, reason, is_core=is_core)
    judged = []
    for workload in sorted({trial.workload for trial in facts.trials_for(requirement)}):
        found = facts.estimates_for(requirement, workload)
        if not found:
            withheld = facts.withheld_for(requirement, workload)
            reason = withheld.reason if withheld else _missing(requirement)
            return _unmeasured(requirement, reason, is_core=is_core, withheld=withheld)
        judged += [_judged(requirement, one, facts, is_core=is_core) for one in found]
    return max(judged, key=_badness)


def _unmeasured(
    requirement: Requirement,
    reason: str,
    *,
    is_core: bool,
    withheld: Withheld | None = None,
) -> RowResult:
    return RowResult(
        requirement=requirement,
        is_core=is_core,
        status=RowStatus.NOT_MEASURED,
        reason=reason,
        withheld=withheld,
    )


def _missing(requirement: Requirement) -> str:
    if requirement.measurand in {NETWORKED, *PLACED}:
        return "network-not-tried"
    return "needs-meter" if requirement.family == "energy" else "no-estimate"


def _judged(
    requirement: Requirement, estimate: Estimate, facts: Facts, *, is_core: bool
) -> RowResult:
    verdicts = {
        tier: judge(requirement, tier, estimate, facts.plan.guard_ratio)
        for tier in _AWARDED
    }
    reason = why_not_determined(requirement, estimate, facts)
    passed = (t for t in _AWARDED if verdicts[t] is Verdict.PASS)
    met = (t for t in _AWARDED if meets_limit(requirement, t, estimate.value))
    return RowResult(
        requirement=requirement,
        is_core=is_core,
        status=RowStatus.NOT_DETERMINED if reason else RowStatus.JUDGED,
        estimate=estimate,
        verdicts=verdicts,
        conformance={t: conformance(requirement, t, estimate) for t in _AWARDED},
        guarded=None if reason else next(passed, Tier.D),
        simple=None if reason else next(met, Tier.D),
        score=None if reason else score(requirement, estimate.value),
        reason=reason,
    )


def _badness(result: RowResult) -> tuple[int, float]:
    """Order answers of one row: D, then no answer, then C, B, A; then the score."""
    if result.guarded is None:
        return 3, 0.0
    rank = {Tier.A: 0, Tier.B: 1, Tier.C: 2, Tier.D: 4}[result.guarded]
    return rank, -(result.score or 0.0)


def _grade(
    rows: tuple[RowResult, ...], weights: Mapping[str, float], facts: Facts
) -> Grade:
    core = [row for row in rows if row.is_core]
    missing = tuple(row.requirement.id for row in core if row.guarded is None)
    answered = [row for row in core if row.guarded is not None]
    worst = max(answered, key=_badness, default=None)
    families = _family_scores(rows)
    return Grade(
        tier=worst.guarded if worst and not missing else None,
        partial=worst.guarded if worst else None,
        missing=missing,
        worst_row=worst.requirement.id if worst else None,
        rows=rows,
        score=_weighted(families, weights),
        validity=facts.validity,
        origin=facts.origin,
        unscored_families=tuple(
            family for family in weights if weights[family] and family not in families
        ),
    )


def _family_scores(rows: Iterable[RowResult]) -> dict[str, float]:
    scores: dict[str, list[float]] = {}
    for row in rows:
        if row.score is not None:
            scores.setdefault(row.requirement.family, []).append(row.score)
    return {family: fmean(values) for family, values in scores.items()}


def _weighted(
    families: Mapping[str, float], weights: Mapping[str, float]
) -> float | None:
    """Weigh the families that have a score, their weights scaled up to 1."""
    total = sum(weight for family, weight in weights.items() if family in families)
    if total == 0:
        return None
    parts = (
        weight * families[family]
        for family, weight in weights.items()
        if family in families
    )
    return sum(parts) / total

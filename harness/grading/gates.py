"""Gates: what must hold before any tier. A missed one makes the grade D.

Each is decided from what the record itself shows; what nobody looked at is unchecked,
and never met.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.domain.estimate import Estimate
from harness.domain.finding import Finding, Severity
from harness.domain.plan import Arm, Plan
from harness.domain.requirement import Gate, GateResult, GateStatus
from harness.domain.workload import OWN_SUITE

_ABORTS = frozenset({"trial-crashed", "trial-out-of-memory", "trial-hung"})
_PRIVACY = "privacy-"
_NETWORK_CHECKS = frozenset({"isolated", "sends-nothing"})
_METRIC = "task_metric"

_Answer = tuple[GateStatus, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """What gates are decided by."""

    plan: Plan
    estimates: tuple[Estimate, ...]
    """Of the device alone."""
    findings: tuple[Finding, ...]


def decide_gates(gates: Iterable[Gate], facts: GateFacts) -> tuple[GateResult, ...]:
    """Decide each gate; one that this harness does not know stays unchecked."""
    return tuple(_decided(gate, facts) for gate in gates)


def _decided(gate: Gate, facts: GateFacts) -> GateResult:
    status, subjects = _DECIDE.get(gate.id, _unknown)(gate, facts)
    return GateResult(gate=gate, status=status, subjects=subjects)


def _unknown(gate: Gate, facts: GateFacts) -> _Answer:
    del gate, facts
    return GateStatus.UNCHECKED, ()


def _no_crash(gate: Gate, facts: GateFacts) -> _Answer:
    del gate
    ended = tuple(
        finding.subject
        for finding in facts.findings
        # what befell the host, which is only a reference, is a note
        if finding.code in _ABORTS and finding.severity is not Severity.NOTE
    )
    if ended:
        return GateStatus.MISSED, ended
    return (GateStatus.MET if facts.estimates else GateStatus.UNCHECKED), ()


def _on_device(gate: Gate, facts: GateFacts) -> _Answer:
    """Decide by the checks with and without a network, of each model of the device."""
    del gate
    found: dict[str, dict[str, str]] = {}
    for finding in facts.findings:
        if finding.code.startswith(_PRIVACY):
            check = str(finding.values["condition"])
            state = finding.code.removeprefix(_PRIVACY)
            found.setdefault(finding.subject, {})[check] = state
    sent = tuple(m for m, checks in found.items() if _said(checks, "failed"))
    if sent:
        return GateStatus.MISSED, sent
    models = {t.model for t in facts.plan.trials if t.arm is Arm.DEVICE}
    unchecked = [m for m in models if not _all_passed(found.get(m, {}))]
    return (GateStatus.UNCHECKED if unchecked else GateStatus.MET), ()


def _said(checks: Mapping[str, str], state: str) -> bool:
    return any(checks.get(name) == state for name in _NETWORK_CHECKS)


def _all_passed(checks: Mapping[str, str]) -> bool:
    return all(checks.get(name) == "passed" for name in _NETWORK_CHECKS)


def _quality_target(gate: Gate, facts: GateFacts) -> _Answer:
    """Decide by the accuracy of an applicant's own model on the applicant's items.

    Items that this harness ships are not the benchmark's that the target is of.
    """
    if facts.plan.suite.name != OWN_SUITE:
        return GateStatus.UNCHECKED, ()
    found = [
        (gate.targets[one.workload], one)
        for one in facts.estimates
        if one.measurand.name == _METRIC and one.workload in gate.targets
    ]
    if not found:
        return GateStatus.UNCHECKED, ()
    missed = tuple(
        one.workload
        for target, one in found
        if one.upper_bound is not None and one.upper_bound < target
    )
    if missed:
        return GateStatus.MISSED, missed
    is_met = all(
        one.lower_bound is not None and one.lower_bound >= target
        for target, one in found
    )
    return (GateStatus.MET if is_met else GateStatus.OPEN), ()


_DECIDE: Mapping[str, Callable[[Gate, GateFacts], _Answer]] = MappingProxyType(
    {
        "no_crash": _no_crash,
        "on_device": _on_device,
        "quality_target": _quality_target,
    }
)

"""Everything that is derived from a record before it is shown to a person."""

from dataclasses import dataclass

from harness.domain.estimate import Estimate, Withheld
from harness.domain.finding import Finding, Validity
from harness.domain.requirement import Grade


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Estimates, findings, validity and grade of one record."""

    estimates: tuple[Estimate, ...]
    """Of the device arm and of the host arm; told apart by their origin."""
    withheld: tuple[Withheld, ...]
    findings: tuple[Finding, ...]
    validity: Validity
    grade: Grade

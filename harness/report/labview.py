"""The fields that ISO/IEC 17025:2017, 7.8 asks of a report, one by one.

A field that nobody gave is printed as *not given*; none is ever left out, and none
is guessed. What can be read from the record itself stands in for what was not said.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.domain.origin import Origin
from harness.domain.record import RunRecord
from harness.domain.requirement import TierSet

ACCREDITATION = "lab.accreditation"
"""Key of the accreditation number; with it the page is a test report."""

REPORT_ID = "report.id"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabField:
    """One field: its clause, its key, and what stands there.

    `value` is text that was given or read from the record; `wording` the key of a
    fixed sentence. Both None: not given.
    """

    clause: str
    key: str
    value: str | None = None
    wording: str | None = None
    is_from_customer: bool = False


FIELDS: tuple[tuple[str, str], ...] = (
    ("7.8.2.1 a", "title"),
    ("7.8.2.1 b", "lab.name"),
    ("7.8.2.1 b", "lab.address"),
    ("7.8.2.1 b", ACCREDITATION),
    ("7.8.2.1 c", "lab.location"),
    ("7.8.2.1 d", REPORT_ID),
    ("7.8.2.1 e", "customer.name"),
    ("7.8.2.1 e", "customer.contact"),
    ("7.8.2.1 e", "customer.address"),
    ("7.8.2.1 f", "method.id"),
    ("7.8.2.1 f", "method.version"),
    ("7.8.2.1 f", "method.tiers"),
    ("7.8.2.1 g", "item.brand"),
    ("7.8.2.1 g", "item.model"),
    ("7.8.2.1 g", "item.sn"),
    ("7.8.2.1 g", "item.fw"),
    ("7.8.2.1 g", "item.hw"),
    ("7.8.2.1 g", "item.battery"),
    ("7.8.2.1 g", "item.photos"),
    ("7.8.2.1 g", "item.condition"),
    ("7.8.2.1 h", "dates.received"),
    ("7.8.2.1 h", "dates.sampled"),
    ("7.8.2.1 i", "dates.from"),
    ("7.8.2.1 i", "dates.to"),
    ("7.8.2.1 j", "dates.issued"),
    ("7.8.2.1 k", "sampling.plan"),
    ("7.8.2.1 k", "sampling.units"),
    ("7.8.2.1 l", "only_items_tested"),
    ("7.8.2.1 m", "results"),
    ("7.8.2.1 n", "deviations"),
    ("7.8.2.1 o", "authorised_by"),
    ("7.8.2.1 o", "authorised_role"),
    ("7.8.2.1 o", "signature"),
    ("7.8.2.1 p", "external"),
    ("7.8.2.1", "reproduction"),
    ("7.8.2.2", "responsibility"),
    ("7.8.3.1 a", "environment"),
    ("7.8.3.1 b", "conformity"),
    ("7.8.3.1 c", "uncertainty"),
    ("7.8.3.1 d", "opinions"),
    ("7.8.3.1 e", "provenance"),
    ("7.8.6.1", "decision_rule"),
    ("7.8.6.2 a", "applies_to"),
    ("7.8.6.2 b", "specification"),
    ("7.8.6.2 c", "rule_applied"),
    ("7.8.8", "amends"),
    ("7.8.8", "amendment_reason"),
    ("6.4, 6.5", "equipment"),
    ("7.5", "raw"),
)
"""Clause and key of every field, in the order of the standard."""

_FIXED = frozenset(
    {
        "only_items_tested",
        "results",
        "reproduction",
        "responsibility",
        "environment",
        "conformity",
        "uncertainty",
        "decision_rule",
        "applies_to",
        "specification",
        "rule_applied",
    }
)
"""Fields that the report answers with a sentence of its own."""

_NONE_UNLESS_GIVEN = frozenset({"deviations", "opinions", "amends"})
"""Fields where silence means none: the standard wants that to be said."""

_FROM_CUSTOMER = ("customer.", "item.", "dates.sampled", "sampling.")


def lab_fields(
    record: RunRecord, tier_set: TierSet, stamp: Origin | None
) -> tuple[LabField, ...]:
    """Fill every field from what was given, then from the record, then not at all."""
    given = {key: text for key, text in record.lab.fields.items() if text.strip()}
    known = {**_from_record(record, tier_set), **given}
    named = {key for _, key in FIELDS}
    others = (("", key) for key in sorted(given) if key not in named)
    title = LabField(
        clause=FIELDS[0][0], key=FIELDS[0][1], wording=title_of(record, stamp)
    )
    rest = (*FIELDS[1:], *others)
    return (title, *(_field(clause, key, known) for clause, key in rest))


def title_of(record: RunRecord, stamp: Origin | None) -> str:
    """Give the key of the title: only an accredited laboratory issues a test report.

    And only of what was measured: figures of a model are nobody's test results.
    """
    is_accredited = bool(record.lab.fields.get(ACCREDITATION, "").strip())
    return "title.test" if is_accredited and stamp is None else "title.self"


def report_id(record: RunRecord) -> str:
    """Give the id that stands on every part: as given, or the record's name."""
    return record.lab.fields.get(REPORT_ID, "").strip() or record.name


def _field(clause: str, key: str, known: Mapping[str, str]) -> LabField:
    wording = None
    if key in _FIXED and key not in known:
        wording = f"fixed.{key}"
    elif key in _NONE_UNLESS_GIVEN and key not in known:
        wording = "lab.none"
    return LabField(
        clause=clause,
        key=key,
        value=None if wording else known.get(key),
        wording=wording,
        is_from_customer=key.startswith(_FROM_CUSTOMER),
    )


def _from_record(record: RunRecord, tier_set: TierSet) -> dict[str, str]:
    plan = record.plan
    read = {
        REPORT_ID: record.name,
        "method.id": "duanping",
        "method.version": record.harness_version,
        "method.tiers": f"{tier_set.version} · sha256 {plan.tier_set_sha256}",
        "dates.from": record.started_at,
        "dates.to": record.ended_at,
        "provenance": f"plan sha256 {record.plan_id}",
        "raw": f"evidence/manifest.json · plan sha256 {record.plan_id}",
    }
    return {key: text for key, text in read.items() if text}

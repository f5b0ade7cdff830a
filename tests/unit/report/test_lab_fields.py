from dataclasses import replace

from harness.domain.origin import Origin
from harness.domain.record import LabInfo
from harness.report.labview import FIELDS, lab_fields, report_id, title_of
from harness.testing.pages import Case

CLAUSES = {f"7.8.2.1 {letter}" for letter in "abcdefghijklmnop"} | {
    "7.8.2.1",
    "7.8.2.2",
    "7.8.3.1 a",
    "7.8.3.1 b",
    "7.8.3.1 c",
    "7.8.3.1 d",
    "7.8.3.1 e",
    "7.8.6.1",
    "7.8.6.2 a",
    "7.8.6.2 b",
    "7.8.6.2 c",
    "7.8.8",
    "7.5",
    "6.4, 6.5",
}


def test_every_clause_of_the_standard_has_a_field() -> None:
    assert {clause for clause, _ in FIELDS} == CLAUSES


def test_nothing_is_guessed_that_was_not_given(emulated: Case) -> None:
    fields = {f.key: f for f in lab_fields(emulated.record, emulated.tier_set, None)}

    for key in ("lab.name", "customer.name", "item.brand", "dates.issued", "equipment"):
        assert fields[key].value is None
        assert fields[key].wording is None


def test_deviations_are_none_unless_given(emulated: Case) -> None:
    given = replace(
        emulated.record, lab=LabInfo(fields={"deviations": "ambient 27 °C"})
    )

    silent, said = (
        next(f for f in lab_fields(r, emulated.tier_set, None) if f.key == "deviations")
        for r in (emulated.record, given)
    )

    assert (silent.wording, silent.value) == ("lab.none", None)
    assert (said.wording, said.value) == (None, "ambient 27 °C")


def test_what_is_in_the_record_stands_in_for_what_was_not_said(emulated: Case) -> None:
    fields = {f.key: f for f in lab_fields(emulated.record, emulated.tier_set, None)}

    assert fields["dates.from"].value == emulated.record.started_at
    assert (
        fields["report.id"].value == emulated.record.name == report_id(emulated.record)
    )
    assert "sha256" in (fields["method.tiers"].value or "")


def test_what_comes_from_the_customer_is_marked(emulated: Case) -> None:
    fields = lab_fields(emulated.record, emulated.tier_set, None)

    marked = {f.key.partition(".")[0] for f in fields if f.is_from_customer}

    assert marked == {"customer", "item", "dates", "sampling"}
    assert not next(f for f in fields if f.key == "dates.from").is_from_customer


def test_a_field_that_nobody_asked_for_is_printed_last(emulated: Case) -> None:
    lab = LabInfo(fields={"lab.mood": "good", "lab.empty": "  "})

    fields = lab_fields(replace(emulated.record, lab=lab), emulated.tier_set, None)

    assert (fields[-1].key, fields[-1].value) == ("lab.mood", "good")
    assert len(fields) == len(FIELDS) + 1


def test_no_laboratory_issues_a_test_report_of_a_model(emulated: Case) -> None:
    lab = LabInfo(fields={"lab.accreditation": "CNAS L00000"})
    record = replace(emulated.record, lab=lab)

    assert title_of(record, None) == "title.test"
    assert title_of(record, Origin.EMULATED) == "title.self"
    assert title_of(emulated.record, None) == "title.self"

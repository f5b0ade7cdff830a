"""Rows and an emulated processor: no answer where time is needed, none by counts."""

from dataclasses import replace

import pytest

from harness.assessment import assess
from harness.domain.estimate import COUNTED, NEEDS_NO_TIME
from harness.domain.origin import Origin
from harness.domain.requirement import RowStatus, TierSet
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.testing.counted import a_counted_record


@pytest.fixture(scope="module")
def tiers() -> TierSet:
    return load_tier_set(tier_set_path("2026.1"))


def test_every_row_that_needs_time_says_why_it_has_no_answer(tiers: TierSet) -> None:
    grade = assess(a_counted_record(), tiers).grade

    needing = [
        row
        for row in grade.rows
        if row.requirement.measurand and row.requirement.measurand not in NEEDS_NO_TIME
    ]
    assert needing
    assert {row.status for row in needing} == {RowStatus.NOT_MEASURED}
    assert {row.reason for row in needing} == {"not-timed"}


def test_no_row_is_judged_by_a_count(tiers: TierSet) -> None:
    grade = assess(a_counted_record(), tiers).grade

    judged = {row.estimate.measurand.name for row in grade.rows if row.estimate}
    assert not judged & COUNTED
    assert grade.tier is None


def test_a_grade_of_it_is_never_evidence(tiers: TierSet) -> None:
    record = a_counted_record()
    suts = {
        address: replace(sut, origin=Origin.MEASURED)
        for address, sut in record.suts.items()
    }

    grade = assess(replace(record, suts=suts), tiers).grade

    assert grade.origin is Origin.EMULATED
    assert not grade.is_evidence


def test_a_row_that_limits_instructions_cannot_be_made(tiers: TierSet) -> None:
    row = next(iter(tiers.classes.values())).rows[0]

    with pytest.raises(ValueError, match="which are no time"):
        replace(row, measurand="instructions_per_inference")

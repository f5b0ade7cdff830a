"""The page of an emulated processor: counts beside no time, and stamped throughout."""

import re

import pytest

from harness.domain.requirement import TierSet
from harness.report.page import Language
from harness.testing.counted import TARGET, a_counted_record
from harness.testing.pages import Case, Page


@pytest.fixture(scope="module")
def page(tier_set: TierSet) -> Page:
    return Case.of(a_counted_record(), tier_set).page()


@pytest.fixture(scope="module")
def english(tier_set: TierSet) -> Page:
    return Case.of(a_counted_record(), tier_set).page(Language.EN)


def test_the_page_is_well_formed_and_has_a_section_of_counts(page: Page) -> None:
    assert page.mistakes == []
    assert "counted" in page.sections


def test_the_section_gives_counts_the_ratio_and_whether_kernels_agree(
    page: Page,
) -> None:
    text = page.texts["counted"]

    assert "919\u202f220" in text
    assert "0.333" in text
    assert "16 / 16" in text
    assert "3 / 16" in text
    assert "cortex-a76" in text


def test_every_section_of_the_page_carries_the_stamp(english: Page) -> None:
    for name in english.sections:
        assert "Emulated · not evidence" in english.texts[name]


def test_no_duration_stands_in_what_is_said_of_the_workloads(english: Page) -> None:
    said = " ".join(
        english.texts[name]
        for name in english.sections
        if name.startswith(("workload", "counted", "summary"))
    )

    assert not re.search(r"\d[\d.]*\s*(ns|µs|ms|s|mW|µW|mJ|µJ)\b", said)


def test_neither_a_device_model_nor_published_latencies_are_shown_beside_it(
    english: Page,
) -> None:
    assert "Parameters of the device model" not in english.texts["environment"]
    assert TARGET in english.texts["environment"]


def test_other_pages_have_no_such_section(emulated_page: Page) -> None:
    assert "counted" not in emulated_page.sections

from dataclasses import replace

import pytest

from harness.domain.finding import Validity
from harness.domain.record import LabInfo
from harness.domain.requirement import Tier, TierSet
from harness.domain.scenario import ColdStart, Scenario, Server
from harness.domain.sut import ConditionsReached
from harness.report.labview import FIELDS
from harness.report.page import Language
from harness.report.quantities import count
from harness.report.words import catalogue
from harness.testing.builders import (
    a_plan,
    a_record,
    a_trial,
    a_trial_record,
    some_latencies,
)
from harness.testing.pages import Case, Page


@pytest.mark.parametrize("code", ["zh", "en"])
def test_every_field_of_iso_17025_is_there_and_empty_ones_are_said_to_be_so(
    emulated: Case, code: str
) -> None:
    text = emulated.page(Language(code)).texts["laboratory"]
    words = catalogue(code)

    missing = [key for _, key in FIELDS if words[f"field.{key}"] not in text]

    assert missing == []
    assert text.count(words["not_given"]) >= 20
    assert words["lab.none"] in text


def test_what_the_laboratory_gave_is_printed(tier_set: TierSet) -> None:
    fields = {
        "lab.name": "青岛检测中心",
        "item.sn": "SN-4711",
        "report.id": "QD-26-001",
    }
    record = replace(a_record(("kws",)), lab=LabInfo(fields=fields))

    page = Case.of(record, tier_set).page()

    assert "青岛检测中心" in page.texts["laboratory"]
    assert "SN-4711" in page.texts["laboratory"]
    assert all("QD-26-001" in page.texts[name] for name in page.sections)


def test_only_an_accredited_laboratory_issues_a_test_report(
    measured: Case, measured_page: Page, emulated: Case
) -> None:
    accredited = LabInfo(fields={"lab.accreditation": "CNAS L00000"})
    real = replace(measured, record=replace(measured.record, lab=accredited))
    model = replace(emulated, record=replace(emulated.record, lab=accredited))

    pages = (measured_page, real.page(), model.page())
    titles = [page.source.partition("<h1>")[2].partition("</h1>")[0] for page in pages]

    assert ["自测报告" in title for title in titles] == [True, False, True]
    assert "检测报告" in titles[1]


def test_an_undetermined_grade_says_what_is_missing_and_how_to_get_it(
    emulated: Case, emulated_page: Page
) -> None:
    summary = emulated_page.texts["summary"]
    grade = emulated.assessment.grade

    missing = [row for row in grade.rows if row.requirement.id in grade.missing]

    assert grade.tier is None
    assert missing
    assert "无法判定" in summary
    for row in missing:
        assert row.requirement.id in summary
        assert catalogue("zh")[f"reason.{row.reason}"] in summary
        assert catalogue("en")[f"todo.{row.reason}"] in summary


def test_a_determined_grade_is_a_large_letter(emulated: Case) -> None:
    grade = replace(emulated.assessment.grade, tier=Tier.B, missing=())
    assessment = replace(emulated.assessment, grade=grade)

    page = replace(emulated, assessment=assessment).page()

    assert '<div class="badge tier-B">' in page.source
    assert '<span class="badge-letter">B</span>' in page.source
    assert "优良" in page.texts["summary"]


@pytest.mark.parametrize("validity", list(Validity))
def test_validity_is_said_on_page_one(emulated: Case, validity: Validity) -> None:
    assessment = replace(emulated.assessment, validity=validity)

    summary = replace(emulated, assessment=assessment).page().texts["summary"]

    assert catalogue("zh")[f"validity.{validity.value}"] in summary
    assert catalogue("en")[f"validity.{validity.value}"] in summary


def test_rows_on_second_hand_or_unchecked_sources_are_marked(
    emulated: Case, emulated_page: Page
) -> None:
    weak = [
        row
        for row in emulated.assessment.grade.rows
        if {"S", "K"} & set(row.requirement.evidence.split("+"))
    ]

    text = emulated_page.texts["rows"]

    assert weak
    marks = text.count("unverified)")
    assert marks >= len(weak)


def test_the_proposal_is_never_shown_without_its_disclaimer(
    emulated: Case, emulated_page: Page
) -> None:
    summary = emulated_page.texts["summary"]

    assert emulated.tier_set.statement_zh in summary
    assert emulated.tier_set.statement_en in summary
    assert emulated.tier_set.version in summary


def test_withheld_percentiles_say_how_many_queries_are_missing(
    tier_set: TierSet,
) -> None:
    trials = [a_trial(run=run) for run in (1, 2, 3)]
    records = tuple(
        a_trial_record(trial, latencies_ns=some_latencies(40)) for trial in trials
    )
    record = replace(a_record(("kws",)), plan=a_plan(trials), trials=records)

    case = Case.of(record, tier_set)

    gaps = [gap for gap in case.assessment.withheld if gap.needed_queries]
    text = case.page(Language.EN).texts["workload-1"]
    assert gaps
    for gap in gaps:
        more = (gap.needed_queries or 0) - gap.observed_queries
        assert f"Needs {count(more)} more" in text


@pytest.mark.parametrize("scenario", [ColdStart(), Server(latency_bound_ns=50_000_000)])
def test_other_scenarios_are_drawn(tier_set: TierSet, scenario: Scenario) -> None:
    trial = a_trial("kws", scenario)
    record = a_trial_record(trial)
    assert record.queries is not None
    size = len(record.queries)
    queries = replace(
        record.queries,
        segment=type(record.queries.segment)("q", [i * 4 // size for i in range(size)]),
        segment_rates_hz={0: 10.0, 1: 20.0, 2: 40.0, 3: 30.0},
    )
    run = replace(
        a_record(("kws",)),
        plan=a_plan([trial]),
        trials=(replace(record, queries=queries),),
    )

    page = Case.of(run, tier_set).page(Language.ZH)

    kind = "rate_search" if isinstance(scenario, Server) else "distribution"
    assert catalogue("zh")[f"chart.{kind}.title"] in page.texts["workload-1"]


@pytest.mark.parametrize("code", ["zh", "en"])
def test_what_was_switched_off_for_a_trial_is_shown_as_asked_and_as_put_back(
    measured: Case, code: str
) -> None:
    plan, first = measured.record.plan, measured.record.trials[0]
    asked = replace(plan.profile.conditions, screen="off", wished=("screen",))
    plan = replace(plan, profile=replace(plan.profile, conditions=asked))
    reached = ConditionsReached(set_from={"android:screen": "on"})
    trials = (replace(first, conditions=reached), *measured.record.trials[1:])
    record = replace(measured.record, plan=plan, trials=trials)

    page = replace(measured, record=record).page(Language(code))

    words, text = catalogue(code), page.source
    assert f"{words['condition.off']}{words['condition.wished']}" in text
    assert f"{words['condition.set']} android:screen" in text

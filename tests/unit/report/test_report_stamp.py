import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.domain.estimate import MEASURANDS, Estimate
from harness.domain.finding import Finding, Severity
from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.requirement import TierSet
from harness.report.page import Language
from harness.report.view import stamp_of
from harness.report.words import Words, catalogue
from harness.testing.builders import (
    a_record,
)
from harness.testing.pages import Case, Page

STAMP_ZH = "仿真结果 · 不可作为申报依据"
STAMP_EN = "Emulated · not evidence for an application"
WATERMARK = '<div class="watermark"'


def test_an_emulated_record_is_stamped_on_every_page_and_in_every_section(
    emulated_page: Page,
) -> None:
    texts = [emulated_page.texts[name] for name in emulated_page.sections]

    assert len(texts) >= 9
    assert all(STAMP_ZH in text for text in texts)
    assert all(STAMP_EN in text for text in texts)
    assert WATERMARK in emulated_page.source
    assert "position: fixed" in emulated_page.source


def test_a_measured_record_carries_no_stamp(measured_page: Page) -> None:
    assert WATERMARK not in measured_page.source
    assert STAMP_ZH not in measured_page.source
    assert STAMP_EN not in measured_page.source


def _with_emulated_target(case: Case) -> Case:
    trials = tuple(
        replace(trial, target="emulated@") if trial.arm is Arm.DEVICE else trial
        for trial in case.record.plan.trials
    )
    plan = replace(case.record.plan, trials=trials)
    return replace(case, record=replace(case.record, plan=plan))


def _with_emulated_estimate(case: Case) -> Case:
    first, *others = case.assessment.estimates
    estimates = (replace(first, origin=Origin.EMULATED), *others)
    return replace(case, assessment=replace(case.assessment, estimates=estimates))


def _with_emulated_row(case: Case) -> Case:
    grade = case.assessment.grade
    rows = tuple(
        replace(row, estimate=replace(row.estimate, origin=Origin.EMULATED))
        if row.estimate
        else row
        for row in grade.rows
    )
    grade = replace(grade, rows=rows)
    return replace(case, assessment=replace(case.assessment, grade=grade))


def _with_emulated_grade(case: Case) -> Case:
    grade = replace(case.assessment.grade, origin=Origin.EMULATED)
    return replace(case, assessment=replace(case.assessment, grade=grade))


def _with_emulated_sut(case: Case) -> Case:
    suts = {
        address: replace(sut, origin=Origin.EMULATED)
        if sut.origin is Origin.MEASURED
        else sut
        for address, sut in case.record.suts.items()
    }
    return replace(case, record=replace(case.record, suts=suts))


def _with_emulated_readings(case: Case) -> Case:
    first, *others = case.record.trials
    blocks = tuple(replace(block, origin=Origin.EMULATED) for block in first.readings)
    trials = (replace(first, readings=blocks), *others)
    return replace(case, record=replace(case.record, trials=trials))


@pytest.mark.parametrize(
    "disguise",
    [
        _with_emulated_target,
        _with_emulated_estimate,
        _with_emulated_row,
        _with_emulated_grade,
        _with_emulated_sut,
        _with_emulated_readings,
    ],
)
def test_whatever_is_emulated_in_any_one_part_is_stamped(
    measured: Case, disguise: Callable[[Case], Case]
) -> None:
    case = disguise(measured)

    assert stamp_of(measured.record, measured.assessment) is None
    assert stamp_of(case.record, case.assessment) is Origin.EMULATED


@pytest.mark.parametrize("language", list(Language))
def test_the_stamp_is_there_in_every_language(
    measured: Case, language: Language
) -> None:
    page = _with_emulated_readings(measured).page(language)

    stamp = Words(language).plain("stamp.emulated").partition(" / ")[0]

    assert WATERMARK in page.source
    assert all(stamp in page.texts[name] for name in page.sections)


@pytest.mark.parametrize("origin", [Origin.SIMULATED, Origin.DECLARED, Origin.HOST])
def test_simulated_declared_and_host_grades_are_stamped_too(
    measured: Case, origin: Origin
) -> None:
    grade = replace(measured.assessment.grade, origin=origin)
    assessment = replace(measured.assessment, grade=grade)

    page = replace(measured, assessment=assessment).page(Language.ZH)

    assert WATERMARK in page.source
    assert catalogue("zh")[f"stamp.{origin.value}"] in page.texts["summary"]


def test_a_figure_of_the_host_stands_in_the_host_section_only(emulated: Case) -> None:
    odd = Estimate(
        measurand=MEASURANDS["latency_p50"],
        workload="kws",
        scenario="SingleStream",
        origin=Origin.HOST,
        value=0.98765,
        standard_uncertainty=0.0,
    )
    estimates = (*emulated.assessment.estimates, odd)
    assessment = replace(emulated.assessment, estimates=estimates)

    texts = replace(emulated, assessment=assessment).page().texts

    assert [name for name, text in texts.items() if "988\u00a0ms" in text] == ["host"]
    assert "主机参考值，不参与评级" in texts["host"]
    assert "Host reference, never graded" in texts["host"]


def test_a_figure_of_the_device_never_stands_in_the_host_section(
    emulated_page: Page,
) -> None:
    texts = emulated_page.texts

    device_word = catalogue("zh")["origin.emulated"]
    host_word = catalogue("zh")["origin.host"]
    workloads = [name for name in texts if name.startswith("workload-")]

    assert len(workloads) == 2
    assert all(device_word in texts[name] for name in workloads)
    assert not [name for name in workloads if host_word in texts[name]]
    assert host_word in texts["host"]
    assert device_word not in texts["host"]


def test_a_finding_about_the_host_is_marked_as_such(tier_set: TierSet) -> None:
    finding = Finding(
        code="background-load",
        severity=Severity.NOTE,
        subject="kws.singlestream.host.r1",
    )
    record = replace(a_record(("kws",)), findings=(finding,))

    page = Case.of(record, tier_set).page(Language.EN)

    marked = re.search(
        r'<article class="finding[^"]* about-host">.*?</article>',
        page.source,
        re.DOTALL,
    )
    assert marked is not None
    assert "host reference" in marked[0]
    assert "background load" in marked[0]

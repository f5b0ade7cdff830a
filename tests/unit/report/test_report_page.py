from collections.abc import Callable
from dataclasses import replace

import matplotlib as mpl
import pytest

from harness.domain.finding import Finding, Severity
from harness.domain.query import Outcome
from harness.domain.record import LabInfo, Queries, TrialRecord
from harness.domain.requirement import TierSet
from harness.report.page import CONTENT_SECURITY_POLICY, Language
from harness.report.words import catalogue
from harness.testing.builders import (
    a_record,
    without_trial,
)
from harness.testing.pages import Case, Page

HOSTILE = "<script>alert(1)</script>\"'</style>{{ 7*7 }}{0.__class__}"


@pytest.mark.parametrize("language", list(Language))
def test_every_tag_that_is_opened_is_closed_in_order(
    emulated: Case, language: Language
) -> None:
    page = emulated.page(language)

    assert page.mistakes == []


def test_the_page_holds_no_script_and_no_event_handler(emulated_page: Page) -> None:
    page = emulated_page

    tags = {tag for tag, _ in page.elements}
    attributes = {name for _, found in page.elements for name in found}

    assert tags.isdisjoint({"script", "iframe", "object", "embed", "form", "base"})
    assert not [name for name in attributes if name.startswith("on")]


def test_the_page_asks_nobody_for_anything(emulated_page: Page) -> None:
    page = emulated_page

    sources = [found["src"] for _, found in page.elements if "src" in found]

    assert sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert not [tag for tag, found in page.elements if "href" in found]
    assert "url(" not in page.source
    assert "@import" not in page.source


def test_the_page_carries_its_content_security_policy(emulated_page: Page) -> None:
    metas = [found for tag, found in emulated_page.elements if tag == "meta"]

    policies = [m["content"] for m in metas if "http-equiv" in m]

    assert policies == [CONTENT_SECURITY_POLICY]
    assert "script-src" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")


def test_the_same_input_gives_the_same_bytes_whatever_the_users_chart_settings(
    emulated: Case, emulated_page: Page
) -> None:
    with mpl.rc_context({"font.size": 31, "axes.grid": True, "svg.fonttype": "path"}):
        again = emulated.page()
        size_after = mpl.rcParams["font.size"]

    assert again.source == emulated_page.source
    assert size_after == 31


def test_eight_workloads_stay_below_two_megabytes(tier_set: TierSet) -> None:
    names = ("kws", "vww", "ad", "ic", "har", "ecg", "fall", "dns")

    page = Case.of(a_record(names), tier_set).page()

    assert len(page.source.encode()) < 2_000_000


def test_hostile_text_stays_text(emulated: Case, tier_set: TierSet) -> None:
    record = emulated.record
    workloads = tuple(
        replace(
            workload, title_zh=HOSTILE, title_en=HOSTILE, reference={HOSTILE: HOSTILE}
        )
        for workload in record.plan.suite.workloads
    )
    plan = replace(
        record.plan,
        profile=replace(record.plan.profile, title_zh=HOSTILE, title_en=HOSTILE),
        suite=replace(record.plan.suite, workloads=workloads),
    )
    first, *others = record.trials
    hostile = replace(
        record,
        name=HOSTILE,
        plan=plan,
        lab=LabInfo(fields={"lab.name": HOSTILE, "unheard.of": HOSTILE}),
        trials=(replace(first, reason=HOSTILE, outcome=Outcome.FAILED), *others),
        findings=(
            Finding(
                code="fallback",
                severity=Severity.NOTE,
                subject=HOSTILE,
                values={"reason": HOSTILE},
            ),
        ),
        suts={
            address: replace(sut, name=HOSTILE, facts={HOSTILE: HOSTILE})
            for address, sut in record.suts.items()
        },
    )

    page = Case.of(hostile, tier_set).page()

    tags = [tag for tag, _ in page.elements]
    assert "script" not in tags
    assert tags.count("style") == 1
    assert page.mistakes == []
    assert "<script" not in page.source
    assert HOSTILE in page.texts["laboratory"]
    assert "49" not in page.source.partition("</title>")[0]


def test_chinese_comes_first_and_one_language_shows_no_word_of_the_other(
    emulated: Case, emulated_page: Page
) -> None:
    chinese, english = emulated.page(Language.ZH), emulated.page(Language.EN)

    both = emulated_page.source.partition("<h1>")[2]
    assert 0 < both.index("自测报告") < both.index("Self-test report")
    assert "Self-test report" not in chinese.source
    assert "自测报告" not in english.source


def _nothing_came(trial: TrialRecord) -> TrialRecord:
    return replace(
        trial,
        outcome=Outcome.CRASHED,
        queries=None,
        readings=(),
        loaded=None,
        memory=None,
        outputs=None,
        overhead=None,
        conditions=None,
        phases=(),
    )


def _only_warm_up(trial: TrialRecord) -> TrialRecord:
    assert trial.queries is not None
    queries: Queries = replace(
        trial.queries,
        is_measured=type(trial.queries.is_measured)("b", bytes(len(trial.queries))),
    )
    return replace(trial, outcome=Outcome.INTERRUPTED, queries=queries)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            _nothing_came,
            "各轮均无崩溃与内存溢出 no run crashed or ran out of memory 未通过",
        ),
        (_only_warm_up, "无法判定"),
    ],
)
def test_a_run_that_went_wrong_still_has_a_page(
    tier_set: TierSet, broken: Callable[[TrialRecord], TrialRecord], said: str
) -> None:
    whole = a_record(("kws",))
    record = replace(whole, trials=tuple(broken(trial) for trial in whole.trials))

    page = Case.of(record, tier_set).page()

    assert page.mistakes == []
    assert said in page.texts["summary"]


def test_a_run_that_ended_before_its_first_trial_has_a_page(tier_set: TierSet) -> None:
    record = replace(a_record(("kws",)), trials=(), suts={}, is_complete=False)

    page = Case.of(record, tier_set).page()

    assert page.mistakes == []
    assert catalogue("en")["obstacle.incomplete"] in page.texts["summary"]


def test_a_trial_that_was_never_started_is_a_finding(tier_set: TierSet) -> None:
    record = without_trial(a_record(("kws",)), "kws.singlestream.device.r3")

    text = Case.of(record, tier_set).page().texts["findings"]

    assert "kws.singlestream.device.r3" in text
    assert catalogue("zh")["finding.trial-not-executed.short"] in text


def test_the_page_ends_with_its_end_mark(emulated: Case) -> None:
    page = emulated.page(Language.ZH).source

    assert page.index("— 报告结束 —") > page.rindex("</section>")

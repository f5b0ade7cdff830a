import re
from string import Formatter

import pytest

from harness.domain.estimate import MEASURANDS
from harness.domain.finding import CODES, Severity, Validity
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.profile import DeviceClass
from harness.domain.query import Outcome, Phase
from harness.domain.requirement import REASONS, Kind, RowStatus, Tier, Verdict
from harness.domain.scenario import SCENARIOS
from harness.report.labview import FIELDS
from harness.report.words import Language, Words, catalogue

WITHHELD = (
    "too-few-queries",
    "no-power-readings",
    "not-readable",
    "trial-failed",
    "no-rate-kept-the-bound",
    "no-user-served",
)
EVIDENCE = ("M", "R", "P", "S", "K", "D", "EJ")
NEEDED: dict[str, tuple[str, ...]] = {
    "finding.{}.short": tuple(sorted(CODES)),
    "finding.{}.what": tuple(sorted(CODES)),
    "finding.{}.do": tuple(sorted(CODES)),
    "measurand.{}": tuple(MEASURANDS),
    "reason.{}": (*sorted(REASONS), "none", "no-rate-kept-the-bound"),
    "todo.{}": (*sorted(REASONS), "none", "no-rate-kept-the-bound"),
    "withheld.{}": WITHHELD,
    "scenario.{}": tuple(SCENARIOS),
    "scenario_is.{}": tuple(SCENARIOS),
    "outcome.{}": tuple(Outcome),
    "phase.{}": tuple(Phase),
    "origin.{}": tuple(Origin),
    "stamp.{}": tuple(o for o in Origin if not o.is_evidence),
    "evidence_class.{}": (*EvidenceClass, "none"),
    "severity.{}": tuple(Severity),
    "validity.{}": tuple(Validity),
    "tier.{}": tuple(Tier),
    "kind.{}": tuple(Kind),
    "evidence.{}": EVIDENCE,
    "device_class.{}": tuple(DeviceClass),
    "field.{}": tuple(key for _, key in FIELDS),
    "verdict.{}": tuple(v.value.replace(" ", "_") for v in Verdict),
    "row_status.{}": tuple(s.value.replace(" ", "_") for s in RowStatus),
}


def test_both_languages_have_the_same_keys() -> None:
    chinese, english = catalogue("zh"), catalogue("en")

    assert set(chinese) == set(english)


def test_both_languages_fill_the_same_places() -> None:
    chinese, english = catalogue("zh"), catalogue("en")

    different = [
        key for key in chinese if _places(chinese[key]) != _places(english[key])
    ]

    assert different == []


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("pattern", NEEDED)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_code_has_words(pattern: str, language: str) -> None:
    words = catalogue(language)

    missing = [code for code in NEEDED[pattern] if pattern.format(code) not in words]

    assert missing == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_words_are_empty(language: str) -> None:
    empty = [key for key, text in catalogue(language).items() if not text.strip()]

    assert empty == []


def test_english_holds_no_chinese_and_chinese_prose_is_chinese() -> None:
    han = re.compile(r"[\u4e00-\u9fff]")

    strays = [key for key, text in catalogue("en").items() if han.search(text)]
    findings = [
        key
        for key, text in catalogue("zh").items()
        if key.startswith("finding.") and not han.search(text)
    ]

    assert strays == []
    assert findings == []


def test_values_are_escaped_when_they_are_put_into_words() -> None:
    text = Words(Language.EN)("withheld_needs", more="<b>", needed="&", observed="'")

    assert "<b>" not in text
    assert "&lt;b&gt;" in text


def test_both_puts_chinese_first_and_marks_each_language() -> None:
    text = str(Words(Language.BOTH)("title.self"))

    assert text == (
        '<span class="zh" lang="zh">自测报告</span> '
        '<span class="en" lang="en">Self-test report</span>'
    )


def test_words_that_are_the_same_in_both_are_said_once() -> None:
    text = Words(Language.BOTH).pair("DS-CNN", "DS-CNN")

    assert text == "DS-CNN"


def test_a_code_without_words_is_shown_as_it_is() -> None:
    text = Words(Language.ZH).of("reason", "a-code<from>-2031")

    assert text == "<code>a-code&lt;from&gt;-2031</code>"


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        Words(Language.ZH)("no.such.key")

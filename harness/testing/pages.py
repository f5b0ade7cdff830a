"""Reports to be looked at by tests: cases, and pages taken apart.

A `Case` is a record with all that was derived from it; a `Page` is the HTML made of
it, read by the standard library's parser.
"""

from dataclasses import dataclass, replace
from html.parser import HTMLParser

from harness.assessment import assess
from harness.domain.assessment import Assessment
from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.record import RunRecord, TrialRecord
from harness.domain.requirement import TierSet
from harness.report.page import Language, render

_VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})
_BOARD = "linux@ssh:board"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One record, what was derived from it, and the tiers that it is judged by."""

    record: RunRecord
    assessment: Assessment
    tier_set: TierSet

    @classmethod
    def of(cls, record: RunRecord, tier_set: TierSet) -> "Case":
        """Assess a record."""
        assessment = assess(record, tier_set)
        return cls(record=record, assessment=assessment, tier_set=tier_set)

    def page(self, language: Language = Language.BOTH) -> "Page":
        """Render the case and take the page apart."""
        data = render(self.record, self.assessment, self.tier_set, language=language)
        return Page(data.decode("utf-8"))


class Page(HTMLParser):
    """A page taken apart: elements, text by section, and tags closed amiss."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, str] = {}
        """Id of a section → all text in it; "" for what is in none."""
        self.mistakes: list[str] = []
        self._open: list[str] = []
        self._section = ""
        self.feed(source)
        self.close()
        self.mistakes += [f"<{tag}> is never closed" for tag in self._open]

    @property
    def sections(self) -> list[str]:
        """Ids of the sections, in order."""
        return [found["id"] for tag, found in self.elements if tag == "section"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and which section it begins."""
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if tag == "section":
            self._section = found["id"]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last, or note a mistake."""
        if not self._open or self._open[-1] != tag:
            self.mistakes.append(f"</{tag}> inside {self._open[-3:]}")
        else:
            self._open.pop()
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        """Collect text by section."""
        self.texts[self._section] = self.texts.get(self._section, "") + data


def as_measured(record: RunRecord) -> RunRecord:
    """Give an emulated record as if a real board had been measured."""
    trials = tuple(map(_on_board, record.trials))
    sut = replace(record.suts["emulated@"], address=_BOARD, origin=Origin.MEASURED)
    plan = replace(record.plan, trials=tuple(trial.trial for trial in trials))
    suts = {_BOARD: sut, "local@": record.suts["local@"]}
    return replace(record, plan=plan, trials=trials, suts=suts)


def _on_board(trial: TrialRecord) -> TrialRecord:
    if trial.trial.arm is Arm.HOST:
        return trial
    return replace(
        trial,
        trial=replace(trial.trial, target=_BOARD),
        readings=tuple(replace(b, origin=Origin.MEASURED) for b in trial.readings),
    )

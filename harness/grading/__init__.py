"""Estimates and tiers in, verdicts and a grade out. Pure: no clock, no file.

The decision rule is guarded acceptance (ILAC-G8:09/2019, 4.2) with w = r·U: a tier
is awarded on a plain pass only. The class grade is the worst guarded tier among the
core rows; a core row without an answer leaves the grade not determined. Where there
is no answer, a code of `harness.domain.requirement.REASONS` says why; words for it
are the report's.

`rule` judges one figure against one row, `facts` says which figures there are for a
row and why there are none, `awarding` puts rows together to a grade.
"""

from harness.grading.awarding import award, core_rows, meets
from harness.grading.rule import Interval, conformance, decision_interval, judge, score

__all__ = [
    "Interval",
    "award",
    "conformance",
    "core_rows",
    "decision_interval",
    "judge",
    "meets",
    "score",
]

"""Every line of docs/reference/compatibility.md is executed, and must be true."""

from pathlib import Path

import pytest
from handmade import CASES, Case
from outcome import outcome_of
from table import PAGE, REAL, REALS, Real, options_of, row

LINES = PAGE.read_text(encoding="utf-8").splitlines()
NOT_THERE = "the models of other projects are not beside the checkout"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_model_made_here_does_what_the_page_says(case: Case, tmp_path: Path) -> None:
    outcome = outcome_of(case.build(tmp_path), case.shapes, case.ranges)

    assert outcome.startswith(("runs", "refused: "))
    wanted = row(case.name, case.what, options_of(case.shapes, case.ranges), outcome)
    assert wanted in LINES


@pytest.mark.skipif(not REAL.is_dir(), reason=NOT_THERE)
@pytest.mark.parametrize("real", REALS, ids=lambda real: real.file)
def test_a_model_of_another_project_does_what_the_page_says(real: Real) -> None:
    outcome = outcome_of(REAL / real.file, real.shapes, ())

    assert row(real.file, real.what, options_of(real.shapes), outcome) in LINES


def test_the_page_holds_these_models_and_no_others() -> None:
    names = [line.split("`")[1] for line in LINES if line.startswith("| `")]

    assert names == [case.name for case in CASES] + [real.file for real in REALS]
    assert len(CASES) >= 25

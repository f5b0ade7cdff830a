from dataclasses import replace
from io import StringIO

import pandas as pd

from harness.domain.finding import Finding, Severity
from harness.domain.requirement import Tier
from harness.report.tables import tables
from harness.testing.pages import Case


def test_every_table_is_there_whatever_the_run_left(emulated: Case) -> None:
    empty = replace(
        emulated.assessment,
        estimates=(),
        withheld=(),
        findings=(),
        grade=replace(emulated.assessment.grade, rows=()),
    )
    bare = replace(emulated.record, trials=())

    frames = tables(bare, empty)

    assert list(frames) == ["estimates", "withheld", "rows", "findings", "trials"]
    assert all(len(frame) == 0 for frame in frames.values())
    assert all(len(frame.columns) >= 4 for frame in frames.values())


def test_a_figure_travels_with_unit_uncertainty_and_origin(emulated: Case) -> None:
    frames = tables(emulated.record, emulated.assessment)

    for name in ("estimates", "rows"):
        wanted = {"value", "unit", "expanded_uncertainty", "origin"}
        assert wanted <= set(frames[name].columns)
    estimates = frames["estimates"]
    assert estimates["unit"].notna().all()
    assert set(estimates["origin"]) == {"emulated", "host"}


def test_values_are_not_rounded_and_survive_csv(emulated: Case) -> None:
    frame = tables(emulated.record, emulated.assessment)["estimates"]

    back = pd.read_csv(StringIO(frame.to_csv(index=False)))

    expected = [estimate.value for estimate in emulated.assessment.estimates]
    assert list(frame["value"]) == expected
    assert list(back["value"]) == expected


def test_rows_give_limits_and_verdicts_in_the_unit_inside(emulated: Case) -> None:
    frame = tables(emulated.record, emulated.assessment)["rows"].set_index("row")

    row = next(r for r in emulated.assessment.grade.rows if r.requirement.id == "kws_e")

    assert frame.loc["kws_e", "unit"] == "J"
    assert frame.loc["kws_e", "limit_b"] == row.requirement.limits[Tier.B]
    assert frame.loc["kws_e", "guarded_tier"] == row.guarded
    assert frame.loc["kws_e", "verdict_c"] == row.verdicts[Tier.C].value
    assert set(frame["grade_origin"]) == {"emulated"}


def test_no_row_of_the_device_rests_on_a_figure_of_the_host(emulated: Case) -> None:
    frame = tables(emulated.record, emulated.assessment)["rows"]

    assert "host" not in set(frame["origin"].dropna())


def test_findings_of_the_run_are_listed_once(emulated: Case) -> None:
    finding = Finding(code="fallback", severity=Severity.NOTE, values={"nodes": 3})
    record = replace(emulated.record, findings=(finding,))
    assessment = replace(emulated.assessment, findings=(finding,))

    frame = tables(record, assessment)["findings"]

    assert list(frame["code"]) == ["fallback"]
    assert list(frame["values"]) == ['{"nodes": 3}']


def test_trials_count_measured_queries_apart_from_warm_up(emulated: Case) -> None:
    frame = tables(emulated.record, emulated.assessment)["trials"]

    assert (frame["queries"] - frame["measured_queries"] == 8).all()
    assert set(frame["arm"]) == {"device", "host"}

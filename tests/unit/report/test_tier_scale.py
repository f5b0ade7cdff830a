from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.domain.estimate import MEASURANDS, Estimate
from harness.domain.origin import Origin
from harness.domain.requirement import (
    Kind,
    Requirement,
    RowResult,
    RowStatus,
    Sense,
    Tier,
)
from harness.grading.rule import decision_interval
from harness.report.tierscale import KNOTS, band, mark

AT_MOST = Requirement(
    id="kws_lat",
    measurand="latency_p99",
    workloads=("kws",),
    scenario="",
    statement="kws, p99",
    sense=Sense.AT_MOST,
    limits={Tier.A: 3.2e-3, Tier.B: 16e-3, Tier.C: 32e-3},
    unit="ms",
    is_core=True,
    kind=Kind.DEADLINE,
    family="latency",
    evidence="M+D",
    source="a source",
)
AT_LEAST = replace(
    AT_MOST,
    measurand="sustained_ratio",
    sense=Sense.AT_LEAST,
    limits={Tier.A: 0.95, Tier.B: 0.80, Tier.C: 0.50},
    unit="ratio",
)


def _result(
    requirement: Requirement, value: float, u: float = 0.0, **more: float
) -> RowResult:
    estimate = Estimate(
        measurand=MEASURANDS[requirement.measurand],
        workload="kws",
        scenario="SingleStream",
        origin=Origin.MEASURED,
        value=value,
        standard_uncertainty=u,
        **more,  # type: ignore[arg-type]
    )
    return RowResult(
        requirement=requirement,
        is_core=True,
        status=RowStatus.JUDGED,
        estimate=estimate,
    )


@pytest.mark.parametrize("requirement", [AT_MOST, AT_LEAST])
def test_the_limits_stand_where_the_zones_meet(requirement: Requirement) -> None:
    places = [
        mark(_result(requirement, requirement.limits[tier]), 1.0)
        for tier in (Tier.A, Tier.B, Tier.C)
    ]

    assert [place.at for place in places if place] == pytest.approx(KNOTS)


@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_a_better_value_never_stands_further_right(one: float, other: float) -> None:
    low, high = sorted((one, other))

    left, right = (mark(_result(AT_MOST, value), 1.0) for value in (low, high))
    best, worst = (mark(_result(AT_LEAST, value), 1.0) for value in (high, low))

    assert left is not None
    assert right is not None
    assert best is not None
    assert worst is not None
    assert left.at <= right.at
    assert best.at <= worst.at


@given(st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_a_mark_always_lies_on_the_strip_with_its_value_in_its_band(
    value: float, u: float
) -> None:
    found = mark(_result(AT_MOST, value, u), 1.0)

    assert found is not None
    assert 0 <= found.low <= found.at <= found.high <= 1


def test_values_beyond_the_strip_say_so() -> None:
    splendid, dreadful = (mark(_result(AT_MOST, v), 1.0) for v in (1e-9, 1e3))

    assert splendid is not None
    assert dreadful is not None
    assert (splendid.at, splendid.is_off_left) == (0.0, True)
    assert (dreadful.at, dreadful.is_off_right) == (1.0, True)


def test_equal_limits_leave_a_zone_empty() -> None:
    limits = {Tier.A: 1.0, Tier.B: 1.0, Tier.C: 1.0}
    flat = replace(AT_MOST, limits=limits)

    found = [mark(_result(flat, value), 1.0) for value in (0.99, 1.0, 1.01)]

    assert [place.at for place in found if place] == sorted(
        place.at for place in found if place
    )


def test_a_row_without_a_figure_has_no_mark() -> None:
    empty = replace(_result(AT_MOST, 1.0), estimate=None)

    assert mark(empty, 1.0) is None


@pytest.mark.parametrize("requirement", [AT_MOST, AT_LEAST])
@pytest.mark.parametrize("uses_bound", [True, False])
@given(value=st.floats(1e-3, 10), u=st.floats(0, 1), share=st.floats(0.0, 2.0))
def test_the_drawn_band_is_the_one_that_the_decision_rule_looks_at(
    requirement: Requirement,
    uses_bound: bool,  # noqa: FBT001 - a parameter of the test
    value: float,
    u: float,
    share: float,
) -> None:
    row = replace(requirement, uses_bound=uses_bound)
    result = _result(
        row, value, u, upper_bound=value * (1 + share), instrument_uncertainty=u / 3
    )
    assert result.estimate is not None

    drawn = band(row, result.estimate, 1.0)

    interval = decision_interval(row, result.estimate, 1.0)
    assert drawn == tuple(sorted((interval.better, interval.worse)))

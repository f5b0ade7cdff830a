"""One figure against one row: verdicts, conformance, resolution, score."""

from collections.abc import Callable
from dataclasses import replace
from math import isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.domain.estimate import MEASURANDS, Estimate
from harness.domain.origin import Origin
from harness.domain.requirement import Kind, Requirement, Sense, Tier, Verdict
from harness.grading import conformance, decision_interval, judge, score
from harness.grading.rule import is_too_uncertain

AWARDED = (Tier.A, Tier.B, Tier.C)


def a_row(sense: Sense = Sense.AT_MOST, *, uses_bound: bool = False) -> Requirement:
    numbers = (1.0, 2.0, 4.0) if sense is Sense.AT_MOST else (4.0, 2.0, 1.0)
    return Requirement(
        id="row",
        measurand="latency_p99",
        workloads=("kws",),
        scenario="SingleStream",
        statement="kws, p99",
        sense=sense,
        limits=dict(zip(AWARDED, numbers, strict=True)),
        unit="s",
        is_core=True,
        kind=Kind.DEADLINE,
        family="latency",
        evidence="M",
        source="",
        uses_bound=uses_bound,
    )


def a_figure(
    value: float,
    u: float = 0.0,
    *,
    lower: float | None = None,
    upper: float | None = None,
) -> Estimate:
    return Estimate(
        measurand=MEASURANDS["latency_p99"],
        workload="kws",
        scenario="SingleStream",
        origin=Origin.MEASURED,
        value=value,
        standard_uncertainty=u,
        lower_bound=lower,
        upper_bound=upper,
    )


def guarded(row: Requirement, figure: Estimate, guard_ratio: float = 1.0) -> Tier:
    for tier in AWARDED:
        if judge(row, tier, figure, guard_ratio) is Verdict.PASS:
            return tier
    return Tier.D


def simple(row: Requirement, figure: Estimate) -> Tier:
    for tier in AWARDED:
        if judge(row, tier, figure) in {Verdict.PASS, Verdict.CONDITIONAL_PASS}:
            return tier
    return Tier.D


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (1.80, Verdict.PASS),
        (1.875, Verdict.PASS),
        (1.95, Verdict.CONDITIONAL_PASS),
        (2.00, Verdict.CONDITIONAL_PASS),
        (2.05, Verdict.CONDITIONAL_FAIL),
        (2.125, Verdict.CONDITIONAL_FAIL),
        (2.20, Verdict.FAIL),
    ],
)
def test_the_four_verdicts_lie_about_the_limit(value: float, verdict: Verdict) -> None:
    figure = a_figure(value, 0.0625)

    assert judge(a_row(), Tier.B, figure) is verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (2.20, Verdict.PASS),
        (2.125, Verdict.PASS),
        (2.05, Verdict.CONDITIONAL_PASS),
        (1.95, Verdict.CONDITIONAL_FAIL),
        (1.80, Verdict.FAIL),
    ],
)
def test_the_verdicts_turn_round_where_more_is_better(
    value: float, verdict: Verdict
) -> None:
    assert judge(a_row(Sense.AT_LEAST), Tier.B, a_figure(value, 0.0625)) is verdict


@pytest.mark.parametrize("sense", list(Sense))
def test_the_limit_itself_passes(sense: Sense) -> None:
    assert judge(a_row(sense), Tier.B, a_figure(2.0)) is Verdict.PASS


def test_a_wider_guard_band_takes_a_plain_pass_away() -> None:
    figure = a_figure(1.8, 0.0625)

    assert judge(a_row(), Tier.B, figure, guard_ratio=1.0) is Verdict.PASS
    assert judge(a_row(), Tier.B, figure, guard_ratio=2.0) is Verdict.CONDITIONAL_PASS


def test_a_limit_on_something_else_is_refused() -> None:
    other = replace(a_figure(1.0), measurand=MEASURANDS["latency_p50"])

    with pytest.raises(ValueError, match="says nothing about latency_p50"):
        judge(a_row(), Tier.A, other)


def test_a_bound_takes_the_place_of_the_guard_band() -> None:
    row = a_row(uses_bound=True)
    figure = a_figure(1.9, 0.5, lower=1.7, upper=1.99)

    assert judge(row, Tier.B, figure) is Verdict.PASS
    assert judge(a_row(), Tier.B, figure) is Verdict.CONDITIONAL_PASS


def test_where_more_is_better_the_lower_bound_decides() -> None:
    row = a_row(Sense.AT_LEAST, uses_bound=True)

    assert judge(row, Tier.B, a_figure(2.5, lower=2.1)) is Verdict.PASS
    assert judge(row, Tier.B, a_figure(2.5, lower=1.9)) is Verdict.CONDITIONAL_PASS


def test_the_instrument_s_term_widens_a_bound() -> None:
    row = a_row(uses_bound=True)
    figure = a_figure(1.9, upper=1.99)

    seen = decision_interval(row, replace(figure, instrument_uncertainty=0.01))

    assert isclose(seen.worse, 1.99 + 2 * 0.01)
    assert judge(row, Tier.B, figure) is Verdict.PASS


def test_without_a_bound_the_guard_band_stands() -> None:
    seen = decision_interval(a_row(uses_bound=True), a_figure(1.9, 0.1))

    assert (seen.better, seen.worse) == pytest.approx((1.7, 2.1))


def test_a_bound_on_the_wrong_side_of_the_value_is_not_believed() -> None:
    seen = decision_interval(a_row(uses_bound=True), a_figure(2.1, upper=1.5))

    assert seen.worse == 2.1


@pytest.mark.parametrize(
    ("value", "u", "expected"),
    [
        # JCGM 106:2012, table 1 and 8.2: p_c = Φ((T_U - y)/u)
        (2.0, 0.1, 0.5),
        (1.8, 0.1, 0.97725),
        (1.836, 0.1, 0.9495),
        (2.1, 0.1, 0.15866),
        (2.0, 0.0, 1.0),
        (2.1, 0.0, 0.0),
    ],
)
def test_conformance_is_the_normal_probability_below_the_limit(
    value: float, u: float, expected: float
) -> None:
    found = conformance(a_row(), Tier.B, a_figure(value, u))

    assert found == pytest.approx(expected, abs=5e-5)


def test_conformance_turns_round_where_more_is_better() -> None:
    found = conformance(a_row(Sense.AT_LEAST), Tier.B, a_figure(2.2, 0.1))

    assert found == pytest.approx(0.97725, abs=5e-5)


@pytest.mark.parametrize("sense", list(Sense))
@pytest.mark.parametrize(("u", "expected"), [(0.375, False), (0.376, True)])
def test_a_quarter_of_the_distance_from_a_to_c_must_be_resolved(
    sense: Sense, u: float, *, expected: bool
) -> None:
    # U = 2u against (4 - 1)/4 = 0.75
    assert is_too_uncertain(a_row(sense), a_figure(2.0, u)) is expected


def test_for_bound_rows_the_way_to_the_bad_bound_stands_for_u() -> None:
    row = a_row(uses_bound=True)

    assert is_too_uncertain(row, a_figure(1.0, 9.0, lower=0.1, upper=1.7)) is False
    assert is_too_uncertain(row, a_figure(1.0, 0.0, lower=0.9, upper=1.8)) is True


def test_a_plain_fail_of_c_stays_an_answer_however_uncertain() -> None:
    assert is_too_uncertain(a_row(), a_figure(40.0, 2.0)) is False
    assert is_too_uncertain(a_row(), a_figure(7.0, 2.0)) is True


def test_limits_that_coincide_leave_nothing_to_resolve() -> None:
    row = replace(a_row(), limits=dict.fromkeys(AWARDED, 1.0))

    assert is_too_uncertain(row, a_figure(0.5, 0.1)) is False


@pytest.mark.parametrize(
    ("sense", "value", "expected"),
    [
        # x_A = 1, x_D = 2·4 = 8
        (Sense.AT_MOST, 1.0, 100.0),
        (Sense.AT_MOST, 8.0, 0.0),
        (Sense.AT_MOST, 8**0.5, 50.0),
        (Sense.AT_MOST, 0.5, 100.0),
        (Sense.AT_MOST, 80.0, 0.0),
        (Sense.AT_MOST, 0.0, 100.0),
        # x_A = 4, x_D = 1/2
        (Sense.AT_LEAST, 4.0, 100.0),
        (Sense.AT_LEAST, 0.5, 0.0),
        (Sense.AT_LEAST, 2**0.5, 50.0),
        (Sense.AT_LEAST, 0.0, 0.0),
    ],
)
def test_the_score_is_logarithmic_between_a_and_twice_c(
    sense: Sense, value: float, expected: float
) -> None:
    assert score(a_row(sense), value) == pytest.approx(expected)


values = st.floats(0.01, 20.0)
uncertainties = st.floats(0.0, 3.0)
senses = st.sampled_from(Sense)


@given(senses, values, uncertainties)
def test_simple_acceptance_is_never_stricter_than_guarded(
    sense: Sense, value: float, u: float
) -> None:
    row, figure = a_row(sense), a_figure(value, u)

    assert simple(row, figure) <= guarded(row, figure)


@given(senses, values, values, uncertainties)
def test_a_better_value_never_gets_a_worse_tier(
    sense: Sense, one: float, other: float, u: float
) -> None:
    row = a_row(sense)
    best, worst = sorted((one, other), reverse=sense is Sense.AT_LEAST)

    assert guarded(row, a_figure(best, u)) <= guarded(row, a_figure(worst, u))
    assert score(row, best) >= score(row, worst)


def awarded(row: Requirement, figure: Estimate) -> Tier | None:
    return None if is_too_uncertain(row, figure) else guarded(row, figure)


@given(senses, values, uncertainties, uncertainties)
def test_more_uncertainty_never_improves_the_guarded_tier(
    sense: Sense, value: float, one: float, other: float
) -> None:
    row = a_row(sense)
    small, large = sorted((one, other))

    before, after = (awarded(row, a_figure(value, u)) for u in (small, large))

    assert after is None or (before is not None and after >= before)


@given(
    sense=senses,
    value=values,
    u=uncertainties,
    power=st.integers(-40, 40),
    uses_bound=st.booleans(),
)
def test_a_change_of_unit_changes_no_answer(
    sense: Sense, value: float, u: float, power: int, *, uses_bound: bool
) -> None:
    # powers of two, so that the change of unit itself rounds nothing
    factor = 2.0**power
    row = a_row(sense, uses_bound=uses_bound)
    figure = a_figure(value, u, lower=value * 0.75, upper=value * 1.25)
    scaled = replace(row, limits={t: x * factor for t, x in row.limits.items()})
    same = a_figure(
        value * factor,
        u * factor,
        lower=value * 0.75 * factor,
        upper=value * 1.25 * factor,
    )

    for tier in AWARDED:
        assert judge(row, tier, figure) is judge(scaled, tier, same)
        assert conformance(row, tier, figure) == pytest.approx(
            conformance(scaled, tier, same), abs=1e-9
        )
    assert is_too_uncertain(row, figure) is is_too_uncertain(scaled, same)
    assert score(row, value) == pytest.approx(score(scaled, value * factor), abs=1e-6)


@given(senses, values, st.floats(0.001, 3.0))
def test_a_plain_pass_conforms_with_at_least_977_in_a_thousand(
    sense: Sense, value: float, u: float
) -> None:
    row, figure = a_row(sense), a_figure(value, u)

    for tier in AWARDED:
        if judge(row, tier, figure) is Verdict.PASS:
            assert conformance(row, tier, figure) >= 0.977


def share_accepted(
    row: Requirement, truth: float, draw: Callable[[], float], u: float, tier: Tier
) -> float:
    count = 20_000
    hits = sum(
        judge(row, tier, a_figure(truth + draw(), u)) is Verdict.PASS
        for _ in range(count)
    )
    return hits / count


@pytest.mark.slow
@pytest.mark.parametrize("sense", list(Sense))
@pytest.mark.parametrize("tier", AWARDED)
def test_at_most_one_in_forty_is_accepted_falsely_just_beyond_a_limit(
    sense: Sense, tier: Tier
) -> None:
    # just beyond the limit is the worst case; k = 2 gives Φ(-2) = 2.28 %
    row = a_row(sense)
    beyond = 1 + 1e-9 if sense is Sense.AT_MOST else 1 - 1e-9
    u = 0.05
    generator = np.random.default_rng(106)

    accepted = share_accepted(
        row,
        row.limits[tier] * beyond,
        lambda: float(generator.normal(0.0, u)),
        u,
        tier,
    )

    assert accepted <= 0.025
    assert accepted >= 0.015

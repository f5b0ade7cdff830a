"""Combining uncertainties: published examples, and properties."""

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.uncertainty import (
    Term,
    between_runs,
    combine,
    rectangular,
    student,
)

RUNS = st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=12)


def test_student_quantiles_are_those_of_the_gum() -> None:
    freedoms = [1, 2, 3, 4, 10, 50, inf]

    found = [round(student(freedom), 2) for freedom in freedoms]

    # JCGM 100:2008, table G.2, p = 95 %
    assert found == [12.71, 4.30, 3.18, 2.78, 2.23, 2.01, 1.96]


def test_the_end_gauge_of_the_gum_is_reproduced() -> None:
    # JCGM 100:2008, H.1: components in nm with degrees of freedom; u = 32 nm, ν = 16
    terms = [
        Term(u=25, freedom=18),
        Term(u=9.7, freedom=25.6),
        Term(u=2.9, freedom=50),
        Term(u=16.6, freedom=2),
    ]

    u, k = combine(terms)

    assert u == pytest.approx(32, abs=0.6)
    assert k == pytest.approx(student(16.7), abs=0.01)


def test_nothing_uncertain_gives_no_uncertainty() -> None:
    assert combine([]) == (0.0, 2.0)
    assert combine([Term(u=0.0, freedom=2)]) == (0.0, 2.0)


def test_a_rectangular_term_is_its_half_width_over_root_three() -> None:
    term = rectangular(3.0)

    assert term == Term(u=3.0 / sqrt(3), freedom=inf)


def test_one_run_has_no_spread() -> None:
    with pytest.raises(ValueError, match="two runs"):
        between_runs([1.0])


def test_equal_runs_have_exactly_no_spread() -> None:
    spread = between_runs([0.1, 0.1, 0.1])

    assert spread.term.u == 0.0
    assert spread.lower == spread.upper == spread.value


@given(RUNS, st.floats(1e-9, 1e9))
def test_the_spread_follows_the_unit(values: list[float], factor: float) -> None:
    plain = between_runs(values)

    scaled = between_runs([value * factor for value in values])

    assert scaled.value == pytest.approx(plain.value * factor, rel=1e-9)
    assert scaled.term.u == pytest.approx(
        plain.term.u * factor, rel=1e-6, abs=1e-12 * scaled.value
    )


@given(RUNS)
def test_the_order_of_runs_does_not_matter(values: list[float]) -> None:
    forwards = between_runs(values)

    backwards = between_runs(values[::-1])

    assert backwards.value == pytest.approx(forwards.value)
    assert backwards.term.u == pytest.approx(
        forwards.term.u, rel=1e-6, abs=1e-12 * forwards.value
    )


@given(st.lists(st.floats(0, 1e-3), min_size=1, max_size=6))
def test_a_combination_is_never_below_its_largest_term(sizes: list[float]) -> None:
    u, _ = combine([Term(u=size) for size in sizes])

    assert u >= max(sizes) * (1 - 1e-12)


def test_student_intervals_between_runs_hold_what_they_promise() -> None:
    generator = np.random.default_rng(1)
    draws = generator.normal(5.0, 1.0, size=(4000, 3))

    spreads = [between_runs(list(row)) for row in draws]

    two_sided = [abs(s.value - 5) <= student(2) * s.term.u for s in spreads]
    assert np.mean(two_sided) == pytest.approx(0.95, abs=0.015)
    assert np.mean([s.upper >= 5 for s in spreads]) == pytest.approx(0.95, abs=0.015)
    assert np.mean([s.lower <= 5 for s in spreads]) == pytest.approx(0.95, abs=0.015)

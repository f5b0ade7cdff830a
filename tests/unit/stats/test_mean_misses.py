"""Means and rates over runs, repeatability, and missed deadlines."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.stats.mean import mean_of_runs, rate_of_runs, repeatability
from harness.stats.misses import clopper_pearson, miss_ratio
from harness.stats.uncertainty import combine


def test_a_mean_counts_each_run_once_whatever_its_length() -> None:
    runs = [np.full(10, 1.0), np.full(1000, 3.0)]

    figure = mean_of_runs(runs)

    assert figure.value == 2.0
    assert figure.terms[0].u == pytest.approx(sqrt(2) / sqrt(2))
    assert figure.terms[0].freedom == 1
    assert (figure.runs, figure.queries) == (2, 1010)


def test_one_run_is_told_apart_by_its_method() -> None:
    figure = mean_of_runs([np.random.default_rng(1).normal(5, 1, 100)])

    assert figure.runs == 1
    assert "circular block bootstrap" in figure.method
    assert figure.lower is not None
    assert figure.upper is not None
    assert figure.lower < figure.value < figure.upper


def test_no_run_has_no_mean() -> None:
    with pytest.raises(ValueError, match="needs a run"):
        mean_of_runs([])


def test_a_rate_is_samples_over_the_window() -> None:
    spacings = np.array([0.1, 0.3, 0.2, 0.2])

    one = rate_of_runs([spacings], samples=8)
    two = rate_of_runs([spacings, spacings / 2], samples=8)

    assert one.value == pytest.approx(4 * 8 / 0.8)
    assert two.value == pytest.approx(60.0)  # mean of 40 and 80


def test_repeatability_is_the_coefficient_of_variation() -> None:
    figure = repeatability([0.9, 1.0, 1.1])

    assert figure.value == pytest.approx(0.1)
    assert figure.terms[0].u == pytest.approx(0.1 / sqrt(4))  # JCGM 100, E.4.3


@given(st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=8), st.floats(1e-6, 1e6))
def test_repeatability_has_no_unit(means: list[float], factor: float) -> None:
    scaled = repeatability([mean * factor for mean in means])

    assert scaled.value == pytest.approx(repeatability(means).value, abs=1e-9)


def test_bounds_of_the_repeatability_hold() -> None:
    generator = np.random.default_rng(2)
    samples = generator.normal(1.0, 0.02, size=(3000, 5))

    found = [repeatability(list(row)) for row in samples]

    assert np.mean([(f.upper or 0) >= 0.02 for f in found]) == pytest.approx(
        0.95, abs=0.015
    )
    assert np.mean([(f.lower or 1) <= 0.02 for f in found]) == pytest.approx(
        0.95, abs=0.015
    )


def test_no_miss_is_bounded_by_the_rule_of_three() -> None:
    figure = miss_ratio([np.zeros(1000), np.zeros(1000)])

    assert figure.value == 0.0
    assert figure.lower == 0.0
    assert figure.upper == pytest.approx(1 - 0.05 ** (1 / 2000))
    assert figure.upper == pytest.approx(3 / 2000, rel=5e-3)


@pytest.mark.parametrize(("hits", "count"), [(1, 20), (5, 100), (99, 100)])
def test_bounds_of_a_proportion_are_clopper_and_pearsons(hits: int, count: int) -> None:
    exact = binomtest(hits, count).proportion_ci(0.90, method="exact")

    lower, upper = clopper_pearson(hits, count)

    assert (lower, upper) == pytest.approx((exact.low, exact.high))


def test_bounds_at_both_ends_of_a_proportion_exist() -> None:
    assert clopper_pearson(0, 10)[0] == 0.0
    assert clopper_pearson(10, 10)[1] == 1.0


def test_misses_in_one_burst_widen_the_bound() -> None:
    scattered, burst = np.zeros(2000), np.zeros(2000)
    scattered[::100] = 1
    burst[500:520] = 1

    calm, bursty = miss_ratio([scattered]), miss_ratio([burst])

    assert bursty.value == calm.value
    assert (bursty.upper or 0) > 1.5 * (calm.upper or 1)


def test_misses_in_one_run_only_widen_the_bound() -> None:
    generator = np.random.default_rng(3)
    even = [(generator.random(1000) < 0.01).astype(float) for _ in range(3)]
    uneven = [np.zeros(1000), np.zeros(1000), generator.permutation(np.eye(1, 1000)[0])]
    uneven[2][:30] = 1
    uneven[2] = generator.permutation(uneven[2])

    assert "design effect 1" in miss_ratio(even).method
    assert (miss_ratio(uneven).upper or 0) > 0.03


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [0.002, 0.02])
def test_bounds_of_the_miss_ratio_hold(ratio: float) -> None:
    generator = np.random.default_rng(4)

    figures = [
        miss_ratio([(generator.random(500) < ratio).astype(float) for _ in range(3)])
        for _ in range(1500)
    ]

    assert np.mean([(f.upper or 0) >= ratio for f in figures]) >= 0.94
    assert np.mean([(f.lower or 0) <= ratio for f in figures]) >= 0.94
    assert all(combine(f.terms)[0] >= 0 for f in figures)

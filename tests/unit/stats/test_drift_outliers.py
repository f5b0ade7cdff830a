"""Patterns in one window: what is found, what is not, and how often by chance."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import theilslopes

from harness.stats.drift import (
    Drift,
    Step,
    find_change,
    find_period,
    theil_sen,
)
from harness.stats.outliers import classify_outliers

Reals = NDArray[np.float64]


def noise(count: int, seed: int, *, phi: float = 0.0) -> Reals:
    """Draw log-normal latencies about 20 ms, correlated by `phi`."""
    generator = np.random.default_rng(seed)
    white = generator.standard_normal(count + 100) * sqrt(1 - phi**2)
    series: Reals = lfilter([1.0], [1.0, -phi], white)[100:]
    return 0.02 * np.exp(0.03 * series)


def test_the_slope_is_that_of_theil_and_sen() -> None:
    values = noise(40, 1)

    assert theil_sen(values) == pytest.approx(theilslopes(values).slope)


def test_a_steady_rise_is_a_drift_of_its_size() -> None:
    latencies = noise(600, 2) * np.linspace(1.0, 1.10, 600)

    found = find_change(latencies)

    assert isinstance(found, Drift)
    assert found.change_ratio == pytest.approx(0.10, abs=0.02)


def test_a_sudden_rise_is_a_step_where_it_happens() -> None:
    latencies = noise(600, 3)
    latencies[400:] *= 1.10

    found = find_change(latencies)

    assert isinstance(found, Step)
    assert found.change_ratio == pytest.approx(0.10, abs=0.02)
    assert found.position_ratio == pytest.approx(2 / 3, abs=0.05)


def test_a_fall_is_found_as_well_as_a_rise() -> None:
    found = find_change(noise(600, 4) * np.linspace(1.10, 1.0, 600))

    assert isinstance(found, Drift)
    assert found.change_ratio < -0.05


def test_a_change_too_small_to_matter_is_not_a_finding() -> None:
    latencies = 0.02 * (1 + 1e-3 * np.linspace(0, 1, 5000))

    assert find_change(latencies) is None


def test_single_slow_queries_are_no_drift_and_no_step() -> None:
    latencies = noise(600, 5)
    latencies[::60] *= 10

    assert find_change(latencies) is None


def test_a_recurring_pattern_is_found_with_its_period() -> None:
    count = np.arange(600)
    latencies = noise(600, 6) * (1 + 0.03 * np.sin(2 * np.pi * count / 17))

    found = find_period(latencies)

    assert found is not None
    assert found.queries == pytest.approx(17, rel=0.05)
    assert found.variance_ratio > 0.2


@pytest.mark.parametrize("count", [0, 1, 60, 127])
def test_short_windows_show_no_pattern(count: int) -> None:
    assert find_change(noise(count, 7)) is None
    assert find_period(noise(count, 7)) is None


def test_a_constant_shows_no_pattern() -> None:
    constant = np.full(1000, 0.02)

    assert find_change(constant) is None
    assert find_period(constant) is None
    assert not classify_outliers(constant).is_unusual


def test_outliers_are_counted_by_tukeys_fences() -> None:
    # quartiles of ln x: 0 and 1; fences at 2.5 and 4 above, -1.5 and -3 below
    logs = np.array([0.0] * 20 + [0.5] * 20 + [1.0] * 20 + [3.0, 5.0, 9.0, -2.0])

    found = classify_outliers(np.exp(logs))

    assert (found.mild, found.severe, found.fast) == (2, 2, 1)
    assert found.observations == 64


def test_a_few_queries_ten_times_slower_are_unusual() -> None:
    latencies = noise(600, 8)
    latencies[100:103] *= 10

    found = classify_outliers(latencies)

    assert found.severe == 3
    assert found.is_unusual


def test_a_zero_latency_is_no_reason_to_fail() -> None:
    assert classify_outliers(np.zeros(100)).severe == 0


@given(st.integers(0, 300), st.floats(1e-6, 1e6))
def test_patterns_do_not_depend_on_the_unit(seed: int, factor: float) -> None:
    latencies = noise(200, seed) * np.linspace(1, 1 + seed / 1000, 200)

    plain, scaled = classify_outliers(latencies), classify_outliers(latencies * factor)

    assert type(find_change(latencies * factor)) is type(find_change(latencies))
    assert abs(scaled.mild - plain.mild) <= 1  # a value may lie on the fence itself


@pytest.mark.slow
@pytest.mark.parametrize("count", [128, 600, 3000])
def test_independent_queries_give_less_than_one_false_finding_in_a_hundred(
    count: int,
) -> None:
    repeats = 800

    found = 0
    for seed in range(repeats):
        latencies = noise(count, 1000 + seed)
        found += find_change(latencies) is not None
        found += find_period(latencies) is not None
        found += classify_outliers(latencies).is_unusual

    assert found / repeats < 0.015  # three kinds together
    assert found / (3 * repeats) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.5, 0.9])
def test_autocorrelation_alone_is_rarely_taken_for_a_pattern(phi: float) -> None:
    repeats = 400

    changes = periods = 0
    for seed in range(repeats):
        latencies = noise(2000, 5000 + seed, phi=phi)
        changes += find_change(latencies) is not None
        periods += find_period(latencies) is not None

    assert changes / repeats <= 0.02
    assert periods / repeats <= 0.01

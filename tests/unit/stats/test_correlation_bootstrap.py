"""Dependence between queries, and what one run alone says about its mean."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import multivariate_normal, norm

from harness.stats.bootstrap import block_length, block_mean, circular_block_means
from harness.stats.correlation import (
    Correlogram,
    correlogram,
    design_effect,
    normal_scores,
)
from harness.stats.uncertainty import student

Reals = NDArray[np.float64]


def latencies(count: int, phi: float, generator: np.random.Generator) -> Reals:
    """Draw log-normal latencies whose logarithm is a first-order process."""
    noise = generator.standard_normal(count + 100) * sqrt(1 - phi**2)
    series: Reals = lfilter([1.0], [1.0, -phi], noise)[100:]
    return 0.02 * np.exp(0.2 * series)


def test_independent_latencies_are_rarely_called_correlated() -> None:
    generator = np.random.default_rng(3)

    found = [correlogram(latencies(500, 0.0, generator)).lags for _ in range(300)]

    assert np.mean([lags > 0 for lags in found]) < 0.05


@pytest.mark.parametrize("phi", [0.3, 0.6, 0.9])
def test_the_inflation_of_a_first_order_process_is_the_known_one(phi: float) -> None:
    generator = np.random.default_rng(4)
    scores = normal_scores(latencies(20_000, phi, generator))

    found = correlogram(scores).inflation

    assert found == pytest.approx((1 + phi) / (1 - phi), rel=0.15)


def test_the_design_effect_at_a_threshold_is_that_of_a_gaussian_pair() -> None:
    scores = Correlogram(tapered=np.array([0.6]), lags=1, first=0.0, count=10**6)
    z = norm.ppf(0.9)
    joint = multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]]).cdf([z, z])
    expected = 1 + 2 * (joint - 0.81) / 0.09

    found = design_effect(np.arange(100.0) % 10, 0.9, scores)

    assert found == pytest.approx(expected, rel=1e-4)


def test_far_percentiles_suffer_less_from_correlation_than_the_median() -> None:
    series = latencies(5_000, 0.7, np.random.default_rng(5))
    scores = correlogram(normal_scores(series))

    effects = [design_effect(series, ratio, scores) for ratio in (0.5, 0.9, 0.99)]

    assert effects == sorted(effects, reverse=True)
    assert effects[0] > 2


def test_bursts_of_slow_queries_count_although_the_body_is_independent() -> None:
    series = latencies(2_000, 0.0, np.random.default_rng(6))
    series[1000:1020] *= 3

    found = design_effect(series, 0.99, correlogram(normal_scores(series)))

    assert found > 5


def test_ties_share_their_rank_so_that_constants_show_no_pattern() -> None:
    steps = np.array([2.0, 1.0, 2.0, 1.0])

    assert normal_scores(steps)[0] == normal_scores(steps)[2]
    assert correlogram(np.full(100, 0.02)).lags == 0


@given(st.integers(0, 1000), st.floats(1e-9, 1e6))
def test_a_mean_and_its_uncertainty_follow_the_unit(seed: int, factor: float) -> None:
    series = latencies(100, 0.5, np.random.default_rng(seed))

    plain, scaled = block_mean(series), block_mean(series * factor)

    assert scaled.block == plain.block
    assert scaled.value == pytest.approx(plain.value * factor)
    assert scaled.term.u == pytest.approx(plain.term.u * factor)


def test_the_closed_form_is_what_resampling_converges_to() -> None:
    generator = np.random.default_rng(8)
    series = latencies(240, 0.6, generator)
    block = 8
    means = circular_block_means(series, block)
    resampled = generator.choice(means, size=(20_000, len(series) // block)).mean(1)

    closed = sqrt(float(means.var()) * block / len(series))

    assert closed == pytest.approx(float(resampled.std()), rel=0.02)


def test_circular_blocks_wrap_round_the_end() -> None:
    means = circular_block_means(np.array([1.0, 2.0, 6.0]), 2)

    assert means == pytest.approx([1.5, 4.0, 3.5])


def test_independent_observations_get_the_usual_standard_error() -> None:
    series = np.random.default_rng(9).normal(size=400)

    found = block_mean(series)

    assert block_length(series) == 1
    assert found.term.u == pytest.approx(series.std(ddof=1) / 20, rel=1e-2)


def test_a_constant_has_no_uncertainty_and_nothing_has_no_mean() -> None:
    assert block_mean(np.full(50, 0.1)).term.u == 0.0

    with pytest.raises(ValueError, match="observation"):
        block_mean(np.empty(0))


@pytest.mark.slow
@pytest.mark.parametrize("count", [128, 600])
@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6, 0.9])
def test_intervals_of_one_run_hold_the_true_mean(count: int, phi: float) -> None:
    generator = np.random.default_rng(10)
    truth = 0.02 * np.exp(0.2**2 / 2)

    means = [block_mean(latencies(count, phi, generator)) for _ in range(800)]

    held = [abs(m.value - truth) <= student(m.term.freedom) * m.term.u for m in means]
    # 128 queries correlated by 0.9 are worth seven
    assert np.mean(held) >= (0.90 if (count, phi) == (128, 0.9) else 0.93)

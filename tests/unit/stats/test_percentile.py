"""Percentiles and their bounds: known answers, properties, numpy, coverage."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.percentile import (
    Definition,
    bounds_of_sorted,
    early_stopping_minimum,
    lower_rank,
    minimum_queries,
    nearest_rank,
    needed_queries,
    percentile,
    upper_rank,
)

RATIOS = st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999])
OBSERVATIONS = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=200).map(np.array)


def test_early_stopping_needs_the_numbers_of_loadgen() -> None:
    # MLPerf Inference rules, early stopping: 99 % confidence, one slow query
    ratios = [0.90, 0.95, 0.97, 0.99, 0.999]

    found = [early_stopping_minimum(ratio) for ratio in ratios]

    assert found == [64, 130, 219, 662, 6636]


def test_early_stopping_with_no_slow_query_is_the_rule_of_powers() -> None:
    # 0.99^n ≤ 0.01 first holds at n = 459
    assert early_stopping_minimum(0.99, slow=0) == 459


def test_upper_bounds_exist_from_the_known_sample_sizes_on() -> None:
    ratios = [0.5, 0.9, 0.95, 0.99, 0.999]

    found = [minimum_queries(ratio) for ratio in ratios]

    assert found == [5, 29, 59, 299, 2995]  # ⌈ln 0.05 / ln p⌉


@pytest.mark.parametrize("ratio", [0.9, 0.99, 0.999])
def test_the_rank_exists_exactly_from_the_minimum_on(ratio: float) -> None:
    enough = minimum_queries(ratio)

    assert upper_rank(enough - 1, ratio) is None
    assert upper_rank(enough, ratio) == enough


def test_ranks_of_the_median_are_those_of_the_sign_test() -> None:
    # Conover, table A3: P(Bin(20, 0.5) ≤ 5) = 0.0207, ≤ 6: 0.0577
    assert lower_rank(20, 0.5) == 6
    assert upper_rank(20, 0.5) == 15


def test_nearest_rank_does_not_stumble_over_binary_fractions() -> None:
    assert nearest_rank(1000, 0.999) == 999
    assert nearest_rank(100, 0.07) == 7
    assert nearest_rank(3, 0.01) == 1


def test_each_definition_gives_its_own_known_answer() -> None:
    observations = np.arange(1.0, 11.0)[::-1]

    found = {name: percentile(observations, 0.9, name) for name in Definition}

    assert found == {
        Definition.NEAREST_RANK: 9.0,
        Definition.LOADGEN: 10.0,  # sorted[⌊10 × 0.9⌋]
        Definition.LINEAR: pytest.approx(9.1),
    }


@given(OBSERVATIONS, RATIOS)
def test_definitions_that_numpy_shares_agree_with_numpy(
    observations: "np.typing.NDArray[np.float64]", ratio: float
) -> None:
    nearest = percentile(observations, ratio)
    linear = percentile(observations, ratio, Definition.LINEAR)

    assert nearest == np.quantile(observations, ratio, method="inverted_cdf")
    assert linear == np.quantile(observations, ratio)


@given(OBSERVATIONS, RATIOS)
def test_percentiles_never_fall_with_the_ratio(
    observations: "np.typing.NDArray[np.float64]", ratio: float
) -> None:
    for method in Definition:
        found = percentile(observations, ratio, method)

        assert percentile(observations, ratio / 2, method) <= found


@given(OBSERVATIONS, RATIOS, st.floats(1e-9, 1e9))
def test_a_percentile_follows_the_unit(
    observations: "np.typing.NDArray[np.float64]", ratio: float, factor: float
) -> None:
    found = percentile(observations * factor, ratio)

    assert found == percentile(observations, ratio) * factor


@given(OBSERVATIONS, RATIOS, st.integers(0, 1000))
def test_a_percentile_does_not_depend_on_the_order(
    observations: "np.typing.NDArray[np.float64]", ratio: float, seed: int
) -> None:
    shuffled = np.random.default_rng(seed).permutation(observations)

    assert percentile(shuffled, ratio) == percentile(observations, ratio)


@given(OBSERVATIONS, RATIOS, st.floats(1.0, 300.0))
def test_bounds_enclose_the_percentile_and_widen_with_dependence(
    observations: "np.typing.NDArray[np.float64]", ratio: float, effect: float
) -> None:
    ordered = np.sort(observations)

    plain = bounds_of_sorted(ordered, ratio)
    dependent = bounds_of_sorted(ordered, ratio, design_effect=effect)

    assert plain.lower <= percentile(ordered, ratio) <= plain.upper
    assert dependent.lower <= plain.lower
    assert dependent.upper >= plain.upper


def test_too_few_observations_have_no_bounds() -> None:
    bounds = bounds_of_sorted(np.array([1.0, 2.0]), 0.99, design_effect=5.0)

    assert (bounds.lower, bounds.upper) == (-inf, inf)


def test_dependence_asks_for_more_queries() -> None:
    assert needed_queries(0.99, 1.0) == 299
    assert needed_queries(0.99, 2.5) == 748


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, 99.0])
def test_a_percentile_outside_zero_to_one_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="lies in"):
        percentile(np.array([1.0]), ratio)


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="observation"):
        percentile(np.empty(0), 0.5)


@pytest.mark.parametrize(
    ("ratio", "count"), [(0.5, 128), (0.9, 128), (0.99, 299), (0.99, 1024)]
)
def test_bounds_of_independent_queries_hold_in_95_of_100_samples(
    ratio: float, count: int
) -> None:
    generator = np.random.default_rng(7)
    samples = np.sort(generator.random((3000, count)), axis=1)
    upper, lower = upper_rank(count, ratio), lower_rank(count, ratio)

    assert upper is not None
    assert lower is not None
    above = float(np.mean(samples[:, upper - 1] >= ratio))
    below = float(np.mean(samples[:, lower - 1] <= ratio))

    # order statistics are discrete: never below 95 %, a little above it
    assert 0.94 <= above <= 0.985
    assert 0.94 <= below <= 0.985

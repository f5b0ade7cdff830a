"""Percentiles over runs: what is withheld, how runs are put together, coverage."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtri

from harness.stats.group import Figure
from harness.stats.percentile import Definition, percentile
from harness.stats.series import Stream
from harness.stats.tails import (
    Shortfall,
    gap_of_runs,
    percentile_of_runs,
    percentile_of_starts,
    relative_gap_of_runs,
)
from harness.stats.uncertainty import combine

SIGMA = 0.2


def a_run(
    count: int, generator: np.random.Generator, *, phi: float = 0.0, level: float = 0.0
) -> Stream:
    """Draw log-normal latencies, correlated by `phi`, of a run at its own level."""
    noise = generator.standard_normal(count + 100) * sqrt(1 - phi**2)
    series: NDArray[np.float64] = lfilter([1.0], [1.0, -phi], noise)[100:]
    return Stream(0.02 * np.exp(SIGMA * series + level))


def found_figure(found: Figure | Shortfall) -> Figure:
    assert isinstance(found, Figure)
    return found


def test_the_value_is_the_mean_of_the_runs_own_percentiles() -> None:
    generator = np.random.default_rng(1)
    runs = [a_run(200, generator) for _ in range(3)]
    own = [percentile(run.latencies_s, 0.9) for run in runs]

    figure = found_figure(percentile_of_runs(runs, 0.9))

    assert figure.value == pytest.approx(np.mean(own))
    assert figure.terms[0].u == pytest.approx(np.std(own, ddof=1) / sqrt(3))
    assert (figure.runs, figure.queries) == (3, 600)
    assert "nearest-rank percentile per run, mean of 3 runs" in figure.method


def test_runs_are_never_pooled_to_reach_a_percentile() -> None:
    generator = np.random.default_rng(2)
    runs = [a_run(200, generator) for _ in range(5)]

    found = percentile_of_runs(runs, 0.99)

    # a thousand queries in all, but no window of 299
    assert found == Shortfall(needed=299, observed=200)


def test_a_percentile_appears_with_the_query_that_makes_its_bound() -> None:
    latencies = np.random.default_rng(12).permutation(np.linspace(0.01, 0.02, 299))

    assert isinstance(percentile_of_runs([Stream(latencies)], 0.99), Figure)
    short = percentile_of_runs([Stream(latencies[1:])], 0.99)

    assert short == Shortfall(needed=299, observed=298)


def test_correlated_queries_are_worth_fewer() -> None:
    run = a_run(2000, np.random.default_rng(3), phi=0.99)

    found = percentile_of_runs([run], 0.99)

    assert isinstance(found, Shortfall)
    assert found.needed > 2000


def test_no_query_at_all_is_a_shortfall() -> None:
    found = percentile_of_runs([Stream(np.empty(0))], 0.5)

    assert found == Shortfall(needed=5, observed=0)


def test_the_definition_is_named_in_the_method() -> None:
    run = a_run(200, np.random.default_rng(4))

    figure = found_figure(percentile_of_runs([run], 0.9, Definition.LOADGEN))

    assert figure.method.startswith("loadgen percentile")
    assert figure.value == np.sort(run.latencies_s)[180]


def test_a_run_at_another_level_widens_the_bounds() -> None:
    generator = np.random.default_rng(5)
    alike = [a_run(300, generator) for _ in range(3)]
    odd = [*alike[:2], Stream(alike[2].latencies_s * 1.5)]

    calm = found_figure(percentile_of_runs(alike, 0.9))
    wide = found_figure(percentile_of_runs(odd, 0.9))

    assert calm.upper is not None
    assert wide.upper is not None
    assert wide.upper / wide.value > 1.3 * calm.upper / calm.value


def test_runs_without_any_spread_are_certain() -> None:
    runs = [Stream(np.full(300, 0.02)) for _ in range(3)]

    figure = found_figure(percentile_of_runs(runs, 0.99))

    assert figure.lower == figure.value == figure.upper == 0.02
    assert combine(figure.terms)[0] == 0.0


@given(st.integers(0, 500), st.floats(1e-6, 1e6))
def test_percentiles_over_runs_follow_the_unit(seed: int, factor: float) -> None:
    generator = np.random.default_rng(seed)
    runs = [a_run(100, generator) for _ in range(3)]
    scaled = [Stream(run.latencies_s * factor) for run in runs]

    plain = found_figure(percentile_of_runs(runs, 0.9))
    other = found_figure(percentile_of_runs(scaled, 0.9))

    assert other.value == pytest.approx(plain.value * factor)
    assert other.lower == pytest.approx((plain.lower or 0) * factor)
    assert other.upper == pytest.approx((plain.upper or 0) * factor)


@given(st.integers(0, 500))
def test_the_order_of_the_runs_does_not_matter(seed: int) -> None:
    generator = np.random.default_rng(seed)
    runs = [a_run(100, generator) for _ in range(4)]

    forwards = found_figure(percentile_of_runs(runs, 0.9))
    backwards = found_figure(percentile_of_runs(runs[::-1], 0.9))

    assert backwards.value == pytest.approx(forwards.value)
    assert backwards.upper == pytest.approx(forwards.upper)


def test_gaps_are_the_tail_less_the_median_in_seconds_and_as_a_ratio() -> None:
    run = a_run(4000, np.random.default_rng(6))
    p50, p999 = (percentile(run.latencies_s, ratio) for ratio in (0.5, 0.999))

    gap = found_figure(gap_of_runs([run], 0.999))
    relative = found_figure(relative_gap_of_runs([run], 0.999))

    assert gap.value == pytest.approx(p999 - p50)
    assert relative.value == pytest.approx(p999 / p50 - 1)


def test_a_gap_takes_no_more_queries_than_its_tail() -> None:
    latencies = np.random.default_rng(12).permutation(np.linspace(0.01, 0.02, 299))

    short = gap_of_runs([Stream(latencies[1:])], 0.99)

    assert short == Shortfall(needed=299, observed=298)
    assert isinstance(gap_of_runs([Stream(latencies)], 0.99), Figure)


@pytest.mark.parametrize("starts", [[5, 5], [], [0]])
def test_too_few_starts_in_all_are_a_shortfall(starts: list[int]) -> None:
    generator = np.random.default_rng(7)
    runs = [Stream(0.5 + 0.01 * generator.random(count)) for count in starts]

    found = percentile_of_starts(runs, 0.9)

    assert found == Shortfall(needed=29, observed=sum(starts))


def test_starts_of_one_run_alone_have_bounds() -> None:
    run = Stream(0.5 + 0.01 * np.random.default_rng(8).random(40))

    figure = found_figure(percentile_of_starts([run], 0.9))

    assert (figure.runs, figure.queries) == (1, 40)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.0, 0.05])
def test_bounds_of_few_cold_starts_hold(level: float) -> None:
    generator = np.random.default_rng(23)
    truth = 0.02 * np.exp(SIGMA * ndtri(0.9) + level**2 / 2)

    figures = [
        found_figure(
            percentile_of_starts(
                [
                    a_run(10, generator, level=level * own)
                    for own in generator.standard_normal(3)
                ],
                0.9,
            )
        )
        for _ in range(1000)
    ]

    assert np.mean([(f.upper or 0) >= truth for f in figures]) >= 0.93
    assert np.mean([(f.lower or 1) <= truth for f in figures]) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize(
    ("ratio", "count", "phi"),
    [(0.5, 200, 0.0), (0.9, 300, 0.5), (0.9, 600, 0.9), (0.99, 800, 0.5)],
)
def test_bounds_hold_for_correlated_runs(
    runs: int, ratio: float, count: int, phi: float
) -> None:
    generator = np.random.default_rng(20)
    truth = 0.02 * np.exp(SIGMA * ndtri(ratio))

    found = [
        percentile_of_runs(
            [a_run(count, generator, phi=phi) for _ in range(runs)], ratio
        )
        for _ in range(400)
    ]

    figures = [figure for figure in found if isinstance(figure, Figure)]
    assert len(figures) > 0.7 * len(found)
    assert np.mean([(f.upper or 0) >= truth for f in figures]) >= 0.93
    assert np.mean([(f.lower or 1) <= truth for f in figures]) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("runs", [3, 5])
@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_bounds_and_intervals_hold_where_runs_differ(runs: int, phi: float) -> None:
    generator = np.random.default_rng(21)
    truth = 0.02 * np.exp(SIGMA * ndtri(0.9) + 0.05**2 / 2)

    figures = [
        found_figure(
            percentile_of_runs(
                [
                    a_run(300, generator, phi=phi, level=0.05 * level)
                    for level in generator.standard_normal(runs)
                ],
                0.9,
            )
        )
        for _ in range(800)
    ]

    assert np.mean([(f.upper or 0) >= truth for f in figures]) >= 0.93
    assert np.mean([(f.lower or 1) <= truth for f in figures]) >= 0.93
    expanded = [(f.value, *combine(f.terms)) for f in figures]
    held = [abs(value - truth) <= k * u for value, u, k in expanded]
    assert np.mean(held) >= 0.93


@pytest.mark.slow
def test_bounds_of_the_jitter_hold() -> None:
    generator = np.random.default_rng(22)
    truth = 0.02 * (np.exp(SIGMA * ndtri(0.99)) - 1)

    found = [gap_of_runs([a_run(700, generator, phi=0.3)], 0.99) for _ in range(600)]

    figures = [figure for figure in found if isinstance(figure, Figure)]
    assert len(figures) > 0.7 * len(found)
    assert np.mean([(f.upper or 0) >= truth for f in figures]) >= 0.93
    assert np.mean([(f.lower or 1) <= truth for f in figures]) >= 0.93

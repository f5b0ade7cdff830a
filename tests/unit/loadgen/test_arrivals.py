"""Schedules: how many, how long, and again the same with the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.domain.plan import Minimum
from harness.loadgen.arrivals import periodic, poisson
from harness.units import NS_PER_S


@given(
    st.integers(1, 500),
    st.integers(0, 20 * NS_PER_S),
    st.floats(0.5, 500.0),
    st.integers(0, 2**32),
)
def test_a_poisson_schedule_meets_both_minima_and_is_no_longer(
    queries: int, duration_ns: int, rate_hz: float, seed: int
) -> None:
    minimum = Minimum(queries=queries, duration_ns=duration_ns)

    due = poisson(rate_hz, minimum, np.random.default_rng(seed))

    assert len(due) >= queries
    assert due[-1] >= duration_ns
    assert np.all(np.diff(due) >= 0)
    assert len(due) == queries or due[-2] <= duration_ns


def test_the_same_seed_gives_the_same_arrivals() -> None:
    minimum = Minimum(queries=100, duration_ns=0)

    first = poisson(50.0, minimum, np.random.default_rng(7))
    again = poisson(50.0, minimum, np.random.default_rng(7))
    other = poisson(50.0, minimum, np.random.default_rng(8))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() -> None:
    minimum = Minimum(queries=20_000, duration_ns=0)

    gaps = np.diff(poisson(200.0, minimum, np.random.default_rng(1))) / NS_PER_S

    assert np.mean(gaps) == pytest.approx(1 / 200, rel=0.03)
    assert np.std(gaps) == pytest.approx(1 / 200, rel=0.03)


@pytest.mark.parametrize(
    ("queries", "duration_ns", "count"), [(3, 100, 10), (30, 100, 30), (1, 95, 10)]
)
def test_a_periodic_schedule_meets_both_minima(
    queries: int, duration_ns: int, count: int
) -> None:
    minimum = Minimum(queries=queries, duration_ns=duration_ns)

    due = periodic(10, minimum)

    assert len(due) == count
    assert due[0] == 0
    assert set(np.diff(due)) == {10}

"""Early stopping and the search of a server, without any server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.loadgen.earlystop import allowed_late, needed_queries
from harness.loadgen.search import Search


def keep_below(limit_hz: float, start_hz: float, tolerance: float) -> Search:
    search = Search.begin(start_hz, tolerance)
    while not search.is_over:
        search = search.after(is_kept=search.rate_hz <= limit_hz)
    return search


@pytest.mark.parametrize(
    ("percentile", "queries"),
    [(0.90, 64), (0.95, 130), (0.97, 219), (0.99, 662), (0.999, 6636)],
)
def test_one_slow_query_needs_as_many_as_the_mlperf_rules_say(
    percentile: float, queries: int
) -> None:
    found = needed_queries(1, percentile)

    assert found == queries


def test_too_few_queries_show_nothing_even_when_none_is_late() -> None:
    allowed = allowed_late(458, 0.99)

    assert allowed == -1
    assert allowed_late(459, 0.99) == 0


@given(st.integers(500, 20_000))
def test_the_allowed_share_stays_below_the_share_that_is_claimed(queries: int) -> None:
    allowed = allowed_late(queries, 0.99)

    assert allowed < 0.01 * queries
    assert allowed_late(queries + 1, 0.99) >= allowed


@given(st.floats(0.03, 3.0), st.floats(0.01, 0.3))
def test_a_search_ends_within_its_tolerance_below_the_true_limit(
    limit: float, tolerance: float
) -> None:
    search = keep_below(1000.0 * limit, 1000.0, tolerance)

    assert search.kept_hz is not None
    assert search.kept_hz <= 1000.0 * limit <= search.kept_hz * (1 + tolerance) * 1.0001


def test_a_search_gives_up_where_the_bound_is_out_of_reach() -> None:
    search = keep_below(0.0, 1000.0, 0.05)

    assert search.kept_hz is None
    assert search.probe == 6


def test_a_search_makes_no_more_than_twenty_probes() -> None:
    search = keep_below(float("inf"), 1000.0, 0.05)

    assert search.probe == 20

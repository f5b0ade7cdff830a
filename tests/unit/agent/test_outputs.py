"""Outputs of timed queries against the same computed again."""

from collections.abc import Sequence

import numpy as np
import pytest

from harness.agent.outputs import OutputCheck, agree
from harness.loadgen.draws import chosen
from harness.runtimes.base import BoundQuery, Feeds, Tensor


class Doubling:
    """A session whose plain call doubles; `drift` spoils it."""

    def __init__(self, drift: float = 0.0) -> None:
        self._drift = drift

    def bind(self, feeds: Feeds) -> BoundQuery:
        raise AssertionError(f"nobody asked to bind {set(feeds)}")

    def compute(self, feeds: Feeds) -> tuple[Tensor, ...]:
        return (2 * feeds["x"] + self._drift,)


def some_feeds(count: int = 3) -> list[Feeds]:
    return [{"x": np.full(4, n + 1.0)} for n in range(count)]


def look_at(
    check: OutputCheck, feeds: Sequence[Feeds], wrong: frozenset[int] = frozenset()
) -> None:
    for turn in range(30):
        number = turn % len(feeds)
        check.due()
        output = 2 * feeds[number]["x"] + (1.0 if turn in wrong else 0.0)
        check.look(number, (output,))


@pytest.mark.parametrize("queries", [5, 9, 10, 64, 1024, 5001])
def test_at_least_a_tenth_of_any_window_is_looked_at(queries: int) -> None:
    looks = chosen(seed=3)

    seen = sum(looks[turn % len(looks)] for turn in range(queries))

    assert seen >= 0.1 * queries


def test_the_very_first_query_is_looked_at() -> None:
    assert all(chosen(seed)[0] for seed in range(20))


def test_outputs_that_agree_count_as_compared_and_nothing_else() -> None:
    check, feeds = OutputCheck(samples_per_call=2), some_feeds()

    look_at(check, feeds)
    checked = check.conclude("t", Doubling(), feeds, feeds[0])

    assert (checked.compared, checked.differing, checked.non_finite) == (60, 0, 0)


def test_a_single_timed_output_that_strays_is_counted() -> None:
    check, feeds = OutputCheck(samples_per_call=1), some_feeds()

    look_at(check, feeds, wrong=frozenset({17}))
    checked = check.conclude("t", Doubling(), feeds, feeds[0])

    assert checked.differing == 1


def test_timed_outputs_that_all_differ_from_the_untimed_are_counted() -> None:
    check, feeds = OutputCheck(samples_per_call=1), some_feeds()

    look_at(check, feeds)
    checked = check.conclude("t", Doubling(drift=0.5), feeds, feeds[0])

    assert checked.differing == 30


def test_outputs_that_are_not_finite_are_counted_and_still_agree() -> None:
    check, feeds = OutputCheck(samples_per_call=1), some_feeds(2)
    feeds[1] = {"x": np.array([1.0, np.nan, np.inf, 2.0])}

    look_at(check, feeds)
    checked = check.conclude("t", Doubling(), feeds, feeds[0])

    assert checked.non_finite == 15
    assert checked.differing == 0


def test_large_outputs_are_kept_for_two_inputs_only_and_looks_are_made_up_for() -> None:
    check = OutputCheck(samples_per_call=1)
    large = np.zeros(3 * 1024**2)

    for turn in range(40):
        if turn % 5 == 0:
            check.due()
        if check.owed:
            check.look(turn % 4, (large,))

    assert len(check.kept) == 2
    assert sum(kept.looks for kept in check.kept.values()) == 8


def test_the_digest_is_that_of_the_first_samples_outputs() -> None:
    feeds = some_feeds()

    one = OutputCheck(samples_per_call=1).conclude("t", Doubling(), feeds, feeds[0])
    other = OutputCheck(samples_per_call=1).conclude("t", Doubling(), feeds, feeds[1])

    assert len(one.sha256) == 64
    assert one.sha256 != other.sha256


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([1.0, 2.0], [1.0, 2.0 + 1e-5], True),
        ([1.0, 2.0], [1.0, 2.01], False),
        ([1e-9, 2.0], [2e-9, 2.0], True),
        ([1.0, 2.0], [1.0, 2.0, 3.0], False),
        ([np.nan, 1.0], [np.nan, 1.0], True),
        ([np.nan, 1.0], [1.0, 1.0], False),
    ],
)
def test_reals_may_differ_by_rounding_and_no_more(
    one: list[float], other: list[float], *, same: bool
) -> None:
    assert agree((np.array(one),), (np.array(other),)) is same


def test_whole_numbers_may_not_differ_at_all() -> None:
    assert not agree((np.array([100, 5]),), (np.array([100, 6]),))
    assert not agree((np.array([1]),), (np.array([1.0]),))
    assert not agree((np.array([1]),), ())

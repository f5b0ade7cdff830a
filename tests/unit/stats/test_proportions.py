"""Intervals of shares and of their paired ratio: known values, and coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.proportions import (
    TWO_SIDED_Z,
    Paired,
    ratio_interval,
    score_statistic,
    wilson,
)


def test_wilson_s_interval_is_the_published_one() -> None:
    # 81 of 263: 0.255 to 0.366 (Newcombe, Statistics in Medicine 17, 1998, table I)
    found = wilson(81, 263, TWO_SIDED_Z)

    assert (found.lower, found.upper) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@given(st.integers(0, 400), st.integers(0, 30), st.integers(0, 30), st.integers(0, 100))
def test_the_ratio_lies_inside_its_interval(a: int, b: int, c: int, d: int) -> None:
    if a + c == 0:
        return
    pairs = Paired(both=a, only_first=b, only_second=c, items=a + b + c + d)

    found = ratio_interval(pairs, TWO_SIDED_Z)

    assert found.lower <= pairs.ratio <= found.upper


def test_items_that_all_agree_leave_room_for_those_that_were_not_drawn() -> None:
    pairs = Paired(both=950, only_first=0, only_second=0, items=1000)

    found = ratio_interval(pairs, TWO_SIDED_Z)

    # with no change seen, the statistic is a root: lower = a/(a + z²)
    assert found.lower == pytest.approx(950 / (950 + TWO_SIDED_Z**2), abs=1e-6)
    assert found.upper > 1


def test_the_statistic_is_zero_at_the_ratio_that_was_seen() -> None:
    pairs = Paired(both=900, only_first=10, only_second=25, items=1000)

    assert score_statistic(pairs, pairs.ratio) == pytest.approx(0, abs=1e-9)


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no hit at all"):
        ratio_interval(Paired(both=0, only_first=3, only_second=0, items=9), 1.96)


@pytest.mark.parametrize(
    ("items", "shares"),
    [
        (300, (0.90, 0.01, 0.03)),
        (300, (0.97, 0.002, 0.004)),
        (1000, (0.93, 0.005, 0.01)),
        (1000, (0.80, 0.05, 0.05)),
    ],
)
def test_the_interval_of_retention_covers_the_truth_as_often_as_it_says(
    items: int, shares: tuple[float, float, float]
) -> None:
    both, first, second = shares
    truth = (both + first) / (both + second)
    draw = np.random.default_rng(20260102)
    tables = draw.multinomial(items, [*shares, 1 - sum(shares)], size=300)
    covered = 0
    for a, b, c, _ in tables:
        pairs = Paired(both=int(a), only_first=int(b), only_second=int(c), items=items)
        found = ratio_interval(pairs, TWO_SIDED_Z)
        covered += found.lower <= truth <= found.upper

    # 95 % ± 3 standard deviations of 300 draws; conservative where changes are rare
    assert 0.912 <= covered / len(tables) <= 1.0

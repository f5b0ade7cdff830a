"""Losses of whole multiples of 64 readings are seen by the clock, and only they."""

import numpy as np
import pytest

from harness.meters.ppk2.timebase import ArrivalWatch

PERIOD_NS = 10_000


def watched(
    *, lost: int, ppm: float, seed: int, late_s: tuple[float, float] = (0.0, 0.0)
) -> tuple[int, bool]:
    """Twelve seconds of a stream that loses `lost` readings at 5 s.

    Arrivals are up to 1 ms late, and up to 60 ms late between `late_s`.
    """
    generator = np.random.default_rng(seed)
    watch = ArrivalWatch(modulus=64, period_ns=PERIOD_NS)
    found, last_ns = 0, 0
    for turn in range(1, 3000):
        second = 0.004 * turn
        is_late = late_s[0] <= second < late_s[1]
        delay_s = generator.exponential(0.0005) + is_late * generator.uniform(0, 0.06)
        arrival_ns = round((second * (1 + ppm * 1e-6) + delay_s) * 1e9)
        last_ns = max(last_ns, arrival_ns)
        received = round(second * 1e5) - (lost if second > 5.0 else 0)
        found += watch.note(last_ns, received + found)
    return found, watch.is_unclear


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ppm", [-140.0, 0.0, 50.0, 140.0])
def test_drifting_clocks_and_a_busy_host_are_no_loss(ppm: float, seed: int) -> None:
    found, is_unclear = watched(lost=0, ppm=ppm, seed=seed, late_s=(3.0, 3.6))

    assert found == 0
    assert not is_unclear


@pytest.mark.parametrize("multiples", [1, 2, 7, 233])
@pytest.mark.parametrize("ppm", [-140.0, 0.0, 140.0])
def test_each_lost_multiple_is_found(multiples: int, ppm: float) -> None:
    found, is_unclear = watched(lost=64 * multiples, ppm=ppm, seed=multiples)

    assert found == 64 * multiples
    assert not is_unclear


def test_a_shift_that_is_no_multiple_is_called_unclear() -> None:
    _, is_unclear = watched(lost=64 + 30, ppm=0.0, seed=1)

    assert is_unclear

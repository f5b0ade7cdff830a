"""Scatter, outliers and heat of an emulated device."""

from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.emulation.prediction import Scatter
from harness.emulation.service import durations_ns, run_factor
from harness.emulation.thermal import Heat, Throttling

S = 1_000_000_000


def draw(scatter: Scatter, count: int = 20_000) -> NDArray[np.int64]:
    times = durations_ns(1e6, scatter, np.random.default_rng(3))
    return np.fromiter(islice(times, count), dtype=np.int64)


def test_times_scatter_about_the_prediction_as_asked() -> None:
    times = draw(Scatter(sigma=0.05))

    assert np.median(times) == pytest.approx(1e6, rel=2e-3)
    assert np.log(times).std() == pytest.approx(0.05, rel=0.03)


def test_outliers_are_as_many_and_as_slow_as_asked() -> None:
    times = draw(Scatter(sigma=0.001, tail_share=0.02, tail_factor=3.0))

    slow = times > 2e6
    assert slow.mean() == pytest.approx(0.02, rel=0.2)
    assert np.median(times[slow]) == pytest.approx(3e6, rel=1e-3)


def test_no_time_is_below_a_nanosecond() -> None:
    times = durations_ns(0.0, Scatter(sigma=0.1), np.random.default_rng(3))

    assert list(islice(times, 3)) == [1, 1, 1]


def test_runs_differ_as_much_as_asked() -> None:
    generator = np.random.default_rng(5)
    scatter = Scatter(sigma=0.0, between_runs=0.02)

    factors = [run_factor(scatter, generator) for _ in range(2000)]

    assert np.std(np.log(factors)) == pytest.approx(0.02, rel=0.06)


def test_a_device_slows_down_to_its_floor_and_recovers_when_idle() -> None:
    heat = Heat(Throttling(time_constant_s=10.0, onset=0.5, floor=0.6), now_ns=0)

    assert heat.speed == 1.0
    heat.work_until(5 * S)
    assert heat.speed == 1.0
    heat.work_until(20 * S)
    assert 0.6 < heat.speed < 1.0
    heat.work_until(500 * S)
    assert heat.speed == pytest.approx(0.6)
    heat.idle_until(700 * S)

    assert heat.speed == 1.0

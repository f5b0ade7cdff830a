"""A trace of power holds exactly the energy of the work."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.emulation.power import (
    READINGS_AT_MOST,
    Busy,
    busy_of,
    trace,
    waveform,
)

S = 1_000_000_000


def busy(*stretches: tuple[int, int, float]) -> Busy:
    columns = list(zip(*stretches, strict=True)) or [(), (), ()]
    return Busy(
        start_ns=np.array(columns[0], dtype=np.int64),
        end_ns=np.array(columns[1], dtype=np.int64),
        watts=np.array(columns[2], dtype=np.float64),
    )


def widths(times: NDArray[np.int64], begin: int) -> NDArray[np.int64]:
    return np.diff(np.append(begin, times))


@given(
    lengths=st.lists(
        st.tuples(st.integers(0, 40_000_000), st.integers(1, 40_000_000)), max_size=30
    ),
    idle_w=st.floats(0.0, 1.0),
)
def test_the_energy_of_the_trace_is_that_of_the_work(
    lengths: list[tuple[int, int]], idle_w: float
) -> None:
    now, stretches, expected_j = 5_000, [], 0.0
    for gap, length in lengths:
        stretches.append((now + gap, now + gap + length, 2.0))
        now += gap + length
        expected_j += (idle_w * gap + 2.0 * length) * 1e-9

    taken = trace(busy(*stretches), idle_w=idle_w, begin_ns=5_000, end_ns=now)

    energy_j = float(taken.watts @ widths(taken.times_ns, 5_000)) * 1e-9
    assert energy_j == pytest.approx(expected_j, rel=1e-9, abs=1e-12)


def test_a_reading_is_the_mean_over_the_interval_that_ends_at_its_time() -> None:
    ms = 1_000_000

    taken = trace(busy((12 * ms, 17 * ms, 3.0)), idle_w=1.0, begin_ns=0, end_ns=25 * ms)

    assert taken.times_ns.tolist() == [10 * ms, 20 * ms, 25 * ms]
    assert taken.watts.tolist() == pytest.approx([1.0, 2.0, 1.0])


def test_without_work_every_reading_is_idle() -> None:
    taken = trace(busy(), idle_w=0.5, begin_ns=0, end_ns=10**9)

    assert len(taken.watts) == 100
    assert set(taken.watts.tolist()) == {0.5}


def test_a_long_trial_is_read_more_slowly() -> None:
    taken = trace(busy(), idle_w=0.5, begin_ns=0, end_ns=10**13)

    assert len(taken.watts) <= READINGS_AT_MOST
    assert taken.times_ns[-1] == 10**13


def test_the_true_power_is_steps_between_idle_and_work() -> None:
    work = busy((2 * S, 4 * S, 3.0), (5 * S, 6 * S, 2.0))

    true = waveform(work, idle_w=1.0, begin_ns=0, end_ns=8 * S)

    assert true.times_s.tolist() == [0, 2, 4, 5, 6, 8]
    assert true.watts.tolist() == [1, 3, 1, 2, 1, 1]


def test_work_without_a_pause_is_one_step() -> None:
    work = busy((0, 2 * S, 3.0), (2 * S, 3 * S, 3.0))

    true = waveform(work, idle_w=1.0, begin_ns=0, end_ns=3 * S)

    assert true.times_s[0] == 0
    assert true.watts[0] == 3.0
    assert set(true.watts[:-1].tolist()) == {3.0}


@given(
    gaps=st.lists(st.integers(0, 5), min_size=2, max_size=20),
    seed=st.integers(0, 99),
)
def test_readings_hold_the_energy_of_the_true_power(gaps: list[int], seed: int) -> None:
    edges = np.cumsum(gaps[: len(gaps) // 2 * 2]) * S // 3
    spans = edges.reshape(-1, 2)
    speeds = np.random.default_rng(seed).uniform(0.5, 1.0, len(spans))
    work = busy_of(spans, speeds, active_w=2.0, idle_w=0.5)
    end = int(edges[-1]) + S

    read = trace(work, idle_w=0.5, begin_ns=0, end_ns=end)
    true = waveform(work, idle_w=0.5, begin_ns=0, end_ns=end)

    steps = np.diff(np.append(true.times_s, end / S))
    read_j = (read.watts * widths(read.times_ns, 0) / S).sum()
    assert (true.watts * steps).sum() == pytest.approx(read_j)

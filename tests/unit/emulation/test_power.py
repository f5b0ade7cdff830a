"""A trace of power holds exactly the energy of the work."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.emulation.power import (
    READINGS_AT_MOST,
    Busy,
    Trace,
    trace,
    waveform,
)


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
    read=st.sampled_from([trace, waveform]),
)
def test_the_energy_of_the_trace_is_that_of_the_work(
    lengths: list[tuple[int, int]], idle_w: float, read: Callable[..., Trace]
) -> None:
    now, stretches, expected_j = 5_000, [], 0.0
    for gap, length in lengths:
        stretches.append((now + gap, now + gap + length, 2.0))
        now += gap + length
        expected_j += (idle_w * gap + 2.0 * length) * 1e-9

    taken = read(
        busy(*stretches), idle_w=idle_w, begin_ns=5_000, end_ns=now + 1_000_000
    )
    expected_j += idle_w * 1e-3

    energy_j = float(taken.watts @ widths(taken.times_ns, 5_000)) * 1e-9
    assert energy_j == pytest.approx(expected_j, rel=1e-9, abs=1e-12)


def test_a_reading_is_the_mean_over_the_interval_that_ends_at_its_time() -> None:
    ms = 1_000_000

    taken = trace(busy((12 * ms, 17 * ms, 3.0)), idle_w=1.0, begin_ns=0, end_ns=25 * ms)

    assert taken.times_ns.tolist() == [10 * ms, 20 * ms, 25 * ms]
    assert taken.watts.tolist() == pytest.approx([1.0, 2.0, 1.0])


def test_a_waveform_has_its_edges_where_the_work_has_them() -> None:
    taken = waveform(
        busy((12, 17, 3.0), (17, 20, 2.0)), idle_w=1, begin_ns=0, end_ns=25
    )

    assert taken.times_ns.tolist() == [12, 17, 20, 25]
    assert taken.watts.tolist() == [1.0, 3.0, 2.0, 1.0]


def test_without_work_every_reading_is_idle() -> None:
    taken = trace(busy(), idle_w=0.5, begin_ns=0, end_ns=10**9)

    assert len(taken.watts) == 100
    assert set(taken.watts.tolist()) == {0.5}


def test_a_long_trial_is_read_more_slowly() -> None:
    taken = trace(busy(), idle_w=0.5, begin_ns=0, end_ns=10**13)

    assert len(taken.watts) <= READINGS_AT_MOST
    assert taken.times_ns[-1] == 10**13

"""Guarded net energy: exact on known waveforms, honest intervals, and refusals."""

from math import pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.domain.origin import Origin
from harness.stats.budget import Accuracy, Budget, Source
from harness.stats.guarded import (
    Guarded,
    Length,
    Slope,
    net_energy,
    slope,
)
from harness.stats.idle import guard_s
from harness.stats.power import PowerTrace
from harness.stats.relation import Reason, Refused
from harness.stats.series import Window

Reals = NDArray[np.float64]
IDLE_W, ACTIVE_W = 38.0, 61.0
REST_S = 30.0


def a_trace(edges_s: Reals, energy_j: Reals) -> PowerTrace:
    """A meter that averages without dead time, given the energy up to each edge."""
    return PowerTrace(
        starts_s=edges_s[:-1],
        ends_s=edges_s[1:],
        power_w=np.diff(energy_j) / np.diff(edges_s),
        step_s=float(np.median(np.diff(edges_s))),
        origin=Origin.SIMULATED,
        source="simulated",
    )


def edges(window: Window, step_s: float, phase: float) -> Reals:
    margin = REST_S + 6 * step_s
    count = int((window.duration_s + 2 * margin) / step_s)
    found: Reals = (
        window.start_s - margin + step_s * (np.arange(count, dtype=np.float64) + phase)
    )
    return found


def above_idle_j(kind: str, since_s: Reals, length_s: float) -> Reals:
    """Exact energy above idle, `since_s` after the start of a window."""
    t = np.clip(since_s, 0, length_s)
    swing = ACTIVE_W - IDLE_W
    found: Reals = {
        "step": swing * t,
        "ramp": swing * t**2 / length_s,
        "sine": swing * (t + (1 - np.cos(2 * pi * 3.3 * t)) / (2 * pi * 3.3)),
    }[kind]
    return found


def between_rests(
    trace: PowerTrace, window: Window, guard: float, rest_s: float = REST_S
) -> Guarded | Refused:
    span = Window(start_s=window.start_s - guard, end_s=window.end_s + guard)
    before = Window(start_s=span.start_s - rest_s, end_s=span.start_s)
    after = Window(start_s=span.end_s, end_s=span.end_s + rest_s)
    return net_energy(trace, window, span, (before, after))


def taken(
    trace: PowerTrace, window: Window, guard: float, rest_s: float = REST_S
) -> Guarded:
    found = between_rests(trace, window, guard, rest_s)
    assert isinstance(found, Guarded)
    return found


@given(
    kind=st.sampled_from(["step", "ramp", "sine"]),
    step_s=st.sampled_from([0.001, 0.01, 0.1, 1.0]),
    phase=st.floats(0, 1),
    length_s=st.floats(2.0, 20.0),
)
def test_energy_of_known_waveforms_is_exact_however_the_readings_fall(
    kind: str, step_s: float, phase: float, length_s: float
) -> None:
    window = Window(start_s=100.0, end_s=100.0 + length_s)
    at = edges(window, step_s, phase)
    energy = above_idle_j(kind, at - window.start_s, length_s)
    truth = float(above_idle_j(kind, np.array([length_s]), length_s)[0])

    found = taken(a_trace(at, IDLE_W * at + energy), window, guard_s(step_s, 0.0))

    assert found.energy_j == pytest.approx(truth, rel=1e-3)
    assert found.use.active_w == pytest.approx(IDLE_W + truth / length_s, rel=1e-3)


@given(st.floats(-2.0, 2.0))
def test_clocks_that_differ_by_less_than_the_guard_change_nothing(apart: float) -> None:
    window = Window(start_s=100.0, end_s=105.0)
    at = edges(window, 1.0, 0.3)
    energy = IDLE_W * at + above_idle_j("step", at - window.start_s - apart, 5.0)

    found = taken(a_trace(at, energy), window, guard_s(1.0, 2 / 3))

    assert found.energy_j == pytest.approx(23.0 * 5.0, rel=1e-9)


def test_a_steady_drift_of_idle_cancels_and_is_in_the_budget() -> None:
    window = Window(start_s=100.0, end_s=120.0)
    at = edges(window, 0.1, 0.0)
    drifting = IDLE_W * at + 0.01 * (at - 110.0) ** 2 / 2
    energy = drifting + above_idle_j("step", at - 100.0, 20.0)

    found = taken(a_trace(at, energy), window, 0.3)

    assert found.energy_j == pytest.approx(23.0 * 20.0, rel=1e-4)
    drift_w = 0.01 * (20.0 + 0.6 + REST_S)  # between the middles of the rests
    assert found.idle.drift_w == pytest.approx(drift_w, rel=1e-2)
    terms = {t.source: t.u for t in found.budget(Accuracy(gain_ratio=0)).terms}
    expected = drift_w * 20.6 / sqrt(12)
    assert terms[Source.IDLE_DRIFT] == pytest.approx(expected, rel=1e-2)


def test_noise_of_readings_enters_as_it_adds_up() -> None:
    window = Window(start_s=100.0, end_s=120.0)
    at = edges(window, 0.1, 0.0)
    trace = a_trace(at, IDLE_W * at + above_idle_j("step", at - 100.0, 20.0))
    noise = np.random.default_rng(3).normal(0, 0.5, len(trace.power_w))
    trace.power_w[:] += noise

    found = taken(trace, window, 0.3)

    of_sum, of_idle = (term.u for term in found.scatter)
    assert of_sum == pytest.approx(0.5 * 0.1 * sqrt(206), rel=0.15)
    assert of_idle == pytest.approx(20.6 * 0.5 / sqrt(600), rel=0.15)


def test_too_little_idle_gives_no_net_energy() -> None:
    window = Window(start_s=100.0, end_s=105.0)
    at = edges(window, 1.0, 0.0)
    trace = a_trace(at, IDLE_W * at)

    found = between_rests(trace, window, 3.0, 5.0)

    assert isinstance(found, Refused)
    assert found.reason is Reason.NO_IDLE


@pytest.mark.parametrize("is_gap", [False, True])
def test_more_than_a_thousandth_lost_gives_no_energy(*, is_gap: bool) -> None:
    window = Window(start_s=100.0, end_s=105.0)
    at = edges(window, 0.01, 0.0)
    whole = a_trace(at, IDLE_W * at)
    middle = len(at) // 2
    if is_gap:
        at = np.delete(at, np.arange(middle, middle + 3))
        trace = a_trace(at, IDLE_W * at)
    else:
        trace = whole
        trace.power_w[middle : middle + 3] = np.nan

    found = between_rests(trace, window, 0.03)

    assert isinstance(found, Refused)
    assert found.reason is Reason.READINGS_LOST
    assert found.values["lost_ratio"] == pytest.approx(3 / 506, rel=0.05)


def test_a_trace_that_ends_early_gives_no_energy() -> None:
    window = Window(start_s=100.0, end_s=105.0)
    at = edges(window, 0.1, 0.0)
    trace = a_trace(at[at < 104], IDLE_W * at[at < 104])

    found = between_rests(trace, window, 0.3)

    assert isinstance(found, Refused)
    assert found.reason is Reason.NO_IDLE


def lengths(*energies_j: float, u_j: float = 0.1) -> list[Length]:
    counts = (1000, 2000, 3000)
    return [
        Length(inferences=n, energy_j=energy, u_j=u_j)
        for n, energy in zip(counts, energies_j, strict=True)
    ]


@given(st.floats(1e-6, 10.0), st.floats(0, 100.0))
def test_a_slope_leaves_out_what_every_run_costs(each_j: float, once_j: float) -> None:
    found = slope(lengths(*(once_j + each_j * n for n in (1000, 2000, 3000))))

    assert isinstance(found, Slope)
    assert found.per_inference_j == pytest.approx(each_j, rel=1e-6)
    assert found.per_run_j == pytest.approx(once_j, abs=1e-6 * (1 + 3000 * each_j))
    # u/√Σ(n - mean)², Σ = 2·1000²
    assert found.u_per_inference_j == pytest.approx(0.1 / sqrt(2e6))


def test_energies_off_a_line_give_no_slope() -> None:
    found = slope(lengths(10.0, 20.0, 33.0))

    assert isinstance(found, Refused)
    assert found.reason is Reason.NOT_LINEAR
    # second difference 3 J over 0.1·√6 J
    assert found.values["bend_over_u"] == pytest.approx(3 / (0.1 * sqrt(6)))


def test_scatter_beyond_its_uncertainty_widens_the_slope() -> None:
    # second difference 0.6 J: 2.45 u, χ² = 6 on one degree of freedom
    found = slope(lengths(10.0, 20.0, 30.6))

    assert isinstance(found, Slope)
    assert found.u_per_inference_j == pytest.approx(0.1 / sqrt(2e6) * sqrt(6))
    assert found.freedom == 1


def test_a_slope_needs_three_lengths_and_their_uncertainties() -> None:
    pair = slope(lengths(10.0, 20.0, 30.0)[:2])

    assert isinstance(pair, Refused)
    assert pair.reason is Reason.TOO_FEW_LENGTHS
    with pytest.raises(ValueError, match="uncertainty"):
        slope(lengths(10.0, 20.0, 30.0, u_j=0.0))


def an_appliance(
    generator: np.random.Generator, meter: Accuracy, active_s: float, rest_s: float
) -> tuple[Budget, PowerTrace, Window]:
    """A plug meter, 1 reading/s: gain, steps, noise, wandering idle, a late clock."""
    guard = guard_s(1.0, 0.05)
    window = Window(start_s=100.0, end_s=100.0 + active_s)
    begin = 100.0 - rest_s - guard - 2 + generator.uniform(0, 1)
    at: Reals = begin + np.arange(int(active_s + 2 * (rest_s + guard) + 5), dtype=float)
    walk = np.cumsum(generator.normal(0, 0.02, len(at) - 1))
    energy = IDLE_W * at + above_idle_j("step", at - 100.0, active_s)
    ideal = a_trace(at, energy)
    gain = 1 + generator.uniform(-meter.gain_ratio, meter.gain_ratio)
    power = (ideal.power_w + walk) * gain + generator.normal(0, 0.3, len(walk))
    late_s = generator.normal(0, 0.05)
    trace = PowerTrace(
        starts_s=at[:-1] + late_s,
        ends_s=at[1:] + late_s,
        power_w=np.round(power / meter.resolution_w) * meter.resolution_w,
        step_s=1.0,
        origin=Origin.SIMULATED,
        source="simulated",
    )
    return taken(trace, window, guard, rest_s).budget(meter), trace, window


@pytest.mark.slow
def test_intervals_hold_the_truth_in_about_95_of_100_runs() -> None:
    generator = np.random.default_rng(2026)
    meter = Accuracy(
        gain_ratio=0.005, resolution_w=0.1, is_dithered=True, time_base_ratio=0.0
    )
    truth = (ACTIVE_W - IDLE_W) * 20.0

    budgets = [an_appliance(generator, meter, 20.0, REST_S)[0] for _ in range(1000)]

    held = [abs(found.value - truth) <= found.expanded for found in budgets]
    assert 0.93 <= np.mean(held) <= 0.97


@pytest.mark.slow
def test_a_guard_takes_away_the_bias_of_a_sum_over_the_window() -> None:
    # 2 s at a reading a second: whole readings inside the window against the guard
    generator = np.random.default_rng(7)
    meter = Accuracy(gain_ratio=0.005, resolution_w=0.1, is_dithered=True)
    truth = (ACTIVE_W - IDLE_W) * 2.0

    guarded, naive = [], []
    for _ in range(400):
        budget, trace, window = an_appliance(generator, meter, 2.0, REST_S)
        guarded.append(budget.value / truth - 1)
        above = trace.within(window) - IDLE_W
        naive.append(float(above.sum()) / truth - 1)

    assert abs(np.mean(guarded)) < 0.01
    assert np.mean(naive) < -0.25

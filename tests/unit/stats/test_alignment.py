"""Clocks related by pulses, edges and stamps: seeded simulation, gates, real traces.

The simulation has what real benches have: an offset of up to 2 s, a crystal 50 to
150 parts in a million off, a governor that gives 60 % for the first 30 ms of each
pulse, a supply with a time constant of 0.5 to 4 ms, 5 % noise on every reading, eight
bursts of other work a second, mains ripple, wandering idle, and a host whose stamps
are 50 µs off, now and then up to 1 ms.
"""

from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from harness.domain.origin import Origin
from harness.loadgen.pulses import Burst, PulsePlan, PulseTrain, plan_pulses
from harness.stats.alignment import align
from harness.stats.alignment_fit import Lags, Stretch, mean_response
from harness.stats.power import PowerTrace
from harness.stats.relation import (
    Means,
    Reason,
    Refused,
    Relation,
    from_edges,
    from_host_stamps,
    on_host_clock,
)
from harness.stats.series import Window

Reals = NDArray[np.float64]
RUN_S = 60.0
START_S = 50.0
PUBLISHED = sorted(Path(__file__).parents[4].glob("*/data/power_traces/*.npz"))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is simulated, and the truth: host = START_S + ticks·(1 + skew)."""

    pulses: PulseTrain
    trace: PowerTrace
    offset_s: float
    skew: float

    def worst_ms(self, relation: Relation) -> float:
        """Largest error of the relation from the first edge to the last."""
        first = self.pulses.bursts[0].rises_ns[0] / 1e9
        last = self.pulses.bursts[-1].falls_ns[-1] / 1e9
        host_s = np.linspace(first, last, 11)
        meter_s = (host_s - START_S) / (1 + self.skew) + START_S - self.offset_s
        error_s = relation.to_host(meter_s * 1e9) / 1e9 - host_s
        return float(np.abs(error_s).max()) * 1e3


def a_scene(
    generator: np.random.Generator, rate_hz: float, noise: float = 0.05
) -> Scene:
    plan = plan_pulses(round(1e9 / rate_hz), int(generator.integers(1000)))
    after_ns = round(START_S * 1e9) + plan.duration_ns + round(RUN_S * 1e9)
    made = (plan.preamble(round(START_S * 1e9)), plan.postamble(after_ns))
    offset_s = generator.uniform(-2, 2)
    skew = generator.uniform(50e-6, 150e-6) * generator.choice([-1, 1])
    tau_s = generator.uniform(0.5e-3, 4e-3)
    ends, power = [], []
    for burst in made:
        at_s, energy = _energy_j(generator, plan, burst, tau_s, 1 / rate_hz)
        low, high = (at_s[[0, -1]] - START_S) / (1 + skew) * rate_hz
        ticks_s = np.arange(np.ceil(low), np.floor(high)) / rate_hz
        host_s = START_S + ticks_s * (1 + skew)
        means = np.diff(np.interp(host_s, at_s, energy)) / np.diff(host_s)
        ends.append(ticks_s[1:] + START_S - offset_s)
        power.append(means + generator.normal(0, noise, len(means)))
    trace = a_trace(np.concatenate(ends), np.concatenate(power), 1 / rate_hz)
    stamped = tuple(_stamped(generator, burst) for burst in made)
    return Scene(
        pulses=PulseTrain(bursts=stamped), trace=trace, offset_s=offset_s, skew=skew
    )


def _energy_j(
    generator: np.random.Generator,
    plan: PulsePlan,
    burst: Burst,
    tau_s: float,
    step_s: float,
) -> tuple[Reals, Reals]:
    """Energy up to each instant of a fine grid around one burst."""
    fine_s = min(step_s / 20, 1e-4)
    rest_s = plan.quiet_ns / 1e9
    begin = burst.rises_ns[0] / 1e9 - rest_s - 2.2
    end = burst.falls_ns[-1] / 1e9 + rest_s + 2.2
    at_s = np.arange(begin, end, fine_s)
    power = np.full(len(at_s), 0.5)
    for rise, fall in zip(burst.rises_ns, burst.falls_ns, strict=True):
        # edges lie between cells of the grid, whose middles are clear of them
        since = at_s + fine_s / 2 - rise / 1e9
        busy = (since >= 0) & (since < (fall - rise) / 1e9)
        power[busy] += np.where(since[busy] < 30e-3, 0.6, 1.0)
    for _ in range(generator.poisson(8 * (end - begin))):
        first = generator.uniform(begin, end)
        length = generator.uniform(2e-3, 10e-3)
        chosen = slice(*np.searchsorted(at_s, [first, first + length]))
        power[chosen] += generator.uniform(0.1, 0.4)
    power += 0.02 * np.sin(2 * np.pi * 100 * at_s + generator.uniform(0, 6))
    power += np.cumsum(generator.normal(0, 0.03 * sqrt(fine_s), len(at_s)))
    gone = 1 - np.exp(-fine_s / tau_s)
    power, _ = signal.lfilter([gone], [1, gone - 1], power, zi=[(1 - gone) * power[0]])
    energy = np.concatenate([[0.0], np.cumsum(power) * fine_s])
    return np.append(at_s, at_s[-1] + fine_s), energy


def _stamped(generator: np.random.Generator, burst: Burst) -> Burst:
    def off(times_ns: tuple[int, ...]) -> tuple[int, ...]:
        usual = generator.normal(0, 50e-6, len(times_ns))
        late = generator.uniform(0, 1e-3, len(times_ns))
        rare = generator.random(len(times_ns)) < 0.05
        apart = (usual + rare * late) * 1e9
        return tuple(int(at + by) for at, by in zip(times_ns, apart, strict=True))

    return Burst(rises_ns=off(burst.rises_ns), falls_ns=off(burst.falls_ns))


def a_trace(ends_s: Reals, power_w: Reals, step_s: float) -> PowerTrace:
    return PowerTrace(
        starts_s=np.concatenate([[ends_s[0] - step_s], ends_s[:-1]]),
        ends_s=ends_s,
        power_w=power_w,
        step_s=step_s,
        origin=Origin.SIMULATED,
        source="simulated",
    )


@pytest.mark.slow
@pytest.mark.parametrize(("rate_hz", "limit_ms"), [(1000, 0.2), (100, 0.5), (10, 5.0)])
def test_pulses_align_clocks_to_the_limit_of_their_rate(
    rate_hz: int, limit_ms: float
) -> None:
    errors, covered = [], []
    for seed in range(100):
        scene = a_scene(np.random.default_rng(seed), rate_hz)
        found = align(scene.pulses, scene.trace)
        assert isinstance(found, Relation)
        errors.append(scene.worst_ms(found))
        u_ms = max(found.u_at(at) for at in _ends_ns(scene)) / 1e6
        covered.append(errors[-1] <= 2.5 * u_ms)

    assert np.median(errors) <= limit_ms
    # of the worst of two ends, with some ten degrees of freedom
    assert np.mean(covered) >= 0.85


def _ends_ns(scene: Scene) -> tuple[float, float]:
    apart_ns = scene.offset_s * 1e9
    first = scene.pulses.bursts[0].rises_ns[0] - apart_ns
    return first, scene.pulses.bursts[-1].falls_ns[-1] - apart_ns


def test_dense_readings_are_thinned_and_align_as_well() -> None:
    scene = a_scene(np.random.default_rng(4), 20_000)

    found = align(scene.pulses, scene.trace)

    assert isinstance(found, Relation)
    assert scene.worst_ms(found) < 0.2


def test_a_relation_says_what_it_rests_on() -> None:
    scene = a_scene(np.random.default_rng(1), 1000)

    found = align(scene.pulses, scene.trace)

    assert isinstance(found, Relation)
    assert found.means is Means.PULSES
    assert found.skew == pytest.approx(scene.skew, abs=5 * found.u_skew)
    assert found.evidence["edges_agreeing"] >= 14
    assert found.evidence["step_over_noise"] > 3
    assert found.evidence["lead"] > 1.5


def test_lost_readings_do_not_move_the_clocks() -> None:
    scene = a_scene(np.random.default_rng(2), 1000)
    kept = np.random.default_rng(3).random(len(scene.trace.ends_s)) > 0.02
    holed = a_trace(scene.trace.ends_s[kept], scene.trace.power_w[kept], 1e-3)
    unread = replace(scene.trace, power_w=np.where(kept, scene.trace.power_w, np.nan))

    for trace in (holed, unread):
        found = align(scene.pulses, trace)

        assert isinstance(found, Relation)
        assert scene.worst_ms(found) < 0.4


def test_without_a_postamble_skew_is_not_known_and_said_so() -> None:
    scene = a_scene(np.random.default_rng(1), 1000)
    before = PulseTrain(bursts=scene.pulses.bursts[:1])

    found = align(before, scene.trace)

    assert isinstance(found, Relation)
    assert found.u_skew > 50e-6
    assert scene.worst_ms(found) < 3 * max(found.u_at(at) for at in _ends_ns(scene))


def test_power_that_does_not_follow_the_pulses_is_refused() -> None:
    scene = a_scene(np.random.default_rng(1), 1000)
    noise = np.random.default_rng(2).normal(0.5, 0.05, len(scene.trace.power_w))

    found = align(scene.pulses, replace(scene.trace, power_w=noise))

    assert isinstance(found, Refused)
    assert found.reason is Reason.NO_MATCH
    assert found.values["correlation"] < 0.4


def test_a_flat_trace_is_refused() -> None:
    scene = a_scene(np.random.default_rng(1), 100)

    flat = replace(scene.trace, power_w=np.full(len(scene.trace.power_w), 0.5))

    found = align(scene.pulses, flat)
    assert isinstance(found, Refused)
    assert found.reason is Reason.NO_MATCH


def test_a_step_lost_in_noise_is_refused() -> None:
    scene = a_scene(np.random.default_rng(1), 1000, noise=0.6)

    found = align(scene.pulses, scene.trace)

    assert isinstance(found, Refused)
    assert found.reason is Reason.NO_STEP
    assert found.values["step_over_noise"] < 3


def test_edges_that_each_say_something_else_are_refused() -> None:
    scene = a_scene(np.random.default_rng(1), 1000)
    scatter = np.random.default_rng(5)

    def astray(times_ns: tuple[int, ...]) -> tuple[int, ...]:
        by = scatter.choice([-7e6, 7e6], len(times_ns))
        return tuple(int(at + off) for at, off in zip(times_ns, by, strict=True))

    pulses = PulseTrain(
        bursts=tuple(
            Burst(rises_ns=burst.rises_ns, falls_ns=astray(burst.falls_ns))
            for burst in scene.pulses.bursts
        )
    )

    found = align(pulses, scene.trace)

    assert isinstance(found, Refused)
    assert found.reason is Reason.EDGES_DISAGREE
    assert found.values["edges"] == 16


def test_edges_in_a_hole_of_the_trace_are_left_out() -> None:
    scene = a_scene(np.random.default_rng(1), 1000)
    fall_s = scene.pulses.bursts[0].falls_ns[2] / 1e9 - scene.offset_s
    kept = np.abs(scene.trace.ends_s - fall_s) > 0.02
    trace = a_trace(scene.trace.ends_s[kept], scene.trace.power_w[kept], 1e-3)

    found = align(scene.pulses, trace)

    assert isinstance(found, Relation)
    assert found.evidence["edges"] < 16
    assert scene.worst_ms(found) < 0.4


def test_pulses_that_all_look_alike_are_refused_as_ambiguous() -> None:
    rises = tuple(round((50 + 0.1 * k) * 1e9) for k in range(20))
    falls = tuple(rise + 50_000_000 for rise in rises)
    pulses = PulseTrain(bursts=(Burst(rises_ns=rises, falls_ns=falls),))
    ends = 1e-3 * np.arange(47_000, 55_000, dtype=np.float64)
    busy = (ends > 50) & (ends < 52) & ((ends - 50) % 0.1 < 0.05)
    trace = a_trace(ends, np.where(busy, 1.0, 0.2), 1e-3)

    found = align(pulses, trace)

    assert isinstance(found, Refused)
    assert found.reason is Reason.AMBIGUOUS


def test_a_trace_that_ends_before_the_postamble_is_refused() -> None:
    scene = a_scene(np.random.default_rng(1), 1000)
    early = scene.trace.ends_s < scene.trace.ends_s.mean()
    trace = a_trace(scene.trace.ends_s[early], scene.trace.power_w[early], 1e-3)

    found = align(scene.pulses, trace)

    assert isinstance(found, Refused)
    assert found.reason is Reason.NOT_COVERED
    assert found.values["pulses_to_s"] > found.values["readings_to_s"]


def test_a_clock_that_no_crystal_explains_is_refused() -> None:
    scene = a_scene(np.random.default_rng(1), 1000)
    fast = scene.trace.ends_s[0] + (scene.trace.ends_s - scene.trace.ends_s[0]) * (
        1 - 400e-6 - scene.skew
    )

    found = align(scene.pulses, a_trace(fast, scene.trace.power_w, 1e-3))

    assert isinstance(found, Refused)
    assert found.reason is Reason.TOO_MUCH_SKEW
    assert abs(found.values["skew"]) > 300e-6


@given(
    rise_s=st.floats(1e-4, 0.05), fall_s=st.floats(1e-4, 0.05), shift=st.floats(0, 1)
)
@settings(max_examples=20)
def test_the_model_is_the_mean_of_a_load_that_lags(
    rise_s: float, fall_s: float, shift: float
) -> None:
    rises, falls = np.array([0.1, 0.3]), np.array([0.15, 0.45])
    starts = np.arange(0.0, 0.6, 0.02) + 0.02 * shift
    stretch = Stretch(
        starts_s=starts,
        ends_s=starts + 0.02,
        power_w=np.zeros(len(starts)),
        rises_s=rises,
        falls_s=falls,
    )

    found = mean_response(stretch, 0.0, 0.0, Lags(rise_s=rise_s, fall_s=fall_s))

    fine_s = 5e-5
    level, levels = 0.0, []
    for at in np.arange(0.0, 0.65, fine_s):
        busy = bool(((rises <= at) & (at < falls)).any())
        lag = rise_s if busy else fall_s
        level += (float(busy) - level) * (1 - np.exp(-fine_s / lag))
        levels.append(level)
    sums = np.concatenate([[0.0], np.cumsum(levels)]) * fine_s
    grid = np.arange(len(sums)) * fine_s
    expected = np.diff(np.interp([starts, starts + 0.02], grid, sums), axis=0)[0] / 0.02
    assert found == pytest.approx(expected, abs=2e-3)


@given(
    offset_ns=st.integers(-(10**10), 10**10),
    skew=st.floats(-200e-6, 200e-6),
    phase=st.floats(0, 1),
)
def test_edges_in_the_trace_give_the_line_through_them(
    offset_ns: int, skew: float, phase: float
) -> None:
    step_ns = 10_000
    true_ns = np.array([1e9, 2e9, 5e9, 9e9]) + phase * step_ns
    seen_ns = np.ceil(true_ns / step_ns) * step_ns
    host_ns = [round(at * (1 + skew) + offset_ns) for at in true_ns]

    found = from_edges(host_ns, [round(at) for at in seen_ns], step_ns, 1000.0)

    assert isinstance(found, Relation)
    assert found.means is Means.EDGES
    error_ns = found.to_host(true_ns) - np.array(host_ns)
    assert np.abs(error_ns).max() <= step_ns / 2 + 5
    assert found.u_offset_ns >= step_ns / sqrt(12)
    assert found.skew == pytest.approx(skew, abs=1e-8)


@pytest.mark.parametrize(
    ("meter_ns", "reason"),
    [
        ([0, 10**9], Reason.TOO_FEW_EDGES),
        ([0, 10**9, 2 * 10**9 + 10**6], Reason.EDGES_DISAGREE),
        ([0, 999_500_000, 1_999_000_000], Reason.TOO_MUCH_SKEW),
    ],
)
def test_edges_that_make_no_line_are_refused(
    meter_ns: list[int], reason: Reason
) -> None:
    host_ns = [k * 10**9 for k in range(len(meter_ns))]

    found = from_edges(host_ns, meter_ns, 10_000.0, 1000.0)

    assert isinstance(found, Refused)
    assert found.reason is reason


def test_edges_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="one of the meter"):
        from_edges([1, 2, 3], [1, 2], 10.0, 1.0)


def test_stamps_of_arrival_are_good_to_the_interval_and_the_latency() -> None:
    found = from_host_stamps(1e9, latency_ns=5e8, u_latency_ns=1e8)

    assert found.means is Means.HOST_STAMPS
    assert found.to_host(np.array([7e9])) == pytest.approx([6.5e9])
    assert found.u_at(7e9) == pytest.approx(1e9 * sqrt(1 / 12 + 0.01))


def test_a_trace_moved_to_the_hosts_clock_keeps_its_power() -> None:
    trace = a_trace(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), 1.0)
    relation = Relation(
        means=Means.PULSES,
        reference_ns=2_000_000_000,
        offset_ns=5e9,
        u_offset_ns=1.0,
        skew=1e-4,
    )

    moved = on_host_clock(trace, relation)

    assert moved.ends_s == pytest.approx(np.array([5.9999, 7.0, 8.0001]), abs=1e-9)
    assert moved.step_s == pytest.approx(1.0001)
    assert moved.power_w is trace.power_w
    span = Window(start_s=4.9998, end_s=8.0001)
    assert moved.energy_j(span) == pytest.approx(6.0 * 1.0001)


def _published(path: Path) -> tuple[PowerTrace, Reals, Reals]:
    found = np.load(path)
    power = found["power_mW"].astype(np.float64) / 1e3
    step_s = 1 / float(found["sample_rate"])
    ends_s = np.arange(len(power), dtype=np.float64) * step_s
    trace = a_trace(ends_s, power, step_s)
    windows = found["timestamps_s"][1:].reshape(-1, 2)
    return trace, windows, found["reported_uJ"] / 1e6


@pytest.mark.skipif(not PUBLISHED, reason="the published traces are not at hand")
@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_traces_are_found_again_or_refused(path: Path) -> None:
    # MLPerf Tiny v1.2 (mlcommons/tiny_results_v1.2): the windows themselves are the
    # pulses; one trace draws no more power busy than idle
    trace, windows, published = _published(path)
    skew, offset_s = 80e-6, 1.234
    meter_s = trace.ends_s / (1 + skew) - offset_s
    edges_ns = np.rint(windows * 1e9).astype(np.int64)
    pulses = PulseTrain(
        bursts=(
            Burst(
                rises_ns=tuple(edges_ns[:, 0].tolist()),
                falls_ns=tuple(edges_ns[:, 1].tolist()),
            ),
        )
    )

    found = align(pulses, a_trace(meter_s, trace.power_w, trace.step_s / (1 + skew)))

    if path.stem.endswith("U575ZI_Q_ad"):
        assert isinstance(found, Refused)
        return
    assert isinstance(found, Relation)
    at_ns = (windows.ravel() / (1 + skew) - offset_s) * 1e9
    error_s = found.to_host(at_ns) / 1e9 - windows.ravel()
    assert np.abs(error_s).max() < 5e-3
    moved = on_host_clock(a_trace(meter_s, trace.power_w, trace.step_s), found)
    energies = [moved.energy_j(Window(start_s=a, end_s=b)) for a, b in windows]
    assert energies == pytest.approx(published, rel=1e-3)


@pytest.mark.skipif(not PUBLISHED, reason="the published traces are not at hand")
@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_window_energies_are_met_within_one_reading(path: Path) -> None:
    trace, windows, published = _published(path)

    energies = [trace.energy_j(Window(start_s=a, end_s=b)) for a, b in windows]

    one_reading_j = float(trace.power_w.max()) * trace.step_s
    assert np.abs(np.array(energies) - published).max() <= one_reading_j

"""Power traces and energy: exact integrals, published windows, budget terms."""

from array import array
from dataclasses import replace
from math import hypot, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.domain.estimate import Estimate, Withheld
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.plan import Trial
from harness.domain.query import Outcome, Phase
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import Queries, TrialRecord
from harness.domain.scenario import Periodic
from harness.stats.energy import (
    Reading,
    RunEnergy,
    energy_answers,
    placement_ratio,
)
from harness.stats.energy import run_energy as run_energy_or_reason
from harness.stats.group import Group
from harness.stats.idle import baselines, idle_power
from harness.stats.power import evidence_class, power_trace
from harness.stats.relation import Refused
from harness.stats.series import Window
from harness.testing.builders import a_model, a_profile, a_trial
from harness.units import NS_PER_S

Reals = NDArray[np.float64]
IDLE_W, ACTIVE_W = 0.002, 0.030
PUBLISHED = sorted(Path(__file__).parents[4].glob("*/data/power_traces/*.npz"))


def ns(seconds: Reals) -> "array[int]":
    whole = np.rint(seconds * NS_PER_S).astype(np.int64)
    return array("q", whole.tobytes())


def readings(
    ends_s: Reals, power_w: Reals, *, origin: Origin = Origin.EMULATED, source: str = ""
) -> ReadingBlock:
    return ReadingBlock(
        channel=Channel(name="power", unit="W", source=source or "emulated"),
        clock="virtual",
        origin=origin,
        times_ns=ns(ends_s),
        values=array("d", power_w.tobytes()),
    )


def a_run(  # noqa: PLR0913 - each argument is one property of the trace
    *,
    step_s: float = 0.1,
    phase_s: float = 0.0,
    before_w: float = IDLE_W,
    after_w: float = IDLE_W,
    active_w: float = ACTIVE_W,
    origin: Origin = Origin.EMULATED,
    trial: Trial | None = None,
) -> TrialRecord:
    """Make a run of 100 queries of 50 ms: idle 8 s, warm-up 1 s, window, idle 8 s.

    The meter averages over each interval exactly, its stamps shifted by `phase_s`.
    """
    edges = np.array([0.0, 8.0, 14.0, 22.0])
    energy = np.cumsum([0.0, before_w * 8, active_w * 6, after_w * 8])
    ends = np.arange(step_s + phase_s, 22.0, step_s)
    known = np.interp(np.concatenate([[ends[0] - step_s], ends]), edges, energy)
    issued = 8.0 + 0.05 * np.arange(120, dtype=np.float64)
    queries = Queries(
        scheduled_ns=ns(issued),
        issued_ns=ns(issued),
        completed_ns=ns(issued + 0.05),
        is_measured=array("b", [0] * 20 + [1] * 100),
        segment=array("q", [0] * 120),
    )
    starts = {
        Phase.BASELINE_BEFORE: 0.0,
        Phase.LOAD: 8.0,
        Phase.WARM_UP: 8.0,
        Phase.MEASURED: 9.0,
        Phase.BASELINE_AFTER: 14.0,
    }
    return TrialRecord(
        trial=trial or a_trial(),
        outcome=Outcome.DONE,
        clock="virtual",
        phases=tuple((phase, round(at * NS_PER_S)) for phase, at in starts.items()),
        queries=queries,
        readings=(readings(ends, np.diff(known) / step_s, origin=origin),),
    )


def u_shared(reading: Reading) -> float:
    return hypot(*(term.u for term in reading.shared))


def run_energy(trial: TrialRecord) -> RunEnergy | None:
    found = run_energy_or_reason(trial)
    assert not isinstance(found, Refused)
    return found


def net_of(found: RunEnergy | None) -> Reading:
    assert found is not None
    assert isinstance(found.net_j, Reading)
    return found.net_j


def a_group(*runs: TrialRecord, origin: Origin = Origin.EMULATED) -> Group:
    return Group(
        arm=runs[0].trial.arm,
        workload="kws",
        scenario=runs[0].trial.scenario,
        origin=origin,
        profile=a_profile(),
        model=a_model(),
        trials=runs,
    )


def estimates_of(group: Group) -> dict[str, Estimate]:
    return {
        answer.measurand.name: answer
        for answer in energy_answers(group)
        if isinstance(answer, Estimate)
    }


def test_gross_and_net_energy_of_a_flat_load_are_exact() -> None:
    found = run_energy(a_run())

    assert found is not None
    assert found.idle_w is not None
    assert found.gross_j.value == pytest.approx(ACTIVE_W * 0.05)
    assert net_of(found).value == pytest.approx((ACTIVE_W - IDLE_W) * 0.05)
    assert found.power_w.value == pytest.approx(ACTIVE_W)
    assert found.idle_w.value == pytest.approx(IDLE_W)


@given(st.floats(0.0, 0.49), st.sampled_from([0.02, 0.1, 0.3, 0.5]))
def test_the_guard_takes_in_what_a_slow_meter_smears_over_the_edge(
    shift: float, step_s: float
) -> None:
    found = run_energy(a_run(step_s=step_s, phase_s=shift * step_s))

    assert found is not None
    assert net_of(found).value == pytest.approx((ACTIVE_W - IDLE_W) * 0.05, rel=1e-6)


def test_energy_per_inference_divides_by_samples_not_by_queries() -> None:
    run = a_run()
    assert run.queries is not None
    batched = replace(run, queries=replace(run.queries, samples_per_query=8))

    one, eight = run_energy(run), run_energy(batched)

    assert one is not None
    assert eight is not None
    assert eight.gross_j.value == pytest.approx(one.gross_j.value / 8)
    assert eight.power_w.value == one.power_w.value


def test_idle_that_changes_enters_the_budget_as_the_gum_has_it() -> None:
    found = run_energy(a_run(before_w=0.002, after_w=0.004, step_s=0.05))

    assert found is not None
    assert found.idle_w is not None
    assert found.idle_w.value == pytest.approx(0.003)
    assert u_shared(found.idle_w) == pytest.approx(0.002 / sqrt(12))
    drift_j = 0.002 * (5.0 + 0.15) / sqrt(12)  # |P_after - P_before|·T/√12
    assert u_shared(net_of(found)) == pytest.approx(drift_j / 100, rel=0.01)


def test_the_edge_of_the_gross_window_costs_a_share_of_a_reading() -> None:
    found = run_energy(a_run(step_s=0.1))

    assert found is not None
    edge_j = 0.1 / sqrt(12) * (ACTIVE_W - IDLE_W)  # u_t·ΔP, u_t = T_s/√12
    assert u_shared(found.gross_j) == pytest.approx(edge_j / 100, rel=0.01)


@given(st.floats(1e-6, 1e6))
def test_energy_follows_the_unit_of_power(factor: float) -> None:
    scaled = run_energy(
        a_run(
            before_w=IDLE_W * factor,
            after_w=IDLE_W * factor,
            active_w=ACTIVE_W * factor,
        )
    )

    assert scaled is not None
    assert net_of(scaled).value == pytest.approx((ACTIVE_W - IDLE_W) * 0.05 * factor)


def test_readings_that_do_not_span_the_window_give_no_energy() -> None:
    run = a_run()
    block = run.readings[0]
    half = replace(block, times_ns=block.times_ns[:110], values=block.values[:110])

    assert run_energy(replace(run, readings=(half,))) is None


def test_readings_of_another_clock_are_not_laid_over_the_queries() -> None:
    run = a_run()
    foreign = replace(run.readings[0], clock="ppk2")

    assert power_trace(replace(run, readings=(foreign,))) is None


def test_without_idle_there_is_gross_energy_only() -> None:
    run = a_run()
    busy = replace(run, phases=tuple(p for p in run.phases if "baseline" not in p[0]))

    answers = list(energy_answers(a_group(busy)))

    names = {a.measurand.name: a for a in answers}
    assert isinstance(names["energy_per_inference_gross"], Estimate)
    assert isinstance(names["energy_per_inference_net"], Withheld)
    assert isinstance(names["idle_power"], Withheld)


def test_without_readings_everything_is_withheld_with_that_reason() -> None:
    answers = list(energy_answers(a_group(replace(a_run(), readings=()))))

    assert {a.measurand.name for a in answers} == {
        "energy_per_inference_net",
        "energy_per_inference_gross",
        "average_power",
    }
    assert all(
        isinstance(a, Withheld) and a.reason == "no-power-readings" for a in answers
    )


def test_modelled_power_is_class_d_and_says_so() -> None:
    found = estimates_of(a_group(a_run(), a_run(), a_run()))

    assert {e.evidence_class for e in found.values()} == {EvidenceClass.D}
    assert all("modelled power" in e.method for e in found.values())
    assert {e.origin for e in found.values()} == {Origin.EMULATED}


@pytest.mark.parametrize(
    ("origin", "source", "expected"),
    [
        (Origin.EMULATED, "emulated", EvidenceClass.D),
        (Origin.SIMULATED, "ppk2@sim:", EvidenceClass.D),
        (Origin.MEASURED, "rapl", EvidenceClass.C),
        (Origin.MEASURED, "ppk2@serial:/dev/ttyACM0", EvidenceClass.B),
    ],
)
def test_the_evidence_class_follows_where_readings_come_from(
    origin: Origin, source: str, expected: EvidenceClass
) -> None:
    ends = np.array([0.1, 0.2, 0.3])
    block = readings(ends, np.ones(3), origin=origin, source=source)
    trace = power_trace(replace(a_run(), readings=(block,)))

    assert trace is not None
    assert evidence_class(trace) is expected


def test_the_weakest_class_of_the_runs_counts() -> None:
    measured = a_run(origin=Origin.MEASURED)

    found = estimates_of(a_group(measured, a_run()))

    assert found["average_power"].evidence_class is EvidenceClass.D


def test_runs_put_together_carry_their_spread_and_what_they_share() -> None:
    runs = [a_run(active_w=power) for power in (0.029, 0.030, 0.031)]

    power = estimates_of(a_group(*runs))["average_power"]

    between = 0.001 / sqrt(3)
    assert power.value == pytest.approx(0.030)
    assert power.standard_uncertainty > between
    assert power.standard_uncertainty == pytest.approx(between, rel=0.05)
    assert power.runs == 3


def test_a_short_measured_window_may_lie_by_what_was_published() -> None:
    emulated = run_energy(a_run())
    measured = run_energy(a_run(origin=Origin.MEASURED))

    assert emulated is not None
    assert measured is not None
    assert emulated.power_w.own.u < 1e-9
    expected = ACTIVE_W * placement_ratio(5.0) / 1.96
    assert measured.power_w.own.u == pytest.approx(expected, rel=1e-3)


def test_placement_passes_through_the_published_points() -> None:
    found = [placement_ratio(seconds) for seconds in (5.0, 10.0, 60.0, 300.0, 900.0)]

    assert found == pytest.approx([0.053, 0.053, 0.023, 0.009, 0.009])


def test_always_on_power_and_battery_come_from_the_periodic_load() -> None:
    scenario = Periodic(period_ns=50_000_000, deadline_ns=50_000_000)

    found = estimates_of(a_group(a_run(trial=a_trial(scenario=scenario))))

    power = found["always_on_power"]
    life, drain = found["battery_life"], found["battery_drain"]
    assert power.value == pytest.approx(ACTIVE_W, rel=1e-3)
    assert life.value == pytest.approx(3960.0 / power.value)
    assert drain.value == pytest.approx(power.value / 3960.0 * 3600)
    relative = power.standard_uncertainty / power.value
    assert life.standard_uncertainty / life.value == pytest.approx(relative)
    assert drain.standard_uncertainty / drain.value == pytest.approx(relative)


def test_a_device_without_a_battery_has_no_battery_life() -> None:
    scenario = Periodic(period_ns=50_000_000, deadline_ns=50_000_000)
    group = a_group(a_run(trial=a_trial(scenario=scenario)))
    on_mains = replace(group, profile=replace(group.profile, battery_j=None))

    found = estimates_of(on_mains)

    assert "always_on_power" in found
    assert not {"battery_life", "battery_drain"} & found.keys()


def test_a_single_reading_is_no_trace() -> None:
    block = readings(np.array([5.0]), np.array([1.0]))

    assert power_trace(replace(a_run(), readings=(block,))) is None


def test_a_window_of_periods_ends_with_its_last_period() -> None:
    scenario = Periodic(period_ns=50_000_000, deadline_ns=50_000_000)
    run = a_run(trial=a_trial(scenario=scenario))
    assert run.queries is not None
    quick = np.asarray(run.queries.issued_ns) + 10_000_000
    early = replace(run.queries, completed_ns=array("q", quick.tobytes()))

    found = run_energy(replace(run, queries=early))

    assert found is not None
    assert found.power_w.value == pytest.approx(ACTIVE_W)


def test_gaps_are_counted_in_readings_and_in_seconds() -> None:
    ends = np.delete(np.arange(0.1, 10.05, 0.1), [40, 41, 42])
    trace = power_trace(replace(a_run(), readings=(readings(ends, 0 * ends + 1.0),)))

    assert trace is not None
    lost, longest = trace.gaps(Window(start_s=0.0, end_s=10.0))
    assert lost == pytest.approx(3 / 100)
    assert longest == pytest.approx(0.3)
    assert trace.gaps(Window(start_s=6.0, end_s=10.0)) == (0.0, 0.0)


def test_readings_given_twice_count_once() -> None:
    run = a_run()

    twice = power_trace(replace(run, readings=run.readings * 2))
    once = power_trace(run)

    assert once is not None
    assert twice is not None
    window = Window(start_s=9.0, end_s=14.0)
    assert twice.energy_j(window) == pytest.approx(once.energy_j(window))


def test_baselines_leave_out_what_the_meter_still_averages() -> None:
    run = a_run(step_s=0.5, phase_s=0.2)
    trace = power_trace(run)
    assert trace is not None

    before, after = baselines(run, trace, guard=0.5)

    assert before == pytest.approx(np.full(len(before), IDLE_W))
    assert after == pytest.approx(np.full(len(after), IDLE_W))
    assert idle_power([]) is None


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_window_energies_are_reproduced(path: Path) -> None:
    # MLPerf Tiny v1.2 (mlcommons/tiny_results_v1.2): windows between pairs of edges
    trace_file = np.load(path)
    power = trace_file["power_mW"].astype(np.float64) / 1e3
    ends = np.arange(len(power)) / float(trace_file["sample_rate"])
    block = readings(ends, power, origin=Origin.MEASURED, source="lpm01a")
    trace = power_trace(replace(a_run(), readings=(block,)))
    assert trace is not None
    stamps = trace_file["timestamps_s"][1:].reshape(-1, 2)

    found = [trace.energy_j(Window(start_s=a, end_s=b)) for a, b in stamps]

    published = trace_file["reported_uJ"] / 1e6
    assert found == pytest.approx(published, rel=2e-4)


@pytest.mark.slow
def test_intervals_of_net_energy_hold_where_idle_drifts_and_runs_scatter() -> None:
    generator = np.random.default_rng(5)
    truth = (ACTIVE_W - IDLE_W) * 0.05

    held = []
    for _ in range(300):
        runs = []
        for index in range(3):
            hump = generator.normal(0, 2e-4, 2)
            runs.append(
                a_run(
                    step_s=0.1,
                    phase_s=float(generator.uniform(0, 0.1)),
                    before_w=IDLE_W + hump[0],
                    after_w=IDLE_W + hump[1],
                    active_w=ACTIVE_W + generator.normal(0, 3e-4),
                    trial=a_trial(run=index + 1),
                )
            )
        net = estimates_of(a_group(*runs))["energy_per_inference_net"]
        held.append(abs(net.value - truth) <= net.expanded_uncertainty)

    assert np.mean(held) >= 0.93

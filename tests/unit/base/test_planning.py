"""Planning: same parts, same plan; runs interleaved; the host never graded."""

from dataclasses import replace

import pytest

from harness.domain.plan import Arm, Pulses, Recording, Trial
from harness.domain.scenario import ColdStart, Periodic, SingleStream, Sustained
from harness.domain.workload import Suite, Workload
from harness.errors import UnknownName
from harness.planning import (
    Ingredients,
    MeterUse,
    expected_seconds,
    is_virtual,
    make_plan,
    preset_named,
)
from harness.schema.codec import dump_bytes
from harness.testing.builders import SHA, a_model, a_profile, a_trial
from harness.units import NS_PER_S


def ingredients(preset: str = "quick") -> Ingredients:
    frame = NS_PER_S // 10
    workloads = tuple(
        Workload(
            id=name,
            model="dscnn-kws",
            title_zh="关键词识别",
            title_en="Keyword spotting",
            scenarios=(
                SingleStream(),
                Periodic(period_ns=frame, deadline_ns=frame),
                ColdStart(),
                Sustained(),
            ),
        )
        for name in ("kws", "vww")
    )
    models = {workload.id: a_model() for workload in workloads}
    return Ingredients(
        profile=a_profile(),
        profile_sha256=SHA,
        suite=Suite(name="wearable", workloads=workloads),
        suite_sha256=SHA,
        tier_set="2026.1",
        tier_set_sha256=SHA,
        preset=preset_named(preset),
        target="emulated@",
        device_models=models,
        host_models=models,
    )


def test_the_same_parts_give_the_same_plan() -> None:
    assert dump_bytes(make_plan(ingredients())) == dump_bytes(make_plan(ingredients()))


def test_another_seed_gives_another_plan() -> None:
    other = replace(ingredients(), seed=1)

    assert make_plan(other) != make_plan(ingredients())


def test_each_run_holds_every_measurement_once_before_the_next_run_begins() -> None:
    plan = make_plan(ingredients())

    device = [trial for trial in plan.trials if trial.arm is Arm.DEVICE]
    first = [(t.workload, t.scenario.kind) for t in device if t.run == 1]

    assert [trial.run for trial in device] == sorted(trial.run for trial in device)
    assert len(first) == len(set(first)) == 8


def test_the_order_differs_from_run_to_run() -> None:
    plan = make_plan(ingredients("standard"))

    orders = {
        tuple(
            (t.workload, t.scenario.kind)
            for t in plan.trials
            if t.run == run and t.arm is Arm.DEVICE
        )
        for run in range(1, 6)
    }

    assert len(orders) > 1


def test_the_host_executes_each_workload_once_on_this_machine() -> None:
    plan = make_plan(ingredients())

    host = [trial for trial in plan.trials if trial.arm is Arm.HOST]

    assert [trial.workload for trial in host] == ["kws", "vww"]
    assert {trial.target for trial in host} == {"local@"}


def test_without_host_models_there_is_no_host_arm() -> None:
    plan = make_plan(replace(ingredients(), host_models={}, target="local@"))

    assert {trial.arm for trial in plan.trials} == {Arm.DEVICE}
    assert not plan.is_emulated


def test_a_sustained_run_is_repeated_only_by_the_long_presets() -> None:
    def sustained(preset: str) -> int:
        trials = make_plan(ingredients(preset)).trials
        return sum(isinstance(t.scenario, Sustained) for t in trials)

    assert (sustained("quick"), sustained("standard")) == (2, 10)


def test_minima_of_queries_and_of_seconds_come_from_the_preset() -> None:
    plan = make_plan(replace(ingredients("official"), target="local@"))

    windows = {
        (t.minimum.queries, t.minimum.duration_ns)
        for t in plan.trials
        if t.arm is Arm.DEVICE and isinstance(t.scenario, SingleStream)
    }

    assert windows == {(1024, 60 * NS_PER_S)}


def test_an_emulated_run_is_long_enough_for_every_percentile() -> None:
    plan = make_plan(ingredients("rapid"))

    windows = {
        (t.minimum.queries, t.minimum.duration_ns)
        for t in plan.trials
        if t.arm is Arm.DEVICE and isinstance(t.scenario, SingleStream)
    }

    assert windows == {(3000, 6 * NS_PER_S)}


def test_all_arms_and_runs_of_a_workload_see_the_same_samples() -> None:
    plan = make_plan(ingredients())

    seeds = {t.seeds.sample for t in plan.trials if t.workload == "kws"}

    assert len(seeds) == 1


def test_a_sustained_run_is_expected_to_last_as_long_as_it_is() -> None:
    plan = make_plan(replace(ingredients(), target="local@", host_models={}))
    trial = next(t for t in plan.trials if isinstance(t.scenario, Sustained))

    assert 600 < expected_seconds(trial) < 620


def test_an_unknown_preset_is_named_with_the_near_ones() -> None:
    with pytest.raises(UnknownName, match="'quick'"):
        preset_named("quik")


def a_meter(step_ns: int = 1_000_000, latency_ns: int = 0) -> MeterUse:
    return MeterUse(
        address="ppk2@sim:",
        step_ns=step_ns,
        latency_ns=latency_ns,
        pulses=Pulses(chips=31, chip_ns=20_000_000, seed=0),
    )


def device_trials(parts: Ingredients) -> list[Trial]:
    return [t for t in make_plan(parts).trials if t.arm is Arm.DEVICE]


def test_a_meter_asks_for_marks_of_their_own_in_every_trial_but_cold_starts() -> None:
    trials = device_trials(
        replace(ingredients(), target="local@", host_models={}, meter=a_meter())
    )

    starts = [t for t in trials if isinstance(t.scenario, ColdStart)]
    marked = [t.pulses for t in trials if not isinstance(t.scenario, ColdStart)]
    assert all(t.pulses is None for t in starts)
    assert None not in marked
    assert len({p.seed for p in marked if p}) == len(marked)
    assert all(t.pulses is None for t in make_plan(ingredients()).trials)


def test_a_slow_meter_gets_idle_that_it_can_read_and_a_warm_up_that_it_can_see() -> (
    None
):
    slow = a_meter(step_ns=NS_PER_S, latency_ns=NS_PER_S)
    trial = device_trials(
        replace(ingredients(), target="local@", host_models={}, meter=slow)
    )[0]

    assert trial.baseline_ns >= (10 + 3 + 1) * NS_PER_S
    assert trial.warm_up.duration_ns >= (3 + 1) * NS_PER_S


def test_with_a_meter_runs_differ_in_length_so_that_energy_can_be_held_to_a_line() -> (
    None
):
    parts = replace(ingredients(), target="local@", host_models={}, meter=a_meter())
    windows = {
        t.run: t.minimum.duration_ns
        for t in device_trials(parts)
        if isinstance(t.scenario, SingleStream)
    }

    energy_ns = parts.preset.energy_window_ns
    assert windows == {1: energy_ns, 2: energy_ns * 3 // 2, 3: 2 * energy_ns}


def test_a_claim_lengthens_the_windows_that_are_shorter() -> None:
    claimed = replace(a_meter(), window_ns=200 * NS_PER_S)
    parts = replace(ingredients(), target="local@", host_models={}, meter=claimed)

    assert min(
        t.minimum.duration_ns
        for t in device_trials(parts)
        if not isinstance(t.scenario, ColdStart)
    ) == (200 * NS_PER_S)


def test_the_time_that_marks_take_is_in_the_time_expected() -> None:
    parts = replace(ingredients(), target="local@", host_models={}, meter=a_meter())
    marked = next(t for t in device_trials(parts) if t.pulses)

    plain = expected_seconds(replace(marked, pulses=None))

    assert expected_seconds(marked) - plain == pytest.approx(2 * 37 * 0.02)


def test_a_recording_is_played_in_the_periodic_trials_of_what_listens() -> None:
    parts = ingredients()
    listening = tuple(
        replace(workload, id="sww" if workload.id == "vww" else workload.id)
        for workload in parts.suite.workloads
    )
    models = {workload.id: a_model() for workload in listening}
    words = Recording(file="x.wav", length_ns=40 * NS_PER_S, spoken_ns=())
    trials = make_plan(
        replace(
            parts,
            suite=Suite(name="wearable", workloads=listening),
            device_models=models,
            host_models=models,
            target="mcu@serial:/dev/ttyACM0",
            stream=words,
        )
    ).trials

    played = [trial for trial in trials if trial.stream is not None]
    assert {(t.workload, t.scenario.kind, t.arm) for t in played} == {
        ("sww", "Periodic", Arm.DEVICE)
    }
    assert all(trial.stream == words for trial in played)
    assert all(40 < expected_seconds(trial) < 50 for trial in played)


def test_where_a_pin_marks_windows_their_number_and_length_are_expected() -> None:
    meter = replace(a_meter(), pulses=None, edges="D7")
    trials = device_trials(
        replace(
            ingredients("rapid"), target="mcu@serial:/dev/ttyACM0",
            host_models={}, meter=meter,
        )
    )  # fmt: skip

    one = next(t for t in trials if isinstance(t.scenario, SingleStream))
    assert one.edges == "D7"
    assert one.pulses is None
    assert expected_seconds(one) == pytest.approx(5 * (10 + 1) + 4)


def test_an_input_that_no_meter_has_makes_no_trial() -> None:
    with pytest.raises(ValueError, match="D0 to D7"):
        replace(a_trial(), edges="D8")


@pytest.mark.parametrize(
    ("target", "lives_in_virtual_time"),
    [
        ("emulated@", True),
        ("mcu@sim:kws01", True),
        ("mcu@qemu:a.elf", False),
        ("mcu@serial:/dev/ttyACM0", False),
        ("local@", False),
    ],
)
def test_only_models_and_simulated_boards_live_in_virtual_time(
    target: str, *, lives_in_virtual_time: bool
) -> None:
    assert is_virtual(target) is lives_in_virtual_time

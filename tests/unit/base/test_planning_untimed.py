"""Plans for a target without time: inferences themselves, on one thread."""

from dataclasses import replace

import pytest

from harness.domain.plan import Minimum, is_emulated, is_timed
from harness.domain.profile import Conditions
from harness.domain.scenario import ColdStart, LlmDecode, Periodic, SingleStream
from harness.domain.workload import DecoderFacts, Suite, Workload
from harness.planning import Ingredients, make_plan, preset_named
from harness.testing.builders import SHA, a_model, a_profile
from harness.units import NS_PER_S

ARM64 = "arm64@qemu:cortex-a76"


def a_workload(name: str, *scenarios: object) -> Workload:
    return Workload(
        id=name,
        model="dscnn-kws",
        title_zh="关键词识别",
        title_en="Keyword spotting",
        scenarios=scenarios,  # type: ignore[arg-type]
    )


def ingredients(*workloads: Workload, preset: str = "quick") -> Ingredients:
    profile = replace(a_profile(), conditions=Conditions(intra_op_threads=4))
    return Ingredients(
        profile=profile,
        profile_sha256=SHA,
        suite=Suite(name="wearable", workloads=workloads),
        suite_sha256=SHA,
        tier_set="2026.1",
        tier_set_sha256=SHA,
        preset=preset_named(preset),
        target=ARM64,
        device_models={workload.id: a_model() for workload in workloads},
        host_models={},
    )


PERIODIC = Periodic(period_ns=NS_PER_S, deadline_ns=NS_PER_S)


def test_a_workload_is_counted_once_whatever_its_scenarios_are() -> None:
    plan = make_plan(
        ingredients(
            a_workload("kws", SingleStream(), PERIODIC, ColdStart()),
            a_workload("vww", PERIODIC),
        )
    )

    assert sorted((t.workload, t.scenario.kind, t.run) for t in plan.trials) == [
        ("kws", "SingleStream", 1),
        ("vww", "SingleStream", 1),
    ]


def test_the_long_presets_count_again() -> None:
    plan = make_plan(ingredients(a_workload("kws", PERIODIC), preset="standard"))

    assert len(plan.trials) == 5


def test_it_asks_for_inferences_and_for_no_seconds_on_one_thread() -> None:
    (trial,) = make_plan(ingredients(a_workload("kws", PERIODIC))).trials

    assert trial.settings.intra_op_threads == 1
    assert trial.warm_up == Minimum(queries=2, duration_ns=0)
    assert trial.minimum == Minimum(queries=20, duration_ns=0)
    assert trial.baseline_ns == 0


def test_a_language_model_keeps_its_scenario_and_is_refused_by_the_target() -> None:
    asked = ingredients(a_workload("llm", LlmDecode()))
    facts = DecoderFacts(vocabulary=100, context=4096, end_tokens=(2,))
    talks = {"llm": replace(a_model(), decoder=facts)}

    (trial,) = make_plan(replace(asked, device_models=talks)).trials

    assert isinstance(trial.scenario, LlmDecode)


def test_an_address_says_whether_there_is_a_time() -> None:
    plan = make_plan(ingredients(a_workload("kws", SingleStream())))

    assert (plan.is_emulated, plan.is_timed) == (True, False)
    assert [(is_emulated(a), is_timed(a)) for a in (ARM64, "emulated@", "local@")] == [
        (True, False),
        (True, True),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("macs", "inferences"),
    [(None, 20), (2_657_000, 20), (300_000_000, 4), (4_000_000_000, 1)],
)
def test_the_larger_a_model_the_fewer_inferences_tell_its_count(
    macs: int | None, inferences: int
) -> None:
    asked = ingredients(a_workload("kws", SingleStream()))
    models = {"kws": replace(a_model(), macs=macs)}

    (trial,) = make_plan(replace(asked, device_models=models)).trials

    assert trial.minimum.queries == inferences

"""Plans of language models: what the host does, how many answers, what is refused."""

from dataclasses import replace

import pytest

from harness.domain.plan import Arm, Plan
from harness.domain.scenario import (
    ColdStart,
    LlmDecode,
    LlmSustained,
    Scenario,
    SingleStream,
)
from harness.domain.workload import DecoderFacts, Suite, Workload
from harness.errors import UsageError
from harness.planning import Ingredients, expected_seconds, make_plan, preset_named
from harness.testing.builders import SHA, a_model, a_profile

TALK = LlmDecode(prompt_tokens=(512, 64), output_tokens=32, users=(1, 4))
FACTS = DecoderFacts(vocabulary=100, context=1024, end_tokens=(2,))


def planned(
    *scenarios: Scenario,
    target: str = "emulated@",
    preset: str = "quick",
    decoder: DecoderFacts | None = FACTS,
) -> Plan:
    workload = Workload(
        id="llm",
        model="llm-26m",
        title_zh="大语言模型",
        title_en="Language model",
        scenarios=scenarios or (TALK,),
    )
    models = {"llm": replace(a_model(), decoder=decoder)}
    return make_plan(
        Ingredients(
            profile=a_profile(),
            profile_sha256=SHA,
            suite=Suite(name="computer", workloads=(workload,)),
            suite_sha256=SHA,
            tier_set="2026.1",
            tier_set_sha256=SHA,
            preset=preset_named(preset),
            target=target,
            device_models=models,
            host_models=models if target == "emulated@" else {},
            runtime="onnxruntime-genai",
        )
    )


def test_the_host_gives_a_few_answers_to_the_first_prompt() -> None:
    (host,) = (t for t in planned().trials if t.arm is Arm.HOST)

    assert host.scenario == LlmDecode(prompt_tokens=(512,), output_tokens=32)
    assert host.minimum.queries == 2


@pytest.mark.parametrize(
    ("target", "preset", "answers"),
    [
        ("local@", "rapid", 4),
        ("local@", "quick", 16),
        ("local@", "official", 64),
        ("emulated@", "quick", 300),
    ],
)
def test_answers_are_counted_by_what_their_percentiles_take(
    target: str, preset: str, answers: int
) -> None:
    plan = planned(target=target, preset=preset)

    device = [t for t in plan.trials if t.arm is Arm.DEVICE]
    assert {t.minimum.queries for t in device} == {answers}
    assert {t.settings.runtime for t in device} == {"onnxruntime-genai"}


def test_each_level_is_expected_to_last_its_window() -> None:
    (first, *_) = planned(target="local@").trials

    assert expected_seconds(first) > 3 * 10


def test_a_prompt_longer_than_the_context_is_refused_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="do not fit the model's context of 1024"):
        planned(LlmDecode(prompt_tokens=(1000,), output_tokens=100))


def test_a_language_model_has_no_single_queries_and_others_do_not_talk() -> None:
    with pytest.raises(UsageError, match="is a language model, so SingleStream"):
        planned(SingleStream())
    with pytest.raises(UsageError, match="is no language model, so LlmDecode"):
        planned(TALK, decoder=None)


def test_a_language_model_may_be_started_cold() -> None:
    kinds = {t.scenario.kind for t in planned(TALK, ColdStart()).trials}

    assert kinds == {"LlmDecode", "ColdStart"}


def test_a_long_conversation_is_carried_out_once_where_the_preset_is_short() -> None:
    long = LlmSustained(prompt_tokens=64, output_tokens=32)

    device = [t for t in planned(TALK, long).trials if t.arm is Arm.DEVICE]

    assert sum(t.scenario == long for t in device) == 1
    assert sum(t.scenario == TALK for t in device) == 3
    (trial,) = (t for t in device if t.scenario == long)
    assert trial.minimum.queries == 10
    (other,) = (t for t in planned(long, target="local@").trials if t.scenario == long)
    assert expected_seconds(other) > 600


def test_a_long_conversation_alone_has_a_host_that_answers_its_prompt() -> None:
    (host,) = (
        t
        for t in planned(LlmSustained(prompt_tokens=64, output_tokens=32)).trials
        if t.arm is Arm.HOST
    )

    assert host.scenario == LlmDecode(prompt_tokens=(64,), output_tokens=32)


def test_a_long_conversation_that_does_not_fit_the_context_is_refused() -> None:
    with pytest.raises(UsageError, match="do not fit the model's context of 1024"):
        planned(LlmSustained(prompt_tokens=1000, output_tokens=32))

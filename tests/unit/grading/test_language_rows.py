"""Rows on language models: the load that they name, and models of their size only."""

from dataclasses import replace

import pytest

from harness.domain.estimate import MEASURANDS, Estimate
from harness.domain.finding import Validity
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.plan import Plan
from harness.domain.profile import DeviceClass
from harness.domain.requirement import RowResult, RowStatus, Tier
from harness.domain.scenario import (
    ColdStart,
    LlmDecode,
    LlmSustained,
    Scenario,
    SingleStream,
)
from harness.domain.workload import OWN_SUITE
from harness.grading import award
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.testing.builders import a_model, a_plan, a_trial
from harness.units import NS_PER_S

TALK = LlmDecode(prompt_tokens=(1024, 128), output_tokens=128)
ASKED = "prompt=1024, output=128, users=1"


def a_plan_of(
    *what: tuple[str, Scenario], parameters: int = 3_200_000_000, own: bool = True
) -> Plan:
    plan = a_plan([a_trial(workload, scenario) for workload, scenario in what])
    profile = replace(plan.profile, device_class=DeviceClass.SMARTPHONE, subtypes=())
    return replace(
        plan,
        profile=replace(profile, is_os_class=True),
        models=(replace(a_model(), parameters=parameters),),
        suite=replace(plan.suite, name=OWN_SUITE if own else "smartphone"),
    )


def a_figure(
    name: str, value: float, condition: str, workload: str = "llm3", scenario: str = ""
) -> Estimate:
    return Estimate(
        measurand=MEASURANDS[name],
        workload=workload,
        scenario=scenario or "LlmDecode",
        origin=Origin.MEASURED,
        value=value,
        standard_uncertainty=0.0,
        lower_bound=value,
        upper_bound=value,
        condition=condition,
    )


def rows(plan: Plan, *figures: Estimate) -> dict[str, RowResult]:
    grade = award(
        load_tier_set(tier_set_path("2026.1")),
        plan,
        estimates=figures,
        withheld=(),
        validity=Validity.VALID,
        origin=Origin.MEASURED,
    )
    return {row.requirement.id: row for row in grade.rows}


def test_a_row_takes_the_figure_of_the_load_that_it_names() -> None:
    found = rows(
        a_plan_of(("llm3", TALK)),
        a_figure("ttft_p90", 0.7, ASKED),
        a_figure("ttft_p90", 0.1, "prompt=128, output=128, users=1"),
        a_figure("tpot_mean", 0.03, ASKED),
    )

    assert found["llm_ttft"].guarded is Tier.B
    assert found["llm_tpot"].guarded is Tier.A


def test_a_load_that_no_row_names_is_no_answer() -> None:
    short = "prompt=128, output=128, users=1"

    found = rows(a_plan_of(("llm3", TALK)), a_figure("ttft_p90", 0.1, short))

    assert found["llm_ttft"].status is RowStatus.NOT_MEASURED


@pytest.mark.parametrize("parameters", [26_000_000, 1_500_000_000])
def test_a_smaller_model_never_passes_for_the_size_of_the_row(parameters: int) -> None:
    plan = a_plan_of(("llm3", TALK), parameters=parameters)

    found = rows(plan, a_figure("ttft_p90", 0.1, ASKED))

    assert found["llm_ttft"].reason == "model-too-small"


def test_a_model_of_unknown_size_is_no_answer() -> None:
    plan = a_plan_of(("llm3", TALK))
    unknown = replace(plan, models=(replace(a_model(), parameters=None),))

    found = rows(unknown, a_figure("ttft_p90", 0.1, ASKED))

    assert found["llm_ttft"].reason == "model-too-small"


def test_a_relative_row_that_names_a_size_takes_any_model_of_that_size() -> None:
    energy = replace(
        a_figure("energy_per_token_per_billion", 0.15, ASKED),
        evidence_class=EvidenceClass.A,
    )

    found = rows(a_plan_of(("llm3", TALK)), energy)

    assert found["e_tok_b"].guarded is Tier.B
    assert found["repeat_cv"].reason == "not-the-reference-model"


def test_the_cold_start_of_a_language_model_has_a_row_of_its_own() -> None:
    plan = a_plan_of(
        ("llm", ColdStart()), ("det", ColdStart()), ("det", SingleStream()), own=False
    )

    found = rows(
        plan,
        a_figure("cold_start_p90", 4.0, "", "llm", "ColdStart"),
        a_figure("cold_start_p90", 0.5, "", "det", "ColdStart"),
    )

    assert found["cold"].guarded is Tier.A
    assert found["cold_llm"].guarded is Tier.A


LONG = LlmSustained()


def a_computer(scenario: Scenario, parameters: int = 8_000_000_000) -> Plan:
    plan = a_plan_of(("llm8", scenario), parameters=parameters)
    profile = replace(plan.profile, device_class=DeviceClass.COMPUTER)
    return replace(plan, profile=profile)


def test_ten_minutes_of_answers_say_what_a_computer_keeps_of_its_rate() -> None:
    figure = a_figure("sustained_ratio", 0.9, "", "llm8", "LlmSustained")

    found = rows(a_computer(LONG), figure)

    assert found["sust10"].status is RowStatus.JUDGED
    assert found["sust10"].guarded is Tier.B


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (
            a_computer(LlmSustained(duration_ns=300 * NS_PER_S)),
            "window-shorter-than-row",
        ),
        (a_computer(TALK), "scenario-not-run"),
        (a_computer(LONG, parameters=1_000_000_000), "model-too-small"),
    ],
)
def test_another_conversation_says_nothing_about_that_row(
    plan: Plan, reason: str
) -> None:
    figure = a_figure("sustained_ratio", 0.9, "", "llm8", "LlmSustained")

    assert rows(plan, figure)["sust10"].reason == reason

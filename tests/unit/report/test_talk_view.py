"""What stands beside a language model's figures: tokenisation, and how users share."""

from dataclasses import replace

import pytest

from harness.assessment import assess
from harness.domain.record import RunRecord
from harness.domain.workload import DecoderFacts
from harness.report.page import Language, render
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.testing.builders import a_record

TIERS = load_tier_set(tier_set_path("2026.1"))


def a_talking_record(runtime: str, **notes: str) -> RunRecord:
    record = a_record(["kws"], runs=1)
    facts = DecoderFacts(vocabulary=10, context=10)
    models = tuple(replace(m, decoder=facts) for m in record.plan.models)
    said = {f"decode.{key}": text for key, text in notes.items()}
    trials = tuple(
        replace(
            t,
            notes=said,
            trial=replace(t.trial, settings=replace(t.trial.settings, runtime=runtime)),
        )
        for t in record.trials
    )
    return replace(record, plan=replace(record.plan, models=models), trials=trials)


def page_of(record: RunRecord) -> str:
    return render(record, assess(record, TIERS), TIERS, language=Language.EN).decode()


def test_times_with_tokenisation_say_so() -> None:
    page = page_of(
        a_talking_record("onnxruntime-genai", tokenisation="in", users="fixed batch")
    )

    assert "Tokenisation: in these times" in page
    assert "one fixed batch" in page
    assert "has no tokeniser" not in page


def test_times_of_a_plain_decoder_say_why_tokenisation_is_not_in_them() -> None:
    page = page_of(
        a_talking_record("onnxruntime", tokenisation="out", users="continuous batch")
    )

    assert "Tokenisation: not in these times" in page
    assert "A plain ONNX decoder has no tokeniser" in page
    assert "continuous batch" in page


def test_users_who_take_turns_are_no_capacity_of_a_service() -> None:
    page = page_of(
        a_talking_record("onnxruntime-genai", tokenisation="out", users="in turn")
    )

    assert "not the capacity of a service that batches" in page


@pytest.mark.parametrize("users", [{}, {"users": "one user"}])
def test_a_record_that_does_not_say_how_users_were_served_has_one(
    users: dict[str, str],
) -> None:
    page = page_of(a_talking_record("onnxruntime", tokenisation="out", **users))

    assert "Users: one." in page

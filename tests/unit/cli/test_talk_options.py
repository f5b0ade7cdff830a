"""Options on how a language model is asked, from words to a scenario."""

from pathlib import Path

import pytest

from harness.cli._talk import Tokenise, parse_sustain, parse_talk
from harness.domain.scenario import LlmDecode
from harness.errors import UsageError
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.stats.decoding import promise
from harness.units import NS_PER_S

MODEL = Path("model")


def test_nothing_asked_is_left_to_the_workload() -> None:
    assert parse_talk(MODEL, None, None, None) is None
    assert parse_talk(None, None, None, None) is None


def test_what_is_not_said_is_as_usual() -> None:
    found = parse_talk(MODEL, [64], None, None)

    assert found == LlmDecode(prompt_tokens=(64,))


def test_users_are_counted_from_one_and_promised_what_the_tier_rows_name() -> None:
    found = parse_talk(MODEL, None, 32, [8, 4, 8])

    assert found is not None
    assert found.users == (1, 4, 8)
    rows = [
        row.condition
        for tiers in load_tier_set(tier_set_path("2026.1")).classes.values()
        for row in tiers.rows
        if row.measurand == "users_served"
    ]
    assert sorted({promise(found, number) for number in range(2)}) == sorted(set(rows))


@pytest.mark.parametrize(
    ("prompt", "output", "users"),
    [([0], None, None), ([5, 5], None, None), ([5], -1, None), (None, None, [0])],
)
def test_what_makes_no_load_is_refused(
    prompt: list[int] | None, output: int | None, users: list[int] | None
) -> None:
    with pytest.raises(UsageError, match="makes no load"):
        parse_talk(MODEL, prompt, output, users)


def test_a_suite_is_not_overruled() -> None:
    with pytest.raises(UsageError, match="--model"):
        parse_talk(None, [5], None, None)


def test_tokenisation_in_the_times_is_a_load_of_its_own() -> None:
    found = parse_talk(MODEL, None, None, None, Tokenise.IN)

    assert found == LlmDecode(tokenises=True)
    with pytest.raises(UsageError, match="A suite says itself"):
        parse_talk(None, None, None, None, Tokenise.IN)


def test_how_long_to_go_on_is_a_time() -> None:
    assert parse_sustain(MODEL, "10 min") == 600 * NS_PER_S
    assert parse_sustain(MODEL, None) is None


@pytest.mark.parametrize(
    ("model", "text", "why"),
    [
        (None, "10 min", "A suite says itself"),
        (MODEL, "0 s", "no time to ask for"),
        (MODEL, "10 mJ", "mJ"),
    ],
)
def test_a_time_that_is_none_or_has_no_model_is_refused(
    model: Path | None, text: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        parse_sustain(model, text)

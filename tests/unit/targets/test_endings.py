"""How a silent end is named, and how cores are shared: pure decisions."""

import pytest

from harness.domain.query import Outcome
from harness.targets.apart import clean_environment, share_cores
from harness.targets.conversation import outcome_of_exit


@pytest.mark.parametrize(
    ("status", "words", "is_short", "outcome", "reason"),
    [
        (-11, "", False, Outcome.CRASHED, "SIGSEGV"),
        (-9, "", False, Outcome.CRASHED, "SIGKILL"),
        (-9, "", True, Outcome.OUT_OF_MEMORY, "kernel killed"),
        (-11, "", True, Outcome.CRASHED, "SIGSEGV"),
        (-6, "terminate: std::bad_alloc", False, Outcome.OUT_OF_MEMORY, "bad_alloc"),
        (1, "MemoryError", False, Outcome.OUT_OF_MEMORY, "ran out of memory"),
        (1, "No module named x", False, Outcome.CRASHED, "status 1: No module"),
        (0, "", False, Outcome.CRASHED, "exit status 0"),
        (None, "", False, Outcome.CRASHED, "went on"),
        (-250, "", False, Outcome.CRASHED, "signal 250"),
    ],
)
def test_an_end_without_a_last_word_is_named(
    status: int | None,
    words: str,
    is_short: bool,  # noqa: FBT001 - a column of the table
    outcome: Outcome,
    reason: str,
) -> None:
    found, said = outcome_of_exit(status, words, was_short_of_memory=is_short)

    assert found is outcome
    assert reason in said


@pytest.mark.parametrize(
    ("available", "threads", "model", "rest"),
    [
        ((0, 1), 1, {1}, {0}),
        ((0, 1, 2, 3), 2, {2, 3}, {0, 1}),
        ((4, 6), 1, {6}, {4}),
        ((0,), 1, {0}, set()),
        ((0, 1), 4, {0, 1}, set()),
    ],
)
def test_the_lowest_core_is_left_to_the_rest_where_there_are_enough(
    available: tuple[int, ...], threads: int, model: set[int], rest: set[int]
) -> None:
    for_model, for_rest = share_cores(available, threads)

    assert set(for_model) == model
    assert set(for_rest) == rest


def test_no_variable_of_the_user_leaks_into_an_agent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/evil.so")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setenv("PYTHONHASHSEED", "random")

    environment = clean_environment(2)

    assert not {"LD_PRELOAD", "PYTHONPATH"} & set(environment)
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["PYTHONHASHSEED"] == "0"
    assert environment["ORT_DISABLE_TELEMETRY"] == "1"
    assert environment["ORT_TELEMETRY_DISABLED"] == "1"

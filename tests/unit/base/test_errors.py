"""Errors: one sentence each, and an exit code that a script can rely on."""

import inspect

import pytest

from harness import errors
from harness.errors import (
    AgentDied,
    ExitCode,
    HarnessError,
    ReaderDied,
    SchemaError,
    StillAtWork,
    UnknownName,
)


def all_errors() -> list[type[HarnessError]]:
    return [
        thing
        for _, thing in inspect.getmembers(errors, inspect.isclass)
        if issubclass(thing, HarnessError)
    ]


def test_a_sentence_says_what_where_and_what_to_do() -> None:
    error = SchemaError("'governer' is not known", where="a.toml", remedy="Fix it.")

    sentence = error.sentence()

    assert sentence == "'governer' is not known (a.toml). Fix it."


def test_an_unknown_name_comes_with_the_near_ones() -> None:
    error = UnknownName("device", "wearible", ["wearable", "xr", "other"])

    sentence = str(error)

    assert sentence == "There is no device 'wearible'. Did you mean 'wearable'?"


def test_an_unknown_name_with_nothing_near_lists_all() -> None:
    error = UnknownName("device", "zzz", ["xr", "other"])

    assert "Known: other, xr." in str(error)


def test_each_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in all_errors()]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", all_errors())
def test_the_docstring_draws_every_error(error: type[HarnessError]) -> None:
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__


def test_exit_codes_are_those_that_are_documented() -> None:
    codes = {code.name: code.value for code in ExitCode}

    assert codes == {
        "OK": 0,
        "NO": 1,
        "USAGE": 2,
        "EQUIPMENT": 3,
        "EVIDENCE": 4,
        "NO_ANSWER": 5,
        "BUG": 70,
        "INTERRUPTED": 130,
    }


def test_only_what_may_help_to_repeat_is_transient() -> None:
    transient = {error.__name__ for error in all_errors() if error.is_transient}

    later = {AgentDied.__name__, ReaderDied.__name__, StillAtWork.__name__}
    assert transient == {"LinkTimeout", "LinkClosed", *later}

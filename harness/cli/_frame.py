"""The outermost frame: what a user sees when something ends a command."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping

import typer

from harness.errors import ExitCode, HarnessError


def guarded(command: Callable[[], object]) -> int:
    """Call the command and turn whatever ends it into an exit code and a sentence.

    Results go to stdout, everything said here to stderr. Only a bug shows a
    traceback.
    """
    try:
        result = command()
    except Exception as error:  # noqa: BLE001 - the outermost frame
        return _said(error)
    except KeyboardInterrupt:
        return _interrupted()
    return result if isinstance(result, int) else ExitCode.OK


def _said(error: Exception) -> int:
    match error:
        case HarnessError():
            _say(error.sentence())
            return error.exit_code
        case typer.Exit():
            return error.exit_code
        case typer.Abort():
            return _interrupted()
        case typer.TyperException():
            _say(f"{error.format_message()} Help: --help")
            return ExitCode.USAGE
        case BrokenPipeError():
            # the reader of our output went away (`duanping … | head`)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.OK
        case _:
            traceback.print_exception(error)
            _say("This is a bug in duanping. Please report it with the lines above.")
            return ExitCode.BUG


def _interrupted() -> int:
    _say("Interrupted.")
    return ExitCode.INTERRUPTED


def _say(sentence: str) -> None:
    print(f"duanping: {sentence}", file=sys.stderr)


def print_json(facts: Mapping[str, object]) -> None:
    """Print facts as JSON on stdout, for other programs."""
    print(json.dumps(facts, ensure_ascii=False, indent=2, sort_keys=True))

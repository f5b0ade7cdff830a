"""The command: python -m train [NAME…] in models/, or `make train`.

Trains all models, or those named, and puts their files into `trained/`. Prints one
JSON line for each finished model; progress goes to standard error.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

# Before anything loads onnxruntime, whose Linux wheels report home by default.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["ORT_TELEMETRY_DISABLED"] = "1"

import onnx

from train.check import complaints
from train.ship import BelowFloor, make, measure_again, write_words
from train.speech import NoVoice
from train.task import Items, Task
from train.tasks import TASKS


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command; give the exit status (2: asked for wrongly)."""
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.names if name not in TASKS]
    if unknown:
        known = ", ".join(TASKS)
        print(f"There is no trained model '{unknown[0]}': {known}.", file=sys.stderr)
        return 2
    chosen = [TASKS[name] for name in options.names or TASKS]
    if options.check:
        return _check(chosen, options.out)
    try:
        if options.describe:
            for task in chosen:
                measure_again(task, options.out)
        else:
            _train(chosen, options.out)
    except (BelowFloor, NoVoice) as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except ModuleNotFoundError as missing:
        print(f"{missing}: pip install 'duanping[train]'", file=sys.stderr)
        return 1
    write_words(TASKS, options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train", description="Train the reference models that have an accuracy."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().parents[1] / "trained",
        help="folder for the files (default: models/trained)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--check",
        action="store_true",
        help="train nothing: compare files, figures and cards with each other",
    )
    what.add_argument(
        "--describe",
        action="store_true",
        help="train nothing: measure again, write the cards and the index anew",
    )
    return parser


def _check(tasks: Sequence[Task], folder: Path) -> int:
    found = list(complaints(tasks, folder))
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


def _train(tasks: Sequence[Task], folder: Path) -> None:
    from train.fit import trained  # noqa: PLC0415 - torch is an extra

    folder.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        start = monotonic()

        def learn(task: Task, drawn: onnx.ModelProto, items: Items) -> onnx.ModelProto:
            return trained(task, drawn, items, _Progress(task))

        print(f"{task.name}: making its data …", file=sys.stderr, flush=True)
        facts = make(task, learn, folder)
        print(_line(facts, monotonic() - start), flush=True)


class _Progress:
    """Says how far a training is and how long the rest will take."""

    def __init__(self, task: Task) -> None:
        self._task, self._start = task, monotonic()

    def __call__(self, epoch: int, loss: float) -> None:
        of = self._task.recipe.epochs
        left = (monotonic() - self._start) / epoch * (of - epoch)
        print(
            f"{self._task.name}: epoch {epoch} of {of}, loss {loss:.3f}, "
            f"about {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )


def _line(facts: dict[str, Any], seconds: float) -> str:
    values = {name: round(one["value"], 4) for name, one in facts["figures"].items()}
    return json.dumps({"name": facts["name"], **values, "seconds": round(seconds, 1)})


if __name__ == "__main__":
    sys.exit(main())

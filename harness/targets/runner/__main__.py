"""``python -m harness.targets.runner``: build the C runner for other machines."""

import argparse
import platform
import sys
from pathlib import Path

from harness.errors import HarnessError
from harness.targets.runner.build import ARCHITECTURES, build_bundle, find_compiler


def main() -> int:
    """Build for the machines that are named, or for all that can be built here."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.targets.runner",
        description="Build the C runner, for boards and phones without Python.",
    )
    parser.add_argument(
        "machines",
        nargs="*",
        choices=[*ARCHITECTURES, []],
        help="as uname -m says it; all whose compiler is installed",
    )
    parser.add_argument(
        "--library", type=Path, help="libonnxruntime.so of the one machine named"
    )
    asked = parser.parse_args()
    machines = asked.machines or [
        name
        for name, one in ARCHITECTURES.items()
        if one.wheel is not None
        and (find_compiler(one) is not None or name != platform.machine())
    ]
    if asked.library is not None and len(machines) != 1:
        parser.error("--library goes with one machine")
    failed = 0
    for name in machines:
        try:
            bundle = build_bundle(ARCHITECTURES[name], asked.library, _say)
        except HarnessError as error:
            failed = int(error.exit_code)
            _say(f"{name}: {error.sentence()}")
        else:
            _say(f"{name}: {bundle.folder}")
    return failed


def _say(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201 - a command of its own


if __name__ == "__main__":
    sys.exit(main())

"""``python -m harness.targets.runner``: build the C runner for other machines."""

import argparse
import sys
from pathlib import Path

from harness.errors import HarnessError, UnknownName
from harness.targets.runner.build import ARCHITECTURES, Architecture, build_bundle


def main() -> int:
    """Build for the machines that are named, or for all that can be built here."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.targets.runner",
        description="Build the C runner, for boards and phones without Python.",
    )
    parser.add_argument(
        "machines", nargs="*", help="as uname -m says it; x86_64 and aarch64"
    )
    parser.add_argument(
        "--library", type=Path, help="libonnxruntime.so of the one machine named"
    )
    asked = parser.parse_args()
    machines = asked.machines or [n for n, one in ARCHITECTURES.items() if one.wheel]
    if asked.library is not None and len(machines) != 1:
        parser.error("--library goes with one machine")
    failed = 0
    for name in machines:
        try:
            bundle = build_bundle(_architecture(name), asked.library, _say)
        except HarnessError as error:
            failed = int(error.exit_code)
            _say(f"{name}: {error.sentence()}")
        else:
            _say(f"{name}: {bundle.folder}")
    return failed


def _architecture(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise UnknownName("machine", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def _say(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201 - a command of its own


if __name__ == "__main__":
    sys.exit(main())

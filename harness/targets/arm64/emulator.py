"""QEMU's user-mode emulator of arm64: where it is, what it emulates, what it takes.

Nothing is executed here but the emulator's own answers about itself.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.errors import TargetError, UnknownName, Unsupported

PROGRAM = "qemu-aarch64"
INSTALL = (
    "On Debian 12: sudo apt-get install qemu-user. Where that package is "
    "linked statically (Debian 13), build QEMU with --target-list=aarch64-linux-user "
    "--enable-plugins and put it first in PATH."
)
_ANSWER_S = 30.0
_VERSION = re.compile(r"version (\d+(?:\.\d+)+)")
_PLUGIN_OPTION = "-plugin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """The emulator on this machine."""

    program: Path
    version: str
    processors: tuple[str, ...]
    """Names that it gives to the processors that it can be."""

    def require_processor(self, name: str) -> None:
        """Raise UnknownName, with those that there are, for a name that is none."""
        if name not in self.processors:
            where = f"{self.program}, version {self.version}"
            raise UnknownName("emulated processor", name, self.processors, where=where)


def find_emulator() -> Emulator:
    """Find the emulator. Raises Unsupported where there is none, or none for us.

    One that takes no plugin cannot count: Debian's qemu-user-static, and every other
    that was linked statically.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise Unsupported(
            f"There is no {PROGRAM} here to emulate an arm64 processor",
            remedy=INSTALL,
        )
    program = Path(found)
    said = _VERSION.search(answer(program, "--version"))
    version = said.group(1) if said else "unknown"
    if _PLUGIN_OPTION not in answer(program, "-h"):
        raise Unsupported(
            f"{PROGRAM} {version} takes no plugin, so no instruction can be counted",
            where=str(program),
            remedy=INSTALL,
        )
    listed = answer(program, "-cpu", "help").splitlines()
    names = tuple(line.split()[0] for line in listed if line.startswith(" "))
    return Emulator(program=program, version=version, processors=names)


def answer(program: Path, *words: str) -> str:
    """Give what the emulator says to an option about itself, on either output.

    Raises TargetError where it cannot be started or does not end.
    """
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell
            [program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(
            f"{PROGRAM} does not answer: {error}",
            where=str(program),
            remedy="Try it by hand: qemu-aarch64 --version",
        ) from error
    return done.stdout + done.stderr

"""What an emulated arm64 processor needs on this machine: emulator, plugin, runner."""

from dataclasses import dataclass
from pathlib import Path

from harness.targets.arm64.emulator import PROGRAM, Emulator, find_emulator
from harness.targets.arm64.plugin import counter_for
from harness.targets.runner.bundle import Bundle, require_bundle

MACHINE = "aarch64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Everything that is needed, found."""

    emulator: Emulator
    plugin: Path
    bundle: Bundle
    """The C runner with onnxruntime and a C library, all for arm64."""


def require_ready() -> Ready:
    """Find what is needed, in the order in which a person puts it there.

    Raises Unsupported or TargetError for the first thing that is missing, with what
    to install or to build.
    """
    emulator = find_emulator()
    plugin = counter_for(emulator)
    return Ready(
        emulator=emulator, plugin=plugin, bundle=require_bundle(MACHINE, PROGRAM)
    )

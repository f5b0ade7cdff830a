"""What an emulated arm64 processor needs on this machine: emulator, plugin, runner."""

from dataclasses import dataclass
from pathlib import Path

from harness.errors import Unsupported
from harness.targets.arm64.emulator import Emulator, find_emulator
from harness.targets.arm64.plugin import counter_for
from harness.targets.runner.bundle import Bundle, agents_folder, find_bundle

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
    return Ready(emulator=emulator, plugin=plugin, bundle=require_runner())


def require_runner() -> Bundle:
    """Find the C runner for arm64. Raises Unsupported saying how to build it."""
    found = find_bundle(MACHINE)
    if found is None:
        raise Unsupported(
            "The C runner for arm64, which the emulator is to execute, was not built",
            where=str(agents_folder()),
            remedy="Build it once: make agents ARGS=aarch64 (without a checkout: "
            "python -m harness.targets.runner aarch64)",
        )
    return found

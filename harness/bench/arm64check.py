"""Whether this machine can emulate an arm64 processor; needed by ``arm64@`` only."""

from harness.bench.doctor import Check, State
from harness.errors import HarnessError
from harness.targets.arm64.emulator import find_emulator
from harness.targets.arm64.plugin import require_compiler
from harness.targets.arm64.readiness import require_runner

_WHY = "arm64@qemu:… counts instructions of real arm64 kernels; nothing else needs it."


def examine_arm64() -> Check:
    """Look for emulator, compiler and runner, and say what is missing first.

    Whether QEMU takes our plugin shows when it is built: ``devices --probe``.
    """
    try:
        emulator = find_emulator()
        require_compiler()
        require_runner()
    except HarnessError as error:
        return Check(
            name="arm64 emulation",
            state=State.UNKNOWN,
            found=error.what,
            why=_WHY,
            remedy=error.remedy,
        )
    return Check(
        name="arm64 emulation",
        state=State.GOOD,
        found=f"{emulator.program} {emulator.version}: "
        f"{', '.join(emulator.processors)}",
        why=_WHY,
    )

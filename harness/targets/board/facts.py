"""What a board is: hardware, kernel, runtime. Reads and changes nothing."""

import os
import platform
from pathlib import Path

from harness.installed import RUNTIME, version_of
from harness.meters.kernel import Kernel
from harness.targets.board.android import phone_facts

_MODEL = Path("proc/device-tree/model")


def describe(kernel: Kernel) -> dict[str, str]:
    """Give facts key by key, as a SutDescription holds them."""
    memory = kernel.memory_bytes()
    facts = {
        "board": _first_line(kernel.root / _MODEL),
        "os": _os_name(),
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu_name(kernel) or platform.processor(),
        "cores": str(os.cpu_count() or ""),
        "memory_bytes": str(memory) if memory else "",
        "python": platform.python_version(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "numpy": version_of("numpy"),
        "runtime": RUNTIME,
        "runtime_version": version_of(RUNTIME),
        "governor": kernel.governor() or "",
        "boot": kernel.boot_id(),
        "thermal_zones": ", ".join(kernel.zones_degc()),
    }
    known = {key: value for key, value in facts.items() if value}
    return known | phone_facts()


def _cpu_name(kernel: Kernel) -> str:
    """Name the processor, as x86 ("model name") or Arm kernels ("CPU part") do."""
    try:
        lines = (kernel.root / "proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    found: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    if "model name" in found:
        return found["model name"]
    if "CPU part" in found:
        return (
            f"Arm implementer {found.get('CPU implementer')} part {found['CPU part']}"
        )
    return found.get("Hardware", "")


def _first_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""  # not a device-tree machine


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return ""

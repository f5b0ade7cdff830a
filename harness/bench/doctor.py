"""Look at the host: what would disturb a measurement, why, and how to change it.

Each check is one small function that reads and never writes. Nothing here changes
the machine.
"""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from harness.installed import RUNTIME, bringing, version_of

_CPU = Path("/sys/devices/system/cpu")
_ORT_FLOOR = (1, 24, 1)
"""Older onnxruntime reads any file that a model names as external data."""
_FREE_DISK_BYTES = 1_000_000_000
_FREE_MEMORY_BYTES = 2_000_000_000


class State(StrEnum):
    """How a check came out."""

    GOOD = "good"
    WORTH_A_LOOK = "worth a look"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: what is so, why it matters, and how to change it."""

    name: str
    state: State
    found: str
    why: str
    remedy: str = ""


def examine(folder: Path) -> tuple[Check, ...]:
    """Carry out every check; `folder` is where bundles are to be written."""
    checks: tuple[Callable[[], Check], ...] = (
        _python,
        _runtime,
        _governor,
        _turbo,
        _load,
        _memory,
        lambda: _disk(folder),
        _virtual_machine,
        _supply,
    )
    return tuple(check() for check in checks)


def _python() -> Check:
    found = platform.python_version()
    is_good = sys.version_info >= (3, 11)
    return Check(
        name="python",
        state=State.GOOD if is_good else State.BAD,
        found=found,
        why="The harness needs Python 3.11 or newer.",
        remedy="" if is_good else "make PYTHON=python3.12 bench",
    )


def _runtime() -> Check:
    why = "Versions before 1.24.1 read any file that a model names as external data."
    found = bringing(RUNTIME)
    if not found:
        return Check(
            name=RUNTIME,
            state=State.BAD,
            found="not installed",
            why=why,
            remedy="pip install 'onnxruntime>=1.24.1'",
        )
    if len(found) > 1:
        return Check(
            name=RUNTIME,
            state=State.BAD,
            found=version_of(RUNTIME),
            why="They overwrite each other's files: which of them runs is chance.",
            remedy=f"pip uninstall -y {' '.join(found)}, then install one again.",
        )
    (version,) = found.values()
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    is_good = numbers >= _ORT_FLOOR
    return Check(
        name=RUNTIME,
        state=State.GOOD if is_good else State.BAD,
        found=version_of(RUNTIME),
        why=why,
        remedy="" if is_good else "pip install 'onnxruntime>=1.24.1'",
    )


def _governor() -> Check:
    governors = {
        path.read_text().strip()
        for path in _CPU.glob("cpu[0-9]*/cpufreq/scaling_governor")
    }
    why = "A governor that follows the load makes the first queries slower."
    if not governors:
        return Check(
            name="governor", state=State.UNKNOWN, found="not readable here", why=why
        )
    is_good = governors == {"performance"}
    return Check(
        name="governor",
        state=State.GOOD if is_good else State.WORTH_A_LOOK,
        found=", ".join(sorted(governors)),
        why=why,
        remedy="" if is_good else "sudo cpupower frequency-set -g performance",
    )


def _turbo() -> Check:
    why = "Turbo clocks depend on heat, so a long run slows down."
    switches = (
        # (file, text that means turbo is on): Intel's driver and the generic one
        (_CPU / "intel_pstate/no_turbo", "0"),
        (_CPU / "cpufreq/boost", "1"),
    )
    for path, on in switches:
        if path.is_file():
            is_on = path.read_text().strip() == on
            off = "1" if on == "0" else "0"
            return Check(
                name="turbo",
                state=State.WORTH_A_LOOK if is_on else State.GOOD,
                found="on" if is_on else "off",
                why=why,
                remedy=f"echo {off} | sudo tee {path}" if is_on else "",
            )
    return Check(name="turbo", state=State.UNKNOWN, found="not readable here", why=why)


def _load() -> Check:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    is_good = load < 0.2 * cores
    return Check(
        name="load",
        state=State.GOOD if is_good else State.WORTH_A_LOOK,
        found=f"{load:.2f} on {cores} cores",
        why="Other processes take cores and caches from the model.",
        remedy="" if is_good else "Close other programs; see: top",
    )


def _memory() -> Check:
    free = psutil.virtual_memory().available
    is_good = free >= _FREE_MEMORY_BYTES
    return Check(
        name="memory",
        state=State.GOOD if is_good else State.WORTH_A_LOOK,
        found=f"{free / 1e9:.1f} GB available",
        why="A machine that swaps measures its disk.",
        remedy="" if is_good else "Close other programs, or measure smaller models.",
    )


def _disk(folder: Path) -> Check:
    here = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(here).free
    is_good = free >= _FREE_DISK_BYTES
    return Check(
        name="disk",
        state=State.GOOD if is_good else State.BAD,
        found=f"{free / 1e9:.1f} GB free at {here}",
        why="A full disk ends a run; what was measured before stays readable.",
        remedy="" if is_good else "Make room, or use --out on another disk.",
    )


def _virtual_machine() -> Check:
    why = "A hypervisor takes cores away without saying so; tails grow."
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return Check(
            name="hypervisor", state=State.UNKNOWN, found="not readable here", why=why
        )
    is_virtual = " hypervisor" in cpuinfo.read_text()
    return Check(
        name="hypervisor",
        state=State.WORTH_A_LOOK if is_virtual else State.GOOD,
        found="virtual machine" if is_virtual else "none seen",
        why=why,
        remedy="Measure on bare metal for an application." if is_virtual else "",
    )


def _supply() -> Check:
    battery = psutil.sensors_battery()
    why = "On battery, or while charging, a machine clocks differently."
    if battery is None:
        return Check(name="supply", state=State.GOOD, found="no battery", why=why)
    return Check(
        name="supply",
        state=State.GOOD if battery.power_plugged else State.WORTH_A_LOOK,
        found="mains" if battery.power_plugged else f"battery {battery.percent:.0f} %",
        why=why,
        remedy="" if battery.power_plugged else "Plug the supply in.",
    )

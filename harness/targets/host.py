"""What this machine is, and what state it is in.

Everything is read and nothing is changed. What cannot be read is left out.
"""

import os
import platform
from pathlib import Path

import psutil

from harness.domain.sut import ConditionsReached
from harness.installed import RUNTIME, version_of
from harness.meters.process import (
    busy_cores,
    frequency_hz,
    load_average,
    temperature_degc,
)

_CPU = Path("/sys/devices/system/cpu")
_NVIDIA = Path("/proc/driver/nvidia")


def describe_host() -> dict[str, str]:
    """Give facts about hardware, operating system and runtime, key by key."""
    facts = {
        "os": _os_name(),
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "cores": str(psutil.cpu_count(logical=True) or ""),
        "physical_cores": str(psutil.cpu_count(logical=False) or ""),
        "memory_bytes": str(psutil.virtual_memory().total),
        "gpu": ", ".join(_gpus(_NVIDIA)),
        "python": platform.python_version(),
        "runtime": RUNTIME,
        "runtime_version": version_of(RUNTIME),
        "governor": governor() or "",
        "hypervisor": _hypervisor(),
        "library_path": os.environ.get("LD_LIBRARY_PATH", ""),
    }
    return {key: value for key, value in facts.items() if value}


def read_conditions() -> ConditionsReached:
    """Read the state of the machine as it is now; takes a quarter of a second."""
    return ConditionsReached(
        device_degc=temperature_degc(),
        governor=governor(),
        frequency_hz=frequency_hz(),
        load_average=load_average(),
        busy_cores=busy_cores(),
        is_on_battery=_is_on_battery(),
    )


def governor() -> str | None:
    """Name the frequency governors in force; None where the kernel does not say."""
    paths = sorted(_CPU.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    names = {path.read_text().strip() for path in paths}
    return ", ".join(sorted(names)) or None


def cpu_flags() -> frozenset[str]:
    """Give what the processor says it can do; empty where the kernel does not say."""
    lines = [line for line in _cpuinfo() if line.startswith("flags")]
    return frozenset(lines[0].partition(":")[2].split()) if lines else frozenset()


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def _cpu_name() -> str:
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _hypervisor() -> str:
    flags = [line for line in _cpuinfo() if line.startswith("flags")]
    if not flags:
        return ""
    return "yes" if " hypervisor" in flags[0] else "none seen"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []


def _gpus(driver: Path) -> list[str]:
    """Name the GPUs that NVIDIA's driver tells of, as its own files do."""
    found = []
    for path in sorted(driver.glob("gpus/*/information")):
        for line in path.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key == "Model":
                found.append(value.strip())
    return found


def _is_on_battery() -> bool | None:
    if not hasattr(psutil, "sensors_battery"):
        return None
    battery = psutil.sensors_battery()
    if battery is None or battery.power_plugged is None:
        return None
    return not battery.power_plugged

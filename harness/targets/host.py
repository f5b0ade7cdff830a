"""What this machine is, what state it is in, and how to set a process apart on it.

Everything is read and nothing is changed. What cannot be read is left out.
"""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from harness.domain.sut import ConditionsReached
from harness.meters.process import (
    busy_cores,
    frequency_hz,
    load_average,
    temperature_degc,
)

_CPU = Path("/sys/devices/system/cpu")
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR")
_FIXED_VARIABLES = {
    "ORT_DISABLE_TELEMETRY": "1",
    "ORT_TELEMETRY_DISABLED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


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
        "python": platform.python_version(),
        "runtime": "onnxruntime",
        "runtime_version": _version("onnxruntime"),
        "governor": governor() or "",
        "hypervisor": _hypervisor(),
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


def available_cores() -> tuple[int, ...]:
    """List the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def share_cores(
    available: tuple[int, ...], threads: int
) -> tuple[frozenset[int], frozenset[int]]:
    """Divide cores into the model's and everybody else's.

    The model gets as many as it has threads, from the highest number down; the lowest
    is left to the rest, since interrupts land there first. With too few cores for
    both, the rest gets none of its own.

    >>> share_cores((0, 1, 2, 3), 2)
    (frozenset({2, 3}), frozenset({0, 1}))
    """
    for_model = frozenset(available[-threads:])
    return for_model, frozenset(available) - for_model


def clean_environment(threads: int) -> dict[str, str]:
    """Give the whole environment of an agent: fixed, but for where things are."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    pools = dict.fromkeys(_THREAD_VARIABLES, str(threads))
    return kept | pools | _FIXED_VARIABLES


def oom_kills() -> int | None:
    """Read how many processes the kernel has killed for memory since it started."""
    return _number_after(Path("/proc/vmstat"), "oom_kill")


def memory_limit_bytes() -> int:
    """Read how much memory a process can have here: the machine's, or its group's."""
    limits = [psutil.virtual_memory().total]
    for path in _CGROUP_LIMITS:
        text = path.read_text().strip() if path.is_file() else ""
        if text.isdigit():
            limits.append(int(text))
    return min(limits)


def _number_after(path: Path, key: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return None


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


def _is_on_battery() -> bool | None:
    if not hasattr(psutil, "sensors_battery"):
        return None
    battery = psutil.sensors_battery()
    if battery is None or battery.power_plugged is None:
        return None
    return not battery.power_plugged


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""

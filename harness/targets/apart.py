"""How a process is set apart on a machine, and what its memory may be; stdlib only."""

import os
from pathlib import Path

_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
"""The last one is how makers of accelerators say where their libraries are."""
_FIXED_VARIABLES = {
    "ORT_DISABLE_TELEMETRY": "1",
    "ORT_TELEMETRY_DISABLED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


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
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
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

"""Memory and sizes of a group of runs, from what each run reported once.

The verdict takes the kernel's high-water mark, never the sampled curve (method,
section 3). A peak over several runs is the largest of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import sqrt
from types import MappingProxyType

from harness.domain.plan import Arm
from harness.domain.query import MemoryMeasured
from harness.stats.group import NOT_READABLE, Answer, Figure, Group
from harness.stats.uncertainty import Term, between_runs, rectangular

BATCH_BYTES = 64 * 4096
"""Linux lets each thread hold back up to 64 pages before it adds them to the resident
set that VmRSS and VmHWM show (TASK_RSS_EVENTS_THRESH, mm/memory.c; proc_pid_status(5)
calls both inaccurate for that)."""
_READ_FROM_A_KERNEL = frozenset({"VmHWM", "ru_maxrss", "psutil"})

_FIGURES: Mapping[str, Callable[[MemoryMeasured], int | None]] = MappingProxyType(
    {
        "peak_rss": lambda memory: memory.peak_bytes,
        "model_memory": lambda memory: _less(memory.peak_bytes, memory.baseline_bytes),
        "retained_memory": lambda memory: memory.retained_bytes,
    }
)


def memory_answers(group: Group) -> Iterator[Answer]:
    """Give the memory figures of a group, and what a device of its kind lacks."""
    measured = [trial.memory for trial in group.trials if trial.memory is not None]
    found: dict[str, Figure] = {}
    for name, take in _FIGURES.items():
        values = [value for memory in measured if (value := take(memory)) is not None]
        if values:
            found[name] = _largest(values, measured[0].method)
    arenas = [value for memory in measured if (value := _arena(memory)) is not None]
    if arenas:
        found["weights_and_arena"] = _largest(arenas, measured[0].method)
    found.update(_share(group, found))
    for name, figure in found.items():
        yield group.estimate(name, figure)
    missing = sorted(_wanted(group) - found.keys())
    yield from (group.withhold(name, NOT_READABLE) for name in missing)


def file_size(group: Group) -> Answer:
    """Give the size of the model file as the plan names it: exact."""
    figure = Figure(
        value=float(group.model.size_bytes),
        runs=max(len(group.trials), 1),
        method="size of the file that the plan names",
    )
    return group.estimate("model_file_size", figure)


def _wanted(group: Group) -> set[str]:
    """Say what a reader expects of such a device, and is told if it is not there."""
    if not group.profile.is_os_class and group.arm is Arm.DEVICE:
        return {"weights_and_arena"}
    wanted = {"peak_rss", "model_memory"}
    if group.arm is Arm.DEVICE and group.profile.ram_bytes is not None:
        wanted.add("memory_share")
    return wanted


def _share(group: Group, found: Mapping[str, Figure]) -> dict[str, Figure]:
    """Give the model's memory as a share of the device's, for a device with an OS."""
    ram = group.profile.ram_bytes
    basis = found.get("model_memory") or found.get("weights_and_arena")
    is_wanted = group.arm is Arm.DEVICE and group.profile.is_os_class
    if not is_wanted or ram is None or basis is None:
        return {}
    return {
        "memory_share": Figure(
            value=basis.value / ram,
            terms=tuple(Term(u=t.u / ram, freedom=t.freedom) for t in basis.terms),
            runs=basis.runs,
            method=f"{basis.method}; over the memory that the profile states",
        )
    }


def _largest(values: Sequence[int], source: str) -> Figure:
    """Give the largest of the runs' figures; u is their standard deviation.

    Of one run as it may come again, not of a mean: what is asked for is a maximum.
    """
    terms = []
    if len(values) > 1:
        spread = between_runs([float(value) for value in values])
        deviation = spread.term.u * sqrt(len(values))
        terms.append(Term(u=deviation, freedom=spread.term.freedom))
    if source in _READ_FROM_A_KERNEL:
        terms.append(rectangular(BATCH_BYTES))
    return Figure(
        value=float(max(values)),
        terms=tuple(terms),
        runs=len(values),
        method=f"largest of {len(values)} run(s), source {source}",
    )


def _arena(memory: MemoryMeasured) -> int | None:
    if memory.weights_bytes is None or memory.arena_bytes is None:
        return None
    return memory.weights_bytes + memory.arena_bytes


def _less(larger: int | None, smaller: int | None) -> int | None:
    if larger is None or smaller is None:
        return None
    return max(larger - smaller, 0)

"""This machine held to the memory and the cores of a smaller one.

The strongest means that there is: a memory cgroup (v2, then v1), else a limit on
address space, which is coarser: it counts what is reserved, so it is set at twice the
memory asked for. Cores are kept by affinity. A process is in its group before its
first instruction. What was really applied is read back and goes into the record. A
machine that is held so is no slower processor: memory is told, time is this machine's.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import SchemaError, UsageError
from harness.units import parse_quantity

WORD = "constrained"
ADDRESS_SPACE_RATIO = 2
_ENTER = (
    'limit=$1; shift; while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; '
    'done; shift; [ "$limit" = 0 ] || ulimit -v "$limit" || exit 125; exec "$@"'
)
"""Puts itself into each group named, limits its address space, becomes the command."""
_OPTIONS = ("memory", "cores")


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """What a run is held to; None: not held."""

    memory_bytes: int | None = None
    cores: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confined:
    """What was applied: how a command gets into it, and what says that it killed."""

    means: str
    """``cgroup-v2``, ``cgroup-v1``, ``address-space`` or ``none``."""
    memory_bytes: int | None
    """As read back."""
    prefix: tuple[str, ...] = ()
    events: Path | None = None
    """Holds the count of processes that were killed for memory."""

    def facts(self, constraint: Constraint) -> dict[str, str]:
        """Say in the record what was asked for and what was applied."""
        return {
            "constraint": self.means,
            "constraint_memory_bytes": str(self.memory_bytes or ""),
            "constraint_cores": str(constraint.cores or ""),
        }

    def oom_kills(self) -> int | None:
        """Give how many processes of the group were killed for memory."""
        if self.events is None:
            return None
        for line in self.events.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
        return None


def parse_constraint(link: str, whole: Constraint) -> Constraint:
    """Read ``constrained?memory=200MB&cores=1``; what is not given is `whole`'s.

    Raises SchemaError, UsageError.
    """
    word, _, query = link.partition("?")
    if word != WORD:
        raise SchemaError(
            f"This machine needs no link, but '{link}' was given",
            where=f"local@{link}",
            remedy=f"Write local@, or local@{WORD}?memory=200MB&cores=1.",
        )
    given = dict(part.partition("=")[::2] for part in query.split("&") if part)
    unknown = [name for name in given if name not in _OPTIONS]
    if unknown:
        raise SchemaError(
            f"'{unknown[0]}' is no option of a constrained run",
            where=f"local@{link}",
            remedy=f"Known: {', '.join(_OPTIONS)}.",
        )
    memory, cores = whole.memory_bytes, whole.cores
    if "memory" in given:
        memory = round(parse_quantity(given["memory"], "B"))
    if "cores" in given:
        cores = _whole_number(given["cores"], link)
    return Constraint(memory_bytes=memory, cores=cores)


@contextmanager
def confined(
    constraint: Constraint, groups: Path = Path("/sys/fs/cgroup")
) -> Iterator[Confined]:
    """Make the groups, and remove them on leaving."""
    memory = constraint.memory_bytes
    if memory is None:
        yield Confined(means="none", memory_bytes=None)
        return
    name = f"duanping-{os.getpid()}"
    for means, folder, limit, events in (
        ("cgroup-v2", groups, "memory.max", "memory.events"),
        ("cgroup-v1", groups / "memory", "memory.limit_in_bytes", "memory.oom_control"),
    ):
        made = _made(folder / name, limit, memory)
        if made is None:
            continue
        try:
            yield Confined(
                means=means,
                memory_bytes=made,
                prefix=_prefix(0, folder / name / "cgroup.procs"),
                events=folder / name / events,
            )
        finally:
            with suppress(OSError):  # a process that will not end keeps its group
                (folder / name).rmdir()
        return
    limit_bytes = memory * ADDRESS_SPACE_RATIO
    yield Confined(
        means="address-space",
        memory_bytes=limit_bytes,
        prefix=_prefix(limit_bytes // 1024),
    )


def _made(group: Path, limit: str, memory: int) -> int | None:
    """Make a group with that limit and read it back; None where this cannot be."""
    if not group.parent.is_dir():
        return None
    if limit == "memory.max":
        with suppress(
            OSError
        ):  # it may be there already, or be somebody else's to give
            (group.parent / "cgroup.subtree_control").write_text("+memory")
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        if not (group / limit).exists():
            raise FileNotFoundError(limit)
        (group / limit).write_text(str(memory))
        swap = group / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")
        return int((group / limit).read_text())
    except (OSError, ValueError):
        group.rmdir()
        return None


def _prefix(address_kib: int, *procs: Path) -> tuple[str, ...]:
    return ("sh", "-c", _ENTER, "sh", str(address_kib), *map(str, procs), "--")


def _whole_number(text: str, link: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise UsageError(
            f"'{text}' is no number of cores",
            where=f"local@{link}",
            remedy="Write cores=1 or more.",
        )
    return int(text)

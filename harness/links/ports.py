"""Who holds a port, and who may open it: read from the system, nothing is changed."""

import grp
import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that has a port open."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.name})"


def holders(port: Path, proc: Path = _PROC) -> tuple[Holder, ...]:
    """List the processes that have a port open, as far as this user may see them.

    Without root only one's own processes can be looked into.
    """
    try:
        wanted = port.resolve(strict=True).stat().st_rdev
    except (OSError, RuntimeError):
        return ()
    if not wanted:
        return ()
    found = (folder for folder in sorted(proc.glob("[0-9]*")) if _has(folder, wanted))
    return tuple(Holder(pid=int(folder.name), name=_name(folder)) for folder in found)


def _has(process: Path, device: int) -> bool:
    try:
        return any(_device(link) == device for link in (process / "fd").iterdir())
    except OSError:
        return False  # it has ended, or belongs to somebody else


def _device(link: Path) -> int:
    try:
        return link.stat().st_rdev
    except OSError:
        return 0


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "?"


def how_to_gain(port: Path) -> str:
    """Say how to get the right to open a port: its group, or a rule for udev."""
    return (
        f"sudo usermod -aG {_group(port)} $USER, then log in again; or write a udev "
        'rule: SUBSYSTEM=="tty", ATTRS{idVendor}=="VENDOR", MODE="0660", '
        'TAG+="uaccess" (the vendor is in: duanping meters).'
    )


def _group(port: Path) -> str:
    """Name the group that may open it; where that is root or nobody, the usual one."""
    try:
        name = grp.getgrgid(port.stat().st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"
    return name if name not in {"root", "tty"} else "dialout"


def may_open(port: Path) -> bool:
    """Say whether this user may read and write it."""
    return os.access(port, os.R_OK | os.W_OK)

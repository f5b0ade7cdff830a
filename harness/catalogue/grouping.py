"""Which items of a data set belong together: by language, or by any other group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.domain.labelled import GROUP, LANGUAGE
from harness.errors import UsageError

GROUPS_FILE = "groups.csv"
"""In a folder of items: a line an item, its file and its language or group."""
_GROUPS_AT_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """The name of each item's group, in the order of the items; empty: none is said."""

    kind: str = ""
    names: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """List the groups, each once, in order of their names."""
        return tuple(sorted(set(self.names)))

    @property
    def group_of(self) -> tuple[int, ...]:
        """Number each item's group."""
        numbers = {name: number for number, name in enumerate(self.groups)}
        return tuple(numbers[name] for name in self.names)


def kind_among(names: Sequence[str]) -> str:
    """Give the column that says how items belong together; empty: there is none."""
    return next((kind for kind in (LANGUAGE, GROUP) if kind in names), "")


def grouping_of(kind: str, names: Sequence[str], where: str) -> Grouping:
    """Put names of groups together. Raises UsageError for what makes no groups."""
    found = Grouping(kind=kind, names=tuple(names)) if kind else Grouping()
    if "" in found.names:
        raise UsageError(
            f"Item {found.names.index('')} says no {kind}",
            where=where,
            remedy=f"Give every item its {kind}, or leave the column out.",
        )
    if len(found.groups) > _GROUPS_AT_MOST:
        raise UsageError(
            f"The items are in {len(found.groups)} groups, and at most "
            f"{_GROUPS_AT_MOST} are told apart",
            where=where,
            remedy=f"A {kind} is what many items share, such as zh or en.",
        )
    return found


def taken_from(arrays: dict[str, NDArray[Any]]) -> tuple[str, NDArray[Any] | None]:
    """Take the array of groups out of an .npz's arrays."""
    for kind in (LANGUAGE, GROUP):
        for name in (kind, f"{kind}s"):
            if name in arrays:
                return kind, np.atleast_1d(arrays.pop(name)).astype(str)
    return "", None


def read_groups(folder: Path) -> tuple[str, Mapping[str, str]]:
    """Read the file of groups: (what it names, file → group); nothing for no file.

    Raises UsageError for a file that does not say what its columns are.
    """
    path = folder / GROUPS_FILE
    if not path.is_file():
        return "", {}
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    head = [name.strip() for name in lines[0].split(",")] if lines else []
    kind = kind_among(head)
    if "file" not in head or not kind:
        raise UsageError(
            "The file of groups has no columns 'file' and 'language' or 'group'",
            where=str(path),
            remedy=f"Its first line is file,{LANGUAGE}; a line an item follows.",
        )
    at, of = head.index("file"), head.index(kind)
    rows = [[cell.strip() for cell in line.split(",")] for line in lines[1:]]
    return kind, {row[at]: row[of] for row in rows if len(row) > max(at, of)}

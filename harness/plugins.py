"""Entry-point look-up: targets, meters and runtimes, ours and foreign ones alike.

A device is addressed as ``driver@link``: ``ppk2@serial:/dev/ttyACM0``, ``local@``,
``emulated@``. The driver names an entry point of one of three groups; each entry
point is one function ``open(address, …)`` that gives a context manager.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from harness.errors import SchemaError, UnknownName

TARGETS = "harness.targets"
METERS = "harness.meters"
RUNTIMES = "harness.runtimes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a device is: a driver and the link that reaches it."""

    driver: str
    link: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``driver@link``. Raises SchemaError where the ``@`` is missing."""
        driver, at, link = text.partition("@")
        if not at or not driver:
            raise SchemaError(
                f"'{text}' is not an address",
                remedy="Write driver@link, such as local@ or linux@ssh:root@10.0.0.2.",
            )
        return cls(driver=driver, link=link)

    def __str__(self) -> str:
        return f"{self.driver}@{self.link}"


def names(group: str) -> tuple[str, ...]:
    """List the names that a group offers."""
    return tuple(sorted(e.name for e in entry_points(group=group)))


def find(group: str, name: str) -> Callable[..., Any]:
    """Load the opener of that name. Raises UnknownName with the near ones."""
    for entry in entry_points(group=group):
        if entry.name == name:
            opener: Callable[..., Any] = entry.load()
            return opener
    raise UnknownName(group.removeprefix("harness.").rstrip("s"), name, names(group))

"""A stream of bytes to an instrument or a device, with deadlines; no protocol.

`open_link` reads the part of an address after the ``@``: ``serial:/dev/ttyACM0``,
``tcp:192.168.1.7:5025``, or any pyserial URL (``rfc2217://…``, ``socket://…``).
Simulators and captures are links too and are opened by whoever knows them.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Protocol, runtime_checkable

from harness.clock import Deadline
from harness.errors import UnknownName

KINDS = ("serial", "tcp", "url")
"""The kinds of link that lead to real hardware."""


class Parity(StrEnum):
    """The check bit of each character on a serial line."""

    NONE = "N"
    EVEN = "E"
    ODD = "O"


@runtime_checkable
class ByteLink(Protocol):
    """Two-way bytes. Reading returns what is there; it never waits past a deadline."""

    @property
    def where(self) -> str:
        """Name the link as error messages do."""
        ...

    def read(self, most: int, until: Deadline) -> bytes:
        """Give at least one byte and at most `most`, oldest first.

        Returns ``b""`` only when the deadline came first. Raises LinkClosed where
        the other end went away.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send all of it. Raises LinkClosed or LinkTimeout."""
        ...


def read_exactly(link: ByteLink, count: int, until: Deadline) -> bytes:
    """Collect `count` bytes; fewer only if the deadline came first."""
    data = b""
    while len(data) < count:
        piece = link.read(count - len(data), until)
        if not piece:
            break
        data += piece
    return data


def open_link(
    text: str, *, baud: int = 115_200, parity: Parity = Parity.NONE
) -> AbstractContextManager[ByteLink]:
    """Open a link to real hardware. Raises UnknownName, LinkError.

    `baud` and `parity` are ignored by USB devices that only look like serial ports.
    """
    kind, _, rest = text.partition(":")
    if kind not in KINDS:
        raise UnknownName("kind of link", kind, KINDS, where=text)
    return _open(kind, rest, baud, parity)


@contextmanager
def _open(kind: str, rest: str, baud: int, parity: Parity) -> Iterator[ByteLink]:
    # pyserial is loaded only by those who have a port
    from harness.links.serialport import SerialLink  # noqa: PLC0415

    url = f"socket://{rest}" if kind == "tcp" else rest
    link = SerialLink(url, baud=baud, parity=parity)
    try:
        yield link
    finally:
        link.close()

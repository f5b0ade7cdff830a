"""Serial ports and pyserial URLs as byte links.

Port settings are made once, at opening: a pseudo terminal refuses a second change,
and pyserial changes attributes with every assignment of its `timeout`. Ports are
opened exclusively, since two readers would share the bytes.

Reading drains all that is there: a kernel's buffer of 20 kB holds 51 ms of a stream of
100 000 words a second. How often one looks is `PacedLink`'s business.
"""

import errno
import os
import select
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import serial

from harness.clock import Deadline
from harness.errors import LinkClosed, LinkError, LinkTimeout
from harness.links.bytelink import Parity
from harness.links.ports import holders, how_to_gain

_POLL_S = 0.05
"""How long one wait for bytes lasts, where the port has no file descriptor."""
_WRITE_TIMEOUT_S = 2.0
_PIECE_BYTES = 4096
"""A terminal gives no more at once."""


class SerialLink:
    """A serial port, pseudo terminal or pyserial URL; 8 data bits, 1 stop bit."""

    def __init__(self, url: str, *, baud: int, parity: Parity = Parity.NONE) -> None:
        self.where = url
        # over RFC 2217 the library has no limit for writing; the socket's own is left
        is_remote = url.startswith("rfc2217://")
        with _answering(url), _meaning(url):
            self._port = serial.serial_for_url(
                url,
                baudrate=baud,
                parity=parity.value,
                timeout=_POLL_S,
                write_timeout=None if is_remote else _WRITE_TIMEOUT_S,
                do_not_open=True,
            )
            if "://" not in url:
                self._port.exclusive = True
            self._port.open()

    def read(self, most: int, until: Deadline) -> bytes:
        """Give what has arrived, or ``b""`` at the deadline."""
        with _meaning(self.where):
            while True:
                data = self._take(most, until)
                if data or until.is_over():
                    return data

    def _take(self, most: int, until: Deadline) -> bytes:
        descriptor = self._descriptor()
        if descriptor is None:
            waiting = self._port.in_waiting
            return bytes(self._port.read(min(most, waiting) if waiting else 1))
        ready, _, _ = select.select([descriptor], [], [], until.remaining_s())
        if not ready:
            return b""
        return _drained(descriptor, most, self.where)

    def _descriptor(self) -> int | None:
        # a terminal, or a socket: pyserial sets both not to block
        is_plain = hasattr(self._port, "fd") or self.where.startswith("socket://")
        return self._port.fileno() if is_plain else None

    def write(self, data: bytes) -> None:
        """Send all of it and wait until it has left."""
        with _meaning(self.where):
            self._port.write(data)
            self._port.flush()

    def close(self) -> None:
        """Close the port; a port that is already gone is closed too."""
        try:
            self._port.close()
        except OSError as error:
            if error.errno not in {errno.EIO, errno.ENXIO, errno.ENODEV}:
                raise


def _drained(descriptor: int, most: int, where: str) -> bytes:
    """Take all that is there, at most `most`; the port does not block.

    Raises LinkClosed or OSError where the other end is gone, and not before all that
    it had sent was given.
    """
    pieces: list[bytes] = []
    left = most
    while left:
        try:
            piece = os.read(descriptor, min(left, _PIECE_BYTES))
        except BlockingIOError:
            break
        except OSError:
            if not pieces:
                raise
            break  # the next look tells it
        if not piece and not pieces:
            # ready for ever with nothing to read
            raise _gone(where)
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


@contextmanager
def _answering(where: str) -> Iterator[None]:
    """Nothing can go away before it was there: at opening, say so instead."""
    try:
        yield
    except LinkClosed as error:
        raise LinkError(
            "Nothing answers there",
            where=where,
            remedy="Is the device on, and is the address right?",
        ) from error


@contextmanager
def _meaning(where: str) -> Iterator[None]:
    """Give the library's and the system's exceptions one meaning each."""
    try:
        yield
    except serial.SerialTimeoutException as error:
        raise LinkTimeout(
            "The port took no more bytes",
            where=where,
            remedy="Is the device stuck? Unplug it and plug it in again.",
        ) from error
    except (serial.SerialException, termios.error, OSError, ValueError) as error:
        raise _named(error, where) from error


def _named(error: Exception, where: str) -> LinkError:
    # a terminal's own error is no OSError, and has its number as its first argument
    is_terminals = isinstance(error, termios.error)
    number = error.args[0] if is_terminals else getattr(error, "errno", None)
    match number:
        case errno.EACCES | errno.EPERM:
            return LinkError(
                "No right to open the port",
                where=where,
                remedy=how_to_gain(Path(where)),
            )
        case errno.ENOENT:
            return LinkError(
                "There is no such port",
                where=where,
                remedy="Is it plugged in? List ports with: duanping meters",
            )
        case errno.EBUSY | errno.EAGAIN:
            return LinkError(
                f"The port is in use by {_by_whom(where)}",
                where=where,
                remedy="Close that program, and try again.",
            )
    if isinstance(error, ValueError):
        return LinkError(
            f"This is no port: {error}", where=where, remedy="Look at the address."
        )
    return _gone(where)


def _by_whom(where: str) -> str:
    """Name who holds the port; a process of another user cannot be seen."""
    found = ", ".join(str(holder) for holder in holders(Path(where)))
    return found or f"another program; find it with: sudo fuser -v {where}"


def _gone(where: str) -> LinkClosed:
    return LinkClosed(
        "The device went away",
        where=where,
        remedy="Look at cable and hub.",
    )

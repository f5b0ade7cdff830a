"""Serial ports and pyserial URLs as byte links.

Port settings are made once, at opening: a pseudo terminal refuses a second change,
and pyserial changes attributes with every assignment of its `timeout`. Ports are
opened exclusively, since two readers would share the bytes.
"""

import errno
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager

import serial

from harness.clock import Deadline
from harness.errors import LinkClosed, LinkError, LinkTimeout
from harness.links.bytelink import Parity

_POLL_S = 0.05
"""How long one wait for bytes lasts, where the port has no file descriptor."""
_WRITE_TIMEOUT_S = 2.0


class SerialLink:
    """A serial port, pseudo terminal or pyserial URL; 8 data bits, 1 stop bit."""

    def __init__(self, url: str, *, baud: int, parity: Parity = Parity.NONE) -> None:
        self.where = url
        with _answering(url), _meaning(url):
            self._port = serial.serial_for_url(
                url,
                baudrate=baud,
                parity=parity.value,
                timeout=_POLL_S,
                write_timeout=_WRITE_TIMEOUT_S,
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
        waiting = self._port.in_waiting
        if waiting:
            return bytes(self._port.read(min(most, waiting)))
        descriptor = self._descriptor()
        if descriptor is None:
            return bytes(self._port.read(1))
        ready, _, _ = select.select([descriptor], [], [], until.remaining_s())
        if not ready:
            return b""
        data = os.read(descriptor, most)
        if not data:
            # ready for ever with nothing to read: the other end is gone
            raise _gone(self.where)
        return data

    def _descriptor(self) -> int | None:
        return self._port.fileno() if hasattr(self._port, "fd") else None

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
    except (serial.SerialException, OSError, ValueError) as error:
        raise _named(error, where) from error


def _named(error: Exception, where: str) -> LinkError:
    number = getattr(error, "errno", None)
    match number:
        case errno.EACCES | errno.EPERM:
            return LinkError(
                "No right to open the port",
                where=where,
                remedy="sudo usermod -aG dialout $USER, then log in again.",
            )
        case errno.ENOENT:
            return LinkError(
                "There is no such port",
                where=where,
                remedy="Is it plugged in? List ports with: duanping meters",
            )
        case errno.EBUSY | errno.EAGAIN:
            return LinkError(
                "The port is in use by another program",
                where=where,
                remedy=f"Find it with: fuser -v {where}",
            )
    if isinstance(error, ValueError):
        return LinkError(
            f"This is no port: {error}", where=where, remedy="Look at the address."
        )
    return _gone(where)


def _gone(where: str) -> LinkClosed:
    return LinkClosed(
        "The device went away",
        where=where,
        remedy="Look at cable and hub, then run again with --resume.",
    )

"""A stage's service, asked over HTTP with one deadline for the whole of it.

The tensors go as an .npz (numpy.savez) in the body of a POST and come as one. Whatever
keeps the answer from being there in time, and right in names, shapes and types, is a
fault that the caller makes good on the device. The connection is kept between
queries; after a fault it is made anew. The name of a host is resolved once, before
anything is timed.
"""

import io
import socket
import zipfile
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from harness.clock import Clock, Deadline
from harness.domain.workload import Remote
from harness.runtimes.base import Tensor
from harness.units import NS_PER_S

_LEAST_S = 1e-4
_OVERHEAD_BYTES = 1 << 16
"""What an .npz may hold beside its numbers."""
_OK = 200
_PIECE_BYTES = 1 << 16


class Fault(Exception):
    """Why a service gave nothing that can be used; the message is a short word."""


class Service:
    """A service as one stage knows it."""

    def __init__(self, remote: Remote, clock: Clock) -> None:
        self.faults: Counter[str] = Counter()
        """Why it was asked in vain, and how often."""
        parts = urlsplit(remote.url)
        self._path = parts.path + (f"?{parts.query}" if parts.query else "") or "/"
        self._host = parts.netloc.rpartition("@")[2]
        self._timeout_s = remote.timeout_ns / NS_PER_S
        self._clock = clock
        self._place = _resolved(remote)
        self._connection: HTTPConnection | None = None

    def ask(
        self, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
    ) -> dict[str, Tensor] | None:
        """Give tensors like those `wanted`; None where the service failed to."""
        until = Deadline.after(self._timeout_s, self._clock)
        try:
            return _like(wanted, self._answer(_packed(given), wanted, until))
        except Fault as fault:
            self.faults[str(fault)] += 1
        except TimeoutError:
            self.faults["timeout"] += 1
        except (OSError, HTTPException) as error:
            self.faults[type(error).__name__] += 1
        self.close()
        return None

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _answer(
        self, body: bytes, wanted: Mapping[str, Tensor], until: Deadline
    ) -> dict[str, Tensor]:
        most = _OVERHEAD_BYTES + sum(tensor.nbytes for tensor in wanted.values())
        if self._connection is not None:
            # it may have been closed at the other end since the last query
            with suppress(ConnectionError):
                return _unpacked(self._exchange(body, most, until), most)
            self.close()
        return _unpacked(self._exchange(body, most, until), most)

    def _exchange(self, body: bytes, most: int, until: Deadline) -> bytes:
        connection = self._connected(until)
        connection.request(
            "POST",
            self._path,
            body=body,
            headers={"Host": self._host, "Content-Type": "application/octet-stream"},
        )
        response = connection.getresponse()
        data = bytearray()
        while piece := response.read(_PIECE_BYTES):
            data += piece
            if len(data) > most:
                raise Fault("too long")
        if response.status != _OK:
            raise Fault(f"status {response.status}")
        return bytes(data)

    def _connected(self, until: Deadline) -> HTTPConnection:
        if self._connection is not None:
            _Hurried.of(self._connection).until = until
            return self._connection
        if self._place is None:
            raise Fault("name not resolved")
        family, address = self._place
        hurried = _Hurried(family, socket.SOCK_STREAM)
        hurried.until = until
        connection = HTTPConnection(self._host)
        connection.sock = hurried
        self._connection = connection
        hurried.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hurried.hurry()
        hurried.connect(address)
        return connection


class _Hurried(socket.socket):
    """A socket whose every call has what is left of one deadline."""

    until: Deadline

    @staticmethod
    def of(connection: HTTPConnection) -> "_Hurried":
        found = connection.sock
        if not isinstance(found, _Hurried):
            raise ConnectionResetError("the connection is closed")
        return found

    def hurry(self) -> None:
        """Let the next call take what is left, and no more."""
        left_s = self.until.remaining_s()
        if left_s <= 0:
            raise TimeoutError
        self.settimeout(max(left_s, _LEAST_S))

    def sendall(self, *args: Any) -> None:  # noqa: ANN401 - as the socket's own
        """Send all of it before the deadline."""
        self.hurry()
        super().sendall(*args)

    def recv_into(self, *args: Any) -> int:  # noqa: ANN401 - as the socket's own
        """Receive before the deadline."""
        self.hurry()
        return super().recv_into(*args)


def _resolved(remote: Remote) -> tuple[int, Any] | None:
    """Give family and address; None where nobody can tell them."""
    host, port = remote.host, remote.port
    if remote.via:
        host, _, number = remote.via.rpartition(":")
        port = int(number)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return None
    return found[0][0], found[0][4]


def _packed(tensors: Mapping[str, Tensor]) -> bytes:
    body = io.BytesIO()
    arrays: dict[str, Any] = dict(tensors)
    np.savez(body, **arrays)
    return body.getvalue()


def _unpacked(body: bytes, most: int) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > most:
                raise Fault("too long")
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise Fault("no .npz") from error


def _like(
    wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    for name, tensor in wanted.items():
        if name not in found:
            raise Fault(f"no {name}")
        if found[name].shape != tensor.shape or found[name].dtype != tensor.dtype:
            raise Fault(f"another form of {name}")
    return {name: found[name] for name in wanted}

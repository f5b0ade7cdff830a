"""A way out of a namespace for one service: streams carried over a Unix socket.

A Unix socket with a place in the file system is seen from every network namespace. In
the namespace a listener stands where the service seems to be; each of its connections
becomes one to the gate, and the gate, which has the real network, connects to the real
service.
"""

import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from harness.errors import LinkError

_PIECE_BYTES = 1 << 16
_CONNECT_S = 5.0


@contextmanager
def service_gate(socket_path: Path, host: str, port: int) -> Iterator[None]:
    """Let connections to a Unix socket reach a service while this is open.

    Raises LinkError where the socket cannot be made.
    """

    class Passage(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # no service there: the caller sees it hang up
                place = (host, port)
                with socket.create_connection(place, timeout=_CONNECT_S) as service:
                    service.settimeout(None)
                    splice(self.request, service)

    class Gate(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: a connection that breaks is what a network is tried by."""

    try:
        opened = Gate(str(socket_path), Passage)
    except OSError as error:
        raise LinkError(
            f"No way to the service can be opened: {error}",
            where=str(socket_path),
            remedy="Set TMPDIR to a folder with a short path that may be written to.",
        ) from error
    with opened as gate:
        serving = Thread(target=gate.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield
        finally:
            gate.shutdown()
            serving.join()


def splice(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both ends have said all."""
    back = Thread(target=_carry, args=(other, one), daemon=True)
    back.start()
    _carry(one, other)
    back.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # either end may be gone: then there is no more to carry
        while piece := source.recv(_PIECE_BYTES):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

"""A small service that answers a stage, well or badly, over real sockets."""

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Answer = Callable[[Arrays], Arrays]


class Service(ThreadingHTTPServer):
    """Answers by a function; what it may do wrong is set from outside."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked = 0
        self.is_stalling = False
        self.is_dripping = False
        self.hangs_up = False
        self.status = 200
        self.garbage: bytes | None = None
        self.hosts: set[str] = set()
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Where a stage asks it."""
        return f"http://127.0.0.1:{self.server_address[1]}/stage?v=1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: who asked may have gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_POST(self) -> None:
        service = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        service.asked += 1
        service.hosts.add(str(self.headers["Host"]))
        if service.is_stalling:
            service.released.wait(30)
            return
        data = service.garbage
        if data is None:
            with np.load(io.BytesIO(body), allow_pickle=False) as given:
                arrays = {name: given[name] for name in given}
                found: dict[str, Any] = dict(service.answer(arrays))
            packed = io.BytesIO()
            np.savez(packed, **found)
            data = packed.getvalue()
        self.send_response(service.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if service.is_dripping:
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if service.released.wait(0.02):
                    return
        self.wfile.write(data)
        self.close_connection = service.hangs_up

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(answer: Answer) -> Iterator[Service]:
    """Have a service while this is open."""
    with Service(answer) as service:
        thread = threading.Thread(
            target=service.serve_forever, kwargs={"poll_interval": 0.02}
        )
        thread.start()
        try:
            yield service
        finally:
            service.released.set()
            service.shutdown()
            thread.join()

"""A board at a port of another machine: RFC 2217 and plain TCP, over real sockets.

The server is pyserial's own half of RFC 2217 (`serial.rfc2217.PortManager`), in front
of the firmware's pseudo terminal. A labgrid place exports its port in just this way.
"""

import select
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import serial
from serial.rfc2217 import PortManager

from harness.domain.origin import Origin
from harness.domain.plan import Minimum
from harness.domain.profile import Conditions
from harness.domain.query import Outcome, TrialEnded
from harness.errors import LinkClosed, LinkError, LinkTimeout
from harness.plugins import Address
from harness.targets.mcu.board import McuTarget
from harness.targets.mcu.target import open_target
from harness.testing.builders import a_model, a_profile, a_trial
from harness.testing.firmwarebench import build, port

PEER = Path(__file__).parents[2] / "peers" / "mcu_firmware.c"

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
    # pyserial names its thread in an old way, and leaves a socket that was cut off
    # to the collector
    pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*socket.socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(PEER, tmp_path_factory.mktemp("firmware") / "firmware")


class Terminal(serial.Serial):  # type: ignore[misc]
    """A pseudo terminal as a port: it has no modem lines to be set or read."""

    cts = dsr = ri = cd = False

    def _update_rts_state(self) -> None: ...

    def _update_dtr_state(self) -> None: ...

    def _update_break_state(self) -> None: ...


class Server:
    """Serves one client: raw, or as RFC 2217 has it."""

    def __init__(self, name: str, *, is_raw: bool) -> None:
        self.terminal = Terminal(name, 115_200, timeout=0)
        self._is_raw = is_raw
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.client: socket.socket | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        with self._lock:
            if self.client is not None:
                self.client.sendall(data)

    def _serve(self) -> None:
        self._listener.settimeout(0.1)
        while not self._stopped.is_set():
            try:
                self.client, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            manager = None if self._is_raw else PortManager(self.terminal, self)
            self._pass_on(self.client, manager)
            self.client.close()
            self.client = None

    def _pass_on(self, client: socket.socket, manager: PortManager | None) -> None:
        while not self._stopped.is_set():
            ready, _, _ = select.select([client, self.terminal], [], [], 0.1)
            if client in ready:
                data = client.recv(4096)
                if not data:
                    return
                plain = b"".join(manager.filter(data)) if manager else data
                self.terminal.write(plain)
            if self.terminal in ready:
                data = self.terminal.read(4096)
                self.write(b"".join(manager.escape(data)) if manager else data)

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._listener.close()
        self.terminal.close()


@contextmanager
def serving(binary: Path, *options: str, is_raw: bool = False) -> Iterator[Server]:
    with port(binary, *options) as name:
        server = Server(name, is_raw=is_raw)
        try:
            yield server
        finally:
            server.close()


def ended(target: McuTarget) -> TrialEnded:
    trial = replace(
        a_trial(), minimum=Minimum(queries=10, duration_ns=0), baseline_ns=0
    )
    with (
        target.deploy(a_model(), Path("model.onnx"), None) as on,
        target.prepare(Conditions()),
    ):
        *_, last = target.execute(trial, on)
    assert isinstance(last, TrialEnded)
    return last


def test_a_board_is_driven_over_rfc_2217_and_its_rate_is_set_there(
    binary: Path,
) -> None:
    with serving(binary, "-B", "9600") as server:
        link = f"url:rfc2217://127.0.0.1:{server.port}?timeout=5&baud=9600"
        with open_target(Address.parse(f"mcu@{link}"), a_profile()) as target:
            done = ended(target)
            sut = target.identify()
        assert server.terminal.baudrate == 9_600

    assert done.outcome is Outcome.DONE, done.reason
    assert sut.name == "duanping test board"
    assert sut.facts["baud"] == "9600"
    assert sut.origin is Origin.SIMULATED  # a port of this machine is a program's


@pytest.mark.parametrize("kind", ["tcp:", "url:socket://"])
def test_a_board_is_driven_over_a_plain_socket(binary: Path, kind: str) -> None:
    with serving(binary, is_raw=True) as server:
        link = f"{kind}127.0.0.1:{server.port}?baud=115200"
        with open_target(Address.parse(f"mcu@{link}"), a_profile()) as target:
            done = ended(target)

    assert done.outcome is Outcome.DONE, done.reason


def test_a_server_that_goes_away_leaves_the_trial_to_resume(binary: Path) -> None:
    with serving(binary, is_raw=True) as server:
        link = f"tcp:127.0.0.1:{server.port}?baud=115200"
        with open_target(Address.parse(f"mcu@{link}"), a_profile()) as target:
            server.close()
            with pytest.raises(LinkClosed):
                ended(target)


def test_a_machine_that_serves_no_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]

    with (
        pytest.raises((LinkError, LinkTimeout)),
        open_target(
            Address.parse(f"mcu@url:rfc2217://127.0.0.1:{free}?timeout=2"), a_profile()
        ),
    ):
        pass

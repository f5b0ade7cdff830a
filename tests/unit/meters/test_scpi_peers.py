"""The WT310E simulator against an independent client: pyvisa-py, serial and TCP.

The client runs in a process of its own and is given only the address, so it can share
nothing with the simulator but the instrument's manual.
"""

import contextlib
import json
import os
import pty
import select
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator

import pytest

from harness.clock import Deadline, SystemClock
from harness.domain.origin import Origin
from harness.links.bytelink import open_link
from harness.meters.scpi.driver import Inputs, ScpiMeter
from harness.meters.scpi.sim import Wt310eSimulator

CLIENT = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pyvisa
resource = pyvisa.ResourceManager("@py").open_resource(sys.argv[1])
resource.read_termination = resource.write_termination = "\\n"
resource.timeout = 5000
said = {"idn": resource.query("*IDN?"), "headed": resource.query(":RATE?")}
for message in sys.stdin.read().splitlines():
    if "?" in message:
        said[message] = resource.query(message)
    else:
        resource.write(message)
said["values"] = []
for _ in range(3):
    resource.query(":STATUS:EESR?")
    resource.write(":COMMUNICATE:WAIT 1")
    said["values"].append(
        resource.query_ascii_values(":NUMERIC:NORMAL:VALUE?"))
print(json.dumps(said))
"""

# The order in which Intel's public yoko-tool and MLCommons' power-dev set up a WT310,
# by the names of the commands in the manual.
PUBLIC_SET_UP = """
:COMMUNICATE:REMOTE ON
:COMMUNICATE:HEADER OFF
:SYSTEM:COMMUNICATE:COMMAND WT300
:STATUS:ERROR?
:NUMERIC:FORMAT ASCII
:NUMERIC:NORMAL:NUMBER 4
:NUMERIC:NORMAL:ITEM1 U,1;ITEM2 I,1;ITEM3 P,1;ITEM4 WH,1
:STATUS:ERROR?
:RATE 100MS
:RATE?
:INPUT:VOLTAGE:RANGE 300V
:VOLT:RANG?
:INPUT:CURRENT:RANGE 1A
:CURRENT:RANGE?
:NUMERIC:NORMAL:ITEM3?
:INTEGRATE:MODE NORM
:INTEGRATE:TIMER 0,0,0
:INTEGRATE:RESET
:INTEGRATE:START
:STATUS:FILTER1 FALL
:STATUS:ERROR?
""".strip()


def pump(simulator: Wt310eSimulator, descriptor: int, stop: threading.Event) -> None:
    """Move bytes between a descriptor and the simulator until told to stop."""
    clock = SystemClock()
    while not stop.is_set():
        ready, _, _ = select.select([descriptor], [], [], 0.005)
        if ready:
            try:
                data = os.read(descriptor, 4096)
            except OSError:
                return  # the client hung up
            if not data:
                return
            simulator.receive(data, clock.now_ns())
        out = simulator.transmit(clock.now_ns())
        if out:
            os.write(descriptor, out)


@contextlib.contextmanager
def running(target: threading.Thread, stop: threading.Event) -> Iterator[None]:
    target.start()
    try:
        yield
    finally:
        stop.set()
        target.join(5.0)


@contextlib.contextmanager
def on_pty(simulator: Wt310eSimulator) -> Iterator[str]:
    device, port = pty.openpty()
    tty.setraw(device)
    tty.setraw(port)
    stop = threading.Event()
    thread = threading.Thread(target=pump, args=(simulator, device, stop), daemon=True)
    with running(thread, stop):
        yield os.ttyname(port)
    os.close(device)
    os.close(port)


@contextlib.contextmanager
def on_tcp(simulator: Wt310eSimulator) -> Iterator[int]:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60.0)

        def serve() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return  # nobody connected before the test was over
            with connection:
                pump(simulator, connection.fileno(), stop)

        with running(threading.Thread(target=serve, daemon=True), stop):
            yield int(server.getsockname()[1])


def ask_pyvisa(resource: str) -> dict[str, object]:
    pytest.importorskip("pyvisa_py", reason="pyvisa-py is in the extra [peers]")
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, resource],
        input=PUBLIC_SET_UP,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout)
    return said


def require_understood(said: dict[str, object]) -> None:
    assert said["idn"] == "YOKOGAWA,WT310E,C2TA01234V,F1.04"
    assert said["headed"] == ":RATE 250MS"
    assert said[":STATUS:ERROR?"] == '0,"No error"'
    assert said[":RATE?"] == "100MS"
    assert float(str(said[":VOLT:RANG?"])) == 300.0
    assert float(str(said[":CURRENT:RANGE?"])) == 1.0
    assert said[":NUMERIC:NORMAL:ITEM3?"] == "P,1"
    values = said["values"]
    assert isinstance(values, list)
    for volts, amperes, watts, _ in values:
        assert (volts, watts) == (230.0, 60.0)
        assert amperes == pytest.approx(60.0 / (230.0 * 0.95), rel=1e-4)
    assert [row[3] for row in values] == sorted(row[3] for row in values)


def test_pyvisa_py_reads_the_simulator_over_a_serial_port() -> None:
    with on_pty(Wt310eSimulator(lambda _: 60.0)) as port:
        said = ask_pyvisa(f"ASRL{port}::INSTR")

    require_understood(said)


def test_pyvisa_py_reads_the_simulator_over_a_socket() -> None:
    with on_tcp(Wt310eSimulator(lambda _: 60.0)) as port:
        said = ask_pyvisa(f"TCPIP::127.0.0.1::{port}::SOCKET")

    require_understood(said)


@pytest.mark.parametrize("kind", ["serial", "tcp"])
def test_our_driver_reads_the_same_simulator_over_a_real_wire(kind: str) -> None:
    clock = SystemClock()
    simulator = Wt310eSimulator(lambda _: 60.0)
    served: contextlib.AbstractContextManager[str | int] = (
        on_pty(simulator) if kind == "serial" else on_tcp(simulator)
    )

    with served as end:
        address = f"serial:{end}" if kind == "serial" else f"tcp:127.0.0.1:{end}"
        with open_link(address, baud=57_600) as link:
            meter = ScpiMeter(
                link,
                clock,
                address=f"scpi@{address}",
                origin=Origin.SIMULATED,
                inputs=Inputs(voltage_v=230.0, current_a=1.0),
            )
            watts = []
            with meter.acquire({"power"}) as acquisition:
                for block in acquisition.blocks(Deadline.after(1.0, clock)):
                    watts += list(block.values)

    assert len(watts) >= 2
    assert set(watts) == {60.0}

"""Polled meters' simulators, driven over a pseudo terminal by other people's clients.

A simulator and a driver by one author may share a misreading; a client that has never
seen either cannot. Pseudo terminals have no parity, so all of it is 8N1.
"""

import importlib
import os
import pty
import select
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import serial

from harness.clock import Deadline, SystemClock
from harness.domain.origin import Origin
from harness.links.bytelink import open_link
from harness.links.loop import Instrument
from harness.meters.dlt645.driver import Dlt645
from harness.meters.dlt645.sim import Dlt645Simulator
from harness.meters.pzem.driver import Pzem
from harness.meters.pzem.sim import Misbehaviour, PzemSimulator
from harness.meters.ruideng.driver import Ruideng, Series
from harness.meters.ruideng.sim import UmSimulator
from harness.units import NS_PER_S

WHY = "a client by other people; install the extra peers"


def peer(name: str) -> Any:  # noqa: ANN401 - a module
    return pytest.importorskip(name, reason=f"{name} is not installed: {WHY}")


@contextmanager
def served(instrument: Instrument) -> Iterator[str]:
    """Serve a simulated instrument on a pseudo terminal; give the port's name."""
    device, port = pty.openpty()
    tty.setraw(device)
    tty.setraw(port)
    wake, stop = os.pipe()
    thread = threading.Thread(target=_serve, args=(instrument, device, wake))
    thread.start()
    try:
        yield os.ttyname(port)
    finally:
        os.write(stop, b"x")
        thread.join()
        for descriptor in (device, port, wake, stop):
            os.close(descriptor)


def _serve(instrument: Instrument, device: int, wake: int) -> None:
    clock = SystemClock()
    while True:
        now_ns = clock.now_ns()
        due_ns = instrument.next_ns(now_ns)
        wait_s = None if due_ns is None else max(0, due_ns - now_ns) / NS_PER_S
        ready, _, _ = select.select([device, wake], [], [], wait_s)
        if wake in ready:
            return
        if device in ready:
            instrument.receive(os.read(device, 4096), clock.now_ns())
        data = instrument.transmit(clock.now_ns())
        if data:
            os.write(device, data)


def steady(watts: float) -> Callable[[Any], Any]:
    return lambda seconds: np.full(len(seconds), watts)


@pytest.fixture
def pzem() -> Iterator[str]:
    with served(PzemSimulator(steady(61.0), energy_wh=70_000)) as name:
        yield name


@pytest.fixture
def dlt645_meter() -> Iterator[Any]:
    """Serve an electricity meter and connect the package dlt645 to it."""
    package = peer("dlt645")
    simulator = Dlt645Simulator(steady(61.0), energy_kwh=1234.567)
    with served(simulator) as name:
        client = package.MeterClientService.new_rtu_client(
            port=name, baudrate=2400, databits=8, stopbits=1, parity="N", timeout=2.0
        )
        # this client sends an address in the order given; the standard reverses it
        client.set_address("888801012320")
        yield client
        client.client.disconnect()


# 230 V, 61 W at a power factor of 0.95: 279 mA; 70 000 Wh are 0x1170 and one high word
PZEM_WORDS = [2300, 279, 0, 610, 0, 0x1170, 1, 500, 95, 0]


def test_minimalmodbus_reads_the_simulated_pzem(pzem: str) -> None:
    client = peer("minimalmodbus").Instrument(pzem, 1)
    client.serial.baudrate = 9600
    client.serial.timeout = 1.0

    words = client.read_registers(0, 10, functioncode=4)
    client.serial.close()

    assert words == PZEM_WORDS


def test_minimalmodbus_is_told_of_a_register_that_is_not_there(pzem: str) -> None:
    package = peer("minimalmodbus")
    client = package.Instrument(pzem, 1)
    client.serial.baudrate = 9600
    client.serial.timeout = 1.0

    with pytest.raises(package.IllegalRequestError):
        client.read_registers(0, 11, functioncode=4)

    client.serial.close()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Misbehaviour(wrong_crc=frozenset({0})), "InvalidResponseError"),
        (Misbehaviour(mute=frozenset({0})), "NoResponseError"),
    ],
)
def test_minimalmodbus_sees_the_misbehaviour(fault: Misbehaviour, error: str) -> None:
    package = peer("minimalmodbus")

    with served(PzemSimulator(steady(61.0), misbehaviour=fault)) as name:
        client = package.Instrument(name, 1)
        client.serial.baudrate = 9600
        client.serial.timeout = 0.3
        with pytest.raises(getattr(package, error)):
            client.read_registers(0, 10, functioncode=4)
        client.serial.close()


def test_pymodbus_reads_the_simulated_pzem(pzem: str) -> None:
    peer("pymodbus")
    client = importlib.import_module("pymodbus.client").ModbusSerialClient(
        port=pzem, baudrate=9600, timeout=1
    )

    is_connected = client.connect()
    inputs = client.read_input_registers(0, count=10, device_id=1)
    settings = client.read_holding_registers(1, count=2, device_id=1)
    client.close()

    assert is_connected
    assert inputs.registers == PZEM_WORDS
    assert settings.registers == [23_000, 1]


def test_modbus_tk_reads_the_simulated_pzem(pzem: str) -> None:
    peer("modbus_tk")
    port = serial.Serial(pzem, 9600)
    master = importlib.import_module("modbus_tk.modbus_rtu").RtuMaster(port)
    master.set_timeout(1.0)

    words = master.execute(1, 4, 0, 10)
    master.close()

    assert list(words) == PZEM_WORDS


@pytest.mark.parametrize(
    ("identifier", "value"),
    [
        (0x02010100, 220.0),  # V
        (0x02020100, 0.292),  # A
        (0x02030000, 0.061),  # kW
        (0x02060000, 0.95),
        (0x02800002, 50.0),  # Hz
    ],
)
def test_dlt645_reads_the_simulated_meters_variables(
    dlt645_meter: Any,  # noqa: ANN401 - the package's client
    identifier: int,
    value: float,
) -> None:
    item = dlt645_meter.read_02(identifier)

    assert item is not None
    assert float(item.value) == pytest.approx(value)


def test_dlt645_reads_the_simulated_meters_energy_and_address(
    dlt645_meter: Any,  # noqa: ANN401 - the package's client
) -> None:
    energy = dlt645_meter.read_00(0x00000000)
    address = dlt645_meter.read_address()

    assert float(energy.value) == pytest.approx(1234.56)
    # in the order of the wire, which this client does not reverse
    assert str(address.value) == "888801012320"


def test_each_driver_reads_its_simulator_over_a_pseudo_terminal() -> None:
    clock = SystemClock()
    powers = {}

    with (
        served(PzemSimulator(steady(61.0))) as name,
        open_link(f"serial:{name}") as link,
    ):
        pzem_meter = Pzem(link, clock, address=name, origin=Origin.SIMULATED)
        with pzem_meter.acquire(["power"]) as acquisition:
            powers["pzem"] = next(acquisition.blocks(Deadline.after(2, clock)))
    with (
        served(Dlt645Simulator(steady(61.0))) as name,
        open_link(f"serial:{name}") as link,
    ):
        meter = Dlt645(link, clock, address=name, origin=Origin.SIMULATED)
        with meter.acquire(["power"]) as acquisition:
            powers["dlt645"] = next(acquisition.blocks(Deadline.after(2, clock)))
    with served(UmSimulator(steady(6.0))) as name, open_link(f"serial:{name}") as link:
        tester = Ruideng(
            link, clock, address=name, origin=Origin.SIMULATED, series=Series.UM
        )
        with tester.acquire(["power"]) as acquisition:
            powers["um25c"] = next(acquisition.blocks(Deadline.after(2, clock)))

    assert {name: block.values[0] for name, block in powers.items()} == {
        "pzem": 61.0,
        "dlt645": pytest.approx(61.0),
        "um25c": 6.0,
    }

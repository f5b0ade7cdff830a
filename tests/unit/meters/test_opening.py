"""From an address to an open meter, and what is wrong with an address."""
# ruff: noqa: PT012 - what is raised is raised inside an acquisition

from pathlib import Path

import numpy as np
import pytest

from harness import plugins
from harness.clock import Deadline, SystemClock, VirtualClock
from harness.domain.origin import Origin
from harness.errors import (
    HarnessError,
    LinkError,
    SchemaError,
    UnknownName,
    Unsupported,
)
from harness.meters.drivers import DRIVERS
from harness.meters.loads import parse_load
from harness.meters.lpm01a.sim import Lpm01aSimulator
from harness.meters.opening import open_meter, open_recorded
from harness.plugins import Address
from harness.testing.ptybench import served_on_pty, served_on_tcp

LEVELS_W = {"ppk2": 0.01, "lpm01a": 0.01, "ina": 0.6, "um25c": 6.0, "tc66c": 6.0}
"""A power that this meter is made for; 61 W for those that are not named."""


def mean_w(address: str) -> float:
    clock = VirtualClock()
    with (
        open_meter(Address.parse(address), clock) as meter,
        meter.acquire(["power"]) as acquisition,
    ):
        blocks = list(acquisition.blocks(Deadline.after(4.0, clock)))
    return float(np.mean([value for block in blocks for value in block.values]))


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_each_driver_reads_the_load_that_its_simulator_is_given(driver: str) -> None:
    if driver == "tc66c":
        pytest.importorskip("cryptography", reason="install the extra tc66c")
    level_w = LEVELS_W.get(driver, 61.0)

    power_w = mean_w(f"{driver}@sim:idle-{level_w}W?seed=7")

    # an INA226's steps of 0.25 mA at a 10 mΩ shunt are 0.75 mW at 3 V
    assert power_w == pytest.approx(level_w, rel=5e-3)


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_each_driver_is_an_entry_point(driver: str) -> None:
    opener = plugins.find(plugins.METERS, driver)

    assert opener is open_meter


def test_a_simulated_meter_says_so_in_every_reading() -> None:
    clock = VirtualClock()

    with (
        open_meter(Address.parse("ppk2@sim:idle-10mW"), clock) as meter,
        meter.acquire(["power"]) as acquisition,
    ):
        who = meter.identify()
        blocks = list(acquisition.blocks(Deadline.after(0.2, clock)))

    assert who.origin is Origin.SIMULATED
    assert {block.origin for block in blocks} == {Origin.SIMULATED}


def test_a_capture_of_a_simulator_stays_simulated(tmp_path: Path) -> None:
    path = tmp_path / "a.cap"
    clock = VirtualClock()
    with open_recorded(Address.parse("pzem@sim:idle-61W"), clock, path):
        pass

    with open_meter(Address.parse(f"pzem@replay:{path}"), VirtualClock()) as meter:
        origin = meter.identify().origin

    assert origin is Origin.SIMULATED


def test_a_capture_that_does_not_say_it_was_measured_was_not(tmp_path: Path) -> None:
    path = tmp_path / "a.cap"
    with open_recorded(Address.parse("pzem@sim:idle-61W"), VirtualClock(), path):
        pass
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"origin": "simulated"', b'"origin": "who knows"'))

    with open_meter(Address.parse(f"pzem@replay:{path}"), VirtualClock()) as meter:
        origin = meter.identify().origin

    assert origin is Origin.SIMULATED


def test_a_capture_of_another_meter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.cap"
    with open_recorded(Address.parse("pzem@sim:idle-61W"), VirtualClock(), path):
        pass

    with (
        pytest.raises(Unsupported, match="This capture is of a pzem"),
        open_meter(Address.parse(f"ppk2@replay:{path}"), VirtualClock()),
    ):
        pass


def test_a_capture_is_opened_with_the_options_it_was_made_with(tmp_path: Path) -> None:
    path = tmp_path / "a.cap"
    address = "ppk2@sim:idle-10mW?voltage=1.8V"
    with open_recorded(Address.parse(address), VirtualClock(), path):
        pass

    with open_meter(Address.parse(f"ppk2@replay:{path}"), VirtualClock()) as meter:
        facts = meter.identify().facts

    assert facts["voltage_v"] == "1.8"


@pytest.mark.parametrize(
    ("address", "error", "sentence"),
    [
        ("pkk2@sim:idle-1W", UnknownName, "Did you mean 'ppk2'?"),
        ("ppk2@simm:idle-1W", UnknownName, "Did you mean 'sim'?"),
        ("ppk2@sim:idel-1W", UnknownName, "Did you mean 'idle'?"),
        ("ppk2@sim:idle-1W?sead=3", UnknownName, "Did you mean 'seed'"),
        ("ppk2@sim:idle-1W?seed=x", SchemaError, "'x' is no whole number"),
        ("ppk2@sim:idle-1W?seed", SchemaError, "'seed' has no value"),
        ("ppk2@sim:idle", SchemaError, "takes 1 level"),
        ("ppk2@sim:idle-1mV", SchemaError, "does not measure what is asked"),
        ("ppk2@sim:idle-1W?mode=x", SchemaError, "'x' is none of source, ampere"),
        ("ppk2@sim:idle-1W?voltage=3", SchemaError, "'3' is not a quantity"),
        ("ppk2@serial:/dev/null-port", LinkError, "There is no such port"),
        ("ppk2@serial:/dev/x?seed=3", UnknownName, "no option of this meter 'seed'"),
        ("ppk2@replay:/no/such.cap", SchemaError, "No such file"),
    ],
)
def test_what_is_wrong_with_an_address_is_told(
    address: str, error: type[HarnessError], sentence: str
) -> None:
    with (
        pytest.raises(error) as caught,
        open_meter(Address.parse(address), VirtualClock()),
    ):
        pass

    assert sentence in caught.value.sentence()


def test_a_real_device_never_gets_a_voltage_that_nobody_named() -> None:
    simulator = Lpm01aSimulator(lambda seconds: 0.0 * seconds)

    with (
        served_on_pty(simulator) as served,
        pytest.raises(Unsupported, match="destroys the device under test"),
        open_meter(Address.parse(f"lpm01a@serial:{served.name}"), SystemClock()),
    ):
        pass

    assert simulator.commands == []


@pytest.mark.parametrize("way", ["serial", "tcp"])
def test_a_meter_is_opened_over_a_port_and_over_the_network(way: str) -> None:
    load = parse_load("idle-10mW", seed=1)
    simulator = Lpm01aSimulator(lambda seconds: load.watts(seconds) / 3.0)
    serve = served_on_pty if way == "serial" else served_on_tcp
    clock = SystemClock()

    with serve(simulator) as served:
        address = Address.parse(f"lpm01a@{way}:{served.name}?voltage=3V")
        with (
            open_meter(address, clock) as meter,
            meter.acquire(["power"]) as acquisition,
        ):
            blocks = list(acquisition.blocks(Deadline.after(0.5, clock)))

    values = [value for block in blocks for value in block.values]
    assert len(values) > 300
    assert np.mean(values) == pytest.approx(0.01, rel=0.02)
    # at the other end is a program of this machine, whatever it says it is
    assert {block.origin for block in blocks} == {Origin.SIMULATED}
    assert simulator.commands[-1] == "hrc"


def test_an_unplugged_port_is_told_in_one_sentence() -> None:
    simulator = Lpm01aSimulator(lambda seconds: 1e-3 + 0.0 * seconds)
    clock = SystemClock()

    with (
        served_on_pty(simulator) as served,
        pytest.raises(LinkError, match="The device went away"),
        open_meter(
            Address.parse(f"lpm01a@serial:{served.name}?voltage=3V"), clock
        ) as meter,
        meter.acquire(["power"]) as acquisition,
    ):
        for _block in acquisition.blocks(Deadline.after(5.0, clock)):
            served.unplug()


@pytest.mark.parametrize(
    ("name", "mean"), [("idle-10mW", 0.01), ("bursts-5mW-120mW", 0.0395)]
)
def test_a_named_load_has_the_mean_that_its_name_says(name: str, mean: float) -> None:
    load = parse_load(name, seed=3)
    seconds = np.arange(0, 60, 1e-3) + 5e-4

    watts = load.watts(seconds)

    assert load.mean_w() == pytest.approx(mean)
    assert watts.mean() == pytest.approx(mean, rel=2e-3)
    assert watts.min() > 0


def test_the_seed_decides_the_ripple_and_nothing_else_does() -> None:
    seconds = np.linspace(0, 1, 50)

    one, again = (parse_load("idle-1W", seed=5).watts(seconds) for _ in range(2))
    other = parse_load("idle-1W", seed=6).watts(seconds)

    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()


@pytest.mark.parametrize(
    "address",
    [
        "ppk2@sim:idle-10mW?voltage=30V",
        "ppk2@sim:idle-10mW?voltage=0V",
        "lpm01a@sim:idle-10mW?voltage=5V",
        "ina@sim:idle-1W?voltage=0V",
    ],
)
def test_a_voltage_that_a_meter_cannot_give_is_told(address: str) -> None:
    with (
        pytest.raises(Unsupported, match="This meter works at"),
        open_meter(Address.parse(address), VirtualClock()),
    ):
        pass

"""What doctor says of a port: absent, forbidden, held, odd, or good."""

import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.bench.doctor import State
from harness.bench.portcheck import Port, examine_ports, named_ports
from harness.links.bytelink import open_link
from harness.links.ports import holders


@pytest.fixture
def terminal() -> Iterator[str]:
    """Give a pseudo terminal that nobody else holds open by its port's end."""
    device, port = pty.openpty()
    name = os.ttyname(port)
    os.close(port)
    yield name
    os.close(device)


def test_a_port_that_is_not_there_is_told() -> None:
    (check,) = examine_ports([Port(path="/dev/ttyNOPE")])

    assert (check.state, check.found) == (State.BAD, "not there")


def test_a_port_in_use_is_told_with_who_holds_it(terminal: str) -> None:
    with open_link(f"serial:{terminal}"):
        (check,) = examine_ports([Port(path=terminal)])

    assert check.state is State.BAD
    assert f"in use by pid {os.getpid()}" in check.found


def test_the_holder_of_a_port_is_found_by_another_name_too(
    terminal: str, tmp_path: Path
) -> None:
    alias = tmp_path / "meter"
    alias.symlink_to(terminal)

    with open_link(f"serial:{terminal}"):
        found = holders(alias)

    assert [holder.pid for holder in found] == [os.getpid()]
    assert holders(alias) == ()


def test_a_port_without_the_right_to_open_it_says_how_to_gain_it(
    tmp_path: Path,
) -> None:
    port = tmp_path / "ttyACM0"
    port.touch(mode=0o000)
    if os.access(port, os.R_OK):
        pytest.skip("root may open everything")

    (check,) = examine_ports([Port(path=str(port))])

    assert check.found == "no right to open it"
    assert "usermod -aG" in check.remedy
    assert "udev" in check.remedy


def test_a_pseudo_terminal_is_worth_a_look(terminal: str) -> None:
    (check,) = examine_ports([Port(path=terminal)])

    assert check.state is State.WORTH_A_LOOK
    assert "simulated" in check.why


def test_a_device_in_its_bootloader_is_told(tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()

    (check,) = examine_ports([Port(path=str(port), description="nRF52 Bootloader")])

    assert check.state is State.BAD
    assert "bootloader" in check.why


def test_of_a_device_with_two_ports_the_first_is_the_one_with_data(
    tmp_path: Path,
) -> None:
    data, shell = tmp_path / "ttyACM0", tmp_path / "ttyACM1"
    for port in (data, shell):
        port.touch()

    first, second = examine_ports(
        [
            Port(path=str(data), device="1915:c00a:x", place="1-2:1.1"),
            Port(path=str(shell), device="1915:c00a:x", place="1-2:1.3"),
        ]
    )

    assert first.state is State.GOOD
    assert second.remedy == f"Use {data}"


def test_the_serial_ports_of_a_lab_file_are_looked_at_too() -> None:
    ports = named_ports(
        {
            "wearable": "ppk2@serial:/dev/ttyACM0?voltage=3V",
            "computer": "rapl@",
            "appliance": "scpi@tcp:192.168.1.7:5025",
        }
    )

    assert [port.path for port in ports] == ["/dev/ttyACM0"]

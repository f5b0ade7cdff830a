"""What only a program of this machine can be at the other end of is no hardware."""

import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.links.hardware import is_pseudo_terminal, may_be_hardware


@pytest.fixture
def terminal() -> Iterator[str]:
    """Give the name of a pseudo terminal."""
    device, port = pty.openpty()
    yield os.ttyname(port)
    os.close(device)
    os.close(port)


def test_a_pseudo_terminal_is_no_hardware(terminal: str) -> None:
    assert not may_be_hardware("serial", terminal)


def test_a_name_that_leads_to_a_pseudo_terminal_is_no_hardware(
    terminal: str, tmp_path: Path
) -> None:
    alias = tmp_path / "ttyACM0"
    alias.symlink_to(terminal)
    second = tmp_path / "by-id"
    second.symlink_to(alias)

    assert is_pseudo_terminal(second)
    assert not may_be_hardware("serial", str(second))


@pytest.mark.parametrize("port", ["/dev/ttyNOPE", "/dev/null", "COM3"])
def test_any_other_port_may_be_hardware(port: str) -> None:
    assert may_be_hardware("serial", port)


@pytest.mark.parametrize(
    ("kind", "place", "is_possible"),
    [
        ("tcp", "192.168.1.7:5025", True),
        ("tcp", "meter.lab:5025", True),
        ("tcp", "localhost:5025", False),
        ("tcp", "127.0.0.1:5025", False),
        ("tcp", "127.8.0.1:5025", False),
        ("tcp", "[::1]:5025", False),
        ("tcp", "0.0.0.0:5025", False),
        ("url", "socket://127.0.0.1:5025", False),
        ("url", "socket://192.168.1.7:5025", True),
        ("url", "rfc2217://localhost:2217/?ign_set_control", False),
        ("url", "rfc2217://10.0.0.2:2217", True),
        ("url", "loop://", False),
        ("url", "spy:///dev/ttyACM0", False),
        ("url", "/dev/ttyACM0", True),
    ],
)
def test_a_port_of_this_machines_own_network_is_no_hardware(
    kind: str, place: str, *, is_possible: bool
) -> None:
    assert may_be_hardware(kind, place) == is_possible

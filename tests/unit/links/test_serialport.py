"""Serial ports: one meaning for each way in which an operating system says no."""

import errno
import os
import pty
import termios
import tty
from collections.abc import Iterator

import pytest
import serial

from harness.clock import Deadline, SystemClock
from harness.errors import LinkClosed, LinkError, UnknownName
from harness.links.bytelink import Parity, open_link, read_exactly
from harness.links.serialport import _meaning


@pytest.fixture
def terminal() -> Iterator[tuple[int, int, str]]:
    """Open a pseudo terminal: the device's end, the port's end, its name."""
    device, port = pty.openpty()
    tty.setraw(device)
    tty.setraw(port)
    yield device, port, os.ttyname(port)
    for descriptor in (device, port):
        try:
            os.close(descriptor)
        except OSError:
            continue  # the test has closed it


def soon(seconds: float = 1.0) -> Deadline:
    return Deadline.after(seconds, SystemClock())


def test_bytes_pass_both_ways(terminal: tuple[int, int, str]) -> None:
    device, _, name = terminal

    with open_link(f"serial:{name}") as link:
        os.write(device, b"hello")
        link.write(b"abc")

        assert read_exactly(link, 5, soon()) == b"hello"
        assert os.read(device, 10) == b"abc"


def test_an_unusual_baud_rate_is_accepted(terminal: tuple[int, int, str]) -> None:
    device, _, name = terminal

    with open_link(f"serial:{name}", baud=3_686_400) as link:
        os.write(device, b"x")

        assert link.read(1, soon()) == b"x"


def test_a_port_can_be_opened_with_even_parity(
    terminal: tuple[int, int, str],
) -> None:
    device, _, name = terminal

    with open_link(f"serial:{name}", baud=2400, parity=Parity.EVEN) as link:
        os.write(device, b"x")

        assert link.read(1, soon()) == b"x"


def test_silence_ends_at_the_deadline_with_nothing(
    terminal: tuple[int, int, str],
) -> None:
    _, _, name = terminal

    with open_link(f"serial:{name}") as link:
        assert link.read(1, soon(0.01)) == b""


def test_a_port_is_opened_by_one_program_only(terminal: tuple[int, int, str]) -> None:
    _, _, name = terminal

    with (
        open_link(f"serial:{name}"),
        pytest.raises(LinkError, match=rf"in use by pid {os.getpid()} \("),
        open_link(f"serial:{name}"),
    ):
        pass


def test_unplugging_is_told_as_the_device_went_away(
    terminal: tuple[int, int, str],
) -> None:
    device, port, name = terminal

    with open_link(f"serial:{name}") as link:
        os.close(port)
        os.close(device)

        with pytest.raises(LinkClosed, match="The device went away"):
            link.read(1, soon())


@pytest.mark.parametrize(
    "error",
    [
        serial.SerialException("device reports readiness to read but returned no data"),
        OSError(errno.EIO, "Input/output error"),
        termios.error(errno.EIO, "Input/output error"),
        OSError(errno.ENODEV, "No such device"),
    ],
    ids=["pyserial", "EIO", "termios", "ENODEV"],
)
def test_every_error_of_an_unplugged_port_has_one_meaning(error: Exception) -> None:
    with pytest.raises(LinkClosed, match="The device went away"), _meaning("/dev/x"):
        raise error


def test_a_port_that_may_not_be_opened_says_how_to_gain_the_right() -> None:
    with (
        pytest.raises(LinkError, match="usermod -aG dialout") as caught,
        _meaning("/dev/ttyNOPE"),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")

    assert "udev" in caught.value.remedy


def test_what_came_before_the_unplugging_is_given_first(
    terminal: tuple[int, int, str],
) -> None:
    device, port, name = terminal

    with open_link(f"serial:{name}") as link:
        os.write(device, b"last words")
        first = link.read(100, soon())
        os.close(port)
        os.close(device)
        with pytest.raises(LinkClosed):
            link.write(b"x" * 100)

    assert first == b"last words"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("serial:/dev/ttyNOPE", "There is no such port"),
        ("tcp:127.0.0.1:1", "Nothing answers there"),
    ],
)
def test_a_port_that_is_not_there_is_named(address: str, words: str) -> None:
    with pytest.raises(LinkError, match=words), open_link(address):
        pass


def test_an_unknown_kind_of_link_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="serial"):
        open_link("usb:1")

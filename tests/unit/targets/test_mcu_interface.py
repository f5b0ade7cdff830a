"""Through MLPerf Tiny's interface board, and what stands behind ``mcu@``."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.clock import Deadline, VirtualClock
from harness.errors import LinkTimeout, SchemaError, TargetError, UnknownName
from harness.links.loop import LoopLink
from harness.plugins import Address
from harness.targets.mcu.board import McuTarget
from harness.targets.mcu.driver import Dut
from harness.targets.mcu.interface import CHUNK_BYTES, InterfaceBoard
from harness.targets.mcu.reach import read_reach
from harness.targets.mcu.sim import SimulatedBoard
from harness.targets.mcu.siminterface import SimulatedInterface
from harness.targets.mcu.target import open_target
from harness.targets.mcu.wire import Mode
from harness.testing.builders import a_profile
from harness.testing.ptybench import served_on_pty


class Listener:
    """Takes down what goes over a link."""

    def __init__(self, inner: LoopLink) -> None:
        self.where = inner.where
        self.inner = inner
        self.sent: list[bytes] = []

    def read(self, most: int, until: Deadline) -> bytes:
        return self.inner.read(most, until)

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        self.inner.write(data)


@contextmanager
def opened(link: str) -> Iterator[McuTarget]:
    with open_target(Address.parse(f"mcu@{link}"), a_profile()) as target:
        yield target


def an_interface(dut_baud: int = 9_600) -> tuple[InterfaceBoard, Listener]:
    clock = VirtualClock()
    device = SimulatedBoard(is_energy=True)
    simulator = SimulatedInterface(device, dut_baud=dut_baud)
    link = Listener(LoopLink(simulator, clock, "sim:"))
    return InterfaceBoard(link, clock), link


def test_a_board_behind_an_interface_board_says_who_it_is() -> None:
    with opened("sim:kws01?mode=energy&via=interface&dutbaud=9600") as target:
        sut = target.identify()

    assert sut.name == "simulated board"
    assert sut.facts["mode"] == "energy"
    assert sut.facts["interface"] == "tinyML Enhanced Interface Board"
    assert sut.facts["dut_baud"] == "9600"


def test_the_same_goes_over_a_port_in_real_time() -> None:
    device = SimulatedBoard(is_energy=True)
    with (
        served_on_pty(SimulatedInterface(device)) as served,
        opened(f"serial:{served.name}?via=interface&dutbaud=9600") as target,
    ):
        sut = target.identify()
        target.dut.load(bytes(490))
        batch = target.dut.run_batch(5, 10.0)

    assert sut.facts["mode"] == "energy"
    assert sut.facts["baud"] == "115200"
    assert sut.facts["dut_baud"] == "9600"
    assert 140_000_000 < batch.ended_ns - batch.begun_ns < 600_000_000


def test_commands_are_passed_on_and_samples_go_in_pieces_that_fit() -> None:
    interface, link = an_interface()
    dut = Dut(interface, interface.clock, CHUNK_BYTES)

    firmware = dut.wake()
    dut.load(bytes(490))

    assert firmware.mode is Mode.ENERGY
    assert b"dut name%" in link.sent
    pieces = [one for one in link.sent if one.startswith(b"dut db 00")]
    assert len(pieces) == 19  # 18 of 26 bytes and one of 22
    assert max(map(len, pieces)) == len(b"dut db %") + 52


def test_the_rate_on_the_device_s_side_is_set_where_it_is_another() -> None:
    interface, link = an_interface(dut_baud=115_200)

    assert interface.baud_of_device(None) == 115_200
    assert interface.baud_of_device(9_600) == 9_600
    assert link.sent.count(b"setbaud 9600%") == 1
    assert interface.baud_of_device(9_600) == 9_600
    assert link.sent.count(b"setbaud 9600%") == 1
    assert Dut(interface, interface.clock).wake().name == "simulated board"


def test_a_wrong_rate_on_the_device_s_side_is_told_and_what_to_write() -> None:
    with (
        pytest.raises(TargetError, match=r"does not, at 115200 baud.*dutbaud=9600"),
        opened("sim:kws01?mode=energy&via=interface"),
    ):
        pass


def test_a_board_without_an_interface_board_is_told_from_one() -> None:
    clock = VirtualClock()
    interface = InterfaceBoard(LoopLink(SimulatedBoard(), clock, "sim:"), clock)

    with pytest.raises(TargetError, match="no interface board"):
        interface.require_name()


def test_an_interface_board_without_the_option_is_told_and_what_to_write() -> None:
    clock = VirtualClock()
    link = LoopLink(SimulatedInterface(SimulatedBoard()), clock, "sim:")

    with pytest.raises(TargetError, match=r"Interface Board.*via=interface"):
        Dut(link, clock).wake()


def test_an_interface_board_that_is_silent_is_said_to_be() -> None:
    class Silent:
        def receive(self, data: bytes, now_ns: int) -> None: ...

        def transmit(self, now_ns: int) -> bytes:
            del now_ns
            return b""

        def next_ns(self, now_ns: int) -> int | None: ...

    clock = VirtualClock()

    with pytest.raises(LinkTimeout, match="did not answer 'name'"):
        InterfaceBoard(LoopLink(Silent(), clock, "sim:"), clock).require_name()


def test_options_of_a_url_that_are_not_ours_stay_in_it() -> None:
    address = Address.parse(
        "mcu@url:rfc2217://lab1:4001?ign_set_control&timeout=5&baud=9600"
    )

    reach = read_reach(address)

    assert reach.link == "url:rfc2217://lab1:4001?ign_set_control&timeout=5"
    assert reach.bauds == (9_600,)


def test_without_an_option_all_rates_in_use_are_tried() -> None:
    reach = read_reach(Address.parse("mcu@serial:/dev/ttyACM0"))

    assert reach.bauds == (115_200, 9_600, 921_600)


@pytest.mark.parametrize(
    ("link", "error"),
    [
        ("usb:1", UnknownName),
        ("serial:/dev/ttyACM0?bauds=9600", UnknownName),
        ("serial:/dev/ttyACM0?baud=0", SchemaError),
        ("serial:/dev/ttyACM0?via=magic", SchemaError),
        ("sim:kws01?mode=lazy", SchemaError),
        ("sim:kws01?seed=x", SchemaError),
    ],
)
def test_an_address_that_says_what_none_may_is_refused(
    link: str, error: type[Exception]
) -> None:
    with pytest.raises(error), opened(link):
        pass

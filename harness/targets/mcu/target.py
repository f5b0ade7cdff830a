"""``mcu@serial:/dev/ttyACM0``: from an address to a microcontroller that answers.

What the wire ends in is decided here, and with it what its figures are: a port of this
machine's own network and a pseudo terminal lead to a program, never to a board
(`harness.links.hardware`), and so does ``qemu:``. Nothing of that is a measurement.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.clock import Clock, SystemClock, VirtualClock
from harness.domain.board import Board
from harness.domain.origin import Origin
from harness.domain.profile import DeviceProfile
from harness.domain.query import HOST_CLOCK
from harness.errors import EquipmentError, LinkTimeout, SchemaError, TargetError
from harness.links.bytelink import ByteLink, open_link
from harness.links.hardware import may_be_hardware
from harness.links.loop import looped
from harness.plugins import Address
from harness.targets.mcu.board import McuTarget
from harness.targets.mcu.driver import Dut, Firmware
from harness.targets.mcu.interface import CHUNK_BYTES, InterfaceBoard
from harness.targets.mcu.qemu import emulating
from harness.targets.mcu.reach import Reach, read_reach
from harness.targets.mcu.sim import SimulatedBoard
from harness.targets.mcu.siminterface import SimulatedInterface
from harness.units import parse_quantity


@contextmanager
def open_target(
    address: Address,
    profile: DeviceProfile,  # noqa: ARG001 - every opener is called with it
    *,
    board: Board | None = None,  # noqa: ARG001 - what a lab file says of boards
) -> Iterator[McuTarget]:
    """Open the port and find the baud rate at which the board answers.

    Raises LinkError where there is no port, LinkTimeout where nobody answers on it,
    UsageError for an address that says what no address may.
    """
    reach = read_reach(address)
    with ExitStack() as stack:
        match reach.kind:
            case "sim":
                yield _simulated(reach, stack)
            case "qemu":
                yield _emulated(reach, stack)
            case _:
                is_real = may_be_hardware(reach.kind, reach.place)
                origin = Origin.MEASURED if is_real else Origin.SIMULATED
                yield _on_a_wire(reach, origin, stack)


def _on_a_wire(reach: Reach, origin: Origin, stack: ExitStack) -> McuTarget:
    """Open a port at one baud rate after the other until the board answers."""
    clock = SystemClock()
    garbled: list[int] = []
    said: EquipmentError | None = None
    for baud in reach.bauds:
        with ExitStack() as attempt:
            link = attempt.enter_context(open_link(reach.link, baud=baud))
            dut, facts = _dut(reach, link, clock)
            try:
                firmware = _awake(dut, reach, facts)
            except LinkTimeout as error:
                said = error
                garbled += [baud] if dut.is_garbled else []
                continue
            stack.push(attempt.pop_all())
            return McuTarget(
                address=reach.where,
                dut=dut,
                firmware=firmware,
                clock=clock,
                origin=origin,
                facts={"baud": str(baud), **facts},
                interface=_interface_of(dut),
            )
    raise _nobody(reach, garbled) from said


def _emulated(reach: Reach, stack: ExitStack) -> McuTarget:
    """Start an emulator and open the port that leads to its UART."""
    clock = SystemClock()
    emulator = stack.enter_context(emulating(Path(reach.place), clock, reach.where))
    link = stack.enter_context(open_link(f"serial:{emulator.port}"))
    dut = Dut(link, clock, keeps_time=False)
    return McuTarget(
        address=reach.where,
        dut=dut,
        firmware=dut.wake(),
        clock=clock,
        origin=Origin.EMULATED,
        facts=emulator.facts,
    )


def _awake(dut: Dut, reach: Reach, facts: dict[str, str]) -> Firmware:
    """Ask who it is. Raises LinkTimeout where what answers speaks no protocol."""
    try:
        return dut.wake()
    except TargetError as error:
        if not dut.is_garbled:
            raise
        # what is no text may still break into something like a line
        raise LinkTimeout(error.what, where=error.where) from error
    except LinkTimeout as error:
        if not reach.is_through_interface:
            raise
        raise TargetError(
            "The interface board answers, and the device behind it does not, at "
            f"{facts.get('dut_baud', 'its')} baud",
            where=reach.where,
            remedy="Is the device powered? In energy mode its rate is 9600: write "
            "&dutbaud=9600.",
        ) from error


def _nobody(reach: Reach, garbled: list[int]) -> LinkTimeout:
    tried = _listed(reach.bauds)
    if garbled:
        return LinkTimeout(
            f"What answers at {_listed(garbled)} baud is no text, so that the board's "
            f"baud rate must be another one; {tried} were tried",
            where=reach.where,
            remedy="Look up the rate in the firmware's set-up of its UART and write "
            "?baud=N. If it is right, look at ground and cable.",
        )
    return LinkTimeout(
        f"No firmware of the MLPerf Tiny protocol answers at {tried} baud",
        where=reach.where,
        remedy="Is it flashed, is it the right port? Another rate: ?baud=N. Behind an "
        "interface board: ?via=interface",
    )


def _dut(reach: Reach, link: ByteLink, clock: Clock) -> tuple[Dut, dict[str, str]]:
    """Give the device at a link, or behind the interface board that is there."""
    if not reach.is_through_interface:
        return Dut(link, clock), {}
    interface = InterfaceBoard(link, clock)
    facts = {"interface": interface.require_name()}
    baud = interface.baud_of_device(reach.baud("dutbaud"))
    if baud is not None:
        facts["dut_baud"] = str(baud)
    return Dut(interface, clock, CHUNK_BYTES), facts


def _interface_of(dut: Dut) -> InterfaceBoard | None:
    return dut.link if isinstance(dut.link, InterfaceBoard) else None


def _listed(bauds: tuple[int, ...] | list[int]) -> str:
    return ", ".join(map(str, bauds))


def _simulated(reach: Reach, stack: ExitStack) -> McuTarget:
    """Open a wire to a simulated board, which lives in virtual time.

    ``sim:MODEL?ms=30&seed=1&mode=energy&power=20mW&idle=2mW&via=interface``. Raises
    SchemaError for an option that cannot be read.
    """
    clock = VirtualClock(HOST_CLOCK)
    option = reach.options.get
    board = SimulatedBoard(
        model=reach.place or "kws01",
        inference_ms=_number(reach, "ms", "30"),
        seed=int(_number(reach, "seed", "0")),
        is_energy=_is_energy(reach),
        active_w=parse_quantity(option("power", "20mW"), "W"),
        idle_w=parse_quantity(option("idle", "2mW"), "W"),
        misses=int(_number(reach, "misses", "0")),
        false_alarm_s=_number(reach, "alarm", "0"),
    )
    through = reach.is_through_interface
    instrument = SimulatedInterface(board) if through else board
    link = stack.enter_context(looped(instrument, clock, reach.where))
    dut, facts = _dut(reach, link, clock)
    return McuTarget(
        address=reach.where,
        dut=dut,
        firmware=_awake(dut, reach, facts),
        clock=clock,
        origin=Origin.SIMULATED,
        facts={"baud": str(board.baud), **facts},
        interface=_interface_of(dut),
        world=board,
    )


def _number(reach: Reach, name: str, default: str) -> float:
    try:
        return float(reach.options.get(name, default))
    except ValueError as error:
        raise _no_option(reach, str(error)) from error


def _is_energy(reach: Reach) -> bool:
    mode = reach.options.get("mode", "performance")
    if mode not in {"performance", "energy"}:
        raise _no_option(reach, f"'{mode}' is neither performance nor energy")
    return mode == "energy"


def _no_option(reach: Reach, what: str) -> SchemaError:
    return SchemaError(
        f"A simulated board cannot be set up so: {what}",
        where=reach.where,
        remedy="Write mcu@sim:kws01?ms=30&seed=1.",
    )

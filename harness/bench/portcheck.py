"""Look at serial ports: may they be opened, does somebody hold them, what are they.

No port is opened: closing one cuts the supply of a device that a PPK2 feeds. What
answers on a port is told by ``duanping meters --probe PORT``, and by that alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.bench.doctor import Check, State
from harness.links.hardware import is_pseudo_terminal
from harness.links.ports import Holder, holders, how_to_gain, may_open
from harness.plugins import Address

_BOOT_WORDS = ("bootloader", "dfu", "boot mode")
_MODEM_MANAGER = "ModemManager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A serial port as the system describes it."""

    path: str
    description: str = ""
    device: str = ""
    """Vendor, product and serial number: the same for all ports of one device."""
    place: str = ""
    """USB bus and interface, such as ``1-2:1.1``; the lowest is the one with data."""


def named_ports(meters: Mapping[str, str]) -> tuple[Port, ...]:
    """Give the serial ports that a lab file names as meters."""
    links = [Address.parse(address).link for address in meters.values()]
    places = [link.partition("?")[0].partition(":") for link in links]
    return tuple(
        Port(path=path, description="a meter of lab.toml")
        for kind, _, path in places
        if kind == "serial"
    )


def examine_ports(ports: Sequence[Port]) -> tuple[Check, ...]:
    """Check each port once; the first description of it counts."""
    once: dict[str, Port] = {}
    for port in ports:
        once.setdefault(port.path, port)
    return tuple(_examined(port, ports) for port in once.values())


def _examined(port: Port, all_ports: Sequence[Port]) -> Check:
    path = Path(port.path)
    if not path.exists():
        return _check(
            port,
            State.BAD,
            "not there",
            "A meter that is not plugged in measures nothing.",
            "Plug it in; list ports with: duanping meters",
        )
    if not may_open(path):
        return _check(
            port,
            State.BAD,
            "no right to open it",
            "Reading a meter needs the right to read and write its port.",
            how_to_gain(path),
        )
    if found := holders(path):
        return _held(port, found)
    return next(_oddities(port, all_ports), None) or _check(
        port, State.GOOD, port.description or "free", "Free, and may be opened."
    )


def _held(port: Port, found: Sequence[Holder]) -> Check:
    is_modem = any(holder.name == _MODEM_MANAGER for holder in found)
    remedy = "Close that program."
    if is_modem:
        remedy = "sudo systemctl stop ModemManager; it tries every port as a modem."
    return _check(
        port,
        State.BAD,
        "in use by " + ", ".join(map(str, found)),
        "Two readers would share the bytes; a meter's port is opened by one only.",
        remedy,
    )


def _oddities(port: Port, all_ports: Sequence[Port]) -> Iterator[Check]:
    """Yield what is odd about a port that could be opened."""
    if any(word in port.description.lower() for word in _BOOT_WORDS):
        yield _check(
            port,
            State.BAD,
            port.description,
            "It is in its bootloader: it waits for firmware and measures nothing.",
            "Unplug it and plug it in again, with no button held.",
        )
    if is_pseudo_terminal(Path(port.path)):
        yield _check(
            port,
            State.WORTH_A_LOOK,
            "a pseudo terminal",
            "A program is at its other end: readings are called simulated.",
            "For evidence, name the port of the instrument itself.",
        )
    siblings = [other for other in all_ports if other.device == port.device]
    first = min(siblings, key=lambda other: other.place, default=port)
    if port.device and port.place and first.path != port.path:
        yield _check(
            port,
            State.WORTH_A_LOOK,
            f"a further port of the device at {first.path}",
            "A PPK2 with firmware 1.2.0 or newer has two; readings come on the first.",
            f"Use {first.path}",
        )


def _check(port: Port, state: State, found: str, why: str, remedy: str = "") -> Check:
    return Check(
        name=f"port {port.path}", state=state, found=found, why=why, remedy=remedy
    )

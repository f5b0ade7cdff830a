"""From an address to an open meter: ``driver@link?option=value&…``.

What stands behind the ``@`` decides what the wire ends in: ``serial:PORT``,
``tcp:HOST:PORT`` and ``url:…`` lead to an instrument, ``sim:LOAD`` to a simulator of
it, ``replay:FILE`` to a capture. The driver is the same, and it cannot tell; only the
origin of what it reads is another, and that is decided here.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import unquote

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.errors import SchemaError, UnknownName, Unsupported
from harness.links.bytelink import KINDS, ByteLink, open_link
from harness.links.hardware import may_be_hardware
from harness.links.loop import looped
from harness.links.paced import PacedLink
from harness.links.replay import (
    Capture,
    Pace,
    RecordingLink,
    ReplayLink,
    Tape,
    load_capture,
    recording,
    replayed,
)
from harness.meters.base import Meter
from harness.meters.drivers import DRIVERS, Driver, Options, Wired
from harness.meters.loads import Drawn, parse_load
from harness.meters.misfortune import misfortunes, spoilt_link, spoilt_load
from harness.meters.misfortune import skewed as skewed_instrument
from harness.plugins import Address

ALL_KINDS = (*KINDS, "sim", "replay")
_EVERY_DRIVER = ("baud",)
_EVERY_SIMULATOR = ("seed", "fault")
_VIRTUAL_PACE_NS = 50_000_000
"""Shorter than what any simulated instrument can hold back, longer than a packet."""

Wrap = Callable[[ByteLink], ByteLink]
"""What is put between the driver and its link: nothing, a recorder, a fault."""


def open_meter(address: Address, clock: Clock) -> AbstractContextManager[Meter]:
    """Open the meter at an address; leaving the context closes its link.

    Raises UnknownName for an unknown driver, link, load or option, SchemaError for an
    option that cannot be read, Unsupported for one that is missing, LinkError and
    MeterError where nothing or something else answers.
    """
    return open_through(address, clock, lambda link: link)


@contextmanager
def open_recorded(address: Address, clock: Clock, path: Path) -> Iterator[Meter]:
    """Open a meter and write all that goes over its link to a capture file.

    The capture says where it came from, so that one of a simulator stays one.
    """
    with (
        recording(path, capture_facts(address, clock)) as recorder,
        open_taped(address, clock, recorder) as meter,
    ):
        yield meter


def capture_facts(address: Address, clock: Clock) -> dict[str, str]:
    """Say in a capture what it is of: address, origin, and the clock of its times."""
    return {
        "address": str(address),
        "origin": _origin(address),
        "clock": clock.name,
    }


def open_taped(
    address: Address, clock: Clock, tape: Tape
) -> AbstractContextManager[Meter]:
    """Open a meter, and have all that goes over its link taken down."""
    return open_through(
        address,
        clock,
        lambda link: RecordingLink(PacedLink(link, clock), clock, tape),
    )


@contextmanager
def open_captured(capture: Capture, clock: Clock, where: str) -> Iterator[Meter]:
    """Open the driver of a capture over its bytes, each at its own time.

    On a clock that is waited on at no cost, what the meter then gives is a function
    of the capture alone. Raises SchemaError for a capture that names no meter, and
    MeterError where its bytes are no answer of that meter.
    """
    address = Address.parse(capture.facts.get("address", ""))
    driver = _driver(address)
    _, _, options = _read(address, driver)
    with driver.connect(
        Wired(
            link=ReplayLink(capture, clock, where, Pace.EXACT),
            clock=clock,
            address=str(address),
            origin=_origin_of(capture),
            options=options,
            is_simulated=True,
        )
    ) as meter:
        yield meter


@contextmanager
def open_on(address: Address, clock: Clock, drawn: Drawn) -> Iterator[Meter]:
    """Open a simulated meter on what something drew, in place of a named load.

    Raises Unsupported for a real meter, or one whose address names a load.
    """
    kind, rest, _ = _read(address, _driver(address))
    if kind != "sim" or rest:
        raise Unsupported(
            "Only a simulated meter without a load of its own can read this",
            where=str(address),
            remedy=f"Write {address.driver}@sim:",
        )
    with open_through(
        address, clock, lambda link: PacedLink(link, clock, _VIRTUAL_PACE_NS), drawn
    ) as meter:
        yield meter


@contextmanager
def open_through(
    address: Address, clock: Clock, wrap: Wrap, drawn: Drawn | None = None
) -> Iterator[Meter]:
    """Open a meter with something put between it and its link.

    `drawn` takes the place of the load that a simulator's address names.
    """
    driver = _driver(address)
    kind, rest, options = _read(address, driver)
    address, options = _as_captured(address, kind, rest, options)
    with (
        _wire(driver, clock, f"{kind}:{rest}", options, drawn) as link,
        driver.connect(
            Wired(
                link=wrap(link),
                clock=clock,
                address=str(address),
                origin=_origin(address),
                options=options,
                is_simulated=kind in {"sim", "replay"},
            )
        ) as meter,
    ):
        yield meter


def check_address(address: Address) -> None:
    """Read an address without opening it. Raises UnknownName, SchemaError."""
    _read(address, _driver(address))


def is_captured(address: Address) -> bool:
    """Say whether a meter at this address is read out of a capture."""
    return address.link.partition("?")[0].partition(":")[0] == "replay"


def is_simulated(address: str) -> bool:
    """Say whether the wire of a meter's address ends in a simulator."""
    return Address.parse(address).link.startswith("sim:") if address else False


def _driver(address: Address) -> Driver:
    if address.driver not in DRIVERS:
        raise UnknownName("meter", address.driver, DRIVERS, where=str(address))
    return DRIVERS[address.driver]


def _read(address: Address, driver: Driver) -> tuple[str, str, Options]:
    """Cut the link into its kind, its place and its options."""
    place, _, query = address.link.partition("?")
    kind, _, rest = place.partition(":")
    if kind not in ALL_KINDS:
        raise UnknownName("kind of link", kind, ALL_KINDS, where=str(address))
    known = {*driver.options, *_EVERY_DRIVER}
    if kind == "sim":
        known |= {*_EVERY_SIMULATOR}
    values = {}
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if name not in known:
            raise UnknownName("option of this meter", name, known, where=str(address))
        if not equals:
            raise SchemaError(
                f"The option '{name}' has no value",
                where=str(address),
                remedy=f"Write {name}=…",
            )
        values[name] = unquote(value)
    return kind, rest, Options(values=values, where=str(address))


def _as_captured(
    address: Address, kind: str, rest: str, options: Options
) -> tuple[Address, Options]:
    """For a capture: the options with which it was made, and the driver it is of."""
    if kind != "replay":
        return address, options
    original = Address.parse(load_capture(Path(rest)).facts.get("address", "?@"))
    if original.driver != address.driver:
        raise Unsupported(
            f"This capture is of a {original.driver}, not of a {address.driver}",
            where=str(address),
            remedy=f"Write {original.driver}@{address.link}",
        )
    _, _, captured = _read(original, _driver(original))
    values = {**captured.values, **options.values}
    return address, Options(values=values, where=str(address))


@contextmanager
def _wire(
    driver: Driver, clock: Clock, where: str, options: Options, drawn: Drawn | None
) -> Iterator[ByteLink]:
    kind, _, rest = where.partition(":")
    match kind:
        case "sim":
            faults = misfortunes(options.values.get("fault", ""), options.where)
            load = drawn or parse_load(rest, options.whole("seed", 0))
            made = driver.simulate(spoilt_load(load, faults), options)
            instrument = skewed_instrument(made, faults)
            with looped(instrument, clock, where) as link:
                yield spoilt_link(link, clock, faults)
        case "replay":
            with replayed(load_capture(Path(rest)), clock, where) as link:
                yield link
        case _:
            baud = options.whole("baud", driver.baud)
            with open_link(where, baud=baud, parity=driver.parity) as link:
                yield link


def _origin(address: Address) -> Origin:
    """Say what readings over this link are; a capture is what it was made of."""
    kind, _, rest = address.link.partition("?")[0].partition(":")
    match kind:
        case "sim":
            return Origin.SIMULATED
        case "replay":
            return _origin_of(load_capture(Path(rest)))
        case _:
            is_real = may_be_hardware(kind, rest)
            return Origin.MEASURED if is_real else Origin.SIMULATED


def _origin_of(capture: Capture) -> Origin:
    """Say what a capture is worth: what does not say that it was measured was not."""
    is_measured = capture.facts.get("origin") == Origin.MEASURED
    return Origin.MEASURED if is_measured else Origin.SIMULATED

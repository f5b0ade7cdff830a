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

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.errors import SchemaError, UnknownName, Unsupported
from harness.links.bytelink import KINDS, ByteLink, open_link
from harness.links.loop import looped
from harness.links.replay import RecordingLink, load_capture, recording, replayed
from harness.meters.base import Meter
from harness.meters.drivers import DRIVERS, Driver, Options, Wired
from harness.meters.loads import Drawn, parse_load
from harness.plugins import Address

ALL_KINDS = (*KINDS, "sim", "replay")
_EVERY_DRIVER = ("baud",)
_EVERY_SIMULATOR = ("seed",)
_PACE_NS = 50_000_000

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
    facts = {"address": str(address), "origin": _origin(address)}
    with (
        recording(path, facts) as recorder,
        open_through(
            address, clock, lambda link: RecordingLink(link, clock, recorder)
        ) as meter,
    ):
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
        address, clock, lambda link: _PacedLink(link, clock), drawn
    ) as meter:
        yield meter


class _PacedLink:
    """Lets virtual time pass in steps, as a host does that polls: 50 ms a read.

    Shorter than what any simulated instrument can hold back, longer than a packet.
    """

    def __init__(self, inner: ByteLink, clock: Clock) -> None:
        self.where = inner.where
        self._inner = inner
        self._clock = clock

    def read(self, most: int, until: Deadline) -> bytes:
        """Give what has come by then, or later the first that comes."""
        self._clock.wait_until(min(self._clock.now_ns() + _PACE_NS, until.at_ns))
        return self._inner.read(most, until)

    def write(self, data: bytes) -> None:
        """Pass the bytes on."""
        self._inner.write(data)


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
                origin=Origin(_origin(address)),
                options=options,
            )
        ) as meter,
    ):
        yield meter


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
            load = drawn or parse_load(rest, options.whole("seed", 0))
            with looped(driver.simulate(load, options), clock, where) as link:
                yield link
        case "replay":
            with replayed(load_capture(Path(rest)), clock, where) as link:
                yield link
        case _:
            baud = options.whole("baud", driver.baud)
            with open_link(where, baud=baud, parity=driver.parity) as link:
                yield link


def _origin(address: Address) -> str:
    """Say what readings over this link are; a capture is what it was made of."""
    kind, _, rest = address.link.partition("?")[0].partition(":")
    match kind:
        case "sim":
            return Origin.SIMULATED
        case "replay":
            # what does not say that it was measured was not
            facts = load_capture(Path(rest)).facts
            is_measured = facts.get("origin") == Origin.MEASURED
            return Origin.MEASURED if is_measured else Origin.SIMULATED
        case _:
            return Origin.MEASURED

"""``joulescope@``, ``joulescope@000415``, ``joulescope@sim:idle-10mW``."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.errors import SchemaError, UnknownName, Unsupported
from harness.meters.base import Meter
from harness.meters.joulescope.driver import Joulescope, Library, choose, mapped
from harness.meters.loads import parse_load
from harness.plugins import Address


@contextmanager
def open_joulescope(address: Address, clock: Clock) -> Iterator[Meter]:
    """Open the Joulescope at an address: its path, its serial number, or the only one.

    Raises Unsupported without its library, MeterError where it is not there,
    LinkError where it cannot be opened.
    """
    place, _, query = address.link.partition("?")
    if place.startswith("sim:"):
        with _simulated(address, place, query, clock) as meter:
            yield meter
        return
    if query:
        raise UnknownName("option of this meter", query, (), where=str(address))
    library = importlib.import_module(_required()).Driver
    with mapped(str(address)):
        opened = library()
    with opened as driver:
        yield from _opened(driver, clock, place, str(address), Origin.MEASURED)


def _required() -> str:
    name = "pyjoulescope_driver"
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise Unsupported(
            "The Python package pyjoulescope_driver is not installed",
            where="joulescope@",
            remedy="pip install 'duanping[joulescope]'",
        ) from error
    return name


def _opened(
    library: object, clock: Clock, asked: str, address: str, origin: Origin
) -> Iterator[Meter]:
    typed = cast("Library", library)
    path = choose(typed, asked)
    with mapped(address):
        typed.open(path, "defaults")
    try:
        yield Joulescope(typed, clock, path=path, address=address, origin=origin)
    finally:
        typed.close(path)


@contextmanager
def _simulated(
    address: Address, place: str, query: str, clock: Clock
) -> Iterator[Meter]:
    sim = importlib.import_module("harness.meters.joulescope.sim")
    name, _, value = query.partition("=")
    if query and name != "seed":
        raise UnknownName("option of this meter", name, ("seed",), where=str(address))
    if query and not value.isdecimal():
        raise SchemaError(f"'{value}' is no whole number", where=f"{address}: seed")
    load = parse_load(place.removeprefix("sim:"), int(value or 0))
    library = sim.FakeLibrary(load)
    pumped = sim.PumpedClock(clock, library)
    yield from _opened(library, pumped, "", str(address), Origin.SIMULATED)

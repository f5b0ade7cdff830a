"""Openers of the meters that are part of the machine, by address.

``rapl@``, ``hwmon@ina3221/VDD_IN``, ``battery@?check=120``, ``nvml@0``. There is no
link behind the ``@``. The option ``root`` names another folder than ``/sys``; what is
read there is no measurement of this machine, and its origin says so.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.errors import SchemaError, UnknownName
from harness.meters.base import Meter
from harness.meters.onhost.gauge import open_gauge, settle_unit
from harness.meters.onhost.hwmon import open_hwmon
from harness.meters.onhost.nvml import open_nvml
from harness.meters.onhost.rapl import open_rapl
from harness.plugins import Address

_SYS = Path("/sys")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What stands behind the ``@``."""

    name: str
    options: dict[str, str]

    @property
    def root(self) -> Path:
        return Path(self.options.get("root", _SYS))

    @property
    def origin(self) -> Origin:
        return Origin.MEASURED if self.root == _SYS else Origin.SIMULATED


def open_rapl_meter(address: Address, clock: Clock) -> AbstractContextManager[Meter]:
    """Open ``rapl@``. Raises Unsupported, MeterError, UnknownName."""
    place = _read(address, "root")
    _require_no_name(address, place)
    return nullcontext(
        open_rapl(clock, address=str(address), origin=place.origin, root=place.root)
    )


def open_hwmon_meter(address: Address, clock: Clock) -> AbstractContextManager[Meter]:
    """Open ``hwmon@RAIL``, or ``hwmon@`` for all rails. Raises Unsupported."""
    place = _read(address, "root")
    return nullcontext(
        open_hwmon(
            clock,
            address=str(address),
            origin=place.origin,
            rail=place.name,
            root=place.root,
        )
    )


def open_battery_meter(address: Address, clock: Clock) -> AbstractContextManager[Meter]:
    """Open ``battery@``; ``?check=S`` measures its unit for so many seconds first.

    Raises Unsupported, MeterError, SchemaError, UnknownName.
    """
    place = _read(address, "root", "check")
    _require_no_name(address, place)
    seconds = _number(address, "check", place.options.get("check", "0"))
    unit = settle_unit(clock, root=place.root, seconds=seconds) if seconds else None
    return nullcontext(
        open_gauge(
            clock,
            address=str(address),
            origin=place.origin,
            root=place.root,
            unit=unit,
        )
    )


@contextmanager
def open_nvml_meter(address: Address, clock: Clock) -> Iterator[Meter]:
    """Open ``nvml@NUMBER``, or ``nvml@`` for the first GPU. Raises Unsupported."""
    place = _read(address)
    index = _number(address, "the GPU's number", place.name or "0")
    with open_nvml(
        clock, address=str(address), origin=Origin.MEASURED, index=index
    ) as meter:
        yield meter


def _read(address: Address, *known: str) -> _Place:
    name, _, query = address.link.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for option in options:
        if option not in known:
            raise UnknownName("option of this meter", option, known, where=str(address))
    return _Place(name=name, options=options)


def _require_no_name(address: Address, place: _Place) -> None:
    if place.name:
        raise SchemaError(
            f"A meter of this machine has no link, but there is '{place.name}'",
            where=str(address),
            remedy=f"Write {address.driver}@",
        )


def _number(address: Address, what: str, text: str) -> int:
    if not text.isdecimal():
        raise SchemaError(
            f"'{text}' is no whole number",
            where=f"{address}: {what}",
            remedy="Write digits only.",
        )
    return int(text)

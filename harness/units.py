"""Units: SI inside, people's units at the rim.

Reads "5 mW", "32 ms", "640 KiB" into SI numbers and knows the scale of every unit
that a tier set or a profile may use. It does not format numbers for people: that
is the report's job.
"""

import re
from types import MappingProxyType
from typing import NewType

from harness.errors import SchemaError, UnknownName

Nanoseconds = NewType("Nanoseconds", int)
Bytes = NewType("Bytes", int)

NS_PER_S = 1_000_000_000

_SCALES: dict[str, tuple[str, float]] = {
    # time
    "s": ("s", 1.0),
    "ms": ("s", 1e-3),
    "us": ("s", 1e-6),
    "µs": ("s", 1e-6),
    "ns": ("s", 1e-9),
    "min": ("s", 60.0),
    "h": ("s", 3600.0),
    # memory: IEC 80000-13 binary prefixes, and bytes
    "B": ("B", 1.0),
    "KiB": ("B", 1024.0),
    "MiB": ("B", 1024.0**2),
    "GiB": ("B", 1024.0**3),
    "kB": ("B", 1e3),
    "MB": ("B", 1e6),
    "GB": ("B", 1e9),
    # power, energy, electricity
    "W": ("W", 1.0),
    "mW": ("W", 1e-3),
    "uW": ("W", 1e-6),
    "µW": ("W", 1e-6),
    "kW": ("W", 1e3),
    "J": ("J", 1.0),
    "mJ": ("J", 1e-3),
    "uJ": ("J", 1e-6),
    "µJ": ("J", 1e-6),
    "nJ": ("J", 1e-9),
    "pJ": ("J", 1e-12),
    "Wh": ("J", 3600.0),
    "mWh": ("J", 3.6),
    "V": ("V", 1.0),
    "mV": ("V", 1e-3),
    "A": ("A", 1.0),
    "mA": ("A", 1e-3),
    "uA": ("A", 1e-6),
    "Ohm": ("Ohm", 1.0),
    "kOhm": ("Ohm", 1e3),
    "MOhm": ("Ohm", 1e6),
    # rates
    "Hz": ("Hz", 1.0),
    "kHz": ("Hz", 1e3),
    "MHz": ("Hz", 1e6),
    "GHz": ("Hz", 1e9),
    "1/s": ("Hz", 1.0),
    "MAC/s": ("MAC/s", 1.0),
    "MMAC/s": ("MAC/s", 1e6),
    "GMAC/s": ("MAC/s", 1e9),
    "TMAC/s": ("MAC/s", 1e12),
    "B/s": ("B/s", 1.0),
    "MB/s": ("B/s", 1e6),
    "GB/s": ("B/s", 1e9),
    "MAC": ("MAC", 1.0),
    "MMAC": ("MAC", 1e6),
    "GMAC": ("MAC", 1e9),
    "J/MAC": ("J/MAC", 1.0),
    "pJ/MAC": ("J/MAC", 1e-12),
    "J/B": ("J/B", 1.0),
    "pJ/B": ("J/B", 1e-12),
    "K/W": ("K/W", 1.0),
    # temperature as the trade writes it; an offset scale is not converted
    "degC": ("degC", 1.0),
    # dimensionless and counted
    "ratio": ("ratio", 1.0),
    "%": ("ratio", 0.01),
    "1": ("1", 1.0),
    "%/h": ("ratio/h", 0.01),
    "1/day": ("1/day", 1.0),
    "grade": ("grade", 1.0),
    "users": ("users", 1.0),
    "events": ("events", 1.0),
    "instructions": ("instructions", 1.0),
    "tok/J": ("tok/J", 1.0),
    "tok/s": ("tok/s", 1.0),
}

SCALES = MappingProxyType(_SCALES)
"""Unit as written → (unit inside, factor)."""

_QUANTITY = re.compile(r"^\s*([+-]?\d++(?:\.\d++)?+(?:[eE][+-]?\d++)?+)\s*(\S+)\s*$")
"""Possessive: a number alone must not lend its last digit as the unit."""


def to_si(value: float, unit: str) -> float:
    """Convert a value in a written unit to the unit used inside.

    Raises UnknownName for a unit that is not in `SCALES`.

    >>> to_si(32, "ms")
    0.032
    """
    return value * _scale(unit)[1]


def from_si(value: float, unit: str) -> float:
    """Convert a value in the unit used inside to a written unit.

    >>> from_si(0.032, "ms")
    32.0
    """
    return value / _scale(unit)[1]


def si_unit(unit: str) -> str:
    """Name the unit used inside for a written unit.

    >>> si_unit("KiB")
    'B'
    """
    return _scale(unit)[0]


def parse_quantity(text: str, expected: str) -> float:
    """Read "5 mW" as a number in the unit used inside.

    `expected` is the unit inside that the place wants ("W"). Raises SchemaError
    where the text is no quantity or its unit measures something else.

    >>> parse_quantity("5 mW", "W")
    0.005
    """
    match = _QUANTITY.match(text)
    if match is None:
        raise SchemaError(
            f"'{text}' is not a quantity",
            remedy=f'Write a number and a unit, such as "5 {example_unit(expected)}".',
        )
    number, unit = match.groups()
    if unit not in _SCALES:
        raise UnknownName("unit", unit, units_of(expected))
    found, factor = _SCALES[unit]
    if found != expected:
        raise SchemaError(
            f"'{text}' is in {unit}, which does not measure what is asked for here",
            remedy=f"Use one of: {', '.join(units_of(expected))}.",
        )
    return float(number) * factor


def units_of(expected: str) -> tuple[str, ...]:
    """List the written units that measure the same as one unit inside."""
    return tuple(name for name, (si, _) in _SCALES.items() if si == expected)


def example_unit(expected: str) -> str:
    """Give one written unit for a unit inside, for use in a remedy."""
    return next(iter(units_of(expected)), expected)


def _scale(unit: str) -> tuple[str, float]:
    try:
        return _SCALES[unit]
    except KeyError:
        raise UnknownName("unit", unit, _SCALES) from None

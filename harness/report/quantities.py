"""Numbers for people: units that suit the size, digits that suit the uncertainty.

Inside, everything is SI and unrounded; what is written here is for reading only and
is never read back.
"""

from collections.abc import Sequence
from math import floor, log10

from harness.domain.estimate import Estimate
from harness.units import from_si, si_unit, to_si

_LADDERS: dict[str, tuple[str, ...]] = {
    "s": ("ns", "us", "ms", "s"),
    "J": ("nJ", "uJ", "mJ", "J"),
    "W": ("uW", "mW", "W"),
    "B": ("B", "KiB", "MiB", "GiB"),
}
"""Unit inside → written units that a value may be shown in, smallest first."""

_ENDINGS = {
    "_ns": "ns",
    "_s": "s",
    "_j": "J",
    "_w": "W",
    "_bytes": "B",
    "_hz": "Hz",
    "_degc": "degC",
}
"""Ending of a value's name → the unit that it is in."""

_FIXED = {"ratio/h": "%/h", "Hz": "1/s"}

_PRINTED = {"us": "µs", "uJ": "µJ", "uW": "µW", "uA": "µA", "degC": "°C"}
_UNPRINTED = frozenset({"ratio", "1"})

_SECONDS_SHOWN_IN_HOURS = 36_000.0
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST_PLAIN = 1e-4
_LARGEST_PLAIN = 1e7
_MOST_DIGITS = 6
"""Digits of a value at most, however small its uncertainty."""

NO_BREAK = "\u00a0"
THIN = "\u202f"
OPEN_END = "…"
"""Stands for a bound that does not exist for want of data."""


def unit_for(unit: str, value: float) -> str:
    """Choose the written unit in which `value`, in the unit inside, reads best."""
    if unit == "s" and abs(value) >= _SECONDS_SHOWN_IN_HOURS:
        return "h"
    if unit not in _LADDERS:
        return _FIXED.get(unit, unit)
    ladder = _LADDERS[unit]
    fitting = [name for name in ladder if abs(from_si(value, name)) >= 1]
    return fitting[-1] if fitting else ladder[0] if value else ladder[-1]


def printed_unit(unit: str) -> str:
    """Write a unit as it is printed; nothing for a ratio or a count."""
    return "" if unit in _UNPRINTED else _PRINTED.get(unit, unit)


def number(value: float, digits: int = 3) -> str:
    r"""Write a number with so many significant digits.

    >>> number(0.0123456), number(31234.0), number(0.0000123)
    ('0.0123', '31\u202f200', '1.23×10⁻⁵')
    """
    if value == 0:
        return "0"
    return _with_decimals(value, digits - 1 - _exponent(value, digits))


def rounded_pair(value: float, uncertainty: float) -> tuple[str, str]:
    r"""Write a value and its U with the digits that U allows: two of its own.

    JCGM 100, 7.2.6: the uncertainty has at most two digits, and the value ends
    where it ends.

    >>> rounded_pair(20.01234, 0.0567)
    ('20.012', '0.057')
    """
    if uncertainty <= 0:
        return number(value), "0"
    wanted = 1 - _exponent(uncertainty, 2)
    finest = _MOST_DIGITS - 1 - _exponent(value, _MOST_DIGITS) if value else wanted
    decimals = min(wanted, finest)
    if abs(value) >= _LARGEST_PLAIN or decimals > _MOST_DIGITS:
        return number(value), number(uncertainty, 2)
    if decimals < wanted:
        return _fixed(value, decimals), number(uncertainty, 2)
    return _fixed(value, decimals), _fixed(uncertainty, decimals)


def quantity(value: float, unit: str) -> str:
    """Write a value given in the unit inside, in the unit that reads best."""
    return in_unit(value, unit_for(unit, value))


def in_unit(value: float, unit: str) -> str:
    """Write a value given in the unit inside, in one written unit."""
    return _joined(number(from_si(value, unit)), unit)


def exactly(value: float, unit: str) -> str:
    r"""Write a limit or a setting: as it was given, without zeros added to it.

    >>> exactly(0.032, "ms"), exactly(2.0, "s")
    ('32\xa0ms', '2\xa0s')
    """
    return _joined(exact_number(from_si(value, unit)), unit)


def exact_number(value: float) -> str:
    """Write a number that was given, such as a limit, without zeros added to it."""
    return f"{value:,.10g}".replace(",", THIN)


def estimate_text(estimate: Estimate, unit: str | None = None) -> str:
    """Write an estimate as *value ± U unit*; the value alone where it is exact.

    `unit` is a written unit; where it is not given, the one that reads best.
    """
    unit = unit or unit_for(estimate.measurand.unit, estimate.value)
    value, uncertainty = rounded_pair(
        from_si(estimate.value, unit), from_si(estimate.expanded_uncertainty, unit)
    )
    text = f"{value} ± {uncertainty}" if estimate.standard_uncertainty else value
    return _joined(text, unit)


def distinct(values: Sequence[float]) -> list[str]:
    r"""Write numbers with the digits that tell them apart, 3 at least and 6 at most.

    >>> distinct([33.1012, 33.1489]), distinct([10.0, 20.0])
    (['33.10', '33.15'], ['10.0', '20.0'])
    """
    texts = [number(value) for value in values]
    for digits in range(4, _MOST_DIGITS + 1):
        if len(set(texts)) == len(set(values)):
            break
        texts = [number(value, digits) for value in values]
    return texts


def bounds_text(estimate: Estimate) -> str:
    """Write the one-sided bounds of an estimate as *lower – upper unit*."""
    lower, upper = estimate.lower_bound, estimate.upper_bound
    there = [bound for bound in (lower, upper) if bound is not None]
    if not there:
        return "–"
    unit = unit_for(estimate.measurand.unit, max(there, key=abs))
    texts = iter(distinct([from_si(bound, unit) for bound in there]))
    ends = [OPEN_END if bound is None else next(texts) for bound in (lower, upper)]
    return _joined(" – ".join(ends), unit)


def named_value(value: str | float, name: str) -> str:
    r"""Write a value whose unit is the ending of its name, as names do inside.

    >>> named_value(20_500_000, "latency_ns"), named_value(3, "runs")
    ('20.5\xa0ms', '3')
    """
    if isinstance(value, bool | str):
        return str(value)
    unit = next((u for ending, u in _ENDINGS.items() if name.endswith(ending)), None)
    if unit is not None:
        return quantity(to_si(value, unit), si_unit(unit))
    return count(value) if isinstance(value, int) else number(value)


def count(value: int) -> str:
    r"""Write a whole number with thin spaces between the thousands.

    >>> count(2657000)
    '2\u202f657\u202f000'
    """
    return f"{value:,}".replace(",", THIN)


def probability(value: float) -> str:
    r"""Write a probability as a percentage that never rounds to 0 or 100 %.

    >>> probability(0.9999), probability(0.5), probability(0.0)
    ('> 99.9\xa0%', '50.0\xa0%', '< 0.1\xa0%')
    """
    percent = 100 * value
    if percent > 99.9:  # noqa: PLR2004 - the last figure that is printed
        return f"> 99.9{NO_BREAK}%"
    if percent < 0.1:  # noqa: PLR2004 - the first figure that is printed
        return f"< 0.1{NO_BREAK}%"
    return f"{percent:.1f}{NO_BREAK}%"


def _joined(text: str, unit: str) -> str:
    shown = printed_unit(unit)
    return f"{text}{NO_BREAK}{shown}" if shown else text


def _exponent(value: float, digits: int) -> int:
    """Power of ten of the first digit after rounding to so many digits."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2])


def _with_decimals(value: float, decimals: int) -> str:
    if _SMALLEST_PLAIN <= abs(value) < _LARGEST_PLAIN:
        return _fixed(value, decimals)
    exponent = floor(log10(abs(value)))
    mantissa = f"{value / 10.0**exponent:.2f}".rstrip("0").rstrip(".")
    return f"{mantissa}×10{str(exponent).translate(_SUPERSCRIPTS)}"


def _fixed(value: float, decimals: int) -> str:
    text = f"{round(value, decimals):,.{max(decimals, 0)}f}"
    return text.replace(",", THIN)

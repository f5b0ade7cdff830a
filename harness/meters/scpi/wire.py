"""SCPI lines: cut bytes into lines, and read values, identity and errors. Pure.

Facts from the Yokogawa communication manual (IM WT310E-17EN, chapters 5 and 6), from
IEEE 488.2 and from SCPI-99, 21.8:

- A message ends with a line feed; some instruments send a carriage return before it.
- Numbers come as NR1, NR2 or NR3, several of them apart by commas. A WT310E gives
  ``INF`` for a quantity beyond its range and ``NAN`` where there is no data; SCPI-99
  (7.2.1.4) has 9.9E37 for infinity and 9.91E37 for not-a-number.
- A Hioki PW3335 names each number: ``U +230.12E+0;I +0.1000E+0``.
- An error query gives a number and a text; 0 is "no error".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from harness.meters.answer import Decoded, Fault, Frame, Garbage, NeedMore

LINE_FEED = b"\n"
LONGEST_LINE = 1024
"""More bytes than this without a line feed are no reply to anything asked here."""

_FIRST_PRINTABLE, _LAST_PRINTABLE = 0x20, 0x7E
_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$")
_SCPI_INFINITY = 9.9e37
_SCPI_NOT_A_NUMBER = 9.91e37
_INFINITE = frozenset({"INF", "INFINITY", "OL", "OVER"})
_ABSENT = frozenset({"NAN", "---"})


class Missing(Enum):
    """Why there is no number where one was asked for."""

    OVER_RANGE = "over-range"
    NO_DATA = "no-data"


Value = float | Missing


class Form(Enum):
    """How several values stand on one line."""

    LIST = "list"
    """Numbers apart by commas."""
    LABELLED = "labelled"
    """Name, blank, number; apart by semicolons."""


def encode(message: str) -> bytes:
    """Write one program message."""
    return message.encode("ascii") + LINE_FEED


def cut_line(data: bytes) -> Decoded[str]:
    """Take the first line, without its end; what follows it is not looked at.

    Garbage where the line is not printable ASCII, or never ends.
    """
    head, end, _ = data.partition(LINE_FEED)
    if not end:
        if len(data) > LONGEST_LINE:
            return _shape(f"{len(data)} bytes came without an end of line")
        return NeedMore()
    text = head.rstrip(b"\r")
    if not all(_FIRST_PRINTABLE <= byte <= _LAST_PRINTABLE for byte in text):
        return _shape(f"{text[:40]!r} is no text")
    return Frame(value=text.decode("ascii").strip())


def rest_of(data: bytes) -> bytes:
    """Give what follows the first line."""
    return data.partition(LINE_FEED)[2]


def parse_values(
    line: str, form: Form, names: Sequence[str]
) -> Frame[tuple[Value, ...]] | Garbage:
    """Read as many values as there are names, in their order, in the meter's units.

    Every field has to match a number or a word for a missing one as a whole, so that
    a damaged field is never read as some other number.
    """
    fields = _list(line) if form is Form.LIST else _labelled(line, names)
    if fields is None or len(fields) != len(names):
        return _shape(f"'{line[:60]}' does not hold the values {', '.join(names)}")
    values = [_value(field) for field in fields]
    known = tuple(value for value in values if value is not None)
    if len(known) != len(values):
        return _shape(f"'{line[:60]}' holds something that is no number")
    return Frame(value=known)


def _list(line: str) -> list[str]:
    return [field.strip() for field in line.split(",")]


def _labelled(line: str, names: Sequence[str]) -> list[str] | None:
    found: dict[str, str] = {}
    for part in line.split(";"):
        name, _, text = part.strip().partition(" ")
        if name in found:
            return None
        found[name] = text.strip()
    if set(found) != set(names):
        return None
    return [found[name] for name in names]


def _value(field: str) -> Value | None:
    word = field.upper().lstrip("+-")
    if word in _INFINITE:
        return Missing.OVER_RANGE
    if word in _ABSENT:
        return Missing.NO_DATA
    if not _NUMBER.match(field):
        return None
    number = float(field)
    if abs(number) >= _SCPI_INFINITY:
        is_absent = abs(number) >= _SCPI_NOT_A_NUMBER
        return Missing.NO_DATA if is_absent else Missing.OVER_RANGE
    return number


_IDENTITY_FIELDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The four fields of ``*IDN?`` (IEEE 488.2, 10.14)."""

    maker: str
    model: str
    serial_number: str
    firmware: str


def parse_identity(line: str) -> Frame[Identity] | Garbage:
    """Read the reply to ``*IDN?``."""
    fields = _list(line)
    if len(fields) < _IDENTITY_FIELDS or not all(fields[:2]):
        return _shape(f"'{line[:60]}' is no answer to *IDN?")
    return Frame(
        value=Identity(
            maker=fields[0],
            model=fields[1],
            serial_number=fields[2],
            firmware=",".join(fields[3:]),
        )
    )


_ERROR = re.compile(r'^([+-]?\d+)(?:\s*,\s*"?([^"]*)"?)?$')


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedError:
    """What stands first in an instrument's error queue; number 0: nothing."""

    number: int
    text: str


def parse_error(line: str) -> Frame[QueuedError] | Garbage:
    """Read the reply to an error query, such as ``0,"No error"``."""
    match = _ERROR.match(line)
    if match is None:
        return _shape(f"'{line[:60]}' is no answer to an error query")
    return Frame(value=QueuedError(number=int(match[1]), text=match[2] or ""))


def _shape(detail: str) -> Garbage:
    return Garbage(fault=Fault.SHAPE, detail=detail)

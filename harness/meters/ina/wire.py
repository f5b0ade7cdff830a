"""The lines of an INA board: header and readings, each with a check value. Pure.

The protocol, as ``docs/how-to/ina-firmware.md`` describes it for firmware authors:

- ``$H,<chip>,<key>=<value>,…*<CRC>`` answers ``?``. Keys: ``column`` (``shunt_nv`` or
  ``current_ua``), ``shunt_uohm``, ``period_us``, and for the record ``avg``,
  ``ct_us``, ``fw``.
- ``$P,<sequence>,<t_us>,<bus_uv>,<column>,<flags>*<CRC>`` is one reading. The sequence
  is modulo 2¹⁶, the time modulo 2³² µs (71.6 min), the flags are hexadecimal.
- The CRC is CRC-16/IBM-3740 (also called CCITT-FALSE: polynomial 0x1021, start
  0xFFFF) over what stands between ``$`` and ``*``, as four hexadecimal digits.
- Lines end with CR LF. Commands: ``?`` header, ``S`` start, ``X`` stop, then LF.
"""

import binascii
import re
from dataclasses import dataclass

from harness.meters.answer import Decoded, Fault, Frame, Garbage, NeedMore

ASK = b"?\n"
START = b"S\n"
STOP = b"X\n"

SEQUENCE_MODULUS = 1 << 16
TIME_MODULUS_US = 1 << 32
LONGEST_LINE = 200

SATURATED = 0x01
"""The shunt or bus converter stood at the end of its range."""
LATE = 0x02
"""The firmware came too late for at least one conversion before this one."""

_READING = re.compile(
    r"P,(\d{1,5}),(\d{1,10}),(-?\d{1,10}),(-?\d{1,10}),([0-9A-Fa-f]{1,2})"
)
_HEADER = re.compile(r"H,([A-Z0-9]+)((?:,[a-z_]+=[A-Za-z0-9._-]+)*)")
_LINE = re.compile(r"\$([ -)+-~]*)\*([0-9A-Fa-f]{4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the board says of itself."""

    chip: str
    fields: dict[str, str]

    @property
    def shunt_ohm(self) -> float | None:
        """Resistance of the shunt in Ω; None where the column is a current already."""
        if self.fields.get("column") == "current_ua":
            return None
        return int(self.fields["shunt_uohm"]) * 1e-6

    @property
    def period_s(self) -> float:
        """Nominal interval between readings, in s."""
        return int(self.fields["period_us"]) * 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading as it stands on its line."""

    sequence: int
    time_us: int
    bus_uv: int
    column: int
    """Shunt voltage in nV, or current in µA; the header says which."""
    flags: int

    def current_a(self, shunt_ohm: float | None) -> float:
        """Give the current in A."""
        if shunt_ohm is None:
            return self.column * 1e-6
        return self.column * 1e-9 / shunt_ohm


Line = Header | Reading


def decode(data: bytes) -> Decoded[Line]:
    """Read the first line; what follows it is not looked at."""
    head, end, _ = data.partition(b"\n")
    if not end:
        if len(data) > LONGEST_LINE:
            return _garbage(Fault.SHAPE, f"{len(data)} bytes without an end of line")
        return NeedMore()
    text = head.rstrip(b"\r").decode("ascii", errors="replace")
    match = _LINE.fullmatch(text)
    if match is None:
        return _garbage(Fault.SHAPE, f"'{text[:40]}' is no line of this protocol")
    body, check = match.groups()
    if binascii.crc_hqx(body.encode(), 0xFFFF) != int(check, 16):
        return _garbage(Fault.CHECKSUM, f"the check value of '{text[:40]}' is wrong")
    return _line(body)


def rest_of(data: bytes) -> bytes:
    """Give what follows the first line."""
    return data.partition(b"\n")[2]


def _line(body: str) -> Decoded[Line]:
    reading = _READING.fullmatch(body)
    if reading is not None:
        sequence, time_us, bus_uv, column = (
            int(field) for field in reading.groups()[:4]
        )
        if sequence < SEQUENCE_MODULUS and time_us < TIME_MODULUS_US:
            return Frame(
                value=Reading(
                    sequence=sequence,
                    time_us=time_us,
                    bus_uv=bus_uv,
                    column=column,
                    flags=int(reading[5], 16),
                )
            )
    header = _HEADER.fullmatch(body)
    if header is None:
        return _garbage(Fault.SHAPE, f"'{body[:40]}' is neither header nor reading")
    pairs = [pair.partition("=") for pair in header[2].split(",") if pair]
    return _header(header[1], {key: value for key, _, value in pairs})


def _header(chip: str, fields: dict[str, str]) -> Decoded[Line]:
    wanted = ["period_us"]
    if fields.get("column") != "current_ua":
        wanted.append("shunt_uohm")
    for key in wanted:
        if not fields.get(key, "").isdecimal() or int(fields[key]) == 0:
            return _garbage(Fault.SHAPE, f"the header says no {key}")
    return Frame(value=Header(chip=chip, fields=fields))


def _garbage(fault: Fault, detail: str) -> Garbage:
    return Garbage(fault=fault, detail=detail)

"""DL/T 645-2007 on the wire: read requests and their replies. Pure.

Facts from DL/T 645-2007, sections 5 (data link layer), 7 and annex A:

- ``FE FE FE FE 68 A0…A5 68 C L data CS 16``. The address is twelve digits in BCD, the
  last two digits first. Every byte of data travels with 33 added. CS is the sum,
  modulo 256, of all bytes from the first 68 on.
- C 11 reads the item whose identifier is in the data, its lowest byte first; the reply
  is C 91 with identifier and value, or D1 with one byte of error. C 13 to the address
  ``AA AA AA AA AA AA`` asks a lone meter for its own; the reply is C 93.
- Values are BCD, lowest byte first; the top bit of the highest byte is the sign of
  current, power and power factor.
- 2400 Bd 8E1 as it leaves the factory (1200 to 19200).
"""

from dataclasses import dataclass

from harness.meters.answer import Decoded, Fault, Frame, Garbage, NeedMore

BAUD = 2400
BITS_PER_CHARACTER = 11
ANYONE = "A" * 12
ENERGY_MODULUS = 100_000_000
"""The register shows XXXXXX.XX kWh."""
JOULES_PER_COUNT = 36_000.0
_PREAMBLE = b"\xfe\xfe\xfe\xfe"
_START, _END = 0x68, 0x16
_ADDRESS_BYTES = 6
_HEAD_BYTES = 10
_OFFSET = 0x33
_READ, _READ_ADDRESS = 0x11, 0x13
_IS_REPLY, _IS_ERROR = 0x80, 0x40
_IDENTIFIER_BYTES = 4
_ERRORS = (
    "other error",
    "no such data",
    "wrong password or no permission",
    "the speed cannot be changed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A quantity that a meter tells: its identifier and how its digits are meant."""

    identifier: int
    size: int
    """Bytes of BCD."""
    scale: float
    """What one count is worth, in the unit used inside."""
    is_signed: bool = False


ITEMS = {
    "voltage": Item(identifier=0x02010100, size=2, scale=0.1),
    "current": Item(identifier=0x02020100, size=3, scale=0.001, is_signed=True),
    "power": Item(identifier=0x02030000, size=3, scale=0.1, is_signed=True),
    "power_factor": Item(identifier=0x02060000, size=2, scale=0.001, is_signed=True),
    "frequency": Item(identifier=0x02800002, size=2, scale=0.01),
    "energy": Item(identifier=0x00000000, size=4, scale=JOULES_PER_COUNT),
}
"""Annex A, tables A.1 and A.3: phase A, total active power, forward active energy."""


def read_request(address: str, item: Item) -> bytes:
    """Encode the question for an item. Raises ValueError for no address."""
    return _framed(address, _READ, item.identifier.to_bytes(4, "little"))


def address_request() -> bytes:
    """Encode the question for the address of a lone meter."""
    return _framed(ANYONE, _READ_ADDRESS, b"")


def decode_value(buffer: bytes, address: str, item: Item) -> Decoded[int]:
    """Read the reply with an item's value; gives counts, with their sign."""
    found = _reply(buffer, _READ)
    if not isinstance(found, Frame):
        return found
    who, data = found.value
    identifier = item.identifier.to_bytes(_IDENTIFIER_BYTES, "little")
    if address not in {who, ANYONE} or data[:_IDENTIFIER_BYTES] != identifier:
        return Garbage(
            fault=Fault.SHAPE,
            detail=f"the reply is of meter {who} about {data[:4][::-1].hex()}",
        )
    count = _counts(data[_IDENTIFIER_BYTES:], item)
    if count is None:
        return Garbage(
            fault=Fault.SHAPE, detail=f"{data[4:].hex(' ')} is no value in BCD"
        )
    return Frame(value=count)


def decode_address(buffer: bytes) -> Decoded[str]:
    """Read the reply with a meter's own address, twelve digits."""
    found = _reply(buffer, _READ_ADDRESS)
    if not isinstance(found, Frame):
        return found
    _, data = found.value
    return Frame(value=data[::-1].hex())


def _reply(buffer: bytes, control: int) -> Decoded[tuple[str, bytes]]:
    """Find the first whole reply to a control code, past preamble, noise and echo.

    Gives the address that sent it and its data, 33 taken off.
    """
    start = 0
    while (start := buffer.find(_START, start)) >= 0:
        head = buffer[start : start + _HEAD_BYTES]
        if len(head) < _HEAD_BYTES:
            return NeedMore()
        is_reply = head[8] & ~_IS_ERROR == control | _IS_REPLY
        if head[7] != _START or not is_reply:
            start += 1
            continue
        end = start + _HEAD_BYTES + head[9] + 2
        if len(buffer) < end:
            return NeedMore()
        return _opened(buffer[start:end])
    return NeedMore()


def _opened(frame: bytes) -> Decoded[tuple[str, bytes]]:
    if frame[-1] != _END or sum(frame[:-2]) % 256 != frame[-2]:
        return Garbage(
            fault=Fault.CHECKSUM, detail=f"the sum of {frame.hex(' ')} is wrong"
        )
    data = bytes((byte - _OFFSET) % 256 for byte in frame[_HEAD_BYTES:-2])
    if frame[8] & _IS_ERROR:
        return Garbage(fault=Fault.REFUSED, detail=f"it answers '{_refusal(data)}'")
    return Frame(value=(frame[1 : 1 + _ADDRESS_BYTES][::-1].hex(), data))


def _refusal(data: bytes) -> str:
    for bit, meaning in enumerate(_ERRORS):
        if data and data[0] >> bit & 1:
            return meaning
    return f"error {data.hex()}"


def _counts(data: bytes, item: Item) -> int | None:
    """Read BCD, lowest byte first; None for digits that are none."""
    if len(data) != item.size:
        return None
    high_first = bytearray(data[::-1])
    is_negative = item.is_signed and bool(high_first[0] & 0x80)
    if is_negative:
        high_first[0] &= 0x7F
    digits = high_first.hex()
    if not digits.isdecimal():
        return None
    return -int(digits) if is_negative else int(digits)


def _framed(address: str, control: int, data: bytes) -> bytes:
    who = bytes.fromhex(address)[::-1]
    if len(who) != _ADDRESS_BYTES:
        raise ValueError("the address of a DL/T 645 meter has twelve digits")
    body = bytes([_START, *who, _START, control, len(data)])
    body += bytes((byte + _OFFSET) % 256 for byte in data)
    return _PREAMBLE + body + bytes([sum(body) % 256, _END])

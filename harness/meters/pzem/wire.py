"""The PZEM's wire: Modbus RTU, one block of ten input registers. Pure.

Facts from the maker's user manual of PZEM-004T V3.0 (also PZEM-014/016) and Modbus
over Serial Line V1.02:

- 9600 Bd, 8N1. Request ``unit 04 0000 000A crc``; reply ``unit 04 14``, 20 bytes of
  registers with the high byte first, CRC with the low byte first.
- Registers: 0 voltage 0.1 V · 1-2 current 1 mA · 3-4 power 0.1 W · 5-6 energy 1 Wh ·
  7 frequency 0.1 Hz · 8 power factor 0.01 · 9 alarm, FFFF or 0000. Of a pair the low
  word comes first.
- An exception is ``unit 84 code crc``.
- Units 01-F7; F8 is the general address, to which a lone instrument answers whatever
  its own. 41 (calibrate) and 42 (reset energy) are never sent from here.
"""

import struct
from dataclasses import dataclass

from harness.meters.answer import Decoded, Fault, Frame, Garbage, NeedMore
from harness.meters.checksum import crc16_modbus

BAUD = 9600
GENERAL_UNIT = 0xF8
ENERGY_MODULUS_WH = 10_000_000
"""The manual's range is 0 to 9999.99 kWh."""
JOULES_PER_WH = 3600.0
_READ = 0x04
_REGISTERS = 10
_HEAD = 3
_REPLY_BYTES = _HEAD + 2 * _REGISTERS + 2
_EXCEPTION_BYTES = 5
_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal data",
    4: "slave error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """What the ten registers say, in SI units but for the energy count."""

    unit: int
    voltage_v: float
    current_a: float
    power_w: float
    energy_wh: int
    frequency_hz: float
    power_factor: float
    is_alarmed: bool


def read_request(unit: int) -> bytes:
    """Encode the question for all ten registers. Raises ValueError for no unit."""
    if not 1 <= unit <= GENERAL_UNIT:
        raise ValueError("a unit goes from 1 to 247; 248 is the general address")
    return _checked(struct.pack(">BBHH", unit, _READ, 0, _REGISTERS))


def decode(buffer: bytes, unit: int) -> Decoded[Registers]:
    """Read the reply of `unit`, skipping noise before it."""
    start = _head(buffer, unit)
    if start is None:
        return NeedMore()
    frame = buffer[start:]
    size = _EXCEPTION_BYTES if frame[1] & 0x80 else _REPLY_BYTES
    if len(frame) < size:
        return NeedMore()
    frame = frame[:size]
    if crc16_modbus(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
        return Garbage(
            fault=Fault.CHECKSUM, detail=f"the CRC of {frame.hex(' ')} is wrong"
        )
    if size == _EXCEPTION_BYTES:
        meaning = _EXCEPTIONS.get(frame[2], f"exception {frame[2]}")
        return Garbage(fault=Fault.REFUSED, detail=f"it answers '{meaning}'")
    return Frame(value=_registers(frame))


def _head(buffer: bytes, unit: int) -> int | None:
    """Find where a reply may begin; None: nowhere yet."""
    for start in range(len(buffer) - 2):
        is_addressed = unit in {buffer[start], GENERAL_UNIT}
        function, count = buffer[start + 1], buffer[start + 2]
        is_reply = function == _READ and count == 2 * _REGISTERS
        if is_addressed and (is_reply or function == _READ | 0x80):
            return start
    return None


def _registers(frame: bytes) -> Registers:
    word = struct.unpack(">10H", frame[_HEAD:-2])
    return Registers(
        unit=frame[0],
        voltage_v=word[0] / 10,
        current_a=_pair(word[1], word[2]) / 1000,
        power_w=_pair(word[3], word[4]) / 10,
        energy_wh=_pair(word[5], word[6]),
        frequency_hz=word[7] / 10,
        power_factor=word[8] / 100,
        is_alarmed=word[9] != 0,
    )


def _pair(low: int, high: int) -> int:
    return (high << 16) | low


def _checked(body: bytes) -> bytes:
    return body + crc16_modbus(body).to_bytes(2, "little")

"""Ruideng's two protocols: the UM series' 130 bytes, the TC66C's 192. Pure.

Facts from the sigrok wiki (pages RDTech UM series and RDTech TC66C) and the drivers
rdtech-um and rdtech-tc of libsigrok:

- UM: ``F0`` → 130 bytes, high byte first: 0 model, 2 voltage, 4 current, 6 power in
  mW (4 bytes), 10 °C, 14 number of the selected data group, 16 ten groups of mAh and
  mWh (4 bytes each), 96 and 98 the data lines in 10 mV. UM25C: mV and 0.1 mA; UM24C
  and UM34C: 10 mV and mA. The last two bytes are FF F1; the UM34C's last byte is the
  exclusive or of 32 of the others.
- TC66C: ``getva`` → three blocks of 64 bytes, AES-256-ECB with one key for all
  instruments, low byte first, each ``pacN``, … and CRC-16/MODBUS in its last 4 bytes.
  4 model, 8 firmware, 12 serial number, 48 voltage in 0.1 mV, 52 current in 10 µA,
  56 power in 0.1 mW, 76 mWh, 88 sign and 92 amount of °C, 96 and 100 the data lines in
  10 mV.

Neither check covers a UM's figures. Power that contradicts voltage times current by
more than 10 % and 0.1 W is therefore taken for damage; a smaller error goes unseen.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from harness.meters.answer import Decoded, Fault, Frame, Garbage, NeedMore
from harness.meters.checksum import crc16_modbus

JOULES_PER_MWH = 3.6
ENERGY_MODULUS_MWH = 1 << 32

UM_REQUEST = b"\xf0"
UM_BYTES = 130
_GROUPS_AT, _GROUPS, _GROUP_BYTES = 16, 10, 8
_UM34C_CHECKED = (
    *(1, 3, 7, 9, 15, 17, 19, 23, 31, 39, 41, 45, 49, 53, 55, 57, 59, 63, 67, 69),
    *(73, 79, 83, 89, 97, 99, 109, 111, 113, 119, 121, 127),
)
_MOST_CONTRADICTION = 0.10
_MOST_CONTRADICTION_W = 0.1

TC_REQUEST = b"getva"
TC_BYTES = 192
_BLOCK_BYTES = 64
_CRC_AT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class UmModel:
    """A member of the UM series: its name and what one count is worth."""

    name: str
    volt: float
    ampere: float
    has_checksum: bool = False


UM_MODELS = {
    0x0963: UmModel(name="UM24C", volt=0.01, ampere=0.001),
    0x09C9: UmModel(name="UM25C", volt=0.001, ampere=0.0001),
    0x0D4C: UmModel(name="UM34C", volt=0.01, ampere=0.001, has_checksum=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one reply says, in SI units but for the energy count."""

    model: str
    voltage_v: float
    current_a: float
    power_w: float
    energy_mwh: int
    energy_group: int
    temperature_degc: float
    data_plus_v: float
    data_minus_v: float
    serial_number: str = ""
    firmware: str = ""


def decode_um(buffer: bytes) -> Decoded[Snapshot]:
    """Read a UM's reply, skipping noise before it."""
    start = _um_head(buffer)
    if start is None or len(buffer) < start + UM_BYTES:
        return NeedMore()
    reply = buffer[start : start + UM_BYTES]
    model = UM_MODELS[_u16(reply, 0)]
    if not _is_whole(reply, model):
        return Garbage(
            fault=Fault.CHECKSUM,
            detail=f"the end {reply[-2:].hex(' ')} of 130 bytes is wrong",
        )
    snapshot = _um_snapshot(reply, model)
    if not _is_consistent(snapshot):
        return Garbage(
            fault=Fault.CHECKSUM,
            detail=f"{snapshot.voltage_v:g} V and {snapshot.current_a:g} A are not "
            f"{snapshot.power_w:g} W",
        )
    return Frame(value=snapshot)


def decode_tc(buffer: bytes, decipher: Callable[[bytes], bytes]) -> Decoded[Snapshot]:
    """Read a TC66C's reply; `decipher` undoes AES-256-ECB on whole blocks."""
    if len(buffer) < TC_BYTES:
        return NeedMore()
    plain = decipher(buffer[:TC_BYTES])
    for number in range(3):
        block = plain[number * _BLOCK_BYTES : (number + 1) * _BLOCK_BYTES]
        if not block.startswith(b"pac%d" % (number + 1)):
            return Garbage(fault=Fault.SHAPE, detail="192 bytes came without pac1-pac3")
        if crc16_modbus(block[:_CRC_AT]) != int.from_bytes(block[_CRC_AT:], "little"):
            return Garbage(
                fault=Fault.CHECKSUM, detail=f"the CRC of block {number + 1} is wrong"
            )
    return Frame(value=_tc_snapshot(plain))


def _um_head(buffer: bytes) -> int | None:
    """Find where a known model's number stands; None: nowhere yet."""
    for start in range(len(buffer) - 1):
        if _u16(buffer, start) in UM_MODELS:
            return start
    return None


def _is_whole(reply: bytes, model: UmModel) -> bool:
    if not model.has_checksum:
        return reply.endswith(b"\xff\xf1")
    check = 0
    for place in _UM34C_CHECKED:
        check ^= reply[place]
    return check == reply[-1]


def _um_snapshot(reply: bytes, model: UmModel) -> Snapshot:
    group = _u16(reply, 14) % _GROUPS
    _, mwh = struct.unpack_from(">II", reply, _GROUPS_AT + _GROUP_BYTES * group)
    return Snapshot(
        model=model.name,
        voltage_v=_u16(reply, 2) * model.volt,
        current_a=_u16(reply, 4) * model.ampere,
        power_w=struct.unpack_from(">I", reply, 6)[0] / 1000,
        energy_mwh=mwh,
        energy_group=group,
        temperature_degc=float(_u16(reply, 10)),
        data_plus_v=_u16(reply, 96) / 100,
        data_minus_v=_u16(reply, 98) / 100,
    )


def _is_consistent(snapshot: Snapshot) -> bool:
    product_w = snapshot.voltage_v * snapshot.current_a
    most_w = _MOST_CONTRADICTION * max(product_w, snapshot.power_w)
    return abs(product_w - snapshot.power_w) <= most_w + _MOST_CONTRADICTION_W


def _tc_snapshot(plain: bytes) -> Snapshot:
    def u32(place: int) -> int:
        return int.from_bytes(plain[place : place + 4], "little")

    sign = -1 if u32(88) else 1
    return Snapshot(
        model=plain[4:8].decode("ascii", errors="replace") + "C",
        voltage_v=u32(48) / 10_000,
        current_a=u32(52) / 100_000,
        power_w=u32(56) / 10_000,
        energy_mwh=u32(76),
        energy_group=0,
        temperature_degc=float(sign * u32(92)),
        data_plus_v=u32(96) / 100,
        data_minus_v=u32(100) / 100,
        serial_number=str(u32(12)),
        firmware=plain[8:12].decode("ascii", errors="replace"),
    )


def _u16(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 2], "big")

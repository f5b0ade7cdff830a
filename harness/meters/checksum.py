"""Check values that more than one instrument's wire uses. Pure."""


def crc16_modbus(data: bytes) -> int:
    """Compute the CRC-16 of Modbus RTU: reflected polynomial 0xA001, start 0xFFFF.

    Modbus over Serial Line V1.02, section 6.2.2. On the wire its low byte goes first.

    >>> hex(crc16_modbus(bytes.fromhex("0104 0000 000A")))
    '0xd70'
    """
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def _entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (0xA001 if index & 1 else 0)
    return index


_TABLE = tuple(_entry(index) for index in range(256))

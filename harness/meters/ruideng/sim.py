"""The other end of a UM's Bluetooth serial port and of a TC66C's USB port.

Written from the byte layouts on the sigrok wiki, with frames put together here; it
shares nothing with the driver. Figures are renewed four times a second. A reply leaves
in packets, 20 bytes at a time over Bluetooth, 64 over USB.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Load = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Seconds since power-on → watts, elementwise."""

_NS = 1_000_000_000
_RENEWED_NS = _NS // 4
_POINTS_S = np.arange(0.0125, 0.25, 0.025)
_VOLTAGE_V = 5.1
_SERVICE_NS = 20_000_000
_PACKET_NS = 2_000_000
_KEY = (
    b"\x58\x21\xfa\x56\x01\xb2\xf0\x26\x87\xff\x12\x04\x62\x2a\x4f\xb0"
    b"\x86\xf4\x02\x60\x81\x6f\x9a\x0b\xa7\xf1\x06\x61\x9a\xb8\x72\x88"
)
"""Every TC66C's, as the wiki gives it."""


_UM34C_TAKEN = (
    "1 3 7 9 15 17 19 23 31 39 41 45 49 53 55 57 59 63 67 69 "
    "73 79 83 89 97 99 109 111 113 119 121 127"
)
"""Bytes that the UM34C's check value is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What goes wrong on purpose, by the number of the reply, counted from 0."""

    damaged: frozenset[int] = field(default_factory=frozenset)
    """Replies whose last byte is wrong."""
    mute: frozenset[int] = field(default_factory=frozenset)
    silent_after_s: float | None = None
    answers_as: bytes | None = None


class _Tester(ABC):
    """What both have in common: a load, a count of energy, packets."""

    request: bytes
    packet_bytes: int

    def __init__(
        self,
        load: Load,
        *,
        energy_mwh: int = 0,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self._load = load
        self._fault = misbehaviour or Misbehaviour()
        self.energy_mwh = float(energy_mwh)
        self._power_on_ns: int | None = None
        self._renewals = 0
        self.power_w = float(load(_POINTS_S).mean())
        self._inbox = b""
        self._leaving: list[tuple[int, bytes]] = []
        self._replies = 0

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes, and answer each request among them."""
        if self._power_on_ns is None:
            self._power_on_ns = now_ns
        self._inbox += data
        while self.request in self._inbox:
            _, _, self._inbox = self._inbox.partition(self.request)
            self._answer(now_ns)

    def transmit(self, now_ns: int) -> bytes:
        """Give the packets that have left by now."""
        if self._power_on_ns is None:
            self._power_on_ns = now_ns
        gone = [packet for at, packet in self._leaving if at <= now_ns]
        self._leaving = self._leaving[len(gone) :]
        return b"".join(gone)

    def next_ns(self, now_ns: int) -> int | None:
        """Say when the next packet leaves."""
        return max(now_ns, self._leaving[0][0]) if self._leaving else None

    @abstractmethod
    def reply(self) -> bytes:
        """Put the whole reply together from the figures of now."""

    def _answer(self, now_ns: int) -> None:
        number, self._replies = self._replies, self._replies + 1
        uptime_ns = now_ns - (self._power_on_ns or 0)
        is_silent = (
            self._fault.silent_after_s is not None
            and uptime_ns >= self._fault.silent_after_s * _NS
        )
        if is_silent or number in self._fault.mute:
            return
        self._renew(uptime_ns // _RENEWED_NS)
        reply = self._fault.answers_as or self.reply()
        if number in self._fault.damaged:
            reply = reply[:-1] + bytes([reply[-1] ^ 0x55])
        self._leaving = [
            (
                now_ns + _SERVICE_NS + place // self.packet_bytes * _PACKET_NS,
                reply[place : place + self.packet_bytes],
            )
            for place in range(0, len(reply), self.packet_bytes)
        ]

    def _renew(self, renewals: int) -> None:
        while self._renewals < renewals:
            seconds = self._renewals * _RENEWED_NS / _NS + _POINTS_S
            self.power_w = float(self._load(seconds).mean())
            self.energy_mwh += self.power_w * 1000 * _RENEWED_NS / _NS / 3600
            self._renewals += 1


class UmSimulator(_Tester):
    """A UM24C, UM25C or UM34C on a bench that does not exist."""

    request = b"\xf0"
    packet_bytes = 20
    model = "UM25C"
    group = 0
    """Number of the data group that is selected."""

    def reply(self) -> bytes:
        """130 bytes, high byte first."""
        model_id, per_volt, per_ampere = {
            "UM24C": (0x0963, 100, 1000),
            "UM25C": (0x09C9, 1000, 10_000),
            "UM34C": (0x0D4C, 100, 1000),
        }[self.model]
        amperes = self.power_w / _VOLTAGE_V
        energy = int(self.energy_mwh) % 2**32
        charge = int(self.energy_mwh / _VOLTAGE_V) % 2**32
        groups = [
            (charge, energy) if group == self.group else (0, 0) for group in range(10)
        ]
        fields: list[tuple[int, int]] = [
            (model_id, 2),
            (round(_VOLTAGE_V * per_volt), 2),
            (min(0xFFFF, round(amperes * per_ampere)), 2),
            (round(self.power_w * 1000), 4),
            (27, 2),  # °C
            (81, 2),  # °F
            (self.group, 2),
            *((value, 4) for pair in groups for value in pair),
            (275, 2),  # D+
            (277, 2),  # D-
            (0, 2),  # mode of charging
            *((0, 4), (0, 4), (10, 2), (0, 4), (0, 2)),  # recording
            *((1, 2), (4, 2)),  # screen
            (min(99_999, round(_VOLTAGE_V / max(amperes, 1e-4) * 10)), 4),
            (0, 2),
            (0xFFF1, 2),
        ]
        reply = b"".join(value.to_bytes(size, "big") for value, size in fields)
        return reply if self.model != "UM34C" else reply[:129] + _um34c_check(reply)


def _um34c_check(reply: bytes) -> bytes:
    """Exclusive or of the bytes at the places that the UM34C takes."""
    places = np.fromiter(_UM34C_TAKEN.split(), np.int64)
    taken = np.frombuffer(reply, np.uint8)[places]
    return bytes([int(np.bitwise_xor.reduce(taken))])


class Tc66cSimulator(_Tester):
    """A TC66C on a bench that does not exist; needs the package ``cryptography``."""

    request = b"getva"
    packet_bytes = 64

    def reply(self) -> bytes:
        """Three encrypted blocks of 64 bytes, low byte first."""
        # optional: nobody else needs it
        from cryptography.hazmat.primitives.ciphers import (  # noqa: PLC0415
            Cipher,
            algorithms,
            modes,
        )

        amperes = self.power_w / _VOLTAGE_V
        first = b"pac1TC661.14" + _words(66_001) + bytes(28) + _words(12)
        first += _words(
            round(_VOLTAGE_V * 10_000),
            round(amperes * 100_000),
            round(self.power_w * 10_000),
        )
        ohms = _VOLTAGE_V / max(amperes, 1e-4)
        charge, energy = int(self.energy_mwh / _VOLTAGE_V), int(self.energy_mwh)
        second = b"pac2" + _words(
            *(round(ohms * 10), charge % 2**32, energy % 2**32, 0, 0, 0, 27, 275, 277)
        )
        blocks = [block.ljust(60, b"\0") for block in (first, second, b"pac3")]
        plain = b"".join(block + _words(_crc(block)) for block in blocks)
        # the instrument's own choice; it carries no secret
        lock = Cipher(algorithms.AES(_KEY), modes.ECB()).encryptor()  # noqa: S305
        return lock.update(plain) + lock.finalize()


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def _crc(data: bytes) -> int:
    """CRC-16/MODBUS, bit by bit."""
    remainder = 0xFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            is_odd = remainder % 2 == 1
            remainder //= 2
            if is_odd:
                remainder ^= 0xA001
    return remainder

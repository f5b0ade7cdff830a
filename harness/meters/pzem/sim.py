"""The other end of a PZEM's wire: a Modbus RTU slave that measures a load.

Written from the maker's manual, with frames and check values put together here; it
shares nothing with the driver. Once a second it latches the mean power of the second
before and counts energy. Bytes leave at 9600 Bd, so that a reply arrives in pieces.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Load = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Seconds since power-on → watts, elementwise."""

_NS = 1_000_000_000
_CHARACTER_NS = 10 * _NS // 9600
_FRAME_GAP_NS = 35 * _CHARACTER_NS // 10
"""A silence of 3.5 characters starts a new request."""
_SERVICE_NS = 8_000_000
"""Time that the instrument takes before it answers; made up, not from a document."""
_POINTS = np.arange(0.025, 1.0, 0.05)
_STARTS_AT_W = 0.4
_STARTS_AT_A = 0.02
_WHOLE_FROM_W = 1000
"""From here on the instrument gives whole watts."""
_ALARM_W = 23_000
"""Alarm threshold of the 100 A version as it leaves the factory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mains:
    """What the load hangs on."""

    voltage_v: float = 230.0
    frequency_hz: float = 50.0
    power_factor: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What goes wrong on purpose, by the number of the reply, counted from 0."""

    wrong_crc: frozenset[int] = field(default_factory=frozenset)
    mute: frozenset[int] = field(default_factory=frozenset)
    silent_after_s: float | None = None
    answers_as: bytes | None = None
    """What some other instrument would say to the request."""


class PzemSimulator:
    """A PZEM-004T v3 on a bench that does not exist."""

    def __init__(
        self,
        load: Load,
        *,
        mains: Mains | None = None,
        unit: int = 1,
        energy_wh: int = 0,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self._load = load
        self._mains = mains or Mains()
        self._unit = unit
        self._fault = misbehaviour or Misbehaviour()
        self._energy_wh = float(energy_wh)
        self._power_on_ns: int | None = None
        self._seconds = 0
        self._power_w = float(load(_POINTS).mean())
        self._inbox = b""
        self._heard_ns = 0
        self._leaving: list[tuple[int, int]] = []
        self._replies = 0

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take a request; one that came in pieces with a silence between is none."""
        if self._power_on_ns is None:
            self._power_on_ns = now_ns
        if now_ns - self._heard_ns > _FRAME_GAP_NS:
            self._inbox = b""
        self._heard_ns = now_ns
        self._inbox += data
        size = 4 if self._inbox[1:2] == b"\x42" else 8
        if len(self._inbox) >= size:
            request, self._inbox = self._inbox[:size], b""
            self._answer(request, now_ns)

    def transmit(self, now_ns: int) -> bytes:
        """Give the bytes that have left by now."""
        if self._power_on_ns is None:
            self._power_on_ns = now_ns
        gone = [byte for at, byte in self._leaving if at <= now_ns]
        self._leaving = self._leaving[len(gone) :]
        return bytes(gone)

    def next_ns(self, now_ns: int) -> int | None:
        """Say when the next byte leaves."""
        return max(now_ns, self._leaving[0][0]) if self._leaving else None

    def _answer(self, request: bytes, now_ns: int) -> None:
        is_ours = request[0] in {self._unit, 0xF8}
        if not is_ours or _crc(request[:-2]) != request[-2:]:
            return
        number, self._replies = self._replies, self._replies + 1
        uptime_s = (now_ns - (self._power_on_ns or 0)) / _NS
        is_silent = (
            self._fault.silent_after_s is not None
            and uptime_s >= self._fault.silent_after_s
        )
        if is_silent or number in self._fault.mute:
            return
        self._latch(int(uptime_s))
        body = bytes([self._unit]) + self._body(request)
        reply = body + _crc(body)
        if number in self._fault.wrong_crc:
            reply = reply[:-1] + bytes([reply[-1] ^ 0x55])
        if self._fault.answers_as is not None:
            reply = self._fault.answers_as
        starts_ns = now_ns + len(request) * _CHARACTER_NS + _SERVICE_NS
        self._leaving = [
            (starts_ns + (place + 1) * _CHARACTER_NS, byte)
            for place, byte in enumerate(reply)
        ]

    def _latch(self, second: int) -> None:
        """Measure each whole second that has passed since the last request."""
        while self._seconds < second:
            self._power_w = float(self._load(self._seconds + _POINTS).mean())
            if self._power_w >= _STARTS_AT_W:
                self._energy_wh += self._power_w / 3600
            self._seconds += 1

    def _body(self, request: bytes) -> bytes:
        function = request[1]
        match function:
            case 0x42:
                self._energy_wh = 0.0
                return b"\x42"
            case 0x03:
                words = [0, _ALARM_W, self._unit]
            case 0x04:
                words = self._inputs()
            case _:
                return bytes([function | 0x80, 0x01])
        first = request[2] * 256 + request[3]
        count = request[4] * 256 + request[5]
        if count == 0 or first + count > len(words):
            return bytes([function | 0x80, 0x02])
        data = b"".join(
            bytes([word // 256, word % 256]) for word in words[first : first + count]
        )
        return bytes([function, len(data)]) + data

    def _inputs(self) -> list[int]:
        mains = self._mains
        is_started = self._power_w >= _STARTS_AT_W
        watts = self._power_w if is_started else 0.0
        amperes = self._power_w / (mains.voltage_v * mains.power_factor)
        is_whole = watts >= _WHOLE_FROM_W
        tenths = round(watts) * 10 if is_whole else round(watts * 10)
        milliamperes = round(amperes * 1000) if amperes >= _STARTS_AT_A else 0
        energy = int(self._energy_wh) % 10_000_000
        return [
            round(mains.voltage_v * 10),
            *_low_word_first(milliamperes),
            *_low_word_first(tenths),
            *_low_word_first(energy),
            round(mains.frequency_hz * 10),
            round(mains.power_factor * 100) if is_started else 0,
            0xFFFF if watts > _ALARM_W else 0x0000,
        ]


def _low_word_first(value: int) -> tuple[int, int]:
    return value % 65_536, value // 65_536


def _crc(data: bytes) -> bytes:
    """Check value of Modbus RTU, bit by bit, low byte first."""
    remainder = 0xFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            is_odd = remainder % 2 == 1
            remainder //= 2
            if is_odd:
                remainder ^= 0xA001
    return bytes([remainder % 256, remainder // 256])

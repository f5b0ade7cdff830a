"""The other end of a DL/T 645 line: an electricity meter that measures a load.

Written from DL/T 645-2007, with frames put together here; it shares nothing with the
driver. Values are renewed once a second. Bytes leave at 2400 Bd, 11 bits each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Load = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Seconds since power-on → watts drawn, elementwise; negative: fed back."""

_NS = 1_000_000_000
_CHARACTER_NS = 11 * _NS // 2400
_SERVICE_NS = 30_000_000
"""Response delay; the standard allows 20 to 500 ms."""
_POINTS = np.arange(0.025, 1.0, 0.05)
_VOLTAGE_V, _FREQUENCY_HZ, _POWER_FACTOR = 220.0, 50.0, 0.95
_STARTS_AT_A = 0.02
"""0.4 % of a basic current of 5 A (class 1, GB/T 17215.321)."""
_NO_SUCH_DATA = 0x02
_LONGEST_PAUSE_NS = 500_000_000
"""Between two bytes of a frame (DL/T 645-2007): after it a new frame begins."""
_SHORTEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What goes wrong on purpose, by the number of the reply, counted from 0."""

    wrong_sum: frozenset[int] = field(default_factory=frozenset)
    mute: frozenset[int] = field(default_factory=frozenset)
    silent_after_s: float | None = None
    echoes: bool = False
    """A half-duplex adapter gives the host its own request back."""
    answers_as: bytes | None = None


class Dlt645Simulator:
    """An electricity meter on a bench that does not exist."""

    def __init__(
        self,
        load: Load,
        *,
        number: str = "202301018888",
        energy_kwh: float = 0.0,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self._load = load
        # the last two digits of the number travel first
        self._wire_address = bytes(
            int(number[place : place + 2], 16) for place in range(10, -1, -2)
        )
        self._fault = misbehaviour or Misbehaviour()
        self._energy_kwh = energy_kwh
        self._power_on_ns: int | None = None
        self._seconds = 0
        self._power_w = float(load(_POINTS).mean())
        self._inbox = b""
        self._heard_ns = 0
        self._leaving: list[tuple[int, int]] = []
        self._replies = 0

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes, and answer each whole request in them."""
        if self._power_on_ns is None:
            self._power_on_ns = now_ns
        if now_ns - self._heard_ns > _LONGEST_PAUSE_NS:
            self._inbox = b""
        self._heard_ns = now_ns
        self._inbox += data
        while len(self._inbox) >= _SHORTEST:
            if self._inbox[:1] != b"\x68" or self._inbox[7:8] != b"\x68":
                self._inbox = self._inbox[1:]
                continue
            size = _SHORTEST + self._inbox[9]
            if len(self._inbox) < size:
                return
            request, self._inbox = self._inbox[:size], self._inbox[size:]
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
        is_ours = request[1:7] in {self._wire_address, b"\xaa" * 6}
        if not is_ours or sum(request[:-2]) % 256 != request[-2]:
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
        reply = self._fault.answers_as or b"\xfe" * 4 + self._reply(request)
        if number in self._fault.wrong_sum:
            reply = reply[:-2] + bytes([(reply[-2] + 1) % 256]) + reply[-1:]
        echo = request if self._fault.echoes else b""
        starts_ns = now_ns + (len(request) + 4) * _CHARACTER_NS + _SERVICE_NS
        self._leaving = [(now_ns + _CHARACTER_NS, byte) for byte in echo] + [
            (starts_ns + (place + 1) * _CHARACTER_NS, byte)
            for place, byte in enumerate(reply)
        ]

    def _latch(self, second: int) -> None:
        """Measure each whole second that has passed since the last request."""
        while self._seconds < second:
            self._power_w = float(self._load(self._seconds + _POINTS).mean())
            if self._power_w > 0 and self._is_started():
                self._energy_kwh += self._power_w / 3.6e6
            self._seconds += 1

    def _is_started(self) -> bool:
        return abs(self._power_w) / (_VOLTAGE_V * _POWER_FACTOR) >= _STARTS_AT_A

    def _reply(self, request: bytes) -> bytes:
        control = request[8:9]
        if control == b"\x13":
            return self._frame(0x93, self._wire_address)
        asked = bytes((byte - 0x33) % 256 for byte in request[10:-2])
        known = self._values() if control == b"\x11" else {}
        value = known.get(asked[::-1].hex())
        if value is None:
            return self._frame(request[8] | 0xC0, bytes([_NO_SUCH_DATA]))
        return self._frame(0x91, asked + value)

    def _values(self) -> dict[str, bytes]:
        """Give each item by its identifier, in the formats of annex A.

        Digits after the point: one of volts, two of hertz and kilowatt-hours, three of
        amperes and power factor, four of kilowatts.
        """
        is_started = self._is_started()
        watts = self._power_w if is_started else 0.0
        amperes = watts / (_VOLTAGE_V * _POWER_FACTOR)
        factor = _POWER_FACTOR if is_started else 0.0
        return {
            "02010100": _bcd(round(_VOLTAGE_V * 10), 2),
            "02020100": _bcd(round(amperes * 1000), 3),
            "02030000": _bcd(round(watts * 10), 3),
            "02060000": _bcd(round(factor * 1000), 2),
            "02800002": _bcd(round(_FREQUENCY_HZ * 100), 2),
            "00000000": _bcd(int(self._energy_kwh * 100) % 10**8, 4),
        }

    def _frame(self, control: int, data: bytes) -> bytes:
        shifted = bytes((byte + 0x33) % 256 for byte in data)
        head = b"\x68" + self._wire_address + b"\x68" + bytes([control, len(data)])
        total = sum(head + shifted) % 256
        return head + shifted + bytes([total, 0x16])


def _bcd(count: int, size: int) -> bytes:
    """Write a number as BCD, lowest byte first; the very top bit is the sign."""
    digits = str(abs(count)).zfill(2 * size)
    pairs = [int(digits[at : at + 2], 16) for at in range(0, 2 * size, 2)]
    if count < 0:
        pairs[0] += 0x80
    return bytes(reversed(pairs))

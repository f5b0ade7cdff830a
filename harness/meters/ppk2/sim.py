"""The other end of a PPK2's wire: takes its commands, streams words of a load.

Written from the instrument's published behaviour, with bytes put together here; it
shares nothing with the driver. The load is a function of time, so that a test knows
the truth. It can be told to misbehave: lose readings, stay silent, answer as another
instrument.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Load = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Seconds since power-on → amperes, elementwise."""

Logic = Callable[[NDArray[np.float64]], NDArray[np.uint8]]
"""Seconds since streaming began → levels of D0-D7."""

_PERIOD_NS = 10_000
_FIFO_WORDS = 16_384
_PACKET_WORDS = 16
"""USB packets of 64 bytes are dropped whole when the host does not read."""
_TOP_OF_RANGE_A = (50e-6, 500e-6, 5e-3, 60e-3)
"""Currents above which the next range is taken; the fifth range reaches 1 A."""
_SHUNT_OHM = (1031.64, 101.65, 10.15, 0.94, 0.043)
"""The instrument's factory default resistors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What goes wrong on purpose; times in seconds since streaming began."""

    silent_after_s: float | None = None
    lost_readings: frozenset[int] = field(default_factory=frozenset)
    """Numbers of readings that never reach the host; the counter runs on."""
    answers_as: bytes | None = None
    """Metadata of some other instrument."""
    uncalibrated_ranges: frozenset[int] = field(default_factory=frozenset)
    """Ranges whose constants are told as ``-nan``."""


class Ppk2Simulator:
    """A PPK2 on a bench that does not exist."""

    def __init__(
        self,
        load: Load,
        *,
        seed: int = 0,
        logic: Logic | None = None,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self._load = load
        self._fault = misbehaviour or Misbehaviour()
        self._noise = np.random.default_rng(seed)
        self._outbox = b""
        self._inbox = b""
        self._started_ns: int | None = None
        self._sent = 0
        self.logic = logic
        self.source_mv: int | None = None
        self.mode = 2
        """1 ampere, 2 source."""
        self.is_dut_powered = False
        self.sessions = 0
        """How often streaming was begun."""

    @property
    def is_streaming(self) -> bool:
        """Whether it sends words unasked."""
        return self._started_ns is not None

    def receive(self, data: bytes, now_ns: int) -> None:
        """Carry out the commands in `data`; an unfinished one waits for its rest."""
        self._inbox += data
        while self._inbox:
            used = self._command(self._inbox, now_ns)
            if not used:
                return
            self._inbox = self._inbox[used:]

    def transmit(self, now_ns: int) -> bytes:
        """Give replies, and the words of all readings taken up to now."""
        out, self._outbox = self._outbox, b""
        if self._started_ns is None:
            return out
        due = (now_ns - self._started_ns) // _PERIOD_NS
        if self._fault.silent_after_s is not None:
            due = min(due, round(self._fault.silent_after_s * 1e9) // _PERIOD_NS)
        first = self._overflow(due)
        if due > first:
            out += self._words(first, due)
            self._sent = due
        return out

    def next_ns(self, now_ns: int) -> int | None:
        """Say when the next word leaves."""
        if self._outbox:
            return now_ns
        if self._started_ns is None:
            return None
        # words leave in USB packets
        due = self._started_ns + (self._sent + _PACKET_WORDS) * _PERIOD_NS
        if self._fault.silent_after_s is not None:
            end = self._started_ns + round(self._fault.silent_after_s * 1e9)
            return due if due <= end else None
        return due

    def _overflow(self, due: int) -> int:
        """Drop whole packets that the buffer could not hold; the counter runs on."""
        excess = due - self._sent - _FIFO_WORDS
        if excess <= 0:
            return self._sent
        packets = -(-excess // _PACKET_WORDS)
        return self._sent + packets * _PACKET_WORDS

    def _command(self, data: bytes, now_ns: int) -> int:
        """Carry out one command and say how many bytes it took; 0: not all here."""
        sizes = {0x0C: 2, 0x0D: 3, 0x11: 2, 0x25: 6}
        size = sizes.get(data[0], 1)
        if len(data) < size:
            return 0
        match data[0]:
            case 0x06:
                self._started_ns, self._sent = now_ns, 0
                self.sessions += 1
            case 0x07:
                self._started_ns = None
            case 0x0C:
                self.is_dut_powered = data[1] == 1
            case 0x0D:
                self.source_mv = int.from_bytes(data[1:3], "big")
            case 0x11:
                self.mode = data[1]
            case 0x19:
                self._outbox += self._metadata()
        return size

    def _metadata(self) -> bytes:
        if self._fault.answers_as is not None:
            return self._fault.answers_as
        ohms = [f"{ohm:.4f}" for ohm in _SHUNT_OHM]
        for r in self._fault.uncalibrated_ranges:
            ohms[r] = "-nan"
        lines = ["Calibrated: 0"]
        lines += [f"R{r}: {ohm}" for r, ohm in enumerate(ohms)]
        for name, value in (("GS", 0.0), ("GI", 1.0), ("O", 0.0), ("S", 0.0)):
            lines += [f"{name}{r}: {value:.4f}" for r in range(5)]
        lines += [f"I{r}: 0.0000" for r in range(5)]
        lines += [f"UG{r}: 1.0000" for r in range(5)]
        lines += [f"VDD: {self.source_mv or 3000}", "HW: 9173"]
        lines += [f"mode: {self.mode}", "IA: 56"]
        return "\n".join(lines).encode() + b"\nEND\n"

    def _words(self, first: int, end: int) -> bytes:
        number = np.arange(first, end, dtype=np.int64)
        lost = self._fault.lost_readings
        if lost:
            number = number[~np.isin(number, np.fromiter(lost, np.int64))]
        seconds = number.astype(np.float64) * (_PERIOD_NS * 1e-9)
        amperes = self._load(seconds)
        scale = np.digitize(amperes, _TOP_OF_RANGE_A)
        ohm = np.asarray(_SHUNT_OHM)[scale]
        # volts over the shunt, one ADC step being 1.8 V / 163840, four to a count
        counts = amperes * ohm / (4 * 1.8 / 163_840)
        # rounding noise of half a count makes the mean right between counts
        adc = np.clip(np.floor(counts + self._noise.random(len(counts))), 0, 16_383)
        levels = (
            np.zeros(len(number), np.uint8)
            if self.logic is None
            else self.logic(seconds)
        )
        word = (
            adc.astype(np.uint32)
            | (scale.astype(np.uint32) << 14)
            | ((number % 64).astype(np.uint32) << 18)
            | (levels.astype(np.uint32) << 24)
        )
        return bytes(word.astype("<u4").tobytes())

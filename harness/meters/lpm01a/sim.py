"""The other end of an LPM01A's wire: takes commands, streams readings of a load.

Written from ST's user manual UM2269 and recorded dialogues; it shares nothing with
the driver. The load is a function of time, so that a test knows the truth. Its clock
may run fast or slow, and it can be told to misbehave.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Load = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Seconds since start → amperes, elementwise."""

_NS = 1_000_000_000
_STAMP_EVERY = 1000
_PACKET_NS = 2_000_000
_POINTS = (np.arange(8) + 0.5) / 8
"""Of a sampling period, over which energy is integrated."""
_RATES = ("1", "2", "5", "10", "20", "50", "100", "200", "500")
_FAST_RATES = ("1k", "2k", "5k", "10k", "20k", "50k", "100k")
_LEAST_MV, _MOST_MV = 1800, 3300
_MOST_ENERGY_HZ = 10e3
_MOST_DIGITS = 9999
_MOST_MANTISSA = 0xFFF
_MOST_POWER = 14
_WORDS: dict[str, tuple[str, ...] | None] = {
    "acqtime": None,
    "trigdelay": None,
    "trigsrc": ("sw", "d7"),
    "eventsrc": None,
    "output": ("current", "energy"),
    "format": ("ascii_dec", "bin_hexa"),
    "freq": _RATES + _FAST_RATES,
    "volt": None,
    "pwr": None,
    "pwrend": ("on", "off"),
    "acqmode": ("dyn", "stat"),
    "funcmode": ("optim", "high"),
    "lcd": None,
    "currthres": None,
}
"""Settings, with the words that they take; None: others are looked at elsewhere."""
_TOLD = {
    "powershield": "540554545-1430736921-1900587",
    "status": "ok",
    "temp": "28.0",
}
"""Questions, with what stands on the line of their acknowledgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What goes wrong on purpose; readings by number from start, times in s."""

    lost_readings: frozenset[int] = field(default_factory=frozenset)
    garbled_readings: frozenset[int] = field(default_factory=frozenset)
    """Decimal lines in which one digit comes as NUL."""
    silent_after_s: float | None = None
    restarts_after_s: float | None = None
    """From then on its time begins at 0 again."""
    refused: frozenset[str] = field(default_factory=frozenset)
    """Commands that this firmware does not know."""
    answers_as: bytes | None = None


class Lpm01aSimulator:
    """An X-NUCLEO-LPM01A on a bench that does not exist."""

    def __init__(
        self,
        load: Load,
        *,
        clock_ppm: float = 0.0,
        events_s: tuple[float, ...] = (),
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self._load = load
        self._rate_of_clock = 1.0 + clock_ppm * 1e-6
        self._events_s = events_s
        self._fault = misbehaviour or Misbehaviour()
        self._inbox = b""
        self._outbox = b""
        self._started_ns: int | None = None
        self._sent = 0
        self.is_controlled = False
        self.is_target_powered = False
        self.settings = {
            "freq": "100",
            "output": "current",
            "format": "ascii_dec",
            "volt": "3300m",
        }
        self.commands: list[str] = []
        """Every command that it was given, in order."""

    @property
    def is_streaming(self) -> bool:
        """Whether it sends readings unasked."""
        return self._started_ns is not None

    def receive(self, data: bytes, now_ns: int) -> None:
        """Carry out whole lines; an unfinished one waits for its rest."""
        self._inbox += data
        *lines, self._inbox = self._inbox.split(b"\n")
        for line in lines:
            command = line.decode("ascii", errors="replace").strip()
            if command:
                self.commands.append(command)
                self._carry_out(command, now_ns)

    def transmit(self, now_ns: int) -> bytes:
        """Give answers, and all readings taken up to now."""
        out, self._outbox = self._outbox, b""
        if self._started_ns is None:
            return out
        due = self._due(now_ns)
        if due > self._sent:
            out += self._stream(self._sent, due)
            self._sent = due
        return out

    def next_ns(self, now_ns: int) -> int | None:
        """Say when the next packet leaves."""
        if self._outbox:
            return now_ns
        if self._started_ns is None:
            return None
        packet = max(1, math.ceil(self._hertz * _PACKET_NS / _NS))
        seconds = (self._sent + packet) / (self._hertz * self._rate_of_clock)
        after_s = self._fault.silent_after_s
        if after_s is not None and seconds > after_s:
            return None
        return self._started_ns + math.ceil(seconds * _NS)

    @property
    def _hertz(self) -> float:
        return float(self.settings["freq"].replace("k", "e3"))

    @property
    def _volts(self) -> float:
        return float(self.settings["volt"].removesuffix("m")) / 1000

    def _due(self, now_ns: int) -> int:
        seconds = (now_ns - (self._started_ns or 0)) / _NS
        if self._fault.silent_after_s is not None:
            seconds = min(seconds, self._fault.silent_after_s)
        # a nanosecond of slack: the time of a packet was rounded up to one
        return int(seconds * self._hertz * self._rate_of_clock + 1e-6)

    def _carry_out(self, command: str, now_ns: int) -> None:
        if self._fault.answers_as is not None:
            self._outbox += self._fault.answers_as
            return
        name, _, argument = command.partition(" ")
        if name in self._fault.refused:
            self._refuse(command, "command unknown")
            return
        match name:
            case "htc" | "hrc":
                self.is_controlled = name == "htc"
                self._acknowledge(command)
            case "version":
                self._outbox += b"\r\nPowerShield > ack version: 1.0.7\r\n\r\n"
            case _ if name in _TOLD:
                self._acknowledge(command, _TOLD[name])
            case "echo":
                self._outbox += f"\r\nPowerShield > {command}\r\n".encode()
            case "start":
                self._start(command, now_ns)
            case "stop":
                self._stop(now_ns)
            case _ if name in _WORDS:
                self._set(command, name, argument)
            case _:
                self._refuse(command, "command unknown")

    def _set(self, command: str, name: str, argument: str) -> None:
        allowed = _WORDS[name]
        if allowed is not None and argument not in allowed:
            self._refuse(command, "argument out of list")
            return
        if name == "volt":
            if argument == "get":
                self._acknowledge(command, f"{round(self._volts * 1000) - 8}-03")
                return
            if not _LEAST_MV <= int(argument.removesuffix("m")) <= _MOST_MV:
                self._refuse(command, "argument out of range")
                return
        if name == "pwr":
            self.is_target_powered = argument.startswith("on")
        self.settings[name] = argument
        self._acknowledge(command)

    def _start(self, command: str, now_ns: int) -> None:
        if self.settings["output"] == "energy" and self._hertz > _MOST_ENERGY_HZ:
            self._refuse(command, "energy is limited to 10 kHz")
            return
        self._acknowledge(command)
        self._started_ns, self._sent = now_ns, 0
        self.is_target_powered = True

    def _stop(self, now_ns: int) -> None:
        if self._started_ns is None:
            self._refuse("stop", "no acquisition")
            return
        self._outbox += self.transmit(now_ns)
        if self.settings["format"] == "bin_hexa":
            self._outbox += b"\xf0\xf4\xff\xff"
        else:
            self._outbox += b"end\r\n"
        self._outbox += b"\r\nPowerShield > Acquisition completed\r\n"
        self._started_ns = None

    def _acknowledge(self, command: str, value: str = "") -> None:
        said = f"{command} {value}".strip()
        self._outbox += f"\r\nPowerShield > ack {said}\r\n\r\n".encode()

    def _refuse(self, command: str, detail: str) -> None:
        self._outbox += (
            f"\r\nPowerShield > error {command}\r\nError detail: {detail}\r\n\r\n"
        ).encode()

    def _stream(self, first: int, end: int) -> bytes:
        numbers = np.arange(first, end)
        values = self._values(numbers)
        is_binary = self.settings["format"] == "bin_hexa"
        out = []
        for number, value in zip(numbers.tolist(), values.tolist(), strict=True):
            if number % _STAMP_EVERY == 0:
                out.append(self._stamp(number, is_binary=is_binary))
            if number in self._fault.lost_readings:
                continue
            if is_binary:
                out.append(_binary(value))
            else:
                out.append(self._line(number, value))
        return b"".join(out)

    def _values(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        period_s = 1.0 / (self._hertz * self._rate_of_clock)
        if self.settings["output"] == "current":
            return self._load(np.asarray((numbers + 1.0) * period_s, np.float64))
        times = (numbers[:, None] + _POINTS) * period_s
        amperes: NDArray[np.float64] = self._load(times.ravel()).reshape(times.shape)
        charge = amperes.sum(axis=1) / len(_POINTS)
        energy: NDArray[np.float64] = charge * self._volts / self._hertz
        return energy

    def _line(self, number: int, value: float) -> bytes:
        text = _decimal(value)
        if number in self._fault.garbled_readings:
            text = text[:6] + b"\0" + text[6:]
        # after a time stamp comes a NUL
        lead = b"\0" if number % _STAMP_EVERY == 0 else b""
        period_s = 1.0 / (self._hertz * self._rate_of_clock)
        events = [
            f"event {place:02d} ris\r\n".encode()
            for place, at_s in enumerate(self._events_s)
            if number * period_s < at_s <= (number + 1) * period_s
        ]
        return lead + text + b"\r\n" + b"".join(events)

    def _stamp(self, number: int, *, is_binary: bool) -> bytes:
        milliseconds = round(number / self._hertz * 1000)
        restarts_s = self._fault.restarts_after_s
        if restarts_s is not None and milliseconds >= restarts_s * 1000:
            milliseconds -= round(restarts_s * 1000)
        if is_binary:
            return b"\xf0\xf3" + milliseconds.to_bytes(4, "big") + b"\x03\xff\xff"
        seconds, rest = divmod(milliseconds, 1000)
        return f"TimeStamp: {seconds:03d}s {rest:03d}ms, buff 03%\r\n".encode()


def _decimal(value: float) -> bytes:
    """Four digits and a power of ten: 640.9 µA is ``6409-07``."""
    if value <= 0:
        return b"0000-09"
    power = math.floor(math.log10(value)) - 3
    digits = round(value / 10.0**power)
    if digits > _MOST_DIGITS:
        digits, power = digits // 10, power + 1
    return f"{digits:04d}{power:+03d}".encode()


def _binary(value: float) -> bytes:
    """Twelve bits and a negative power of 16: 640.87 µA is 0x52A0."""
    power = 0
    while power < _MOST_POWER and round(value * 16.0 ** (power + 1)) <= _MOST_MANTISSA:
        power += 1
    word: int = power * 4096 + min(round(value * 16.0**power), _MOST_MANTISSA)
    return word.to_bytes(2, "big")

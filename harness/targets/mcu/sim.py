"""A simulated microcontroller: the other end of the wire, with a time of its own.

Written from the protocol's grammar, and sharing nothing with the driver. It executes
no model: an inference lets time pass, about as long each time, and its outputs are
made of the sample's bytes. Bytes leave it no faster than its baud rate lets them.

In energy mode its time stamps are falls of a pin. What it draws, and when the pin fell,
is told to whoever plays the meter: physics, and no byte of any protocol.

With a model for wake words it listens instead: it hears what is played, works on a
frame every 32 ms, and pulses a pin at its first frame and where it thinks that it heard
the word.
"""

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.domain.origin import Origin
from harness.domain.reading import Channel, ReadingBlock

_BITS_A_BYTE = 10
_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_NS_PER_US = 1_000
_WRAP_US = 1 << 32
_SAMPLE_MOST = {
    "kws01": 490,
    "ic01": 3072,
    "vww01": 27648,
    "ad01": 5120,
    "strww01": 2048,
}
_CLASSES = 12
_JITTER = 0.002
_ENERGY_BAUD = 9_600
_GRID_NS = 1_000_000
_RIPPLE = 0.01
"""Relative standard deviation of power from millisecond to millisecond."""
SOURCE = "simulated board"
_HOST_CLOCK = "monotonic"
_LISTENER = "strww01"
_FRAME_NS = 32_000_000
_HEARD_NS = 500_000_000
"""So long after its begin a word is understood."""
_LOUD, _QUIET = 120, -128


@dataclass(slots=True, kw_only=True)
class SimulatedBoard:
    """A board with one model. An `Instrument` of `harness.links.loop`."""

    model: str = "kws01"
    inference_ms: float = 30.0
    baud: int = 115_200
    seed: int = 0
    is_energy: bool = False
    active_w: float = 20e-3
    idle_w: float = 2e-3
    misses: int = 0
    """The number of the word that it does not hear, from 1."""
    false_alarm_s: float = 0.0
    """When it hears a word that is none; 0: never."""
    boot_ns: int | None = None
    falls_ns: list[int] = field(default_factory=list)
    """When the pin fell."""
    _busy_ns: list[tuple[int, int]] = field(default_factory=list)
    """When it computed."""
    _is_listening: bool = False
    _levels: list[int] = field(default_factory=list)
    _generator: np.random.Generator = field(init=False)
    _command: bytes = b""
    _sample: bytearray = field(default_factory=bytearray)
    _expected: int = 0
    _out: list[tuple[int, bytes]] = field(default_factory=list)
    _free_ns: int = 0
    """When the line, or the processor, is free again."""

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)
        if self.is_energy and self.model != _LISTENER:
            self.baud = _ENERGY_BAUD
        if self.model == _LISTENER:
            self.is_energy = True

    def drawn(self, since_ns: int, until_ns: int) -> tuple[ReadingBlock, ...]:
        """Give its power, millisecond by millisecond, and when its pin fell.

        Each reading is the mean of the interval that ends at its time.
        """
        ends = np.arange(since_ns + _GRID_NS, until_ns + 1, _GRID_NS)
        begins_and_ends = np.array(self._busy_ns, dtype=np.float64).reshape(-1)
        lengths = np.diff(np.array(self._busy_ns, dtype=np.float64), axis=1).reshape(-1)
        busy = np.repeat(np.cumsum(lengths), 2)
        busy[::2] -= lengths  # up to its begin, an interval has added nothing
        at = np.concatenate([[since_ns], ends]).astype(np.float64)
        until = np.interp(at, begins_and_ends, busy) if len(busy) else 0.0 * at
        ratio = np.diff(until) / _GRID_NS
        watts = self.idle_w + (self.active_w - self.idle_w) * ratio
        ripple = np.random.default_rng((self.seed, since_ns)).standard_normal(len(ends))
        falls = [at_ns for at_ns in self.falls_ns if since_ns < at_ns <= until_ns]
        return (
            _block("power", "W", ends.tolist(), watts * (1 + _RIPPLE * ripple)),
            _block("event", "1", falls, np.ones(len(falls))),
        )

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes; each ``%`` ends a command."""
        self._boot(now_ns)
        *commands, self._command = (self._command + data).split(b"%")
        for command in commands:
            self._free_ns = max(self._free_ns, now_ns)
            self._carry_out(command.decode("ascii", errors="replace").split())
            self._say("m-ready")

    def transmit(self, now_ns: int) -> bytes:
        """Give the bytes that have left up to now."""
        self._boot(now_ns)
        left = [data for due, data in self._out if due <= now_ns]
        self._out = self._out[len(left) :]
        return b"".join(left)

    def next_ns(self, now_ns: int) -> int | None:
        """Say when the next line has left."""
        self._boot(now_ns)
        return self._out[0][0] if self._out else None

    def _boot(self, now_ns: int) -> None:
        if self.boot_ns is not None:
            return
        self.boot_ns = self._free_ns = now_ns
        mode = "energy" if self.is_energy else "performance"
        self._say(f"m-timestamp-mode-{mode}")
        self._lap()
        self._say("m-init-done")
        self._say("m-ready")

    def _say(self, text: str) -> None:
        data = text.encode("ascii") + b"\r\n"
        self._free_ns += len(data) * _BITS_A_BYTE * _NS_PER_S // self.baud
        self._out.append((self._free_ns, data))

    def _lap(self) -> None:
        if self.is_energy:
            self.falls_ns.append(self._free_ns)
            return
        us = (self._free_ns - (self.boot_ns or 0)) // _NS_PER_US
        self._say(f"m-lap-us-{us % _WRAP_US}")

    def _carry_out(self, words: list[str]) -> None:
        match words:
            case ["name"]:
                self._say("m-name-dut-[simulated board]")
            case ["profile"]:
                self._say("m-profile-[ULPMark for tinyML Firmware V0.0.1]")
                self._say(f"m-model-[{self.model}]")
            case ["timestamp"]:
                self._lap()
            case ["db", "load", count] if count.isdigit():
                self._expect(int(count))
            case ["db", "getptr"] if self.model == _LISTENER:
                self._say(f"m-buff-ptr-{len(self._sample)}")
            case ["db", "print_i16", count] if self.model == _LISTENER:
                self._print_words(int(count))
            case ["db", digits]:
                self._take(digits)
            case ["infer", count, warm_up] if count.isdigit() and warm_up.isdigit():
                self._infer(int(count), int(warm_up))
            case [("start" | "stop") as word] if self.model == _LISTENER:
                self._listen(is_on=word == "start")
            case _:
                self._say(f"e-[Unknown command: {' '.join(words)}]")

    def _print_words(self, count: int) -> None:
        words = np.frombuffer(bytes(self._sample[: 2 * count]), dtype="<i2").tolist()
        rows = [words[n : n + 16] for n in range(0, len(words), 16)] or [[]]
        ends = [", "] * (len(rows) - 1) + ["] "]
        for number, (row, end) in enumerate(zip(rows, ends, strict=True)):
            lead = "" if number else "["
            self._say(lead + ", ".join(map(str, row)) + end)

    def _listen(self, *, is_on: bool) -> None:
        if not is_on and not self._is_listening:
            self._say("I2S is already idle.  Ignoring stop request")
            return
        self._lap()
        self._is_listening = is_on
        if is_on:
            self._levels = []
            self._say("Listening for I2S data ... ")
            self._say("DMA receive initiated.")
            return
        self._say("Streaming stopped.")
        self._say("target activations: ")
        rows = [self._levels[n : n + 16] for n in range(0, len(self._levels), 16)]
        lines = [", ".join(map(str, row)) for row in rows] or [""]
        lines[0] = "[" + lines[0]
        for line in lines[:-1]:
            self._say(line + ", ")
        self._say(lines[-1] + "  ")
        self._say("]")

    def hear(
        self, words_ns: list[int], begun_ns: int, length_ns: int
    ) -> tuple[list[tuple[int, int]], list[int]]:
        """Listen to audio; give when each frame was worked on, and the pulses.

        Times are the world's. A board that was not told to start hears nothing.
        """
        if not self._is_listening:
            return [], []
        understood = [
            begun_ns + at_ns + _HEARD_NS
            for number, at_ns in enumerate(words_ns, start=1)
            if number != self.misses
        ]
        if self.false_alarm_s:
            understood.append(begun_ns + round(self.false_alarm_s * _NS_PER_S))
        frames, pulses = [], [begun_ns]
        for at_ns in range(begun_ns, begun_ns + length_ns, _FRAME_NS):
            factor = 1 + _JITTER * float(self._generator.standard_normal())
            took_ns = round(self.inference_ms * _NS_PER_MS * factor)
            frames.append((at_ns, at_ns + took_ns))
            is_word = any(at_ns < one <= at_ns + _FRAME_NS for one in understood)
            self._levels.append(_LOUD if is_word else _QUIET)
            if is_word:
                pulses.append(at_ns + took_ns)
        self._busy_ns += frames
        return frames, pulses

    def _expect(self, count: int) -> None:
        most = _SAMPLE_MOST.get(self.model, 0)
        if count > most:
            self._say(f"Supplied buffer size {count} exceeds maximum of {most}")
            return
        self._expected = count
        self._sample.clear()
        words = f"Expecting {count} bytes"
        self._say(words if self.model == _LISTENER else f"m-[{words}]")

    def _take(self, digits: str) -> None:
        try:
            self._sample += bytes.fromhex(digits)
        except ValueError:
            self._say("e-[Insufficent number of hex digits]")
            return
        if len(self._sample) >= self._expected:
            self._say("m-load-done")

    def _infer(self, count: int, warm_up: int) -> None:
        self._say(f"m-warmup-start-{warm_up}")
        self._compute(warm_up)
        self._say("m-warmup-done")
        self._say(f"m-infer-start-{count}")
        self._lap()
        self._compute(count)
        self._lap()
        self._say("m-infer-done")
        values = [
            self._sample.count(n) / (len(self._sample) or 1) for n in range(_CLASSES)
        ]
        self._say(f"m-results-[{','.join(f'{value:.3f}' for value in values)}]")

    def _compute(self, count: int) -> None:
        begun_ns = self._free_ns
        for factor in 1 + _JITTER * self._generator.standard_normal(count):
            self._free_ns += round(self.inference_ms * _NS_PER_MS * factor)
        if count:
            self._busy_ns.append((begun_ns, self._free_ns))


def _block(
    name: str, unit: str, times_ns: list[int], values: NDArray[np.float64]
) -> ReadingBlock:
    return ReadingBlock(
        channel=Channel(name=name, unit=unit, source=SOURCE),
        clock=_HOST_CLOCK,
        origin=Origin.SIMULATED,
        times_ns=array("q", times_ns),
        values=array("d", values.tolist()),
    )

"""A simulated microcontroller: the other end of the wire, with a time of its own.

Written from the protocol's grammar, and sharing nothing with the driver. It executes
no model: an inference lets time pass, about as long each time, and its outputs are
made of the sample's bytes. Bytes leave it no faster than its baud rate lets them.
"""

from dataclasses import dataclass, field

import numpy as np

_BITS_A_BYTE = 10
_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_NS_PER_US = 1_000
_WRAP_US = 1 << 32
_SAMPLE_MOST = {"kws01": 490, "ic01": 3072, "vww01": 27648, "ad01": 5120}
_CLASSES = 12
_JITTER = 0.002


@dataclass(slots=True, kw_only=True)
class SimulatedBoard:
    """A board with one model. An `Instrument` of `harness.links.loop`."""

    model: str = "kws01"
    inference_ms: float = 30.0
    baud: int = 115_200
    seed: int = 0
    boot_ns: int | None = None
    _generator: np.random.Generator = field(init=False)
    _command: bytes = b""
    _sample: bytearray = field(default_factory=bytearray)
    _expected: int = 0
    _out: list[tuple[int, bytes]] = field(default_factory=list)
    _free_ns: int = 0
    """When the line, or the processor, is free again."""

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)

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
        self._say("m-timestamp-mode-performance")
        self._lap()
        self._say("m-init-done")
        self._say("m-ready")

    def _say(self, text: str) -> None:
        data = text.encode("ascii") + b"\r\n"
        self._free_ns += len(data) * _BITS_A_BYTE * _NS_PER_S // self.baud
        self._out.append((self._free_ns, data))

    def _lap(self) -> None:
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
            case ["db", digits]:
                self._take(digits)
            case ["infer", count, warm_up] if count.isdigit() and warm_up.isdigit():
                self._infer(int(count), int(warm_up))
            case _:
                self._say(f"e-[Unknown command: {' '.join(words)}]")

    def _expect(self, count: int) -> None:
        most = _SAMPLE_MOST.get(self.model, 0)
        if count > most:
            self._say(f"Supplied buffer size {count} exceeds maximum of {most}")
            return
        self._expected = count
        self._sample.clear()
        self._say(f"m-[Expecting {count} bytes]")

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
        for factor in 1 + _JITTER * self._generator.standard_normal(count):
            self._free_ns += round(self.inference_ms * _NS_PER_MS * factor)

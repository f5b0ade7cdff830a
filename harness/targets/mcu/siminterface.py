"""A simulated interface board between the host and a simulated device.

Written from the grammar, and sharing nothing with the driver: ``dut CMD`` is
acknowledged first, and each line of the device comes behind ``[dut]: ``. It keeps the
device's baud rate, and restarts where another one is set.

On its card is one recording for each name that says what it holds:
``words-10s-1.0-4.0.wav`` is ten seconds long, with a word after one and four seconds.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.targets.mcu.sim import SimulatedBoard

_BITS_A_BYTE = 10
_NS_PER_S = 1_000_000_000
_HOST_BAUD = 115_200
_RESTART_NS = 500_000_000
_TICK_NS = 10_000
_NS_PER_MS = 1_000_000
_A_LINE = 8
_NAME = re.compile(r"words-([0-9.]+)s((?:-[0-9.]+)*)\.wav")


@dataclass(slots=True)
class SimulatedInterface:
    """An interface board. An `Instrument` of `harness.links.loop`."""

    device: SimulatedBoard
    dut_baud: int = 115_200
    _zero_ns: int = 0
    """When its timer was set to nothing."""
    _frames_ns: list[tuple[int, int]] = field(default_factory=list)
    _pulses_ns: list[int] = field(default_factory=list)
    _command: bytes = b""
    _of_device: bytes = b""
    _out: list[tuple[int, bytes]] = field(default_factory=list)
    _free_ns: int = 0

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes; each ``%`` ends a command."""
        *commands, self._command = (self._command + data).split(b"%")
        for command in commands:
            self._free_ns = max(self._free_ns, now_ns)
            self._carry_out(command.decode("ascii", errors="replace"))

    def transmit(self, now_ns: int) -> bytes:
        """Give the bytes that have left up to now."""
        self._pass_on(now_ns)
        left = [data for due, data in self._out if due <= now_ns]
        self._out = self._out[len(left) :]
        return b"".join(left)

    def next_ns(self, now_ns: int) -> int | None:
        """Say when the next line leaves, its own or the device's."""
        due = [self._out[0][0]] if self._out else []
        of_device = self.device.next_ns(now_ns)
        return min([*due, *([] if of_device is None else [of_device])], default=None)

    def _pass_on(self, now_ns: int) -> None:
        """Put the device's lines on the line to the host, where rates agree."""
        heard = self.device.transmit(now_ns)
        if self.dut_baud != self.device.baud:
            return  # it waits for the end of a line, and none comes
        *lines, self._of_device = (self._of_device + heard).split(b"\n")
        self._free_ns = max(self._free_ns, now_ns)
        for line in lines:
            self._send(b"[dut]: " + line.rstrip(b"\r"))

    def _send(self, line: bytes) -> None:
        data = line + b"\r\n"
        self._free_ns += len(data) * _BITS_A_BYTE * _NS_PER_S // _HOST_BAUD
        self._out.append((self._free_ns, data))

    def _carry_out(self, command: str) -> None:
        verb, _, rest = command.partition(" ")
        if verb == "dut":
            self._pass(rest)
            return
        carried_out: dict[str, Callable[[], None]] = {
            "name": lambda: self._send(b"tinyML Enhanced Interface Board"),
            "checkbaud": lambda: self._send(f"baud is: {self.dut_baud}".encode()),
            "ls": lambda: self._send(b"words-10s-1.0-4.0-7.0.wav"),
            "record_detections": self._record,
            "print_detections": self._print_detections,
            "print_dutycycle": self._print_frames,
            "play": lambda: self._play(rest),
            "setbaud": lambda: self._set_baud(int(rest)),
        }
        if verb in carried_out:
            carried_out[verb]()
        self._send(b"m-ready")
        if verb == "setbaud":
            self._free_ns += _RESTART_NS

    def _pass(self, command: str) -> None:
        self._send(f"m-dut-passthrough({command})".encode())
        self._send(b"m-ready")
        if self.dut_baud == self.device.baud:
            self.device.receive(command.encode() + b"%", self._free_ns)

    def _set_baud(self, baud: int) -> None:
        self.dut_baud = baud
        self._send(f"set baud to: {baud}".encode())

    def _record(self) -> None:
        self._zero_ns = self._free_ns
        self._frames_ns, self._pulses_ns = [], []
        self._send(b"Now recording detections")

    def _play(self, name: str) -> None:
        self._send(f"Attempting to play {name}".encode())
        found = _NAME.fullmatch(name)
        if found is None:
            self._send(
                b"Error playing file. Check that the file exists and is a "
                b"2-channel wav file."
            )
            return
        words = [float(word) for word in found[2].split("-") if word]
        length_ns = round(float(found[1]) * _NS_PER_S)
        frames, pulses = self.device.hear(
            [round(word * _NS_PER_S) for word in words], self._free_ns, length_ns
        )
        self._frames_ns += frames
        self._pulses_ns += pulses
        self._free_ns += length_ns
        self._send(b"succeeded.")

    def _print_detections(self) -> None:
        self._send(b"Detection Timestamps (ms)")
        for at_ns in self._pulses_ns:
            self._send(f"{(at_ns - self._zero_ns) // _NS_PER_MS},".encode())

    def _print_frames(self) -> None:
        for head, place in (("start", 0), ("stop", 1)):
            self._send(f"Duty cycle {head} times (s)".encode())
            ticks = [
                (one[place] - self._zero_ns) // _TICK_NS for one in self._frames_ns
            ]
            for n in range(0, len(ticks), _A_LINE):
                row = ticks[n : n + _A_LINE]
                self._send("".join(f"{tick}, " for tick in row).encode())

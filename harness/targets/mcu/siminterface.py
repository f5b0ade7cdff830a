"""A simulated interface board between the host and a simulated device.

Written from the grammar, and sharing nothing with the driver: ``dut CMD`` is
acknowledged first, and each line of the device comes behind ``[dut]: ``. It keeps the
device's baud rate, and restarts where another one is set.
"""

from dataclasses import dataclass, field

from harness.targets.mcu.sim import SimulatedBoard

_BITS_A_BYTE = 10
_NS_PER_S = 1_000_000_000
_HOST_BAUD = 115_200
_RESTART_NS = 500_000_000


@dataclass(slots=True)
class SimulatedInterface:
    """An interface board. An `Instrument` of `harness.links.loop`."""

    device: SimulatedBoard
    dut_baud: int = 115_200
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
        match verb:
            case "dut":
                self._send(f"m-dut-passthrough({rest})".encode())
                self._send(b"m-ready")
                if self.dut_baud == self.device.baud:
                    self.device.receive(rest.encode() + b"%", self._free_ns)
                return
            case "name":
                self._send(b"tinyML Enhanced Interface Board")
            case "checkbaud":
                self._send(f"baud is: {self.dut_baud}".encode())
            case "setbaud":
                self.dut_baud = int(rest)
                self._send(f"set baud to: {rest}".encode())
        self._send(b"m-ready")
        if verb == "setbaud":
            self._free_ns += _RESTART_NS

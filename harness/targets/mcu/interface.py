"""The interface board of MLPerf Tiny: commands of its own, and a way to the device.

It lies between the host (115200 baud) and the device under test, which it keeps apart
electrically while energy is measured. ``dut CMD`` is acknowledged with a line and
``m-ready`` of its own; then come the device's lines, each behind ``[dut]: ``. Its own
commands are ``name``, ``ls``, ``play``, ``setbaud``, ``checkbaud``,
``record_detections``, ``print_detections`` and ``print_dutycycle``.
Grammar: mlcommons/tiny, benchmark/interface (InterfaceMenu), as of v1.4.
"""

import re
from dataclasses import dataclass

from harness.clock import Clock, Deadline
from harness.errors import LinkTimeout, TargetError
from harness.links.bytelink import ByteLink
from harness.targets.mcu.wire import encode, split

CHUNK_BYTES = 26
"""Bytes of a sample in one ``db`` that passes the board; as the reference runner."""
ASK_S = 5.0
_BOOT_S = 5.0
_PREFIX = b"[dut]: "
_DUT = b"dut "
_READY = "m-ready"
_NAME = "Interface Board"
_BAUD = re.compile(r"baud is: *(\d+)")
_READ_BYTES = 4096


@dataclass(slots=True)
class InterfaceBoard:
    """An interface board; as a `ByteLink` it leads to the device behind it."""

    link: ByteLink
    clock: Clock
    _buffer: bytes = b""
    _of_device: bytes = b""
    """Lines of the device that nobody has read yet, without their prefix."""

    @property
    def where(self) -> str:
        """Name the link as error messages do."""
        return self.link.where

    def write(self, data: bytes) -> None:
        """Send a command, with its ``%``, on to the device."""
        self.link.write(_DUT + data)

    def read(self, most: int, until: Deadline) -> bytes:
        """Give lines of the device; what the board says of itself is left out."""
        while not self._of_device and self._listened(until):
            pass
        data, self._of_device = self._of_device[:most], self._of_device[most:]
        return data

    def ask(self, command: str, seconds: float = ASK_S) -> list[str]:
        """Give the lines of the board's own answer, without ``m-ready``.

        Raises LinkTimeout where it does not come in time.
        """
        # an acknowledgement that nobody read is no answer to this
        self._listened(Deadline.after(0.0, self.clock))
        self.link.write(encode(command))
        until = Deadline.after(seconds, self.clock)
        heard: list[str] = []
        while _READY not in heard:
            lines = self._listened(until)
            if not lines:
                raise LinkTimeout(
                    f"The interface board did not answer '{command[:20]}' within "
                    f"{seconds:g} s",
                    where=self.where,
                    remedy="Is there a card in it? It needs one to start. Reset it.",
                )
            heard += [line for line in lines if line is not None]
        return heard[: heard.index(_READY)]

    def require_name(self) -> str:
        """Give its name. Raises TargetError where something else answers."""
        said = " ".join(self.ask("name"))
        if _NAME not in said:
            raise TargetError(
                f"This is no interface board: {said[:80] or 'it says no name'}",
                where=self.where,
                remedy="Leave ?via=interface out to talk to the device itself.",
            )
        return said

    def baud_of_device(self, wanted: int | None) -> int | None:
        """Give the rate on the device's side, set to `wanted` where it is another.

        None where this version of the board cannot say. Raises TargetError where it
        does not take the rate; setting one restarts the board.
        """
        now = self._baud()
        if wanted is None or now == wanted:
            return now
        self.ask(f"setbaud {wanted}")
        self._settle()
        if self._baud() != wanted:
            raise TargetError(
                f"The interface board does not take {wanted} baud for the device",
                where=self.where,
                remedy="Update its firmware, or set the rate there.",
            )
        return wanted

    def _baud(self) -> int | None:
        found = _BAUD.search(" ".join(self.ask("checkbaud")))
        return int(found[1]) if found else None

    def _settle(self) -> None:
        """Wait until a board that has restarted answers again."""
        last = Deadline.after(_BOOT_S, self.clock)
        while True:
            try:
                self.ask("name", min(1.0, _BOOT_S))
            except LinkTimeout:
                if last.is_over():
                    raise
            else:
                return

    def _listened(self, until: Deadline) -> list[str | None]:
        """Take what comes: the board's own lines are given, the device's kept.

        An empty list is silence up to the deadline; None stands for a device's line.
        """
        data = self.link.read(_READ_BYTES, until)
        if not data:
            return []
        lines, self._buffer = split(self._buffer + data)
        given: list[str | None] = [None]
        for line in lines:
            if line.startswith(_PREFIX.strip()):
                self._of_device += line.removeprefix(_PREFIX.strip()).strip() + b"\r\n"
            elif line:
                given.append(line.decode("ascii", errors="replace"))
        return given

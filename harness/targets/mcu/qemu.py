"""``mcu@qemu:firmware.elf``: firmware on an emulated Cortex-M4, timed by instructions.

QEMU executes the very bytes that a board would, with a real UART driver, on Arm's MPS2
board (image AN386); nothing else of a board is there: no flash wait states, no cache,
no pipeline. With ``-icount shift=5`` each instruction takes 32 ns of the board's time,
whatever it is, so that a lap is a count of instructions and the same in every run. It
is never a latency of a board. That it is not one is in the address: only an emulator
that is started here is talked to, and all that comes of it is emulated.
"""

import hashlib
import re
import selectors
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock, Deadline
from harness.errors import SchemaError, TargetError, Unsupported

PROGRAM = "qemu-system-arm"
MACHINE = "mps2-an386"
SHIFT = 5
"""Each instruction takes 2 to this power nanoseconds: about 31 million a second."""
_START_S = 20.0
_END_S = 5.0
_ELF_OF_ARM = re.compile(rb"\x7fELF\x01\x01.{12}\x28\x00", re.DOTALL)
"""32 bits, little endian, machine EM_ARM (ELF specification)."""
_PORT = re.compile(r"redirected to (/dev/\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """A running emulator: the port that leads to its UART, and what it is."""

    port: str
    facts: dict[str, str]


@contextmanager
def emulating(firmware: Path, clock: Clock, where: str) -> Iterator[Emulator]:
    """Start QEMU with firmware; leaving the context ends it.

    Raises Unsupported where QEMU is not installed, SchemaError for a file that is no
    firmware for Arm, TargetError where QEMU does not start.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise Unsupported(
            f"{PROGRAM} is not installed",
            where=where,
            remedy="Install it (Debian: qemu-system-arm), or use a board.",
        )
    image = _image(firmware, where)
    icount = f"shift={SHIFT},align=off,sleep=off"
    command = [program, "-M", MACHINE, "-nographic", "-monitor", "none"]
    command += ["-icount", icount, "-serial", "pty", "-kernel", str(firmware)]
    process = subprocess.Popen(  # noqa: S603 - an own command, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield Emulator(
            port=_port(process, clock, where),
            facts={
                "machine": MACHINE,
                "emulator": _version(program),
                "icount": icount,
                "time": f"instructions of {1 << SHIFT} ns each",
                "firmware_sha256": hashlib.sha256(image).hexdigest(),
            },
        )
    finally:
        _ended(process)


def _image(firmware: Path, where: str) -> bytes:
    try:
        image = firmware.read_bytes()
    except OSError as error:
        raise SchemaError(
            f"The firmware cannot be read: {error.strerror}",
            where=where,
            remedy="Write mcu@qemu:FILE.elf, built for Arm's MPS2 board, AN386.",
        ) from error
    if not _ELF_OF_ARM.match(image):
        raise SchemaError(
            "This is no ELF file for a 32-bit Arm",
            where=where,
            remedy="Build the firmware for a Cortex-M4: arm-none-eabi-gcc "
            "-mcpu=cortex-m4 -mthumb",
        )
    return image


def _version(program: str) -> str:
    said = subprocess.run(  # noqa: S603 - as above
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    return said.partition("\n")[0].strip()


def _port(process: "subprocess.Popen[bytes]", clock: Clock, where: str) -> str:
    """Wait until it says which pseudo terminal is its UART. Raises TargetError."""
    said = ""
    with selectors.DefaultSelector() as selector:
        stream = process.stdout
        if stream is None:
            raise ValueError("its output is not read")
        selector.register(stream, selectors.EVENT_READ)
        until = Deadline.after(_START_S, clock)
        while not until.is_over():
            if not selector.select(until.remaining_s()):
                break
            piece = stream.read1(4096)  # type: ignore[attr-defined]
            said += piece.decode(errors="replace")
            found = _PORT.search(said)
            if found and "\n" in said[found.start() :]:
                return found[1]
            if not piece:
                break
    raise TargetError(
        f"{PROGRAM} did not start: {_told(said)}",
        where=where,
        remedy=f"Is it version 7 or later, with the machine {MACHINE}? Start it by "
        "hand to see.",
    )


def _told(said: str) -> str:
    return " ".join(said.split())[-200:] or "it says nothing"


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.communicate(timeout=_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()

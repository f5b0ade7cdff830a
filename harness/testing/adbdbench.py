"""A real adbd as a phone, in a network namespace of its own, and a port to reach it.

adbd listens on every interface and on AF_VSOCK. So it runs in a namespace that has
loopback only, with AF_VSOCK refused by seccomp, and what comes to a port of *our*
loopback is carried in. Debian's package ``adbd`` (from 13 on) has it; where it was
unpacked by hand, ``DUANPING_ADBD`` names the command, such as
``DIR/ld-linux-x86-64.so.2 --library-path DIR DIR/adbd``.
"""

import ctypes
import fcntl
import os
import platform
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.clock import Deadline, SystemClock
from harness.testing.sshdbench import Cable

VARIABLE = "DUANPING_ADBD"
ADBD_PORT = 5555
_UP_S = 20.0
_ISOLATED = (
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--pid",
    "--fork",
    "--mount-proc",
)
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
"""netdevice(7)."""
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
"""prctl(2)."""
_SOCKET_CALL = {"x86_64": 41, "aarch64": 198}
_LD_W_ABS, _JEQ, _RET = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 97
"""SECCOMP_RET_ALLOW, and SECCOMP_RET_ERRNO with EAFNOSUPPORT."""


def find_adbd() -> list[str] | None:
    """Give the command that starts adbd; None where there is none for us."""
    named = os.environ.get(VARIABLE)
    if named:
        return shlex.split(named)
    found = shutil.which("adbd") or "/usr/sbin/adbd"
    return [found] if Path(found).is_file() else None


def why_not() -> str:
    """Say why no adbd can be run here; empty: it can."""
    if shutil.which("adb") is None:
        return "adb is not installed"
    if find_adbd() is None:
        return f"adbd is not installed (Debian 13 has it), and {VARIABLE} names none"
    if platform.machine() not in _SOCKET_CALL:
        return f"adbd cannot be kept off AF_VSOCK on {platform.machine()}"
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    tried = subprocess.run([*_ISOLATED, "true"], capture_output=True, check=False)  # noqa: S603
    return "" if tried.returncode == 0 else "no namespace can be made here"


@contextmanager
def running_adbd(folder: Path) -> Iterator[int]:
    """Run an adbd and give the port of loopback that leads to it.

    Commands that only a phone has are looked for in ``bin`` of `folder` first.

    Raises OSError where it does not start.
    """
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        port = int(door.getsockname()[1])
        command = [
            *(*_ISOLATED, "--kill-child"),
            *(sys.executable, "-P", "-m", "harness.testing.adbdbench"),
            *(str(door.fileno()), *(find_adbd() or ())),
        ]
        with (folder / "adbd.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - a list, no shell
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[door.fileno()],
                env=dict(os.environ)
                | {"HOME": str(folder), "PATH": f"{folder}/bin:{os.environ['PATH']}"},
            )
    try:
        if not (process.stdout and process.stdout.readline()):
            raise OSError(f"adbd did not start: {(folder / 'adbd.log').read_text()}")
        yield port
    finally:
        process.kill()
        process.communicate()


def inside(door: int, *command: str) -> None:
    """Be the one process of the namespace: loopback up, adbd started, its door held."""
    _raise_loopback()
    with subprocess.Popen(command, preexec_fn=_refuse_vsock) as adbd:  # noqa: S603, PLW1509
        _wait_for_adbd()
        cable = Cable(ADBD_PORT, _listening=socket.socket(fileno=door))
        threading.Thread(target=cable.serve, daemon=True).start()
        sys.stdout.write("up\n")
        sys.stdout.flush()
        sys.stdin.read()  # ends with the one who started us
        adbd.kill()
    cable.close()


def _wait_for_adbd() -> None:
    clock = SystemClock()
    until = Deadline.after(_UP_S, clock)
    while not until.is_over():
        with suppress(OSError), socket.create_connection(("127.0.0.1", ADBD_PORT), 1.0):
            return
        clock.wait_until(clock.now_ns() + 20_000_000)
    raise OSError("adbd does not listen")


def _raise_loopback() -> None:
    with socket.socket() as one:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(one, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(one, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _refuse_vsock() -> None:
    """Have socket(AF_VSOCK, …) fail in this process and its children; seccomp(2)."""
    program = b"".join(
        struct.pack("HBBI", *step)
        for step in (
            (_LD_W_ABS, 0, 0, 0),  # seccomp_data.nr
            (_JEQ, 0, 3, _SOCKET_CALL[platform.machine()]),
            (_LD_W_ABS, 0, 0, 16),  # the low half of its first argument
            (_JEQ, 0, 1, socket.AF_VSOCK),
            (_RET, 0, 0, _REFUSE),
            (_RET, 0, 0, _ALLOW),
        )
    )
    held = ctypes.create_string_buffer(program, len(program))
    steps = len(program) // 8
    asked = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", steps, ctypes.addressof(held))
    )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _FILTER, asked
    ):
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    inside(int(sys.argv[1]), *sys.argv[2:])

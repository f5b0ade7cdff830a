"""An agent that has no network: ``python -m harness.bench.netless``.

Goes into a network namespace of its own, in which there is the loopback and nothing
else (unshare(2), user_namespaces(7)), and becomes the agent. Ends with status 77, and
the reason on standard error, where the kernel does not allow it.
"""

import ctypes
import fcntl
import os
import runpy
import socket
import struct
import sys
from pathlib import Path

NOT_PERMITTED = 77
"""Exit status where there is no namespace to be had."""
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
"""From <linux/sched.h> and <linux/sockios.h>."""


def isolate() -> None:
    """Leave the network behind. Raises OSError where that is not permitted."""
    uid, gid = os.getuid(), os.getgid()
    library = ctypes.CDLL(None, use_errno=True)
    flags = _CLONE_NEWNET if uid == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    if library.unshare(flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    if flags & _CLONE_NEWUSER:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _raise_loopback()
    names = {name for _, name in socket.if_nameindex()}
    if names != {"lo"}:
        raise OSError(f"there are still the interfaces {', '.join(sorted(names))}")


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        found = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        flags = struct.unpack("16sh14x", found)[1] | _IFF_UP
        up = struct.pack("16sh14x", b"lo", flags)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, up)


def main() -> None:
    """Isolate, and become the agent."""
    try:
        isolate()
    except OSError as error:
        print(f"no network namespace: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(NOT_PERMITTED)
    runpy.run_module("harness.agent", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""Network namespaces of one's own, and interfaces in them; Linux, stdlib only.

unshare(2), user_namespaces(7), netdevice(7), and Documentation/networking/tuntap of
the Linux kernel. Every function raises OSError where the kernel does not allow it.
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

NOT_PERMITTED = 77
"""Exit status where there is no namespace to be had."""
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000
"""From <linux/sched.h>, <linux/sockios.h> and <linux/if_tun.h>."""
_TUN = "/dev/net/tun"


def enter_new_network() -> None:
    """Leave the network for a namespace in which there is the loopback and no more.

    Who may not do that becomes root of a user namespace of their own first.
    """
    code = _unshare(_CLONE_NEWNET)
    if code == errno.EPERM:
        uid, gid = os.getuid(), os.getgid()
        code = _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        if code == 0:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    if code != 0:
        raise OSError(code, os.strerror(code))
    raise_interface("lo")
    names = {name for _, name in socket.if_nameindex()}
    if names != {"lo"}:
        raise OSError(f"there are still the interfaces {', '.join(sorted(names))}")


def open_tunnel(name: str, address: str, netmask: str) -> int:
    """Make an interface whose packets are read and written at the descriptor given.

    The descriptor stays with the namespace that this process is in now.
    """
    tunnel = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC)
    try:
        request = struct.pack("16sH14x", name.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(tunnel, _TUNSETIFF, request)
        _set_address(name, address, _SIOCSIFADDR)
        _set_address(name, netmask, _SIOCSIFNETMASK)
        raise_interface(name)
    except OSError:
        os.close(tunnel)
        raise
    return tunnel


def raise_interface(name: str) -> None:
    """Switch an interface on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", name.encode(), 0)
        found = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        flags = struct.unpack("16sh14x", found)[1] | _IFF_UP
        up = struct.pack("16sh14x", name.encode(), flags)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, up)


def _set_address(name: str, address: str, request: int) -> None:
    packed = socket.inet_aton(address)
    data = struct.pack("16sH2x4s8x", name.encode(), socket.AF_INET, packed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, request, data)


def _unshare(flags: int) -> int:
    """Give 0, or the number of the error."""
    library = ctypes.CDLL(None, use_errno=True)
    return 0 if library.unshare(flags) == 0 else ctypes.get_errno()

"""Whether what a link leads to may be an instrument, or can only be a program.

A pseudo terminal has a program of this machine at its other end, and so has a port of
this machine's own network. Such a program may pass the bytes of an instrument on
(socat, ser2net, an ssh tunnel), but nothing in them tells that from a simulator: what
comes over it is not called measured.
"""

import ipaddress
import os
from pathlib import Path

_PSEUDO_MAJORS = range(136, 144)
"""Device numbers of pseudo terminals (Linux, Documentation/admin-guide/devices.txt)."""
_OF_THIS_MACHINE = ("localhost", "localhost.localdomain", "")
_NETWORK_SCHEMES = ("socket", "rfc2217")


def may_be_hardware(kind: str, rest: str) -> bool:
    """Say whether a link of this kind (`bytelink.KINDS`) can lead to an instrument."""
    match kind:
        case "serial":
            return not is_pseudo_terminal(Path(rest))
        case "tcp":
            return not _is_this_machine(rest)
        case _:
            scheme, separator, place = rest.partition("://")
            if not separator:
                return not is_pseudo_terminal(Path(rest))
            return scheme in _NETWORK_SCHEMES and not _is_this_machine(place)


def is_pseudo_terminal(port: Path) -> bool:
    """Say whether a port, or what a link of that name leads to, is a pseudo terminal.

    A port that is not there is none; opening it says so.
    """
    try:
        found = port.resolve(strict=True)
        number = found.stat().st_rdev
    except (OSError, RuntimeError):
        return False
    if found.is_relative_to("/dev/pts"):
        return True
    return number != 0 and os.major(number) in _PSEUDO_MAJORS


def _is_this_machine(place: str) -> bool:
    """Say whether HOST:PORT is on this machine, by name or by loopback address."""
    host, _, _ = place.partition("/")[0].partition("?")[0].rpartition(":")
    host = host.strip("[]").lower()
    if host in _OF_THIS_MACHINE:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified

"""Serves a simulated instrument to programs that know nothing of us.

On a pseudo terminal it looks like a serial port, on a socket like an instrument on the
network. It lives in real time, in a thread of this process.
"""

import os
import pty
import select
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from harness.clock import SystemClock
from harness.links.loop import Instrument
from harness.units import NS_PER_S

_POLL_S = 0.002
_READ_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An instrument that is being served."""

    name: str
    """Path of the port, or HOST:PORT."""
    unplug: Callable[[], None]
    """Pulls the cable: the other end sees the device go away."""


@contextmanager
def served_on_pty(instrument: Instrument) -> Iterator[Served]:
    """Serve an instrument on a pseudo terminal; its path is the port's name.

    A pseudo terminal takes any speed, has no parity, and holds about 20 kB.
    """
    device, port = pty.openpty()
    # both ends: one alone would still turn some bytes into others
    tty.setraw(device)
    tty.setraw(port)
    # our own hold on the port keeps it alive between two clients
    with _serving(instrument, device, also_close=(port,)) as unplug:
        yield Served(name=os.ttyname(port), unplug=unplug)


@contextmanager
def served_on_tcp(instrument: Instrument) -> Iterator[Served]:
    """Serve an instrument on a socket of this machine, to one client."""
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    stop = threading.Event()
    thread = threading.Thread(
        target=_accept, args=(listener, instrument, stop), daemon=True
    )
    thread.start()
    try:
        yield Served(name=f"{host}:{port}", unplug=stop.set)
    finally:
        stop.set()
        thread.join()
        listener.close()


def _accept(
    listener: socket.socket,
    instrument: Instrument,
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        if select.select([listener], [], [], _POLL_S)[0]:
            connection, _ = listener.accept()
            with connection:
                _serve(instrument, connection.fileno(), stop)
            return


@contextmanager
def _serving(
    instrument: Instrument, device: int, *, also_close: tuple[int, ...]
) -> Iterator[Callable[[], None]]:
    stop = threading.Event()
    thread = threading.Thread(
        target=_serve, args=(instrument, device, stop), daemon=True
    )
    thread.start()
    is_open = True

    def unplug() -> None:
        nonlocal is_open
        stop.set()
        thread.join()
        if is_open:
            is_open = False
            for descriptor in (device, *also_close):
                os.close(descriptor)

    try:
        yield unplug
    finally:
        unplug()


def _serve(instrument: Instrument, device: int, stop: threading.Event) -> None:
    """Carry bytes both ways until told to stop; the client may come and go."""
    clock = SystemClock()
    os.set_blocking(device, False)
    pending = b""
    while not stop.is_set():
        due_ns = instrument.next_ns(clock.now_ns())
        wait_s = _POLL_S if due_ns is None else (due_ns - clock.now_ns()) / NS_PER_S
        select.select([device], [], [], min(max(wait_s, 0.0), _POLL_S))
        # BlockingIOError: nothing there, or no room; OSError: no client just now
        with suppress(OSError):
            data = os.read(device, _READ_BYTES)
            instrument.receive(data, clock.now_ns())
        pending += instrument.transmit(clock.now_ns())
        with suppress(OSError):
            pending = pending[os.write(device, pending) :] if pending else b""

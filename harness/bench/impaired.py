"""An agent on a network that fails: ``python -m harness.bench.impaired SETTING``.

Makes two network namespaces with a tunnel interface in each, and stands between them:
every packet goes through a relay of ours that drops and delays it as the network says.
The agent lives on the near side. On the far side a listener leads to the service that
the workload asks, if it asks one. The relay is a process of its own, which ends with
the agent; one that fails takes the agent with it, so that no trial goes on over a
network that is not the one it was promised.

With ``--probe`` in place of a setting nothing is executed: status 0 says that this
machine can do it, 77 that it cannot, and standard error why.
"""

import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from threading import Thread

from harness.bench.namespaces import NOT_PERMITTED, enter_new_network, open_tunnel
from harness.bench.servicegate import splice
from harness.clock import SystemClock
from harness.domain.network import Network
from harness.units import NS_PER_S

METHOD = "user-space relay between two tunnel interfaces, packet by packet"
NEAR, FAR, _NETMASK = "10.77.0.1", "10.77.0.2", "255.255.255.252"
PROBE = "--probe"
_LARGEST_PACKET = 1 << 16
_BACKLOG = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A network and what is on its far side."""

    network: Network
    seed: int
    gates: tuple[tuple[int, str], ...] = ()
    """Port on the far side → Unix socket that leads to the service."""

    def text(self) -> str:
        """Give it as an argument of the command."""
        return json.dumps(asdict(self))

    @staticmethod
    def parse(text: str) -> "Setting":
        """Read what `text` wrote."""
        plain = json.loads(text)
        named = {one.name: plain["network"][one.name] for one in fields(Network)}
        return Setting(
            network=Network(**named),
            seed=plain["seed"],
            gates=tuple((port, path) for port, path in plain["gates"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """Descriptors of the two interfaces, and listeners with their gates."""

    near: int
    far: int
    listeners: tuple[tuple[socket.socket, str], ...]


def main() -> None:
    """Make the network, put the relay into it, and become the agent."""
    word = sys.argv[1]
    gates = () if word == PROBE else Setting.parse(word).gates
    try:
        ends = _ends(gates)
    except OSError as error:
        print(f"no network can be made here: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(NOT_PERMITTED)
    if word == PROBE:
        return
    _start_relay(ends, Setting.parse(word))
    runpy.run_module("harness.agent", run_name="__main__", alter_sys=True)


def _ends(gates: tuple[tuple[int, str], ...]) -> _Ends:
    """Make the far namespace, then the near one, in which this process stays."""
    enter_new_network()
    far = open_tunnel("far0", FAR, _NETMASK)
    listeners = []
    for port, path in gates:
        listener = socket.socket()
        listener.bind((FAR, port))
        listener.listen(_BACKLOG)
        listeners.append((listener, path))
    enter_new_network()
    near = open_tunnel("near0", NEAR, _NETMASK)
    return _Ends(near=near, far=far, listeners=tuple(listeners))


def _start_relay(ends: _Ends, setting: Setting) -> None:
    """Leave the relay to a child, which ends once this process has.

    It knows by a pipe whose other end stays open here for as long as this lives.
    """
    alive, held = os.pipe()
    agent = os.getpid()
    if os.fork():
        for descriptor in (alive, ends.near, ends.far):
            os.close(descriptor)
        for listener, _ in ends.listeners:
            listener.close()
        return
    os.close(held)
    _leave_the_pipes()
    try:
        _relay(ends, setting, alive)
    except BaseException:  # noqa: BLE001 - whatever it was, the agent must not go on
        traceback.print_exc()
        with suppress(ProcessLookupError):
            os.kill(agent, signal.SIGKILL)
    os._exit(0)


def _leave_the_pipes() -> None:
    """Keep nobody waiting for the end of the agent's own words."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)


def _relay(ends: _Ends, setting: Setting, alive: int) -> None:
    # numpy starts threads, and no namespace of users can be made by a process with any
    from harness.bench.impairment import Impairment, Line  # noqa: PLC0415

    clock = SystemClock()
    for listener, path in ends.listeners:
        Thread(target=_serve, args=(listener, path), daemon=True).start()
    network = Impairment(setting.network, setting.seed, clock.now_ns())
    line = Line()
    other = {ends.near: ends.far, ends.far: ends.near}
    while True:
        due_ns = line.next_ns()
        wait_s = None if due_ns is None else max(0, due_ns - clock.now_ns()) / NS_PER_S
        ready, _, _ = select.select([*other, alive], [], [], wait_s)
        if alive in ready:
            return
        now_ns = clock.now_ns()
        for end in ready:
            packet = os.read(end, _LARGEST_PACKET)
            at_ns = network.arrival_ns(now_ns, is_outbound=end == ends.near)
            if at_ns is not None:
                line.put(at_ns, other[end], packet)
        for end, packet in line.arrived(now_ns):
            os.write(end, packet)


def _serve(listener: socket.socket, path: str) -> None:
    """Lead each connection to the gate."""
    while True:
        connection, _ = listener.accept()
        Thread(target=_lead, args=(connection, path), daemon=True).start()


def _lead(connection: socket.socket, path: str) -> None:
    with connection, socket.socket(socket.AF_UNIX) as gate, suppress(OSError):
        gate.connect(path)
        splice(connection, gate)


if __name__ == "__main__":
    main()

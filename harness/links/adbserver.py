"""An adb server of our own, and calls of the real ``adb`` command through it.

It listens on a socket in a folder that nobody else can enter, never on a port and
never as the user's own server, and ends with us. Texts and states are those of
AOSP's packages/modules/adb (client/commandline.cpp, adb.cpp: ConnectionStateName).
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.clock import Deadline, SystemClock
from harness.errors import LinkError, LinkTimeout, Unsupported
from harness.links.pipe import spawn

_UP_S = 20.0
_LOOK_EVERY_NS = 20_000_000
_KILL_S = 10.0
_SERVE = '"$0" -L "$1" nodaemon server & read _; kill $!'
"""A shell waits for the end of its standard input: the server dies with its host."""
_OTHERS = ("ANDROID_SERIAL", "ANDROID_ADB_SERVER_PORT", "ADB_SERVER_SOCKET")
"""Variables of the user's by which adb would choose another phone or server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adb:
    """The command, and the server that it is to talk to."""

    path: str
    server: str
    environment: dict[str, str] = field(repr=False)

    def line(self, *words: str) -> list[str]:
        """Give the command line of a call."""
        return [self.path, "-L", self.server, *words]

    def call(
        self, until: Deadline, *words: str, stdin: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        """Carry out a call to its end. Raises LinkTimeout, LinkError."""
        try:
            return subprocess.run(  # noqa: S603 - a list, no shell
                self.line(*words),
                env=self.environment,
                input=stdin,
                capture_output=True,
                timeout=until.remaining_s(),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LinkTimeout(
                "The phone does not answer",
                where="adb",
                remedy="Is it on, is the cable in? Unlock it and look at its screen.",
            ) from error
        except OSError as error:
            raise LinkError(f"adb cannot be started: {error}") from error


@contextmanager
def adb_server() -> Iterator[Adb]:
    """Run a server and end it on leaving. Raises Unsupported where there is no adb."""
    path = shutil.which("adb")
    if path is None:
        raise Unsupported(
            "There is no adb on this machine",
            remedy="Install it, such as: sudo apt-get install adb",
        )
    environment = {k: v for k, v in os.environ.items() if k not in _OTHERS}
    environment |= {"ADB_MDNS": "0", "ADB_MDNS_AUTO_CONNECT": "0"}
    with tempfile.TemporaryDirectory(prefix="duanping-") as folder:
        place = Path(folder, "adb")
        adb = Adb(path=path, server=f"localfilesystem:{place}", environment=environment)
        command = ("sh", "-c", _SERVE, path, adb.server)
        with spawn(command, environment, name="adb server") as server:
            _wait_for(place, server.last_words)
            try:
                yield adb
            finally:
                # also one that the command has started where ours had died
                adb.call(Deadline.after(_KILL_S, SystemClock()), "kill-server")


def _wait_for(place: Path, words: object) -> None:
    """Wait until it listens: the command would start a lasting one of its own."""
    clock = SystemClock()
    until = Deadline.after(_UP_S, clock)
    while not until.is_over():
        with socket.socket(socket.AF_UNIX) as one:
            if one.connect_ex(str(place)) == 0:
                return
        clock.wait_until(clock.now_ns() + _LOOK_EVERY_NS)
    said = words() if callable(words) else ""
    raise LinkError(
        f"The adb server does not start: {said}",
        where=str(place),
        remedy="Try by hand: adb nodaemon server",
    )

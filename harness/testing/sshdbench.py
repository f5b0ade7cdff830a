"""A real sshd on loopback as a board, with keys of its own, and a cable to cut.

It listens on 127.0.0.1 only, as the user who runs the tests, and reads no key and no
configuration but its own. Used by this project's tests, and by those of targets that
want a board behind ssh.
"""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.clock import Deadline, SystemClock

_SSHD = ("/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd")
_UP_S = 10.0
_PIECE_BYTES = 1 << 16


def find_sshd() -> str | None:
    """Give the path of sshd; None where it is not installed."""
    found = shutil.which("sshd")
    return found or next((path for path in _SSHD if Path(path).is_file()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sshd:
    """A running sshd."""

    port: int
    host_key: str
    client_key: Path
    stranger_key: Path
    """A key that it does not let in."""


@contextmanager
def running_sshd(folder: Path, programs: Path | None = None) -> Iterator[Sshd]:
    """Run a sshd whose files all lie in `folder`. Raises OSError where it fails.

    `programs` is the one folder in which the board finds commands; None: this host's.
    """
    sshd = find_sshd()
    if sshd is None:
        raise FileNotFoundError("sshd is not installed: apt-get install openssh-server")
    folder.chmod(0o755)
    for name in ("host", "client", "stranger"):
        new_key(folder / name)
    (folder / "authorized").write_text((folder / "client.pub").read_text())
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own empty folder
    port = free_port()
    config = _config(folder, port)
    if programs is not None:
        config += f"ForceCommand {_bare_login(folder, programs)}\n"
    (folder / "config").write_text(config)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a list, no shell
            [sshd, "-D", "-e", "-f", str(folder / "config")], stderr=log
        )
        try:
            _wait_for(port, process, folder / "log")
            yield Sshd(
                port=port,
                host_key=" ".join((folder / "host.pub").read_text().split()[:2]),
                client_key=folder / "client",
                stranger_key=folder / "stranger",
            )
        finally:
            process.terminate()
            process.wait()


def new_key(path: Path) -> None:
    """Make a key pair by ssh-keygen, in the place of one that is there."""
    path.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)  # noqa: S603 - a list, no shell


def free_port() -> int:
    """Give a port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _config(folder: Path, port: int) -> str:
    return f"""
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile {folder}/pid
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
Subsystem sftp internal-sftp
"""


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    clock = SystemClock()
    until = Deadline.after(_UP_S, clock)
    while process.poll() is None and not until.is_over():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        clock.wait_until(clock.now_ns() + 20_000_000)
    raise OSError(f"sshd did not start: {log.read_text()}")


@dataclass(slots=True)
class Cable:
    """A TCP connection in two halves, which can be cut and plugged in again."""

    to_port: int
    port: int = 0
    is_plugged: bool = True
    bytes_to_board: int = 0
    connections: int = 0
    """How many there have been."""
    _listening: socket.socket = field(default_factory=socket.socket)
    _ends: list[socket.socket] = field(default_factory=list)

    def lay(self) -> None:
        """Begin to listen."""
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen()
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self.serve, daemon=True).start()

    def cut(self) -> None:
        """Break every connection and let none through until it is plugged in."""
        self.is_plugged = False
        for end in self._ends:
            with suppress(OSError):  # it may be closed already
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def plug(self) -> None:
        """Let connections through again."""
        self.is_plugged = True

    def close(self) -> None:
        """Take the cable away."""
        self.cut()
        self._listening.close()

    def serve(self) -> None:
        """Take connections until the cable is taken away."""
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return  # the cable was taken away
            if not self.is_plugged:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.to_port))
            self._ends += [near, far]
            self.connections += 1
            for one, other in ((near, far), (far, near)):
                threading.Thread(
                    target=self._carry, args=(one, other), daemon=True
                ).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), source, sink:  # a cut cable carries nothing
            while data := source.recv(_PIECE_BYTES):
                if sink.getpeername()[1] == self.to_port:
                    self.bytes_to_board += len(data)
                sink.sendall(data)
            # a close alone would not be told while the other thread still reads
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def laid_cable(to_port: int) -> Iterator[Cable]:
    """Lay a cable to a port of loopback."""
    cable = Cable(to_port)
    cable.lay()
    try:
        yield cable
    finally:
        cable.close()


_BARE_PROGRAMS = ("sh", "env", "uname", "test", "chmod", "rm", "mkdir", "mv", "true")
_SFTP = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")


def bare_programs(folder: Path) -> Path:
    """Make a folder of the commands that a board without Python has, and no others.

    Raises OSError where one of them is not installed here.
    """
    folder.mkdir()
    for name in _BARE_PROGRAMS:
        found = shutil.which(name)
        if found is None:
            raise FileNotFoundError(f"{name} is not installed")
        (folder / name).symlink_to(found)
    return folder


def _bare_login(folder: Path, programs: Path) -> Path:
    """Write what sshd starts for every command: no login script has a say in it."""
    sftp = next((path for path in _SFTP if Path(path).is_file()), None)
    if sftp is None:
        raise FileNotFoundError("sftp-server is not installed: openssh-sftp-server")
    login = folder / "login"
    login.write_text(f"""#!/bin/sh
[ "$SSH_ORIGINAL_COMMAND" = internal-sftp ] && exec {sftp}
set -- {programs}/sh -c "$SSH_ORIGINAL_COMMAND"
exec /usr/bin/env -i HOME="$HOME" PATH={programs} "$@"
""")
    login.chmod(0o755)
    return login

"""An Android phone over adb, by the real ``adb`` command. A `Shell`.

``adb shell`` may end with status 0 because the daemon on the phone died. So no
status is taken from it: a command's own is printed behind its output, and where that
line is missing, the link was lost.
"""

import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess

from harness.clock import Clock, Deadline
from harness.errors import LinkClosed, LinkError, TargetError, Unsupported
from harness.links.adbmeaning import chosen, states_in
from harness.links.adbserver import Adb
from harness.links.pipe import ChildLink, spawn
from harness.links.shell import Finished

_CONNECT_S = 15.0
_APPEAR_S = 5.0
"""A server that has just started takes a second or two to find what is plugged in."""
_SETTLE_NS = 500_000_000
_PUSH_S = 600.0
_END = "duanping-end"
_NEEDED = "shell_v2"


class AdbShell:
    """A phone behind adb."""

    def __init__(self, adb: Adb, serial: str, clock: Clock) -> None:
        self.where = f"adb:{serial}"
        self._adb = adb
        self._wanted = serial
        self._serial = serial
        self._clock = clock

    def reconnect(self) -> None:
        """Find the phone, or open the connection to one in the network."""
        if ":" in self._wanted:
            self._connect()
        until = Deadline.after(_APPEAR_S, self._clock)
        while True:
            try:
                self._serial = chosen(self._states(), self._wanted)
            except LinkClosed:
                if until.is_over():
                    raise
                self._rest()
            else:
                break
        self.where = f"adb:{self._serial}"
        self._require_protocol()

    def let_go(self) -> None:
        """Let a phone in the network go; a cable is held by no command in between."""
        if ":" in self._wanted:
            until = Deadline.after(_CONNECT_S, self._clock)
            self._adb.call(until, "disconnect", self._wanted)

    def run(
        self, command: Sequence[str], until: Deadline, *, stdin: bytes = b""
    ) -> Finished:
        """Execute a command to its end."""
        line = f'({shlex.join(command)}); s=$?; echo; echo "{_END} $s"'
        done = self._call(until, "shell", "-T", line, stdin=stdin)
        errors = done.stderr.decode(errors="replace")
        output, found, status = done.stdout.rpartition(f"\n{_END} ".encode())
        if not found or not status.strip().isdigit():
            raise self._lost(errors)
        return Finished(status=int(status), stdout=output, stderr=errors)

    @contextmanager
    def start(self, command: Sequence[str]) -> Iterator[ChildLink]:
        """Start a command; leaving the context ends it."""
        line = f"exec {shlex.join(command)}"
        words = self._adb.line("-s", self._serial, "shell", "-T", line)
        with spawn(words, self._adb.environment, name=self.where) as link:
            yield link

    def log_in(self, command: Sequence[str]) -> int:
        """Give our own terminal to a shell on the phone, or to a command there.

        Gives adb's exit status: the command's, or 0 where the phone went away.
        """
        words = self._adb.line("-s", self._serial, "shell", *command)
        done = subprocess.run(words, env=self._adb.environment, check=False)  # noqa: S603 - a list
        return done.returncode

    def push(self, data: Path | bytes, to: str) -> None:
        """Write a file beside its name, then give it its name."""
        until = Deadline.after(_PUSH_S, self._clock)
        self.run(["mkdir", "-p", str(PurePosixPath(to).parent)], until)
        part = f"{to}.part"
        with _as_file(data) as path:
            done = self._call(until, "push", str(path), part)
        if done.returncode == 0:
            done_move = self.run(["mv", part, to], until)
            if done_move.status == 0:
                return
            raise self._unwritable(to, done_move.stderr)
        errors = (done.stderr + done.stdout).decode(errors="replace")
        self.run(["rm", "-f", part], until)  # raises where it was the link
        raise self._unwritable(to, errors)

    def _call(
        self, until: Deadline, *words: str, stdin: bytes = b""
    ) -> CompletedProcess[bytes]:
        return self._adb.call(until, "-s", self._serial, *words, stdin=stdin)

    def _states(self) -> dict[str, str]:
        until = Deadline.after(_CONNECT_S, self._clock)
        done = self._adb.call(until, "devices")
        return states_in(done.stdout.decode(errors="replace"))

    def _connect(self) -> None:
        """Open a network connection; adb says how it went, not its exit status."""
        until = Deadline.after(_CONNECT_S, self._clock)
        self._adb.call(until, "disconnect", self._wanted)  # one may be half open
        done = self._adb.call(until, "connect", self._wanted)
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        if "connected to" not in said and "failed to authenticate" not in said:
            raise LinkClosed(
                f"The phone does not take a connection: {said}",
                where=f"adb:{self._wanted}",
                remedy="Is it in this network with wireless debugging on, and paired?",
            )

    def _require_protocol(self) -> None:
        """Raise Unsupported for a phone whose shell keeps no outputs apart."""
        done = self._call(Deadline.after(_CONNECT_S, self._clock), "features")
        if done.returncode != 0:
            raise self._lost(done.stderr.decode(errors="replace"))
        if _NEEDED.encode() not in done.stdout.split():
            raise Unsupported(
                "The phone's adb has no shell protocol: its Android is older than 7",
                where=self.where,
                remedy="Measure it by hand, or take a newer phone.",
            )

    def _rest(self) -> None:
        self._clock.wait_until(self._clock.now_ns() + _SETTLE_NS)

    def _lost(self, errors: str) -> LinkError:
        last = (errors.strip().splitlines() or ["it ended without a word"])[-1]
        return LinkClosed(
            f"The link to the phone was lost: {last.removeprefix('error: ')}",
            where=self.where,
            remedy="Look at phone and cable, then run again with --resume.",
        )

    def _unwritable(self, to: str, errors: str) -> TargetError:
        last = (errors.strip().splitlines() or ["no reason given"])[-1]
        return TargetError(
            f"The phone cannot write {to}: {last.removeprefix('adb: error: ')}",
            where=self.where,
            remedy="Its storage may be full (df) or the folder not ours: "
            'folder = "/data/local/tmp/…" in lab.toml.',
        )


@contextmanager
def _as_file(data: Path | bytes) -> Iterator[Path]:
    """Give a path: adb sends files only."""
    if isinstance(data, Path):
        yield data
        return
    with tempfile.NamedTemporaryFile(prefix="duanping-") as file:
        file.write(data)
        file.flush()
        yield Path(file.name)

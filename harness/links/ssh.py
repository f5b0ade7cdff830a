"""A board over SSH, by asyncssh. No key is ever trusted on first use.

asyncssh lives in one thread with an event loop of its own; everything here is called
from outside it. The user's ssh configuration is not read, so that a run depends on
nothing but what the lab file says.
"""

import asyncio
import shlex
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import asyncssh

from harness.clock import Deadline
from harness.errors import LinkClosed, LinkError, LinkTimeout, TargetError, UsageError
from harness.links.keyprint import fingerprint_of
from harness.links.loopthread import LoopThread, loop_thread
from harness.links.shell import Finished
from harness.links.sshaddress import SshAddress
from harness.links.sshmeaning import Guard, disk_meaning, meaning

CONNECT_S = 15.0
ALIVE_EVERY_S = 5.0
ALIVE_COUNT = 3
"""A link that answers nothing for so many times is closed."""
_PUSH_S = 600.0
_CLOSE_S = 2.0
_TAIL_LINES = 40
_WORDS_LENGTH = 600
_READ_BYTES = 1 << 18
_PIECE_BYTES = 1 << 18


def pinned_in(path: Path, address: SshAddress) -> list[str]:
    """List the keys of a board in a file as OpenSSH's known_hosts; none: no file.

    Raises UsageError for a file that cannot be read.
    """
    if not path.is_file():
        return []
    try:
        found = asyncssh.match_known_hosts(
            str(path), address.host, address.host, address.port
        )
    except (ValueError, OSError) as error:
        raise UsageError(
            f"The file of pinned keys cannot be read: {error}",
            where=str(path),
            remedy="A line of it is: HOST ssh-ed25519 AAAA…",
        ) from error
    return [key.export_public_key("openssh").decode() for key in found[0]]


def key_offered(address: SshAddress) -> str:
    """Ask a board for its host key without trusting it; gives it in one line."""
    with loop_thread() as loop, meaning(str(address)):
        key = loop.call(
            asyncssh.get_server_host_key(address.host, address.port, config=[]),
            CONNECT_S,
        )
    if key is None:
        raise LinkError("The board offers no host key", where=str(address))
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


@contextmanager
def ssh_shell(
    address: SshAddress, host_keys: Sequence[str], client_key: str
) -> Iterator["SshShell"]:
    """Log in to a board that proves itself by one of those keys.

    Raises LinkError where it does not, or does not let us in; UsageError for a key
    that cannot be read.
    """
    with loop_thread() as loop:
        pinned = [fingerprint_of(key) for key in host_keys]
        shell = SshShell(loop, address, pinned, client_key)
        shell.reconnect()
        try:
            yield shell
        finally:
            shell.let_go()


class SshShell:
    """A board behind SSH. A `Shell`."""

    def __init__(
        self,
        loop: LoopThread,
        address: SshAddress,
        pinned: Sequence[str],
        client_key: str,
    ) -> None:
        self.where = str(address)
        self._loop = loop
        self._address = address
        self._pinned = pinned
        self._client_key = client_key
        self._connection: asyncssh.SSHClientConnection | None = None

    def reconnect(self) -> None:
        """Open the link anew."""
        self.let_go()
        guard = Guard(self._pinned)
        keys = [str(Path(self._client_key).expanduser())] if self._client_key else ()
        with meaning(self.where, guard):
            self._connection = self._loop.call(
                asyncssh.connect(
                    self._address.host,
                    self._address.port,
                    config=[],
                    username=self._address.user or (),
                    client_keys=keys,
                    known_hosts=([], [], []),
                    client_factory=lambda: guard,
                    keepalive_interval=ALIVE_EVERY_S,
                    keepalive_count_max=ALIVE_COUNT,
                    connect_timeout=CONNECT_S,
                    login_timeout=CONNECT_S,
                ),
                CONNECT_S * 2,
            )

    def run(
        self, command: Sequence[str], until: Deadline, *, stdin: bytes = b""
    ) -> Finished:
        """Execute a command to its end."""
        with meaning(self.where):
            done = self._loop.call(
                self._open().run(
                    _line(command), input=stdin, encoding=None, check=False
                ),
                until.remaining_s(),
            )
        status = -1 if done.exit_status is None else done.exit_status
        return Finished(
            status=status,
            stdout=_as_bytes(done.stdout),
            stderr=_as_bytes(done.stderr).decode(errors="replace"),
        )

    @contextmanager
    def start(self, command: Sequence[str]) -> Iterator["SshProcess"]:
        """Start a command; leaving the context ends it."""
        with meaning(self.where):
            process: asyncssh.SSHClientProcess[bytes] = self._loop.call(
                self._open().create_process(_line(command), encoding=None), CONNECT_S
            )
        link = SshProcess(self._loop, process, self.where)
        try:
            yield link
        finally:
            link.close()

    def push(self, data: Path | bytes, to: str) -> None:
        """Write a file beside its name, then give it its name."""
        with meaning(self.where), disk_meaning(self.where, to):
            size = len(data) if isinstance(data, bytes) else data.stat().st_size
            self._loop.call(self._put(data, to, size), _PUSH_S)

    def let_go(self) -> None:
        """Close the link on purpose; one that is gone is closed too."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._loop.soon(connection.abort)

    async def _put(self, data: Path | bytes, to: str, size: int) -> None:
        part = f"{to}.part"
        async with self._open().start_sftp_client() as sftp:
            await sftp.makedirs(str(Path(to).parent), exist_ok=True)
            try:
                async with sftp.open(part, "wb") as file:
                    for piece in _pieces(data):
                        await file.write(piece)
                await sftp.posix_rename(part, to)
            except asyncssh.SFTPError as error:
                with suppress(asyncssh.SFTPError):  # the first error is the one to tell
                    await sftp.remove(part)
                await self._require_room(sftp, size, to, error)
                raise

    async def _require_room(
        self,
        sftp: asyncssh.SFTPClient,
        size: int,
        to: str,
        error: asyncssh.SFTPError,
    ) -> None:
        """Raise TargetError where it is the lack of space that the error is about."""
        disk = await sftp.statvfs(str(Path(to).parent))
        free = (disk.bavail or 0) * (disk.frsize or 0)
        if free < size:
            raise TargetError(
                f"The board's disk is full: {free:,} bytes are free, {size:,} needed",
                where=f"{self.where}:{to}",
                remedy="Remove something there, or name a folder on another disk: "
                'folder = "…" in lab.toml.',
            ) from error

    def _open(self) -> asyncssh.SSHClientConnection:
        if self._connection is None:
            raise LinkClosed("The link to the board is closed", where=self.where)
        return self._connection


class SshProcess:
    """A process on a board. A `LineLink`."""

    def __init__(self, loop: LoopThread, process: Any, where: str) -> None:  # noqa: ANN401
        self.where = where
        self._loop = loop
        self._process = process
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._is_over = False
        self._reading = loop.begin(self._read())

    def write(self, data: bytes) -> None:
        """Send all of it."""
        with meaning(self.where):
            self._loop.call(self._send(data), CONNECT_S)

    def read_line(self, until: Deadline) -> bytes:
        """Give the next whole line with its end."""
        if self._is_over:
            raise self._closed()
        try:
            line = self._lines.get(timeout=until.remaining_s())
        except Empty:
            raise LinkTimeout(
                "The board said nothing in time", where=self.where
            ) from None
        if line is None:
            self._is_over = True
            raise self._closed()
        return line

    def last_words(self) -> str:
        """Give the end of its standard error."""
        return " ".join(line for line in self._tail if line)[-_WORDS_LENGTH:]

    def close(self) -> None:
        """Close its standard input, and the channel a little later."""
        # the link may be what went away
        with suppress(LinkError), meaning(self.where):
            self._loop.call(self._end(), _CLOSE_S * 2)

    async def _send(self, data: bytes) -> None:
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def _end(self) -> None:
        self._process.stdin.write_eof()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait_closed(), _CLOSE_S)
        self._process.close()

    async def _read(self) -> None:
        # the end of the link is the end of the lines
        with suppress(asyncssh.Error, OSError):
            await asyncio.gather(self._read_lines(), self._read_errors())
        self._lines.put(None)

    async def _read_lines(self) -> None:
        rest = b""
        while data := await self._process.stdout.read(_READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._lines.put(line + b"\n")

    async def _read_errors(self) -> None:
        while data := await self._process.stderr.read(_READ_BYTES):
            self._tail.extend(data.decode(errors="replace").splitlines())

    def _closed(self) -> LinkClosed:
        return LinkClosed("The link to the board was lost", where=self.where)


def _as_bytes(output: bytes | str | None) -> bytes:
    return output.encode() if isinstance(output, str) else output or b""


def _line(command: Sequence[str]) -> str:
    return "exec " + shlex.join(command)


def _pieces(data: Path | bytes) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece

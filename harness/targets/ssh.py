"""``linux@ssh:user@host:port``: a Linux board over SSH, its key pinned beforehand."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from platformdirs import user_config_path

from harness.domain.board import Board
from harness.domain.profile import DeviceProfile
from harness.errors import LinkError, Unsupported
from harness.links.shell import Shell
from harness.links.sshaddress import SshAddress
from harness.plugins import Address
from harness.targets.remote import Patience, RemoteTarget, fitted_out

KIND = "ssh"
NO_BOARD = Board()


@contextmanager
def open_target(
    address: Address,
    profile: DeviceProfile,  # noqa: ARG001 - every opener is called with it
    *,
    board: Board = NO_BOARD,
    patience: Patience | None = None,
    is_held: bool = True,
) -> Iterator[RemoteTarget]:
    """Open a board and keep it for ourselves while the context is open.

    Not held, it can only be asked what a run that was left there has done.

    Raises LinkError where it is not there or is another one, Unsupported where it
    cannot run the agent, TargetError where another lab holds it.
    """
    with (
        open_shell(address, board) as shell,
        fitted_out(
            shell, board, address, patience or Patience(), is_held=is_held
        ) as target,
    ):
        yield target


@contextmanager
def open_shell(address: Address, board: Board) -> Iterator[Shell]:
    """Log in to a board. Raises LinkError, UsageError, Unsupported without asyncssh."""
    ssh = _library()
    place = place_of(address)
    pinned = (
        [board.host_key] if board.host_key else ssh.pinned_in(known_hosts_path(), place)
    )
    if not pinned:
        raise LinkError(
            "No host key is pinned for this board, and none is trusted unseen",
            where=str(address),
            remedy=f"duanping devices --pin {address}",
        )
    with ssh.ssh_shell(place, pinned, board.client_key) as shell:
        yield shell


def key_offered(address: Address) -> str:
    """Ask a board for its host key, which is not trusted by that."""
    ssh = _library()
    key: str = ssh.key_offered(place_of(address))
    return key


def known_hosts_path() -> Path:
    """Name the file of pinned keys of boards that no lab file names."""
    return user_config_path("duanping") / "known_hosts"


def place_of(address: Address) -> SshAddress:
    """Give host, user and port. Raises Unsupported for another kind of link."""
    kind, _, place = address.link.partition(":")
    if kind != KIND:
        raise Unsupported(
            f"A Linux board is reached by ssh, not by '{kind}'",
            where=str(address),
            remedy="Write linux@ssh:user@host or linux@ssh:user@host:port.",
        )
    return SshAddress.parse(place)


def _library() -> ModuleType:
    try:
        return import_module("harness.links.ssh")
    except ImportError as error:
        raise Unsupported(
            f"Boards over ssh need a library that is not installed: {error.name}",
            remedy="pip install 'duanping[ssh]'",
        ) from error

"""``android@adb:SERIAL``: an Android phone over adb, as any board behind a shell.

The serial is what ``adb devices`` lists, or ``host:port`` of a phone in the network;
without one, the only phone that is connected.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from harness.clock import SystemClock
from harness.domain.board import Board
from harness.domain.profile import DeviceProfile
from harness.errors import Unsupported
from harness.links.adb import AdbShell
from harness.links.adbserver import adb_server
from harness.plugins import Address
from harness.targets.remote import Patience, RemoteTarget, fitted_out

KIND = "adb"
NO_BOARD = Board()
FOLDER = "/data/local/tmp/duanping"
"""The one place from which Android lets the shell's user execute files."""


@contextmanager
def open_target(
    address: Address,
    profile: DeviceProfile,  # noqa: ARG001 - every opener is called with it
    *,
    board: Board = NO_BOARD,
    patience: Patience | None = None,
    is_held: bool = True,
) -> Iterator[RemoteTarget]:
    """Open a phone and keep it for ourselves while the context is open.

    Not held, it can only be asked what a run that was left there has done.

    Raises LinkError where it is not there or not allowed to us, Unsupported where it
    cannot run the agent, TargetError where another lab holds it.
    """
    known = replace(board, folder=FOLDER) if has_no_folder(board) else board
    with (
        open_shell(address) as shell,
        fitted_out(
            shell, known, address, patience or Patience(), is_held=is_held
        ) as target,
    ):
        yield target


@contextmanager
def open_shell(address: Address) -> Iterator[AdbShell]:
    """Reach a phone. Raises LinkError, Unsupported without adb."""
    kind, _, serial = address.link.partition(":")
    if kind != KIND:
        raise Unsupported(
            f"A phone is reached by adb, not by '{kind}'",
            where=str(address),
            remedy="Write android@adb:SERIAL, as adb devices lists it.",
        )
    with adb_server() as adb:
        shell = AdbShell(adb, serial, SystemClock())
        shell.reconnect()
        yield shell


def has_no_folder(board: Board) -> bool:
    """Say whether nothing was said of the folder: a phone's shell has no home."""
    return board.folder == NO_BOARD.folder

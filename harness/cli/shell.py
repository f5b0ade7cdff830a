"""``duanping shell``: a login on a board by the pinned key, or on a phone by adb."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.domain.board import Board
from harness.errors import LinkError, Unsupported
from harness.links.keyprint import fingerprint_of
from harness.plugins import Address
from harness.schema.lab import Lab, find_lab, load_lab
from harness.targets.adb import open_shell as open_phone
from harness.targets.ssh import key_offered, place_of

app = typer.Typer(add_completion=False)

PHONE = "android"


@app.command()
def shell(
    target: Annotated[str, typer.Argument(help="A name of lab.toml, or an address.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="A command instead of a login.")
    ] = None,
    *,
    lab: Annotated[
        Path | None, typer.Option(help="lab.toml; found in this folder if there.")
    ] = None,
) -> int:
    """Log in to a board or a phone, and give the exit status of what was done there.

    A board's key must be the pinned one; a phone must have allowed this computer.
    """
    found = lab or find_lab(Path.cwd())
    desk = load_lab(found) if found else Lab()
    address = Address.parse(desk.targets.get(target, target))
    if address.driver == PHONE:
        with open_phone(address) as phone:
            return phone.log_in(command or ())
    return _log_in(address, desk.boards.get(str(address), Board()), command or ())


def _log_in(address: Address, board: Board, command: Sequence[str]) -> int:
    """Log in by the system's ssh. Raises Unsupported without it, LinkError."""
    ssh = shutil.which("ssh")
    if ssh is None:
        raise Unsupported(
            "There is no ssh on this machine",
            remedy="Install it, such as: sudo apt-get install openssh-client",
        )
    key = _checked_key(address, board)
    place = place_of(address)
    with tempfile.TemporaryDirectory(prefix="duanping-") as folder:
        hosts = Path(folder, "known_hosts")
        hosts.write_text(f"board {key}\n")
        options = {
            "UserKnownHostsFile": str(hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": "board",
            "StrictHostKeyChecking": "yes",
            "Port": str(place.port),
        }
        arguments = [part for k, v in options.items() for part in ("-o", f"{k}={v}")]
        if board.client_key:
            arguments += ["-i", board.client_key, "-o", "IdentitiesOnly=yes"]
        user = f"{place.user}@" if place.user else ""
        line = [ssh, "-F", "none", *arguments, f"{user}{place.host}", *command]
        return subprocess.run(line, check=False).returncode  # noqa: S603 - a list


def _checked_key(address: Address, board: Board) -> str:
    """Give the key that the board offers, once it is the pinned one."""
    key = key_offered(address)
    if not board.host_key or fingerprint_of(key) != fingerprint_of(board.host_key):
        raise LinkError(
            f"The board offers the host key {fingerprint_of(key)}, "
            "which lab.toml does not pin",
            where=str(address),
            remedy=f"Compare it on its console, then pin it: duanping devices --pin "
            f"{address}",
        )
    return key

"""A board's supply taken away and given back, by commands of the lab file."""

import shlex
import subprocess

from harness.domain.board import Switch
from harness.errors import TargetError

_TIMEOUT_S = 120.0


_DOES = {
    Switch.ON: "gives the board its power",
    Switch.OFF: "cuts the board's power",
    Switch.CYCLE: "cycles the power",
}


def switch_power(command: str, way: Switch) -> None:
    """Execute the command and wait for its end; no shell reads it.

    Raises TargetError where it cannot be started, fails or does not end.
    """
    remedy = f"Try it by hand; it stands with power.{way} or power_cycle in lab.toml."
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, no shell
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise TargetError(
            f"The command that {_DOES[way]} cannot be carried out: {error}",
            where=command,
            remedy=remedy,
        ) from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-200:]
        raise TargetError(
            f"The command that {_DOES[way]} failed with {done.returncode}: {said}",
            where=command,
            remedy=remedy,
        )

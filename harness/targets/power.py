"""Taking a board's supply away and giving it back, by a command of the lab file."""

import shlex
import subprocess

from harness.errors import TargetError

_TIMEOUT_S = 120.0


def power_cycle(command: str) -> None:
    """Execute the command and wait for its end; no shell reads it.

    Raises TargetError where it cannot be started, fails or does not end.
    """
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
            f"The command that cycles the power cannot be carried out: {error}",
            where=command,
            remedy="Try it by hand; it stands as power_cycle in lab.toml.",
        ) from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-200:]
        raise TargetError(
            f"The command that cycles the power failed with {done.returncode}: {said}",
            where=command,
            remedy="Try it by hand; it stands as power_cycle in lab.toml.",
        )

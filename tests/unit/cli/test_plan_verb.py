"""``duanping plan --power``: what a meter can claim where it is asked to."""

import subprocess
from collections.abc import Callable

import pytest

from harness.errors import ExitCode

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("power", "code", "told"),
    [
        ("0mW", ExitCode.USAGE, "no power that a device draws"),
        ("20kW", ExitCode.EQUIPMENT, "no limits of error at"),
    ],
)
def test_a_power_at_which_nothing_can_be_said_is_told(
    power: str, code: ExitCode, told: str, duanping: Command
) -> None:
    done = duanping("plan", "--meter", "ppk2@sim:", "--power", power)

    assert done.returncode == code
    assert told in done.stderr

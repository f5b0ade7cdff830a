"""The command of the lab file that cycles a board's power."""

from pathlib import Path

import pytest

from harness.errors import TargetError
from harness.targets.power import power_cycle


def test_the_command_is_carried_out_without_a_shell(tmp_path: Path) -> None:
    power_cycle(f"touch '{tmp_path}/a b;c'")

    assert (tmp_path / "a b;c").exists()


def test_a_command_that_fails_is_told_with_what_it_said() -> None:
    with pytest.raises(TargetError, match=r"failed with 2: .*nowhere"):
        power_cycle("ls /nowhere")


@pytest.mark.parametrize("command", ["/no/such/hub", 'an "open quote'])
def test_a_command_that_cannot_be_started_is_told(command: str) -> None:
    with pytest.raises(TargetError, match="cannot be carried out"):
        power_cycle(command)

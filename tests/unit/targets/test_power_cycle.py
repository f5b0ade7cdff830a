"""The commands of the lab file that switch a board's supply."""

from pathlib import Path

import pytest

from harness.domain.board import Switch, labgrid, uhubctl
from harness.errors import TargetError
from harness.targets.power import switch_power


def test_the_command_is_carried_out_without_a_shell(tmp_path: Path) -> None:
    switch_power(f"touch '{tmp_path}/a b;c'", Switch.CYCLE)

    assert (tmp_path / "a b;c").exists()


def test_a_command_that_fails_is_told_with_what_it_said() -> None:
    with pytest.raises(TargetError, match=r"failed with 2: .*nowhere"):
        switch_power("ls /nowhere", Switch.CYCLE)


@pytest.mark.parametrize("command", ["/no/such/hub", 'an "open quote'])
def test_a_command_that_cannot_be_started_is_told(command: str) -> None:
    with pytest.raises(TargetError, match="cannot be carried out"):
        switch_power(command, Switch.CYCLE)


def test_a_command_that_fails_says_which_of_them_it_is() -> None:
    with pytest.raises(TargetError, match="cuts the board's power") as told:
        switch_power("false", Switch.OFF)

    assert "power.off" in told.value.remedy


def test_known_programs_are_told_in_their_own_words() -> None:
    assert uhubctl("-l 1-1 -p 2", Switch.OFF) == "uhubctl -l 1-1 -p 2 -a off"
    assert labgrid("desk 3", Switch.CYCLE) == "labgrid-client -p 'desk 3' power cycle"

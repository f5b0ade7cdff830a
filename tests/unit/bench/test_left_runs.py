"""Runs that were left on a board: found, fed, ended, their clocks related."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from harness.bench.detached import (
    Desk,
    Found,
    Left,
    clock_notes,
    found_ended,
    found_over,
    note_fed,
    require_due,
)
from harness.domain.board import Board
from harness.domain.plan import Plan
from harness.domain.profile import Conditions
from harness.domain.query import CLOCK_PAIRS, HOST_BOOT
from harness.errors import StillAtWork, TargetError, UsageError
from harness.plugins import Address
from harness.targets.detached import Order, Standing, leave
from harness.targets.remote import RemoteTarget
from harness.targets.ssh import open_target
from harness.testing.agentcontract import copying_model, long_trial
from harness.testing.builders import a_plan, a_profile, a_trial
from harness.testing.bundles import new_writer
from harness.testing.sshdbench import find_sshd, running_sshd

PAST = "2026-01-01T00:00:00+00:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    plan: Plan
    desk: Desk
    board: Board
    address: Address
    log: Path

    def leave(self, name: str, folder: Path) -> None:
        """Leave a trial on the board that begins in a minute."""
        model, path = copying_model(folder)
        opened = open_target(self.address, a_profile(), board=self.board)
        with opened as target, target.deploy(model, path, None) as on:
            order = Order(
                work=((long_trial(), on),),
                conditions=Conditions(),
                wait_s=60.0,
                rest_s=0.0,
            )
            leave(target, name, order)

    def switched(self) -> list[str]:
        return self.log.read_text().split()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if find_sshd() is None:
        pytest.skip("sshd is not installed")
    folder = tmp_path_factory.mktemp("sshd")
    log = folder / "switched"
    with running_sshd(folder) as sshd:
        board = Board(
            host_key=sshd.host_key,
            client_key=str(sshd.client_key),
            python=sys.executable,
            folder=str(folder / "board"),
            power_on=f"sh -c 'echo on >> {log}'",
            power_off=f"sh -c 'echo off >> {log}'",
        )
        address = Address.parse(f"linux@ssh:127.0.0.1:{sshd.port}")
        yield Lab(
            plan=a_plan([replace(a_trial(), target=str(address))]),
            desk=Desk(boards={str(address): board}),
            board=board,
            address=address,
            log=log,
        )


def test_a_board_that_works_longer_than_expected_is_cut_off_again(
    lab: Lab, tmp_path: Path
) -> None:
    lab.leave("r1", tmp_path)
    left = Left(due_utc=PAST)
    try:
        with (
            pytest.raises(StillAtWork, match="0 of 1 trials have ended"),
            found_over(lab.plan, "r1", left, lab.desk),
        ):
            pytest.fail("it is not over")
        assert lab.switched()[-2:] == ["on", "off"]
    finally:
        with found_ended(lab.plan, "r1", left, lab.desk) as found:
            pass

    assert found.was_aborted
    assert found.standing.is_over
    assert lab.switched()[-1] == "on"
    with open_target(lab.address, a_profile(), board=lab.board) as target:
        assert target.identify().clock == "board"


def test_a_run_that_is_not_there_is_told(lab: Lab) -> None:
    with (
        pytest.raises(TargetError, match="holds no run of that name"),
        found_over(lab.plan, "none", Left(), lab.desk),
    ):
        pytest.fail("there is none")


def test_a_board_without_its_supply_is_not_looked_at_before_its_time() -> None:
    due = datetime.fromisoformat(PAST)
    left = Left(due_utc=PAST)

    with pytest.raises(UsageError, match="would feed it"):
        require_due(left, due - timedelta(seconds=1), "bundle")
    require_due(left, due, "bundle")
    require_due(Left(), due - timedelta(days=1), "bundle")


def test_a_board_that_was_fed_to_be_asked_has_it_in_its_record(tmp_path: Path) -> None:
    left = Left(clock_pair="1 2 3", host_boot="h", due_utc=PAST)
    with new_writer(tmp_path, a_plan([a_trial()])) as writer:
        note_fed(writer, left, datetime(2026, 1, 2, tzinfo=UTC))

    text = (writer.bundle / "evidence" / "journal.jsonl").read_text()
    *_, finding, again = [json.loads(line) for line in text.splitlines()]
    assert finding["data"]["code"] == "power-state-changed"
    assert "2026-01-02" in finding["data"]["values"]["reason"]
    assert (again["type"], Left.of(again["data"])) == ("left", left)


def a_found(left: Left, *, clock_pair: str = "9 9 9", board_boot: str = "b") -> Found:
    return Found(
        target=cast("RemoteTarget", None),
        name="r",
        standing=Standing(is_there=True, boot=board_boot),
        left=left,
        clock_pair=clock_pair,
        host_boot="h",
    )


LEFT = Left(clock_pair="1 1 1", host_boot="h", board_boot="b")


@pytest.mark.parametrize(
    ("found", "trial_boot", "pairs"),
    [
        (a_found(LEFT), "b", "1 1 1;9 9 9"),
        (a_found(LEFT, clock_pair=""), "b", "1 1 1"),
        (a_found(Left()), "b", "9 9 9"),
        (a_found(replace(LEFT, host_boot="another")), "b", "9 9 9"),
        (a_found(LEFT, board_boot="restarted"), "b", "1 1 1"),
        (a_found(LEFT, board_boot="restarted"), "restarted", "9 9 9"),
        (a_found(LEFT, board_boot="third"), "second", None),
    ],
)
def test_clocks_are_related_by_pairs_of_the_trial_s_own_start(
    found: Found, trial_boot: str, pairs: str | None
) -> None:
    assert clock_notes(found, trial_boot).get(CLOCK_PAIRS) == pairs


def test_a_pair_of_an_earlier_start_of_this_machine_names_that_start() -> None:
    earlier = replace(LEFT, host_boot="another")

    notes = clock_notes(a_found(earlier, clock_pair=""), "b")

    assert notes == {CLOCK_PAIRS: "1 1 1", HOST_BOOT: "another"}

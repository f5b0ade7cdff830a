"""Runs that a board executes with nobody there, over a real sshd and a real adbd."""

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from harness.clock import Deadline, SystemClock
from harness.domain.board import Board
from harness.domain.plan import Trial
from harness.domain.profile import Conditions
from harness.domain.query import Noted, Outcome, QueryBlock, TrialEnded, TrialStarted
from harness.errors import LinkError, TargetError
from harness.plugins import Address
from harness.targets.adb import open_target as open_adb
from harness.targets.detached import NOTE, Order, Standing, collect, forget, leave, look
from harness.targets.remote import RemoteTarget
from harness.targets.ssh import open_target as open_ssh
from harness.testing.adbdbench import running_adbd, why_not
from harness.testing.agentcontract import copying_model, long_trial, short_trial
from harness.testing.builders import a_profile
from harness.testing.sshdbench import Cable, find_sshd, laid_cable, running_sshd
from harness.units import NS_PER_S

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    link: str
    cable: Cable
    folder: Path
    board: Board

    def open(self, *, is_held: bool = True) -> AbstractContextManager[RemoteTarget]:
        opener = open_ssh if self.link.startswith("linux") else open_adb
        address = Address.parse(f"{self.link}:127.0.0.1:{self.cable.port}")
        return opener(address, a_profile(), board=self.board, is_held=is_held)


def board_in(folder: Path, **more: str) -> Board:
    known = {"holder": "Wang Fang, room 304", "folder": str(folder / "board")}
    return Board(python=sys.executable, **known, **more)


@pytest.fixture(scope="module")
def over_ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if find_sshd() is None:
        pytest.skip("sshd is not installed")
    folder = tmp_path_factory.mktemp("sshd")
    with running_sshd(folder) as sshd, laid_cable(sshd.port) as cable:
        key = {"host_key": sshd.host_key, "client_key": str(sshd.client_key)}
        board = board_in(folder, **key)
        yield Desk(link="linux@ssh", cable=cable, folder=folder, board=board)


@pytest.fixture(scope="module")
def over_adb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if why_not():
        pytest.skip(why_not())
    folder = tmp_path_factory.mktemp("adbd")
    with (
        pytest.MonkeyPatch.context() as patch,
        running_adbd(folder) as port,
        laid_cable(port) as cable,
    ):
        patch.setenv("HOME", str(folder))  # adb makes a key of its own there
        board = board_in(folder)
        yield Desk(link="android@adb", cable=cable, folder=folder, board=board)


@pytest.fixture(scope="module")
def finished(over_ssh: Desk, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the name of a run of one trial that is over and not collected."""
    left(over_ssh, "finished", tmp_path_factory.mktemp("model"), short_trial())
    over(over_ssh, "finished")
    return "finished"


def left(
    desk: Desk, name: str, folder: Path, *trials: Trial, wait_s: float = 0
) -> None:
    """Leave trials on the board and pull the cable."""
    model, path = copying_model(folder)
    with desk.open() as target, target.deploy(model, path, None) as on:
        order = Order(
            work=tuple((trial, on) for trial in trials),
            conditions=Conditions(),
            wait_s=wait_s,
            rest_s=0.1,
        )
        leave(target, name, order)
    desk.cable.cut()


def over(desk: Desk, name: str) -> Standing:
    """Look now and then until it is over, as a person does who comes back."""
    clock = SystemClock()
    until = Deadline.after(PATIENCE_S, clock)
    desk.cable.plug()
    with desk.open(is_held=False) as target:
        while not (found := look(target, name)).is_over and not until.is_over():
            clock.wait_until(clock.now_ns() + NS_PER_S // 2)
    return found


def require_two_whole_trials(desk: Desk, name: str, folder: Path) -> None:
    second = replace(short_trial(), id="second")
    left(desk, name, folder, short_trial(), second, wait_s=0.5)
    found = over(desk, name)

    assert (found.ended, found.total, found.not_put_back) == (2, 2, "")
    with desk.open(is_held=False) as target:
        for number, trial in enumerate((short_trial(), second)):
            one = collect(target, name, number)
            first, last = one.events[0], one.events[-1]
            assert isinstance(first, TrialStarted)
            assert (first.trial, first.clock) == (trial.id, "board")
            assert isinstance(last, TrialEnded)
            assert last.outcome is Outcome.DONE, last.reason
            blocks = [event for event in one.events if isinstance(event, QueryBlock)]
            assert sum(len(b.completed_ns) for b in blocks) == last.queries
            assert any(isinstance(e, Noted) and e.key == NOTE for e in one.events)
            assert one.conditions is not None
            assert (one.conditions.anchor_ratio == 1.0) is (number == 0)
        forget(target, name)
        assert not look(target, name).is_there


def test_a_board_executes_what_was_left_while_its_cable_is_out(
    over_ssh: Desk, tmp_path: Path
) -> None:
    require_two_whole_trials(over_ssh, "r1", tmp_path)


def test_a_phone_executes_what_was_left_while_its_cable_is_out(
    over_adb: Desk, tmp_path: Path
) -> None:
    require_two_whole_trials(over_adb, "r1", tmp_path)


def test_a_board_that_works_alone_is_held_for_whom_left_the_run(
    over_ssh: Desk, tmp_path: Path
) -> None:
    left(over_ssh, "r2", tmp_path, long_trial(), wait_s=60)
    over_ssh.cable.plug()
    try:
        with pytest.raises(TargetError, match="held by Wang Fang, room 304"):
            over_ssh.open().__enter__()
        with over_ssh.open(is_held=False) as target:
            found = look(target, "r2")
        assert (found.is_over, found.ended, found.total) == (False, 0, 1)
    finally:
        end(over_ssh)


def test_a_trial_that_was_ended_on_the_board_is_not_taken_for_a_whole_one(
    over_ssh: Desk, tmp_path: Path
) -> None:
    left(over_ssh, "r3", tmp_path, short_trial(), long_trial())
    over_ssh.cable.plug()
    clock = SystemClock()
    journal = over_ssh.folder / "board/series/r3/1/journal.ndjson"
    until = Deadline.after(PATIENCE_S, clock)
    while not until.is_over() and not (
        journal.is_file() and b"QueryBlock" in journal.read_bytes()
    ):
        clock.wait_until(clock.now_ns() + NS_PER_S // 5)
    end(over_ssh)

    assert over(over_ssh, "r3").ended == 1
    with over_ssh.open(is_held=False) as target:
        whole, torn = collect(target, "r3", 0), collect(target, "r3", 1)
    assert whole.events
    assert torn.events == ()
    assert "was ended on the board" in torn.reason


def test_a_finished_run_is_kept_until_it_is_collected(
    finished: str, over_ssh: Desk
) -> None:
    with over_ssh.open() as target:  # another run of anybody's, which tidies up
        assert look(target, finished).ended == 1


def test_a_name_that_is_there_already_is_refused(
    finished: str, over_ssh: Desk, tmp_path: Path
) -> None:
    with pytest.raises(TargetError, match="cannot start a run"):
        left(over_ssh, finished, tmp_path, short_trial())


def test_a_journal_with_a_changed_line_is_refused(
    finished: str, over_ssh: Desk
) -> None:
    series = over_ssh.folder / "board/series"
    shutil.copytree(series / finished, series / "changed")
    journal = series / "changed/0/journal.ndjson"
    data = journal.read_bytes()
    journal.write_bytes(data.replace(b'"queries":', b'"queries": ', 1))

    with over_ssh.open(is_held=False) as target, pytest.raises(LinkError):
        collect(target, "changed", 0)


def end(desk: Desk) -> None:
    """End what the board executes, as a lack of power would."""
    mine = []
    for process in psutil.process_iter():
        try:
            line, where = process.cmdline(), process.environ().get("PYTHONPATH", "")
        except psutil.Error:
            continue
        if "leave" in line and str(desk.folder) in where:
            mine.append(process)
    for process in mine:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(mine, timeout=10.0)

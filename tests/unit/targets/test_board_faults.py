"""Faults in the middle of a trial, on a board behind a real sshd, and what is kept."""

import fcntl
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from harness.clock import SystemClock
from harness.domain.board import Board
from harness.domain.profile import Conditions
from harness.domain.query import Outcome, QueryBlock, TrialEnded, TrialEvent
from harness.errors import TargetError
from harness.plugins import Address
from harness.targets.board import series
from harness.targets.remote import Patience
from harness.targets.ssh import open_target
from harness.testing.agentcontract import copying_model, short_trial
from harness.testing.builders import a_profile
from harness.testing.sshdbench import Sshd, find_sshd, running_sshd
from harness.units import NS_PER_S

needs_sshd = pytest.mark.skipif(find_sshd() is None, reason="sshd is not installed")
TWO_SECONDS = replace(
    short_trial(), minimum=replace(short_trial().minimum, duration_ns=2 * NS_PER_S)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    address: Address
    board: Board
    folder: Path

    def executed(
        self,
        scratch: Path,
        at_first_block: Callable[[], None],
        board: Board | None = None,
    ) -> list[TrialEvent]:
        """Execute a trial of two seconds, doing something at its first queries."""
        model, path = copying_model(scratch)
        events: list[TrialEvent] = []
        is_done = False
        patience = Patience(lease_s=10.0)
        opened = open_target(
            self.address, a_profile(), board=board or self.board, patience=patience
        )
        with (
            opened as target,
            target.deploy(model, path, None) as on,
            target.prepare(Conditions()),
        ):
            for event in target.execute(TWO_SECONDS, on):
                events.append(event)
                if not is_done and isinstance(event, QueryBlock):
                    is_done = True
                    at_first_block()
        return events


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def desk(sshd: Sshd, tmp_path: Path) -> Desk:
    board = Board(
        host_key=sshd.host_key,
        client_key=str(sshd.client_key),
        python=sys.executable,
        folder=str(tmp_path / "board"),
    )
    address = Address.parse(f"linux@ssh:127.0.0.1:{sshd.port}")
    return Desk(address=address, board=board, folder=tmp_path / "board")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a folder with room for the agent and little more."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def ended(events: list[TrialEvent]) -> TrialEnded:
    last = events[-1]
    assert isinstance(last, TrialEnded)
    return last


def keepers_in(folder: Path) -> list[psutil.Process]:
    """Find keepers: each was made by a relay, of which it is a copy."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if "run" in process.cmdline() and str(folder) in process.cmdline():
                found.append(process)
    return [one for one in found if one.ppid() in {other.pid for other in found}]


@needs_sshd
def test_a_disk_that_fills_up_ends_the_trial_with_its_reason_and_keeps_its_queries(
    desk: Desk, small: Path, tmp_path: Path
) -> None:
    def fill() -> None:
        with suppress(OSError), (small / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(512))

    last = ended(desk.executed(tmp_path, fill, replace(desk.board, folder=str(small))))

    assert last.outcome is Outcome.CRASHED
    assert "cannot write its journal" in last.reason
    assert "No space left" in last.reason
    assert last.queries > 0


@needs_sshd
def test_a_board_that_starts_again_in_the_middle_says_so(
    desk: Desk, tmp_path: Path
) -> None:
    def restart() -> None:
        (folder,) = (desk.folder / "runs").iterdir()
        (folder / "boot").write_text("the start before this one")
        for process in keepers_in(desk.folder):
            process.send_signal(signal.SIGKILL)

    last = ended(desk.executed(tmp_path, restart))

    assert last.outcome is Outcome.CRASHED
    assert last.reason == "The board was started again in the middle of the trial"
    assert last.queries > 0


@needs_sshd
def test_a_board_that_is_let_alone_has_no_supply_meanwhile(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.targets.remote.START_S", 2.0)
    log = tmp_path / "switched"

    board = replace(
        desk.board,
        is_detached=True,
        power_on=f"sh -c 'echo on >> {log}'",
        power_off=f"sh -c 'echo off >> {log}'",
    )

    events = desk.executed(tmp_path, lambda: None, board)

    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    assert log.read_text().split() == ["off", "on"]


@needs_sshd
def test_a_hub_that_does_not_cut_ends_the_run_with_its_words_and_the_supply_on(
    desk: Desk, tmp_path: Path
) -> None:
    log = tmp_path / "switched"

    board = replace(
        desk.board,
        is_detached=True,
        power_on=f"sh -c 'echo on >> {log}'",
        power_off="sh -c 'echo no such hub; exit 3'",
    )

    with pytest.raises(TargetError, match="power failed with 3: no such hub"):
        desk.executed(tmp_path, lambda: None, board)

    assert log.read_text().split() == ["on"]
    assert keepers_in(desk.folder) == []
    again = desk.executed(tmp_path, lambda: None)
    assert ended(again).outcome is Outcome.DONE, ended(again).reason


def test_a_series_whose_trial_hangs_is_ended_by_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "PATIENCE_S", 0.5)
    path = tmp_path / "series" / "r1"
    (path / "0").mkdir(parents=True)
    (path / series.TOTAL).write_text("1")
    with (path / series.ALIVE).open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        hung = subprocess.Popen(["sleep", "600"], pass_fds=[alive.fileno()])
    (path / "0" / "pid").write_text(str(hung.pid))

    series.end(tmp_path, path, "Aborted by the operator", SystemClock())

    assert hung.wait(10.0) == -signal.SIGKILL
    assert (path / "0" / "stop").read_text() == "Aborted by the operator"
    assert b'"is_over":true' in series.look(tmp_path, path, SystemClock())


def test_nothing_is_ended_where_nothing_was_left(tmp_path: Path) -> None:
    series.end(tmp_path, tmp_path / "none", "Aborted", SystemClock())

    assert list(tmp_path.iterdir()) == []

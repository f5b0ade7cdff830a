"""A Linux board over ssh, played by a real sshd on loopback: what can go wrong."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from harness.clock import Deadline, SystemClock
from harness.domain.board import Board
from harness.domain.plan import Trial
from harness.domain.profile import Conditions
from harness.domain.query import (
    Noted,
    Outcome,
    Phase,
    PhaseEntered,
    QueryBlock,
    TrialEnded,
    TrialEvent,
)
from harness.errors import (
    ConditionNotReached,
    LinkClosed,
    LinkError,
    TargetError,
    Unsupported,
    UsageError,
)
from harness.plugins import Address
from harness.targets.remote import Patience, RemoteTarget
from harness.targets.ssh import open_target
from harness.testing.agentcontract import copying_model, long_trial, short_trial
from harness.testing.builders import a_profile
from harness.testing.sshdbench import (
    Cable,
    Sshd,
    find_sshd,
    laid_cable,
    new_key,
    running_sshd,
)
from harness.units import NS_PER_S

pytestmark = pytest.mark.skipif(find_sshd() is None, reason="sshd is not installed")

IMPATIENT = Patience(lease_s=3.0, cool_s=2.0)
PATIENT = Patience(lease_s=60.0)
PHASES = [
    Phase.BASELINE_BEFORE,
    Phase.LOAD,
    Phase.WARM_UP,
    Phase.MEASURED,
    Phase.BASELINE_AFTER,
    Phase.AFTERWARDS,
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    sshd: Sshd
    cable: Cable
    folder: Path

    @property
    def address(self) -> Address:
        return Address.parse(f"linux@ssh:127.0.0.1:{self.cable.port}")

    def board(self, **more: str) -> Board:
        board = Board(
            host_key=self.sshd.host_key,
            client_key=str(self.sshd.client_key),
            python=sys.executable,
            folder=str(self.folder / "board"),
        )
        return replace(board, **more)

    def open(
        self, patience: Patience = IMPATIENT, **more: str
    ) -> AbstractContextManager[RemoteTarget]:
        board = self.board(**more)
        return open_target(self.address, a_profile(), board=board, patience=patience)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("sshd")
    with running_sshd(folder) as sshd, laid_cable(sshd.port) as cable:
        yield Desk(sshd=sshd, cable=cable, folder=folder)


@pytest.fixture(autouse=True)
def _plugged(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(desk.folder))  # no C runner was built
    yield
    desk.cable.plug()


def agents(desk: Desk, module: str) -> list[psutil.Process]:
    """Find the processes of that module that belong to this board."""
    found = []
    for process in psutil.process_iter():
        try:
            line, where = process.cmdline(), process.environ().get("PYTHONPATH", "")
        except psutil.Error:
            continue
        if module in line and str(desk.folder) in where:
            found.append(process)
    return found


def keepers(desk: Desk) -> list[psutil.Process]:
    """Find keepers: each was made by a relay, of which it is a copy."""
    found = agents(desk, "harness.targets.board")
    return [one for one in found if one.ppid() in {other.pid for other in found}]


def fill(folder: Path) -> None:
    """Write until the file system takes no more."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def wait_until_gone(desk: Desk, module: str, seconds: float) -> bool:
    clock = SystemClock()
    until = Deadline.after(seconds, clock)
    while agents(desk, module) and not until.is_over():
        clock.wait_until(clock.now_ns() + NS_PER_S // 10)
    return not agents(desk, module)


def two_seconds() -> Trial:
    minimum = replace(short_trial().minimum, duration_ns=2 * NS_PER_S)
    return replace(short_trial(), minimum=minimum)


def executed(
    target: RemoteTarget,
    folder: Path,
    at_first_block: Callable[[], None],
    *,
    trial: Trial | None = None,
) -> list[TrialEvent]:
    """Execute a trial, doing something at its first queries."""
    model, path = copying_model(folder)
    events: list[TrialEvent] = []
    is_done = False
    with target.deploy(model, path, None) as on:
        for event in target.execute(trial or two_seconds(), on):
            events.append(event)
            if not is_done and isinstance(event, QueryBlock):
                is_done = True
                at_first_block()
    return events


def ended(events: list[TrialEvent]) -> TrialEnded:
    last = events[-1]
    assert isinstance(last, TrialEnded)
    return last


def test_a_board_without_a_pinned_key_is_not_trusted(desk: Desk) -> None:
    with pytest.raises(LinkError, match="No host key is pinned") as error:
        desk.open(host_key="").__enter__()

    assert f"devices --pin {desk.address}" in error.value.remedy


def test_a_board_with_another_key_is_refused_and_both_keys_are_named(
    desk: Desk, tmp_path: Path
) -> None:
    new_key(tmp_path / "other")
    other = (tmp_path / "other.pub").read_text()

    with pytest.raises(LinkError, match="offers the host key SHA256:") as error:
        desk.open(host_key=other).__enter__()

    assert not error.value.is_transient
    assert error.value.what.count("SHA256:") == 2


def test_a_fingerprint_pins_as_well_as_a_key(desk: Desk) -> None:
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(desk.folder / "host.pub")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    with desk.open(host_key=shown.split()[1]) as target:
        assert target.identify().facts["runtime"] == "onnxruntime"


def test_a_board_that_does_not_know_us_says_whose_key_is_missing(desk: Desk) -> None:
    with pytest.raises(LinkError, match="does not let us in") as error:
        desk.open(client_key=str(desk.sshd.stranger_key)).__enter__()

    assert "authorized_keys" in error.value.remedy


def test_a_port_where_nobody_listens_is_said_so(desk: Desk) -> None:
    board = desk.board()
    with pytest.raises(LinkError, match="Nobody answers"):
        open_target(
            Address.parse("linux@ssh:127.0.0.1:9"), a_profile(), board=board
        ).__enter__()


def test_a_board_without_python_is_told_what_to_install(desk: Desk) -> None:
    with pytest.raises(Unsupported, match="no /nowhere/python3 on the board") as error:
        desk.open(python="/nowhere/python3").__enter__()

    assert "and no C runner was built for" in error.value.what
    assert "make agents" in error.value.remedy
    assert "Python 3.11" in error.value.remedy


def test_a_board_with_an_old_python_is_refused(desk: Desk, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text(
        "#!/bin/sh\n"
        'echo \'{"line": "board", "version": [3, 9], "machine": "x", "home": "/"}\'\n'
    )
    old.chmod(0o755)

    with pytest.raises(Unsupported, match=r"Python 3\.9"):
        desk.open(python=str(old)).__enter__()


def test_a_runtime_for_another_machine_is_refused_before_it_is_sent(
    desk: Desk, tmp_path: Path
) -> None:
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    tail = f"{python}-{python}-manylinux_2_28_riscv64.whl"
    for name in ("numpy-2.0.0", "onnxruntime-1.30.0"):
        (tmp_path / f"{name}-{tail}").write_bytes(b"")

    with pytest.raises(Unsupported, match=r"riscv64\.whl is not for") as error:
        desk.open(runtime=str(tmp_path)).__enter__()

    assert "pip download" in error.value.remedy


def test_a_runtime_folder_without_wheels_is_the_user_s_to_fill(
    desk: Desk, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no wheel of numpy"):
        desk.open(runtime=str(tmp_path)).__enter__()


def test_a_python_without_a_runtime_is_told_how_to_get_one(
    desk: Desk, tmp_path: Path
) -> None:
    bare = tmp_path / "python3"  # the same interpreter, none of its packages
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)

    with pytest.raises(Unsupported, match="There is no numpy") as error:
        desk.open(python=str(bare)).__enter__()

    assert "pip download" in error.value.remedy


def test_a_full_disk_is_named_and_leaves_no_half_model(
    desk: Desk, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(small)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        model, path = copying_model(tmp_path)
        with desk.open(folder=str(small)) as target:
            fill(small)
            with pytest.raises(TargetError, match="disk is full") as error:
                target.deploy(model, path, None).__enter__()
        assert "free" in error.value.what
        assert not list(small.rglob("*.part"))
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_second_lab_is_told_who_holds_the_board(desk: Desk) -> None:
    with (
        desk.open(holder="Wang Fang, room 304"),
        pytest.raises(TargetError, match="held by Wang Fang, room 304"),
    ):
        desk.open().__enter__()

    with desk.open() as target:
        assert target.identify().clock == "board"


def test_a_model_is_sent_once_and_never_again(desk: Desk, tmp_path: Path) -> None:
    model, path = copying_model(tmp_path)
    data = path.read_bytes() + bytes([0x0A, 0xFF, 0xFF, 0x3F]) + os.urandom(0xFFFFF)
    path.write_bytes(data)  # as large as models are; never loaded here
    model = replace(
        model, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)
    )

    with desk.open() as target:
        before = desk.cable.bytes_to_board
        with target.deploy(model, path, None):
            first = desk.cable.bytes_to_board - before
    with desk.open() as target:
        before = desk.cable.bytes_to_board
        with target.deploy(model, path, None):
            again = desk.cable.bytes_to_board - before

    assert first > len(data)
    assert again < 20_000


def test_a_link_that_drops_and_comes_back_costs_no_event(
    desk: Desk, tmp_path: Path
) -> None:
    def cut_for_a_second() -> None:
        desk.cable.cut()
        threading.Timer(1.0, desk.cable.plug).start()

    with desk.open(PATIENT) as target:
        events = executed(target, tmp_path, cut_for_a_second)

        blocks = [event for event in events if isinstance(event, QueryBlock)]
        assert ended(events).outcome is Outcome.DONE, ended(events).reason
        assert sum(len(b.completed_ns) for b in blocks) == ended(events).queries
        assert [e.phase for e in events if isinstance(e, PhaseEntered)] == PHASES
        notes = {e.key: e.value for e in events if isinstance(e, Noted)}
        assert notes["link_lost"] == "1 times"


def test_a_link_that_is_lost_for_good_ends_the_run_here_and_on_the_board(
    desk: Desk, tmp_path: Path
) -> None:
    with (
        pytest.raises(LinkClosed, match="did not come back") as error,
        desk.open() as target,
    ):
        executed(target, tmp_path, desk.cable.cut)

    assert "--resume" in error.value.remedy
    assert wait_until_gone(desk, "harness.agent", 10.0)
    assert wait_until_gone(desk, "harness.targets.board", 10.0)


def test_a_power_cycle_is_tried_before_a_board_is_given_up(
    desk: Desk, tmp_path: Path
) -> None:
    def cut_until_cycled() -> None:
        desk.cable.cut()
        threading.Thread(target=plug_when_cycled, daemon=True).start()

    def plug_when_cycled() -> None:
        clock = SystemClock()
        while not mark.exists():
            clock.wait_until(clock.now_ns() + NS_PER_S // 10)
        desk.cable.plug()

    mark = tmp_path / "cycled"
    with desk.open(power_cycle=f"touch {mark}") as target:
        events = executed(target, tmp_path, cut_until_cycled, trial=long_trial())

    assert mark.exists()
    # the board of this test was not really without power: its lease ended the run
    assert ended(events).outcome is Outcome.INTERRUPTED
    assert "Nothing was heard of the host for 3 s" in ended(events).reason


def test_an_agent_that_is_killed_is_a_crash_with_its_signal(
    desk: Desk, tmp_path: Path
) -> None:
    def kill() -> None:
        for process in agents(desk, "harness.agent"):
            process.send_signal(signal.SIGKILL)

    with desk.open() as target:
        events = executed(target, tmp_path, kill)

    assert ended(events).outcome is Outcome.CRASHED
    assert "SIGKILL" in ended(events).reason
    assert ended(events).queries > 0


def test_a_keeper_that_is_killed_is_no_end_of_a_trial_but_a_crash(
    desk: Desk, tmp_path: Path
) -> None:
    def kill() -> None:
        for process in keepers(desk):
            process.send_signal(signal.SIGKILL)

    with desk.open() as target:
        events = executed(target, tmp_path, kill)

    assert ended(events).outcome is Outcome.CRASHED
    assert "keeper of the trial was ended" in ended(events).reason
    assert wait_until_gone(desk, "harness.agent", 10.0)


def test_a_run_that_is_left_is_gone_from_the_board(desk: Desk, tmp_path: Path) -> None:
    model, path = copying_model(tmp_path)
    with desk.open() as target, target.deploy(model, path, None) as on:
        events = target.execute(long_trial(), on)
        for event in events:
            if isinstance(event, QueryBlock):
                break
        events.close()

        assert wait_until_gone(desk, "harness.agent", 5.0)


def test_conditions_are_read_and_the_anchor_is_held_against_the_first(
    desk: Desk,
) -> None:
    with desk.open() as target:
        with target.prepare(Conditions()) as first:
            pass
        with target.prepare(Conditions()) as second:
            pass

    assert first.anchor_ratio == 1.0
    assert second.anchor_ratio is not None
    assert second.anchor_ratio > 0.3
    assert second.busy_cores is not None


def test_an_anchor_that_stays_slow_is_a_condition_not_reached(desk: Desk) -> None:
    with desk.open() as target:
        target._anchor_ns = 1  # noqa: SLF001 - as if the start had been on a faster board

        with pytest.raises(ConditionNotReached, match="The anchor workload takes"):
            target.prepare(Conditions()).__enter__()


def test_a_board_that_is_let_alone_measures_without_its_link(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.targets.remote.START_S", 2.0)
    model, path = copying_model(tmp_path)
    board = replace(desk.board(), is_detached=True)
    opened = open_target(desk.address, a_profile(), board=board, patience=PATIENT)
    before = desk.cable.connections

    with opened as target, target.deploy(model, path, None) as on:
        events = target.execute(two_seconds(), on)
        begun = next(events)  # comes only after the board was let alone
        everything = [begun, *events]

    assert desk.cable.connections - before == 2  # one before, one after
    assert ended(everything).outcome is Outcome.DONE, ended(everything).reason
    assert not [e for e in everything if isinstance(e, Noted) and e.key == "link_lost"]
    notes = {e.key: e.value for e in everything if isinstance(e, Noted)}
    assert len(notes["clock.pairs"].split(";")) == 2


def test_an_agent_on_a_board_has_telemetry_off_by_both_names(
    desk: Desk, tmp_path: Path
) -> None:
    seen: list[dict[str, str]] = []

    with desk.open() as target:
        executed(
            target,
            tmp_path,
            lambda: seen.extend(
                process.environ()
                for module in ("harness.agent", "harness.targets.board")
                for process in agents(desk, module)
            ),
        )

    assert len(seen) >= 3  # agent, keeper, relay
    for environment in seen:
        assert environment["ORT_DISABLE_TELEMETRY"] == "1"
        assert environment["ORT_TELEMETRY_DISABLED"] == "1"

"""A board without Python behind a real sshd: what the C runner does on it."""

import platform
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from harness.clock import Deadline, SystemClock
from harness.domain.board import AgentForm, Board
from harness.domain.plan import Trial
from harness.domain.profile import Conditions
from harness.domain.query import (
    ModelLoaded,
    Noted,
    Outcome,
    Phase,
    PhaseEntered,
    QueryBlock,
    TrialEnded,
    TrialEvent,
)
from harness.domain.scenario import LlmDecode
from harness.domain.workload import BuiltStage, DecoderFacts, Stage
from harness.errors import LinkClosed, TargetError, Unsupported
from harness.plugins import Address
from harness.targets import detached
from harness.targets.remote import Patience, RemoteTarget
from harness.targets.runner.bundle import Bundle, agents_folder
from harness.targets.ssh import open_target
from harness.testing.agentcontract import copying_model, long_trial, short_trial
from harness.testing.builders import a_profile
from harness.testing.sshdbench import (
    Cable,
    Sshd,
    bare_programs,
    find_sshd,
    laid_cable,
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

    def open(
        self, patience: Patience = IMPATIENT, port: int = 0, **more: str
    ) -> AbstractContextManager[RemoteTarget]:
        board = Board(
            host_key=self.sshd.host_key,
            client_key=str(self.sshd.client_key),
            folder=str(self.folder / "board"),
        )
        address = Address.parse(f"linux@ssh:127.0.0.1:{port or self.cable.port}")
        board = replace(board, **more)
        return open_target(address, a_profile(), board=board, patience=patience)

    def runners(self, verb: str) -> list[psutil.Process]:
        """Find the runner's processes on this board that carry that verb out."""
        found = []
        for process in psutil.process_iter():
            try:
                line = process.cmdline()
            except psutil.Error:
                continue
            if verb in line and any(w.startswith(str(self.folder)) for w in line):
                found.append(process)
        return found

    def keepers(self) -> list[psutil.Process]:
        """Find keepers: each was made by a relay, of which it is a copy."""
        found = self.runners("run")
        relays = {one.pid for one in found if "sshd" in (one.parent() or one).name()}
        return [one for one in found if one.pid not in relays]

    def is_free_within(self, seconds: float) -> bool:
        clock = SystemClock()
        until = Deadline.after(seconds, clock)
        while self.runners("agent") + self.runners("run"):
            if until.is_over():
                return False
            clock.wait_until(clock.now_ns() + NS_PER_S // 10)
        return True


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("sshd")
    programs = bare_programs(folder / "bin")
    with running_sshd(folder, programs) as sshd, laid_cable(sshd.port) as cable:
        yield Desk(sshd=sshd, cable=cable, folder=folder)


@pytest.fixture(autouse=True)
def _plugged(desk: Desk, runner: Bundle) -> Iterator[None]:
    del runner  # it is found in the cache
    if not (desk.folder / "board").exists():
        with desk.open(port=desk.sshd.port):
            pass  # 40 MB, past the cable
    yield
    desk.cable.plug()


def executed(
    target: RemoteTarget,
    folder: Path,
    at_first_block: Callable[[], None],
    *,
    trial: Trial | None = None,
) -> list[TrialEvent]:
    """Execute a trial, doing something at its first queries."""
    model, path = copying_model(folder)
    minimum = replace(short_trial().minimum, duration_ns=2 * NS_PER_S)
    events: list[TrialEvent] = []
    is_done = False
    with target.deploy(model, path, None) as on:
        chosen = trial or replace(short_trial(), minimum=minimum)
        for event in target.execute(chosen, on):
            events.append(event)
            if not is_done and isinstance(event, QueryBlock):
                is_done = True
                at_first_block()
    return events


def ended(events: list[TrialEvent]) -> TrialEnded:
    last = events[-1]
    assert isinstance(last, TrialEnded)
    return last


def test_there_is_no_python_on_this_board_and_it_says_who_answers(desk: Desk) -> None:
    with desk.open() as target:
        until = Deadline.after(10.0, SystemClock())
        python = target.shell.run(["sh", "-c", "command -v python3"], until)
        facts = target.identify().facts

    assert python.status != 0
    assert facts["agent_form"] == "C runner"
    assert facts["runtime"] == "onnxruntime"
    assert facts["machine"] == platform.machine()
    assert int(facts["memory_bytes"]) > 0


def test_the_files_are_sent_once_and_never_again(desk: Desk) -> None:
    with desk.open():
        pass
    before = desk.cable.bytes_to_board
    with desk.open():
        pass

    assert desk.cable.bytes_to_board - before < 100_000


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
    assert desk.is_free_within(10.0)


def test_a_board_that_hears_nothing_of_its_host_says_so_at_the_end(
    desk: Desk, tmp_path: Path
) -> None:
    mark = tmp_path / "cycled"

    def plug_when_cycled() -> None:
        clock = SystemClock()
        while not mark.exists():
            clock.wait_until(clock.now_ns() + NS_PER_S // 10)
        desk.cable.plug()

    def cut() -> None:
        desk.cable.cut()
        threading.Thread(target=plug_when_cycled, daemon=True).start()

    with desk.open(power_cycle=f"touch {mark}") as target:
        events = executed(target, tmp_path, cut, trial=long_trial())

    assert ended(events).outcome is Outcome.INTERRUPTED
    assert "Nothing was heard of the host for 3 s" in ended(events).reason


def test_an_agent_that_is_killed_is_a_crash_with_its_signal(
    desk: Desk, tmp_path: Path
) -> None:
    def kill() -> None:
        for process in desk.runners("agent"):
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
        for process in desk.keepers():
            process.send_signal(signal.SIGKILL)

    with desk.open() as target:
        events = executed(target, tmp_path, kill)

    assert ended(events).outcome is Outcome.CRASHED
    assert "keeper of the trial was ended" in ended(events).reason
    assert desk.is_free_within(10.0)


def test_a_run_that_is_left_is_gone_from_the_board(desk: Desk, tmp_path: Path) -> None:
    model, path = copying_model(tmp_path)
    with desk.open() as target, target.deploy(model, path, None) as on:
        events = target.execute(long_trial(), on)
        for event in events:
            if isinstance(event, QueryBlock):
                break
        events.close()
        assert desk.is_free_within(10.0)

    assert not list((desk.folder / "board/tensors").glob("**/*"))


def test_the_link_may_be_let_go_while_a_trial_is_executed(
    desk: Desk, tmp_path: Path
) -> None:
    connections = desk.cable.connections
    with desk.open(is_detached=True) as target:  # type: ignore[arg-type]
        events = executed(target, tmp_path, lambda: None)

    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    assert desk.cable.connections > connections + 1


def test_a_second_lab_is_told_who_holds_the_board(desk: Desk) -> None:
    with (
        desk.open(holder="Wang Fang, room 304"),
        pytest.raises(TargetError, match="held by Wang Fang, room 304"),
    ):
        desk.open().__enter__()


def test_what_the_runtime_made_of_a_model_is_asked_once(
    desk: Desk, tmp_path: Path
) -> None:
    with desk.open() as target:
        first = executed(target, tmp_path, lambda: None, trial=short_trial())
        again = executed(target, tmp_path, lambda: None, trial=short_trial())

    for events in (first, again):
        (loaded,) = (e for e in events if isinstance(e, ModelLoaded))
        assert sum(loaded.placement.values()) == 1


def test_the_state_of_the_board_is_read_before_a_trial(desk: Desk) -> None:
    with desk.open() as target:
        with target.prepare(Conditions()) as reached:
            cores = psutil.cpu_count() or 1
            assert (reached.load_average or 0.0) >= 0.0
            assert 0.0 <= (reached.busy_cores or 0.0) <= cores
        with target.prepare(Conditions()) as again:
            assert (again.anchor_ratio or 0.0) > 0.0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="compares with aarch64")
def test_a_runner_of_another_machine_is_a_sentence(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The files of a bundle for Arm, filed under the machine that this board is."""
    place = agents_folder() / "x86_64"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shutil.copytree(place, agents_folder() / "x86_64")
    elf = bytearray(next(place.glob("*/runner")).read_bytes())
    elf[18] = 183  # e_machine: EM_AARCH64
    for name in ("runner", "ld-linux-x86-64.so.2"):
        for file in agents_folder().glob(f"*/*/{name}"):
            file.write_bytes(elf)

    with pytest.raises(Unsupported, match="does not execute the C runner") as error:
        desk.open(folder=str(desk.folder / "other")).__enter__()

    assert "uname -m" in error.value.remedy


def test_a_board_for_which_no_runner_was_built_says_how_to_build_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Unsupported, match="no python3 on the board; and no C") as error:
        desk.open().__enter__()

    assert "make agents" in error.value.remedy


def test_a_board_that_is_asked_for_python_is_given_no_runner(desk: Desk) -> None:
    with pytest.raises(Unsupported, match="no python3 on the board") as error:
        desk.open(agent=AgentForm.PYTHON).__enter__()

    assert "runner" not in error.value.what


def test_what_a_runner_cannot_measure_is_refused_before_it_is_sent(
    desk: Desk, tmp_path: Path
) -> None:
    model, path = copying_model(tmp_path)
    decoder = replace(model, decoder=DecoderFacts(vocabulary=10, context=10))
    stage = BuiltStage(stage=Stage(name="one", model="kws"), file="copy.onnx")
    pipeline = replace(model, stages=(stage,))
    text = replace(model, inputs=(replace(model.inputs[0], dtype="str"),))
    with desk.open() as target:
        for one, what in (
            (decoder, "no language models"),
            (pipeline, "no pipelines"),
            (text, "no inputs of text"),
        ):
            assert what in target.why_not(one)
            before = desk.cable.bytes_to_board
            with pytest.raises(Unsupported, match=what):
                target.deploy(one, path, None).__enter__()
            assert desk.cable.bytes_to_board == before
        assert not target.why_not(model)


def test_a_scenario_that_it_does_not_know_is_refused_by_the_runner_too(
    desk: Desk, tmp_path: Path
) -> None:
    trial = replace(short_trial(), scenario=LlmDecode())
    with desk.open() as target:
        events = executed(target, tmp_path, lambda: None, trial=trial)

    assert ended(events).outcome is Outcome.REFUSED
    assert "does not know the scenario LlmDecode" in ended(events).reason


def test_a_series_with_nobody_there_is_refused(desk: Desk) -> None:
    with desk.open() as target, pytest.raises(Unsupported, match="nobody there"):
        detached.require_able(target)

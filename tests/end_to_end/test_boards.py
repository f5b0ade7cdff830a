"""Whole commands against a board behind a real sshd: measured, left, collected."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.catalogue.index import load_index
from harness.clock import Deadline, SystemClock
from harness.errors import ExitCode
from harness.testing.sshdbench import Sshd, find_sshd, running_sshd
from harness.units import NS_PER_S

pytestmark = pytest.mark.skipif(find_sshd() is None, reason="sshd is not installed")

Command = Callable[..., "subprocess.CompletedProcess[str]"]
PATIENCE_S = 180.0
SUITE = """
format = "duanping/suite/1"
name = "trained"

[[workload]]
id = "har"
model = "{model}"
title_zh = "活动识别"
title_en = "Activity recognition"
[[workload.scenario]]
kind = "SingleStream"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A lab file, a suite of one trained model, and the command."""

    folder: Path
    duanping: Command

    def call(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        return self.duanping(*words, "--lab", self.folder / "lab.toml")

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.call(
            *("run", "--device", "wearable", "--preset", "rapid", *words),
            *("--suite", self.folder / "trained.toml"),
            *("--out", self.folder / "reports"),
        )

    def leave(self) -> Path:
        done = self.run("--detached", "--wait", "0")
        assert done.returncode == 0, done.stderr
        return Path(done.stderr.rpartition("--collect ")[2].strip())


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


def a_desk(folder: Path, sshd: Sshd, duanping: Command, more: str = "") -> Desk:
    trained = [e.name for e in load_index().entries if e.accuracy and e.parent]
    if not trained:
        pytest.skip("no trained model is shipped")
    model = next((name for name in trained if "har" in name), trained[0])
    (folder / "trained.toml").write_text(SUITE.format(model=model), encoding="utf-8")
    (folder / "lab.toml").write_text(
        f"""
format = "duanping/lab/1"
[targets.wearable]
address = "linux@ssh:127.0.0.1:{sshd.port}"
host_key = "{sshd.host_key}"
client_key = "{sshd.client_key}"
python = "{sys.executable}"
folder = "{folder}/board"
{more}
"""
    )
    return Desk(folder=folder, duanping=duanping)


def lines(bundle: Path) -> list[dict[str, object]]:
    text = (bundle / "evidence" / "journal.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def types(bundle: Path) -> list[object]:
    """List the types of lines that are not about one trial."""
    of_trials = {"event", "trace", "trial-started", "trial-ended"}
    return [line["type"] for line in lines(bundle) if line["type"] not in of_trials]


def notes(bundle: Path) -> dict[str, str]:
    events = [line["data"] for line in lines(bundle) if line["type"] == "event"]
    return {
        str(one["key"]): str(one["value"])
        for one in events
        if isinstance(one, dict) and one["kind"] == "Noted"
    }


def kept_accuracy(facts: dict[str, object]) -> dict[str, object]:
    rows = facts["rows"]
    assert isinstance(rows, list)
    (row,) = [row for row in rows if row["id"] == "acc_ret"]
    found: dict[str, object] = row
    return found


def test_a_board_s_answers_to_labelled_items_are_graded(
    tmp_path: Path, sshd: Sshd, duanping: Command
) -> None:
    desk = a_desk(tmp_path, sshd, duanping)

    done = desk.run("--json", "--no-report")

    assert done.returncode == 0, done.stderr
    row = kept_accuracy(json.loads(done.stdout))
    assert row["origin"] == "measured"
    assert isinstance(row["value"], float)
    assert 0.9 < row["value"] < 1.1


@pytest.mark.long
def test_a_run_that_was_left_is_collected_with_one_line_for_each_change_of_state(
    tmp_path: Path, sshd: Sshd, duanping: Command
) -> None:
    desk = a_desk(tmp_path, sshd, duanping)
    bundle = desk.leave()
    when_left = (bundle / "evidence" / "journal.jsonl").read_bytes()

    early = desk.call("run", "--collect", bundle)
    done = collected(desk, bundle)

    assert early.returncode == ExitCode.EQUIPMENT
    assert "not done yet" in early.stderr
    assert done.returncode == 0, done.stderr
    assert (bundle / "evidence" / "journal.jsonl").read_bytes().startswith(when_left)
    assert types(bundle) == ["run-started", "sut", "left", "resumed", "run-ended"]
    assert kept_accuracy(json.loads(done.stdout))["origin"] == "measured"
    assert len(notes(bundle)["clock.pairs"].split(";")) == 2
    assert "drift" in done.stderr
    assert duanping("verify", bundle).returncode == 0


def collected(desk: Desk, bundle: Path) -> "subprocess.CompletedProcess[str]":
    """Ask now and then, as a person does; a board that is not done costs no line."""
    clock = SystemClock()
    until = Deadline.after(PATIENCE_S, clock)
    before = (bundle / "evidence" / "journal.jsonl").read_bytes()
    while True:
        done = desk.call("run", "--collect", bundle, "--json")
        if done.returncode == 0 or until.is_over():
            return done
        assert (bundle / "evidence" / "journal.jsonl").read_bytes() == before
        clock.wait_until(clock.now_ns() + 2 * NS_PER_S)


@pytest.mark.long
def test_a_run_is_aborted_its_supply_given_back_and_the_board_is_free(
    tmp_path: Path, sshd: Sshd, duanping: Command
) -> None:
    hub = tmp_path / "hub"
    hub.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/switched\n')
    hub.chmod(0o755)
    supply = f'[targets.wearable.power]\non = "{hub} on"\noff = "{hub} off"\n'
    desk = a_desk(tmp_path, sshd, duanping, supply)
    bundle = desk.leave()
    left = (tmp_path / "switched").read_text().split()

    early = desk.call("run", "--collect", bundle)
    while_alone = (tmp_path / "switched").read_text().split()
    aborted = desk.call("run", "--abort", bundle, "--json")

    assert left == while_alone == ["on", "off"]
    assert early.returncode == ExitCode.USAGE
    assert "supply is cut until" in early.stderr
    assert aborted.returncode == 0, aborted.stderr
    assert (tmp_path / "switched").read_text().split() == ["on", "off", "on"]
    assert types(bundle)[2:] == ["left", "resumed", "finding", "interrupted"]
    assert lines(bundle)[-1]["data"] == {
        "trial": None,
        "why": "Aborted by the operator",
    }
    assert list((tmp_path / "board" / "series").iterdir()) == []
    assert desk.call("devices", "--probe").returncode == 0


def test_a_hub_that_does_not_cut_is_told_and_the_run_can_still_be_ended(
    tmp_path: Path, sshd: Sshd, duanping: Command
) -> None:
    supply = '[targets.wearable.power]\non = "true"\noff = "false"\n'
    desk = a_desk(tmp_path, sshd, duanping, supply)

    left = desk.run("--detached", "--wait", "60")
    (bundle,) = (tmp_path / "reports").iterdir()
    aborted = desk.call("run", "--abort", bundle)

    assert left.returncode == ExitCode.EQUIPMENT
    assert "its supply was not cut" in left.stderr
    assert f"--abort {bundle}" in left.stderr
    assert aborted.returncode == 0, aborted.stderr
    assert types(bundle)[2:] == ["left", "resumed", "finding", "interrupted"]

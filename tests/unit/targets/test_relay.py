"""The relay of a run whose keeper is gone, as the process that a link starts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.targets.board.job import RunFolder
from harness.targets.board.keeper import make_folder

HELLO = b'{"facts":{},"line":"hello"}\n'
EVENT = b'{"event":{},"line":"event","seq":0}\n'


def run_of_a_dead_keeper(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    make_folder(folder)
    (folder.path / "errors").touch()  # the daemon's standard error
    return folder


def followed(folder: RunFolder) -> list[dict[str, object]]:
    """Follow a run from its beginning; every line has to be one of ours."""
    command = [sys.executable, "-m", "harness.targets.board", "follow"]
    said: list[dict[str, object]] = []
    with subprocess.Popen(
        [*command, str(folder.path), "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as relay:
        assert relay.stdout is not None
        assert relay.stdin is not None
        for line in relay.stdout:
            said.append(json.loads(line))
            if said[-1]["line"] == "over":
                relay.stdin.close()
    return said


@pytest.mark.parametrize("torn", [0, 1, 30, len(EVENT) - 1])
def test_half_a_line_of_a_killed_keeper_does_not_swallow_what_comes_after(
    torn: int, tmp_path: Path
) -> None:
    folder = run_of_a_dead_keeper(tmp_path)
    folder.journal.write_bytes(HELLO + EVENT + EVENT[:torn])

    said = followed(folder)

    assert [one["line"] for one in said] == ["relay", "hello", "event", "over"]
    assert "The keeper of the trial was ended" in str(said[-1]["reason"])


def test_a_line_longer_than_a_piece_comes_whole(tmp_path: Path) -> None:
    folder = run_of_a_dead_keeper(tmp_path)
    long = b'{"event":"' + b"A" * (5 << 19) + b'","line":"event"}\n'
    folder.journal.write_bytes(HELLO + long)

    said = followed(folder)

    assert [one["line"] for one in said] == ["relay", "hello", "event", "over"]
    assert len(str(said[2]["event"])) == 5 << 19

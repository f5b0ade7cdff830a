"""The verbs that are about boards, over a real sshd where it takes one."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import ExitCode
from harness.testing.adbdbench import running_adbd, why_not
from harness.testing.builders import a_plan, a_trial
from harness.testing.bundles import new_writer
from harness.testing.sshdbench import Sshd, find_sshd, running_sshd

needs_sshd = pytest.mark.skipif(find_sshd() is None, reason="sshd is not installed")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["duanping", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def write_lab(desk: Path, sshd: Sshd, **more: str) -> None:
    known = {
        "address": f"linux@ssh:127.0.0.1:{sshd.port}",
        "host_key": sshd.host_key,
        "client_key": str(sshd.client_key),
        "python": sys.executable,
        "folder": str(desk / "board"),
    }
    lines = [f'{key} = "{value}"' for key, value in (known | more).items()]
    text = "\n".join(['format = "duanping/lab/1"', "[targets.wearable]", *lines])
    (desk / "lab.toml").write_text(text)


@needs_sshd
def test_a_key_is_shown_with_what_to_compare_and_is_not_trusted_by_that(
    desk: Path,
    sshd: Sshd,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = f"linux@ssh:127.0.0.1:{sshd.port}"

    shown = call(monkeypatch, "devices", "--pin", address)
    out = capsys.readouterr().out
    probed = call(monkeypatch, "devices", "--probe", "--target", address, "--json")
    answer = json.loads(capsys.readouterr().out)["targets"][0]

    assert shown == ExitCode.OK
    assert f'host_key = "{sshd.host_key}"' in out
    assert "ssh-keygen -lf" in out
    assert probed == ExitCode.EQUIPMENT
    assert "No host key is pinned" in answer["says"]
    assert list(desk.iterdir()) == []


@needs_sshd
def test_a_board_of_the_lab_file_answers_a_probe(
    desk: Path,
    sshd: Sshd,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_lab(desk, sshd)

    status = call(monkeypatch, "devices", "--probe", "--json")

    answer = json.loads(capsys.readouterr().out)["targets"][0]
    assert status == ExitCode.OK
    assert answer["name"] == "wearable"
    assert answer["facts"]["runtime"] == "onnxruntime"


@needs_sshd
def test_a_shell_is_not_opened_on_a_board_with_another_key(
    desk: Path,
    sshd: Sshd,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_lab(desk, sshd, host_key="SHA256:" + "A" * 43)

    status = call(monkeypatch, "shell", "wearable", "true")

    assert status == ExitCode.EQUIPMENT
    assert "which lab.toml does not pin" in capsys.readouterr().err


@needs_sshd
def test_a_shell_gives_the_status_of_its_command(
    desk: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lab(desk, sshd)

    assert call(monkeypatch, "shell", "wearable", "exit", "7") == 7


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_shell_on_a_phone_gives_the_status_and_the_output_of_its_command(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_adbd(desk) as port:
        monkeypatch.setenv("HOME", str(desk))  # adb makes a key of its own there
        lab = desk / "lab.toml"
        address = f'address = "android@adb:127.0.0.1:{port}"'
        lab.write_text(f'format = "duanping/lab/1"\n[targets.smartphone]\n{address}\n')

        status = call(monkeypatch, "shell", "smartphone", "echo", "here;", "exit", "7")

    assert status == 7
    assert "here" in capfd.readouterr().out


def test_a_shell_on_a_phone_that_is_not_there_is_told(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("adb") is None:
        pytest.skip("adb is not installed")
    monkeypatch.setenv("HOME", str(desk))

    status = call(monkeypatch, "shell", "android@adb:127.0.0.1:1", "true")

    assert status == ExitCode.EQUIPMENT
    assert "does not take a connection" in capsys.readouterr().err


def test_power_is_cycled_by_the_command_of_the_lab_file(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = desk / "lab.toml"
    head = 'format = "duanping/lab/1"\n[targets.wearable]\naddress = "linux@ssh:b"\n'
    lab.write_text(head)
    without = call(monkeypatch, "devices", "--power-cycle", "wearable")
    said = capsys.readouterr().err
    lab.write_text(f'{head}power_cycle = "touch {desk}/cycled"\n')
    done = call(monkeypatch, "devices", "--power-cycle", "wearable")
    unknown = call(monkeypatch, "devices", "--power-cycle", "wearabel")

    assert without == ExitCode.USAGE
    assert "has no power_cycle" in said
    assert done == ExitCode.OK
    assert (desk / "cycled").exists()
    assert unknown == ExitCode.USAGE
    assert "Did you mean 'wearable'" in capsys.readouterr().err


def test_a_probe_without_a_target_says_where_to_write_one(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del desk

    assert call(monkeypatch, "devices", "--probe") == ExitCode.USAGE
    assert "lab.toml" in capsys.readouterr().err


def test_only_a_board_or_a_phone_can_be_left_alone(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del desk
    words = ("run", "--preset", "rapid", "--target", "local@", "--detached")

    assert call(monkeypatch, *words) == ExitCode.USAGE
    assert (
        "Only a board or a phone can go on without its link" in capsys.readouterr().err
    )


def test_a_run_is_left_or_collected_but_not_both(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", "--detached", "--collect", str(desk))

    assert call(monkeypatch, *words) == ExitCode.USAGE
    assert "one at a time" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--check-network"], "traced by nobody"),
        (["--meter", "rapl@"], "read by no meter"),
        (["--dataset", "no-such.npz"], "Labelled items go with a model"),
    ],
)
def test_nothing_is_dropped_in_silence_from_a_run_that_is_left(
    words: list[str],
    told: str,
    desk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del desk

    assert call(monkeypatch, "run", "--detached", *words) == ExitCode.USAGE
    assert told in capsys.readouterr().err


def test_nothing_is_collected_from_a_model_of_a_device(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_writer(desk, a_plan([a_trial()])) as writer:
        bundle = writer.bundle

    assert call(monkeypatch, "run", "--collect", str(bundle)) == ExitCode.USAGE
    assert "can go on without its link" in capsys.readouterr().err


def test_a_way_to_a_model_is_refused_before_anything_runs(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", "--preset", "rapid", "--target", "emulated@wearable")

    assert call(monkeypatch, *words) == ExitCode.USAGE
    assert "Write emulated@" in capsys.readouterr().err
    assert list(desk.rglob("journal.jsonl")) == []

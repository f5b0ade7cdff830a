"""What adb may say instead of giving a phone, played by a small ``adb`` of our own."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.clock import Deadline, VirtualClock
from harness.errors import LinkClosed, LinkError, LinkTimeout, TargetError, Unsupported
from harness.links.adb import AdbShell
from harness.links.adbserver import adb_server

ADB = """#!{python} -SE
import os, socket, sys
from pathlib import Path
here = Path(__file__).parent
with (here / "calls").open("a") as calls:
    calls.write(f"{{sys.argv[1:]}} {{os.environ.get('ANDROID_SERIAL')}}\\n")
words = [w for w in sys.argv[3:]]
if words[:1] == ["-s"]:
    words = words[2:]
match words:
    case ["nodaemon", "server"]:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(sys.argv[2].removeprefix("localfilesystem:"))
            one.listen()
            while True:
                one.accept()
    case ["kill-server"]:
        pass
    case [verb, *_]:
        said = here / {{"shell": "sh"}}.get(verb, verb)
        lines = said.read_text() if said.exists() else ""
        status, _, text = lines.partition(" ")
        print(text, file=sys.stderr if status != "0" else sys.stdout, end="")
        sys.exit(int(status or 0))
"""

Says = Callable[..., None]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Have adb say those texts, by its verb."""
    path = tmp_path / "adb"
    path.write_text(ADB.format(python=sys.executable))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("ANDROID_SERIAL", "another")

    def say(**texts: str) -> None:
        (tmp_path / "features").write_text("0 cmd\nshell_v2\n")
        for verb, text in texts.items():
            status, _, words = text.partition(" ")
            (tmp_path / verb).write_text(f"{status} {words}")

    return say


def listing(*lines: str) -> str:
    return "0 List of devices attached\n" + "".join(f"{line}\n" for line in lines)


def reached(serial: str = "") -> AdbShell:
    with adb_server() as adb:
        shell = AdbShell(adb, serial, VirtualClock())
        shell.reconnect()
    return shell


@pytest.mark.parametrize(
    ("line", "what", "remedy"),
    [
        ("S1\tunauthorized", "has not allowed this computer", "Unlock the phone"),
        ("S1\toffline", "says 'offline'", "adb kill-server"),
        ("S1\tno permissions (missing udev rules?); see [http://x]", "no permissions",
         "android-sdk-platform-tools-common"),
        ("S1\tbootloader", "says 'bootloader'", "fastboot reboot"),
        ("S1\tnewstate", "says 'newstate'", "adb devices -l"),
        ("S2\tdevice", "No phone 'S1' is there; adb sees S2", "Is the cable in"),
        ("", "adb sees none", "Is the cable in"),
    ],
)  # fmt: skip
def test_a_phone_that_is_not_ready_is_told_with_what_to_do(
    says: Says, line: str, what: str, remedy: str
) -> None:
    says(devices=listing(*([line] if line else [])))

    with pytest.raises(LinkError, match=what) as error:
        reached("S1")

    assert remedy in error.value.remedy


def test_a_phone_that_waits_for_a_person_is_not_tried_again(says: Says) -> None:
    says(devices=listing("S1\tunauthorized"))

    with pytest.raises(LinkError) as error:
        reached("S1")

    assert not error.value.is_transient


def test_without_a_serial_the_only_phone_is_meant(says: Says) -> None:
    says(devices=listing("S1\tdevice"))

    assert reached().where == "adb:S1"


def test_without_a_serial_several_phones_are_named_and_none_is_taken(
    says: Says,
) -> None:
    says(devices=listing("S1\tdevice", "S2\tdevice"))

    with pytest.raises(LinkError, match="S1, S2") as error:
        reached()

    assert "android@adb:SERIAL" in error.value.remedy


def test_a_network_phone_that_refuses_is_told_although_adb_exits_with_0(
    says: Says,
) -> None:
    says(connect="0 failed to connect to '10.0.0.9:5555': Connection refused\n")

    with pytest.raises(LinkClosed, match="Connection refused"):
        reached("10.0.0.9:5555")


def test_a_phone_without_the_shell_protocol_is_refused(says: Says) -> None:
    says(devices=listing("S1\tdevice"), features="0 cmd\n")

    with pytest.raises(Unsupported, match="older than 7"):
        reached("S1")


def test_a_shell_that_ends_with_0_and_without_its_last_line_is_a_lost_link(
    says: Says,
) -> None:
    says(devices=listing("S1\tdevice"), sh="0 half of the out")
    with adb_server() as adb:
        shell = AdbShell(adb, "S1", VirtualClock())

        with pytest.raises(LinkClosed, match="lost"):
            shell.run(["anything"], Deadline.after(10.0, VirtualClock()))


def test_a_command_s_own_status_and_output_are_given(says: Says) -> None:
    says(sh="0 no newline at its end\nduanping-end 3\n")
    with adb_server() as adb:
        shell = AdbShell(adb, "S1", VirtualClock())
        done = shell.run(["anything"], Deadline.after(10.0, VirtualClock()))

    assert (done.status, done.stdout) == (3, b"no newline at its end")


def test_a_full_phone_is_told_with_the_file(says: Says) -> None:
    says(
        sh="0 \nduanping-end 0\n",
        push="1 adb: error: failed to copy 'x' to '/f.part': No space left on device\n",
    )
    with adb_server() as adb:
        shell = AdbShell(adb, "S1", VirtualClock())

        with pytest.raises(TargetError, match=r"cannot write /f: .*No space left"):
            shell.push(b"x", "/f")


def test_a_phone_that_hangs_is_given_up_at_the_deadline(
    says: Says, tmp_path: Path
) -> None:
    says()
    with adb_server() as adb:
        (tmp_path / "adb").write_text("#!/bin/sh\nexec sleep 60\n")
        shell = AdbShell(adb, "S1", VirtualClock())
        try:
            with pytest.raises(LinkTimeout, match="does not answer"):
                shell.run(["anything"], Deadline.after(0.1, VirtualClock()))
        finally:
            (tmp_path / "adb").write_text("#!/bin/sh\n")


def test_every_call_goes_to_a_server_of_our_own_and_never_to_the_user_s(
    says: Says, tmp_path: Path
) -> None:
    says(devices=listing("S1\tdevice"))
    reached("S1")

    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) > 3
    assert all(call.startswith("['-L', 'localfilesystem:/") for call in calls)
    assert all(call.endswith(" None") for call in calls)


def test_without_adb_it_is_said_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Unsupported, match="no adb") as error:
        adb_server().__enter__()

    assert "apt-get install adb" in error.value.remedy

"""Addresses and keys of boards, as people write them."""

import subprocess
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.links.keyprint import fingerprint_of
from harness.links.sshaddress import SshAddress


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("192.168.7.2", "", "192.168.7.2", 22),
        ("root@192.168.7.2", "root", "192.168.7.2", 22),
        ("pi@board.local:2222", "pi", "board.local", 2222),
        ("root@[fe80::1%usb0]:22022", "root", "fe80::1%usb0", 22022),
        ("[::1]", "", "::1", 22),
    ],
)
def test_an_address_is_read_and_written_back(
    text: str, user: str, host: str, port: int
) -> None:
    address = SshAddress.parse(text)

    assert (address.user, address.host, address.port) == (user, host, port)
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "root@", "board:ssh", "root@:22"])
def test_what_is_no_address_is_said_so(text: str) -> None:
    with pytest.raises(UsageError, match="no address of a board"):
        SshAddress.parse(text)


def test_a_fingerprint_is_the_one_that_ssh_keygen_shows(tmp_path: Path) -> None:
    key = tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        pytest.skip("ssh-keygen is not installed")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True
    ).stdout

    printed = fingerprint_of((tmp_path / "key.pub").read_text())

    assert printed == shown.split()[1]
    assert fingerprint_of(printed) == printed


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 no-base64!"])
def test_what_is_no_key_is_said_so(text: str) -> None:
    with pytest.raises(UsageError, match="is no host key"):
        fingerprint_of(text)

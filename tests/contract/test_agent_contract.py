"""The agent protocol, held to one contract over every transport that is here."""

import sys
from collections.abc import Iterator

import pytest

from harness.domain.board import AgentForm, Board
from harness.plugins import Address
from harness.targets.adb import open_target as open_adb
from harness.targets.arm64.living import emulating
from harness.targets.arm64.readiness import require_ready
from harness.targets.arm64.target import open_target as open_arm64
from harness.targets.base import Target
from harness.targets.local import open_target as open_local
from harness.targets.runner.bundle import Bundle
from harness.targets.ssh import open_target as open_ssh
from harness.testing.adbdbench import running_adbd, why_not
from harness.testing.agentcontract import AgentContract, CountingContract
from harness.testing.arm64bench import why_not as no_arm64
from harness.testing.builders import a_profile
from harness.testing.runnerbench import runner_target
from harness.testing.sshdbench import bare_programs, find_sshd, running_sshd


class TestLocal(AgentContract):
    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> Iterator[Target]:
        with open_local(Address.parse("local@"), a_profile()) as opened:
            yield opened


@pytest.mark.skipif(find_sshd() is None, reason="sshd is not installed")
class TestSsh(AgentContract):
    @pytest.fixture(scope="class")
    @classmethod
    def target(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
        folder = tmp_path_factory.mktemp("sshd")
        with running_sshd(folder) as sshd:
            board = Board(
                host_key=sshd.host_key,
                client_key=str(sshd.client_key),
                python=sys.executable,
                folder=str(folder / "board"),
            )
            address = Address.parse(f"linux@ssh:127.0.0.1:{sshd.port}")
            with open_ssh(address, a_profile(), board=board) as target:
                yield target


@pytest.mark.skipif(bool(why_not()), reason=why_not())
class TestAdb(AgentContract):
    @pytest.fixture(scope="class")
    @classmethod
    def target(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
        folder = tmp_path_factory.mktemp("adbd")
        with pytest.MonkeyPatch.context() as patch, running_adbd(folder) as port:
            patch.setenv("HOME", str(folder))  # adb makes a key of its own there
            board = Board(python=sys.executable, folder=str(folder / "phone"))
            address = Address.parse(f"android@adb:127.0.0.1:{port}")
            with open_adb(address, a_profile(), board=board) as target:
                yield target


class TestRunner(AgentContract):
    @pytest.fixture(scope="class")
    @classmethod
    def target(cls, runner: Bundle) -> Iterator[Target]:
        with runner_target(runner.start()) as opened:
            yield opened


@pytest.mark.skipif(find_sshd() is None, reason="sshd is not installed")
class TestRunnerOverSsh(AgentContract):
    @pytest.fixture(scope="class")
    @classmethod
    def target(
        cls, runner: Bundle, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Target]:
        del runner  # it is found in the cache
        folder = tmp_path_factory.mktemp("sshd")
        with running_sshd(folder, bare_programs(folder / "bin")) as sshd:
            board = Board(
                host_key=sshd.host_key,
                client_key=str(sshd.client_key),
                folder=str(folder / "board"),
            )
            address = Address.parse(f"linux@ssh:127.0.0.1:{sshd.port}")
            with open_ssh(address, a_profile(), board=board) as target:
                assert target.identify().facts["agent_form"] == "C runner"
                yield target


@pytest.mark.skipif(bool(why_not()), reason=why_not())
class TestRunnerOverAdb(AgentContract):
    @pytest.fixture(scope="class")
    @classmethod
    def target(
        cls, runner: Bundle, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Target]:
        del runner  # it is found in the cache
        folder = tmp_path_factory.mktemp("adbd")
        with pytest.MonkeyPatch.context() as patch, running_adbd(folder) as port:
            patch.setenv("HOME", str(folder))  # adb makes a key of its own there
            board = Board(agent=AgentForm.RUNNER, folder=str(folder / "phone"))
            address = Address.parse(f"android@adb:127.0.0.1:{port}")
            with open_adb(address, a_profile(), board=board) as target:
                yield target


@pytest.mark.slow
@pytest.mark.skipif(bool(no_arm64()), reason=no_arm64())
class TestArm64(CountingContract):
    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> Iterator[Target]:
        address = Address.parse("arm64@qemu:cortex-a76")
        with open_arm64(address, a_profile()) as opened:
            yield opened


@pytest.mark.slow
@pytest.mark.skipif(bool(no_arm64()), reason=no_arm64())
class TestRunnerForArm64(AgentContract):
    """The whole protocol by the runner for arm64; its times mean nothing."""

    @pytest.fixture(scope="class")
    @classmethod
    def target(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
        ready, folder = require_ready(), tmp_path_factory.mktemp("arm64")
        emulator = emulating(ready.emulator, "cortex-a76", folder)
        with runner_target((*emulator, *ready.bundle.start())) as opened:
            yield opened

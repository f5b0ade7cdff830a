"""This machine held to a smaller one's memory: what is applied, and how it ends."""

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.domain.query import Outcome, TrialEnded
from harness.domain.workload import InputSpec
from harness.errors import SchemaError, UsageError
from harness.plugins import Address
from harness.runtimes.onnxbytes import identity_model
from harness.targets.constraint import Constraint, confined, parse_constraint
from harness.targets.local import Confinement, LocalTarget, open_target
from harness.testing.agentcontract import copying_model, short_trial
from harness.testing.builders import a_profile

GIB = 1 << 30
WHOLE = Constraint(memory_bytes=GIB, cores=2)


def test_a_constrained_run_takes_memory_and_cores_of_the_profile() -> None:
    assert parse_constraint("constrained", WHOLE) == WHOLE


def test_what_is_given_goes_before_the_profile_s() -> None:
    found = parse_constraint("constrained?memory=200MB&cores=1", WHOLE)

    assert found == Constraint(memory_bytes=200_000_000, cores=1)


@pytest.mark.parametrize(
    ("link", "error"),
    [
        ("ssh:host", SchemaError),
        ("constrained?speed=2", SchemaError),
        ("constrained?cores=0", UsageError),
        ("constrained?cores=two", UsageError),
        ("constrained?memory=much", UsageError),
        ("constrained?memory=5mW", UsageError),
    ],
)
def test_what_cannot_be_held_to_is_said_so(link: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_constraint(link, WHOLE)


def test_without_any_cgroup_address_space_is_limited_at_twice_the_memory(
    tmp_path: Path,
) -> None:
    with confined(WHOLE, tmp_path / "nothing") as held:
        shown = subprocess.run(
            [*held.prefix, "sh", "-c", "ulimit -v"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert held.means == "address-space"
    assert held.memory_bytes == 2 * GIB
    assert int(shown) * 1024 == 2 * GIB
    assert held.oom_kills() is None


def test_a_group_without_the_memory_controller_is_not_taken_for_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "memory").mkdir()

    with confined(WHOLE, tmp_path) as held:
        assert held.means == "address-space"

    assert list(tmp_path.glob("**/duanping-*")) == []


def test_nothing_is_done_where_no_memory_is_asked_for(tmp_path: Path) -> None:
    with confined(Constraint(cores=1), tmp_path) as held:
        assert held.means == "none"
        assert held.prefix == ()


def real_means() -> str:
    with confined(WHOLE) as held:
        return held.means


@pytest.mark.skipif(
    real_means() == "address-space", reason="no memory cgroup can be made here"
)
def test_a_process_in_a_group_that_takes_too_much_is_killed_and_counted() -> None:
    with confined(Constraint(memory_bytes=40_000_000)) as held:
        command = ["python3", "-c", "x = b'1' * 200_000_000; print('survived')"]
        done = subprocess.run(
            [*held.prefix, *command], capture_output=True, text=True, check=False
        )

        assert "survived" not in done.stdout
        assert done.returncode == -9
        assert (held.oom_kills() or 0) > 0


@pytest.mark.skipif(
    real_means() == "address-space", reason="no memory cgroup can be made here"
)
def test_a_trial_that_is_killed_for_memory_is_told_from_a_crash(tmp_path: Path) -> None:
    model, path = copying_model(tmp_path)
    address = Address.parse("local@constrained?memory=30MB")

    with (
        open_target(address, a_profile()) as target,
        target.deploy(model, path, None) as on,
    ):
        facts = target.identify().facts
        ended = list(target.execute(short_trial(), on))[-1]

    assert isinstance(ended, TrialEnded)
    assert ended.outcome is Outcome.OUT_OF_MEMORY
    assert ended.reason == "The kernel killed the process for memory"
    assert facts["constraint"].startswith("cgroup")
    assert 29_000_000 < int(facts["constraint_memory_bytes"]) <= 30_000_000


def test_an_allocation_that_is_refused_is_told_from_a_kill(tmp_path: Path) -> None:
    model, path = copying_model(tmp_path)
    size = 200_000_000
    path.write_bytes(identity_model([("x", "float32", (1, size))]))
    spec = InputSpec(name="x", dtype="float32", shape=(1, size))
    model = replace(
        model, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), inputs=(spec,)
    )
    with confined(Constraint(memory_bytes=600_000_000), tmp_path / "nothing") as held:
        target = LocalTarget(
            a_profile(), SystemClock(), 60.0, Confinement(Constraint(), held)
        )
        with target.deploy(model, path, None) as on:
            ended = list(target.execute(short_trial(), on))[-1]

    assert isinstance(ended, TrialEnded)
    assert ended.outcome is Outcome.OUT_OF_MEMORY
    assert "kernel killed" not in ended.reason


def test_a_run_within_its_memory_is_as_any_other(tmp_path: Path) -> None:
    model, path = copying_model(tmp_path)
    address = Address.parse("local@constrained?memory=1GB&cores=1")

    with (
        open_target(address, a_profile()) as target,
        target.deploy(model, path, None) as on,
    ):
        ended = list(target.execute(short_trial(), on))[-1]

        assert target.identify().facts["constraint_cores"] == "1"
    assert isinstance(ended, TrialEnded)
    assert ended.outcome is Outcome.DONE, ended.reason

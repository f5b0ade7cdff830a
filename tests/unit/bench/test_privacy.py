"""Runtimes that send, keep or ask the cloud are found; an honest one passes."""

import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

import harness
from harness.bench import privacy
from harness.bench.asking import question
from harness.bench.privacy import Check, State, check_privacy
from harness.bench.privacychecks import exit_code
from harness.catalogue.bindings import InputBindings
from harness.catalogue.describe import describe
from harness.errors import ExitCode, TargetError
from harness.loadgen.wire import Order, Task
from harness.targets.apart import clean_environment

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed"
)
HERE = Path(__file__).resolve().parent


def an_order(folder: Path, runtime: str) -> Order:
    shape = ["N", 64]
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opset = helper.make_opsetid("", 13)
    path = folder / "model.onnx"
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    order = question(Task.ANSWER, describe(path, InputBindings()), path)
    return replace(order, runtime=f"leaking:{runtime}", items=(0, 1))


def checked(folder: Path, runtime: str) -> dict[str, Check]:
    top = Path(harness.__file__).parents[1]
    environment = clean_environment(1) | {
        "PYTHONPATH": f"{HERE}:{top}",
        "LEAK_TO": str(folder),
    }
    found = check_privacy(an_order(folder, runtime), environment)
    return {check.name: check for check in found}


def is_isolable() -> bool:
    return {name for _, name in socket.if_nameindex()} - {"lo"} != set()


@needs_strace
def test_an_honest_runtime_passes_what_can_be_checked_here(tmp_path: Path) -> None:
    found = checked(tmp_path, "open_honest")

    states = {name: check.state for name, check in found.items()}
    assert states.pop("isolated") in {State.PASSED, State.UNCHECKED}
    assert set(states.values()) == {State.PASSED}, found


@needs_strace
@pytest.mark.parametrize(
    ("runtime", "name", "said"),
    [
        ("open_sending", "sends-nothing", "192.0.2.1"),
        ("open_keeping", "leaves-nothing", "cache.bin"),
        ("open_keeping_elsewhere", "leaves-nothing", "log"),
    ],
)
def test_a_runtime_that_gives_data_away_is_found(
    tmp_path: Path, runtime: str, name: str, said: str
) -> None:
    found = checked(tmp_path, runtime)

    assert found[name].state is State.FAILED
    assert said in found[name].detail


@needs_strace
def test_the_loopback_is_no_network(tmp_path: Path) -> None:
    assert checked(tmp_path, "open_loopback")["sends-nothing"].state is State.PASSED


@pytest.mark.skipif(not is_isolable(), reason="this machine has no network itself")
def test_a_runtime_whose_answers_need_the_network_is_found(tmp_path: Path) -> None:
    found = checked(tmp_path, "open_asking")["isolated"]

    assert found.state in {State.FAILED, State.UNCHECKED}
    if found.state is State.FAILED:
        assert found.detail == "without a network the answers are others"


def test_without_strace_nothing_is_called_passed_that_was_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    found = checked(tmp_path, "open_honest")

    assert found["sends-nothing"].state is State.UNCHECKED
    assert found["leaves-nothing"].state is State.UNCHECKED
    assert found["whole-model"].state is State.PASSED


def test_without_namespaces_isolation_is_unchecked_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "print('no network namespace: not permitted', file=sys.stderr)"
    refusing = ("python3", "-c", f"import sys; {words}; sys.exit(77)")
    monkeypatch.setattr(privacy, "NETLESS", refusing)

    found = checked(tmp_path, "open_honest")["isolated"]

    assert found.state is State.UNCHECKED
    assert "not permitted" in found.detail


def test_a_model_that_cannot_be_answered_is_an_error_and_no_pass(
    tmp_path: Path,
) -> None:
    order = replace(an_order(tmp_path, "open_honest"), sha256="f" * 64)

    with pytest.raises(TargetError, match="could not be answered"):
        check_privacy(order)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], ExitCode.OK),
        ([State.PASSED, State.PASSED], ExitCode.OK),
        ([State.PASSED, State.UNCHECKED], ExitCode.NO_ANSWER),
        ([State.UNCHECKED, State.FAILED], ExitCode.NO),
    ],
)
def test_the_exit_code_tells_no_from_unknown(
    states: list[State], code: ExitCode
) -> None:
    checks = [Check(name=s.value, state=s, detail="") for s in states]

    assert exit_code(tuple(check.finding("kws") for check in checks)) is code

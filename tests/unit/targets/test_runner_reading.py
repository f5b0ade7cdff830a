"""The C runner's reading and writing against Python's, under the sanitizers."""

import base64
import json
import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from harness.domain.scenario import Server
from harness.loadgen.pulses import plan_pulses
from harness.loadgen.wire import Order, Task, encode_order
from harness.runtimes.onnxbytes import count_operators
from harness.runtimes.onnxrt import NOT_QUANTISED, QUANTISED
from harness.targets.runner.preparing import Wanted, prepare
from harness.testing.agentcontract import copying_model, short_trial

SOURCE = Path(str(files("harness.targets.runner"))) / "source"
READER = Path(__file__).parents[2] / "peers" / "runner_reader.c"
PARTS = ("text", "json", "lines", "order", "ort", "inspect", "sha256", "voice")
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
NONE = "none"
LIMITS = settings(
    max_examples=200,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
)
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")

Ask = Callable[[bytes], str]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(
    allow_nan=False, allow_infinity=False
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the reader; skips where gcc has no sanitizers."""
    path = tmp_path_factory.mktemp("reader") / "reader"
    sources = [SOURCE / f"{part}.c" for part in (*PARTS, "bench", "outputs", "clock")]
    command = ["gcc", "-std=c11", "-D_GNU_SOURCE", *SANITIZED, "-I", SOURCE, READER]
    command += [*sources, "-o", path, "-lm", "-ldl", "-pthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "cannot find" in done.stderr and "san" in done.stderr:
        pytest.skip("gcc is here without its sanitizers")
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def ask(reader: Path) -> Iterator[Callable[[str], Ask]]:
    """Ask the reader line by line, in a form; it must end in good order."""
    with ExitStack() as stack:
        running: dict[str, subprocess.Popen[bytes]] = {}

        def asked_as(form: str) -> Ask:
            if form not in running:
                running[form] = stack.enter_context(
                    subprocess.Popen(
                        [reader, form],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        # orders are kept for as long as an agent lives
                        env={"ASAN_OPTIONS": "detect_leaks=0"},
                    )
                )
            child = running[form]

            def asked(line: bytes) -> str:
                assert child.stdin is not None
                assert child.stdout is not None
                assert child.stderr is not None
                child.stdin.write(line + b"\n")
                child.stdin.flush()
                said = child.stdout.readline()
                assert said, child.stderr.read().decode()
                return said.decode().rstrip("\n")

            return asked

        yield asked_as
        for child in running.values():
            assert child.stdin is not None
            assert child.stderr is not None
            child.stdin.close()
            assert child.wait(10) == 0, child.stderr.read().decode()


def python_reads(line: bytes) -> bool:
    """Say whether the standard says that this is JSON; Python takes a little more."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        value = json.loads(line.decode(), parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode()  # no half surrogate pairs
    except (ValueError, RecursionError):
        return False
    return True


@LIMITS
@given(value=VALUES, is_ascii=st.booleans())
def test_what_python_writes_the_runner_reads_and_writes_again(
    ask: Callable[[str], Ask], *, value: object, is_ascii: bool
) -> None:
    line = json.dumps(value, ensure_ascii=is_ascii).encode().replace(b"\n", b"")
    said = ask("json")(line)

    again = json.loads(said)
    assert again == value
    assert all(ord(letter) < 128 for letter in said)


@LIMITS
@given(line=st.text('[]{}",:\\u0123456789abcdeftrulns+-. \t').map(str.encode))
def test_both_take_the_same_lines_for_json(
    ask: Callable[[str], Ask], line: bytes
) -> None:
    assert (ask("json")(line) != NONE) == python_reads(line)


@LIMITS
@given(line=st.binary(max_size=60).filter(lambda data: b"\n" not in data))
def test_bytes_of_any_kind_are_read_or_refused(
    ask: Callable[[str], Ask], line: bytes
) -> None:
    assert (ask("json")(line) != NONE) == python_reads(line)


@LIMITS
@given(data=st.binary(max_size=200))
def test_base64_is_pythons(ask: Callable[[str], Ask], data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert ask("base64")(json.dumps(text).encode()) == text


@LIMITS
@given(text=st.text("ABCz019+/=-_ ", max_size=12))
def test_what_python_refuses_as_base64_is_refused(
    ask: Callable[[str], Ask], text: str
) -> None:
    try:
        is_base64 = bool(base64.b64decode(text, validate=True)) or not text
    except ValueError:
        is_base64 = False
    if ask("base64")(json.dumps(text).encode()) != NONE:
        assert is_base64


def an_order(folder: Path) -> bytes:
    """An order with every part that a runner reads."""
    model, path = copying_model(folder)
    pulses = plan_pulses(1_000_000, seed=1).planned()
    scenario = Server(latency_bound_ns=1000)
    trial = replace(short_trial(), pulses=pulses, scenario=scenario)
    wanted = Wanted(trial=trial, inputs=model.inputs, samples=None, labelled=None)
    order = Order(
        task=Task.MEASURE,
        trial=trial,
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path=str(path),
        sha256=model.sha256,
        inputs=model.inputs,
        prepared=prepare(wanted, folder).prepared,
    )
    return encode_order(order).rstrip()


def test_an_order_of_ours_is_read(ask: Callable[[str], Ask], tmp_path: Path) -> None:
    said = ask("order")(an_order(tmp_path))

    size = next(tmp_path.glob("*.tensors")).stat().st_size
    assert said == f"order {short_trial().id} {size}"


@LIMITS
@given(data=st.data())
def test_an_order_that_is_damaged_is_read_or_refused_and_nothing_worse(
    ask: Callable[[str], Ask],
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    line = bytearray(whole_order(tmp_path_factory))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(line) - 1))
        line[at : at + data.draw(st.integers(0, 40))] = data.draw(
            st.binary(max_size=12).filter(lambda new: b"\n" not in new)
        )
    said = ask("order")(bytes(line))
    assert said == NONE or said.startswith("order ")


_WHOLE: list[bytes] = []


def whole_order(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if not _WHOLE:
        _WHOLE.append(an_order(tmp_path_factory.mktemp("order")))
    return _WHOLE[0]


@LIMITS
@given(value=VALUES)
def test_json_that_is_no_order_is_refused(
    ask: Callable[[str], Ask], value: object
) -> None:
    assert ask("order")(json.dumps(value).encode()) == NONE


def a_model() -> bytes:
    """A model with a subgraph in which there is a matrix product too."""
    inner = helper.make_graph(
        [helper.make_node("MatMul", ["a", "a"], ["b"])],
        "inner",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [2, 2])],
    )
    nodes = [
        helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner),
        helper.make_node("QLinearConv", ["x"] * 8, ["y"]),
        helper.make_node("Conv", ["x", "w"], ["z"]),
        helper.make_node("Relu", ["x"], ["r"]),
    ]
    data: bytes = helper.make_model(
        helper.make_graph(nodes, "outer", [], [])
    ).SerializeToString()
    return data


def test_kernels_are_counted_as_by_python(ask: Callable[[str], Ask]) -> None:
    model = a_model()
    found = count_operators(model)
    quantised = sum(found[name] for name in QUANTISED)
    whole = quantised + sum(found[name] for name in NOT_QUANTISED)

    said = ask("kernels")(json.dumps(base64.b64encode(model).decode()).encode())

    assert said == f"{quantised} {whole}" == "1 4"


@LIMITS
@given(at=st.integers(0, 10_000), new=st.binary(max_size=8))
def test_a_model_that_is_damaged_is_counted_or_refused(
    ask: Callable[[str], Ask], at: int, new: bytes
) -> None:
    model = a_model()
    at %= len(model)
    damaged = model[:at] + new + model[at + 1 :]
    said = ask("kernels")(json.dumps(base64.b64encode(damaged).decode()).encode())
    assert said == NONE or math.isfinite(float(said.split()[0]))

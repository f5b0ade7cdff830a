"""One order to the C runner: states, refusals, its lease, and its silence abroad."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from harness.clock import SystemClock
from harness.domain.labelled import Source
from harness.domain.plan import Minimum, RuntimeSettings
from harness.domain.query import (
    ItemsScored,
    LinkEvent,
    MemoryMeasured,
    Outcome,
    OutputsChecked,
    TrialEnded,
    TrialEvent,
)
from harness.domain.scenario import ColdStart
from harness.domain.workload import Fill, InputSpec, ModelArtifact
from harness.loadgen.pulses import plan_pulses
from harness.loadgen.transcript import Done, Hello, Listener
from harness.loadgen.wire import Order, Task, encode_order
from harness.runtimes.onnxbytes import identity_model
from harness.scoring.rows import unpack
from harness.targets.base import Deployment
from harness.targets.runner.bundle import Bundle
from harness.targets.runner.preparing import Wanted, prepare
from harness.testing.agentcontract import short_trial
from harness.testing.builders import a_model
from harness.testing.runnerbench import runner_target

X = InputSpec(name="x", dtype="float32", shape=(1, 4))
STATE = InputSpec(
    name="state", dtype="float32", shape=(1, 4), fill=Fill.ZEROS, follows=1
)
FEW = Minimum(queries=60, duration_ns=0)
LEASE_ENDED = 3
NO_ORDER = 2


def serialised(
    nodes: Sequence[object],
    inputs: Sequence[object],
    outputs: Sequence[object],
    more: Sequence[object] = (),
) -> bytes:
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph(nodes, "graph", inputs, outputs, [one, *more])
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def a_counter() -> bytes:
    """Counts its queries in a state: y = x + state, next = state + 1."""
    shape = [1, 4]
    return serialised(
        [
            helper.make_node("Add", ["x", "state"], ["y"]),
            helper.make_node("Add", ["state", "one"], ["next"]),
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name in ("x", "state")
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name in ("y", "next")
        ],
    )


def a_model_of_open_shapes() -> bytes:
    """Gives a batch by its symbol, and the places of what is not zero."""
    return serialised(
        [
            helper.make_node("Add", ["x", "one"], ["y"]),
            helper.make_node("NonZero", ["x"], ["places"]),
        ],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4]),
            helper.make_tensor_value_info("places", TensorProto.INT64, [2, None]),
        ],
    )


def described(
    data: bytes, folder: Path, inputs: Sequence[InputSpec]
) -> tuple[ModelArtifact, Path]:
    path = folder / "model.onnx"
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    model = replace(
        a_model(), sha256=sha256, size_bytes=len(data), inputs=tuple(inputs)
    )
    return model, path


def executed(
    runner: Bundle, data: bytes, folder: Path, inputs: Sequence[InputSpec]
) -> list[TrialEvent]:
    model, path = described(data, folder, inputs)
    trial = replace(short_trial(), minimum=FEW, baseline_ns=1000)
    with runner_target(runner.start()) as target:
        return list(target.execute(trial, Deployment(model=model, path=path)))


def an_order(folder: Path, data: bytes | None = None) -> Order:
    data = data or identity_model([("x", "float32", (1, 4))])
    model, path = described(data, folder, [X])
    trial = replace(short_trial(), minimum=FEW, baseline_ns=1000)
    wanted = Wanted(trial=trial, inputs=(X,), samples=None, labelled=None)
    return Order(
        task=Task.MEASURE,
        trial=trial,
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path=str(path),
        sha256=model.sha256,
        inputs=(X,),
        spawned_ns=SystemClock().now_ns(),
        prepared=prepare(wanted, folder).prepared,
    )


def answered(
    runner: Bundle, order: Order, before: Sequence[str] = (), **environment: str
) -> tuple[list[LinkEvent], TrialEnded]:
    """Give the order on a line; hears the transcript and holds it to be whole."""
    with subprocess.Popen(
        [*before, *runner.start(), "agent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **environment},
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(encode_order(order))
        child.stdin.flush()
        listener = Listener()
        heard = [listener.take(line) for line in child.stdout]
        assert child.wait(10) == 0
    assert isinstance(heard[0], Hello)
    assert isinstance(heard[-1], Done)
    events = [one for one in heard if not isinstance(one, Hello | Done)]
    assert isinstance(events[-1], TrialEnded)
    return events, events[-1]


class TestModels:
    def test_states_go_from_query_to_query_and_are_held_against_a_rerun(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        events = executed(runner, a_counter(), tmp_path, [X, STATE])

        ended = events[-1]
        assert isinstance(ended, TrialEnded)
        assert ended.outcome is Outcome.DONE, ended.reason
        (checked,) = (e for e in events if isinstance(e, OutputsChecked))
        assert checked.compared >= FEW.queries // 5
        assert checked.differing == 0
        scored = [e for e in events if isinstance(e, ItemsScored)]
        assert [event.source for event in scored] == [Source.SESSION]
        # answers of the session start from a state of zero: y = x, next = 1
        assert all(row[1 + 4] == 1.0 for row in unpack(scored[0].packed, 64))

    def test_outputs_of_open_shapes_are_taken_as_they_come(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        spec = replace(X, has_batch_axis=True, low=-1.0)
        events = executed(runner, a_model_of_open_shapes(), tmp_path, [spec])

        ended = events[-1]
        assert isinstance(ended, TrialEnded)
        assert ended.outcome is Outcome.DONE, ended.reason
        (checked,) = (e for e in events if isinstance(e, OutputsChecked))
        assert checked.compared >= FEW.queries // 5
        assert checked.differing == 0

    def test_outputs_that_are_no_numbers_are_counted(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        data = serialised(
            [helper.make_node("Log", ["x"], ["y"])],
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        )
        spec = replace(X, low=-2.0, high=-1.0)
        events = executed(runner, data, tmp_path, [spec])

        (checked,) = (e for e in events if isinstance(e, OutputsChecked))
        assert checked.non_finite == checked.compared > 0
        assert checked.differing == 0


class TestEndings:
    def test_a_model_that_changed_is_refused(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        order = replace(an_order(tmp_path), sha256="0" * 64)
        _, ended = answered(runner, order)

        assert ended.outcome is Outcome.REFUSED
        assert "not 000000000000…" in ended.reason

    def test_what_is_no_model_is_refused(self, runner: Bundle, tmp_path: Path) -> None:
        _, ended = answered(runner, an_order(tmp_path, b"this is no model"))

        assert ended.outcome is Outcome.REFUSED
        assert "onnxruntime refuses the model" in ended.reason

    def test_a_refused_model_leaves_no_file_behind(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        room = tmp_path / "room"
        room.mkdir()
        order = an_order(tmp_path, b"this is no model")
        order = replace(order, task=Task.INSPECT)
        _, ended = answered(runner, order, TMPDIR=str(room))

        assert ended.outcome is Outcome.REFUSED
        assert not list(room.iterdir())

    def test_inputs_of_another_size_are_refused(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        order = an_order(tmp_path)
        assert order.prepared is not None
        Path(order.prepared.tensors_path).write_bytes(b"short")
        _, ended = answered(runner, order)

        assert ended.outcome is Outcome.REFUSED
        assert "5 bytes" in ended.reason

    def test_an_order_that_was_not_prepared_is_refused(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        _, ended = answered(runner, replace(an_order(tmp_path), prepared=None))

        assert ended.outcome is Outcome.REFUSED
        assert "Nothing was prepared" in ended.reason

    def test_a_model_that_takes_other_inputs_fails_with_the_library_s_words(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        data = identity_model([("x", "float32", (1, 7))])
        _, ended = answered(runner, an_order(tmp_path, data))

        assert ended.outcome is Outcome.FAILED
        assert "onnxruntime failed" in ended.reason

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            (RuntimeSettings(optimisation="most"), "no optimisation level 'most'"),
            (RuntimeSettings(provider="AzureExecutionProvider"), "on the processor"),
        ],
    )
    def test_settings_that_it_cannot_keep_are_refused(
        self, runner: Bundle, tmp_path: Path, settings: RuntimeSettings, words: str
    ) -> None:
        order = an_order(tmp_path)
        order = replace(order, trial=replace(order.trial, settings=settings))
        _, ended = answered(runner, order)

        assert ended.outcome is Outcome.REFUSED
        assert words in ended.reason

    def test_a_library_that_is_not_there_is_refused(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        nowhere = str(tmp_path / "libonnxruntime.so")
        _, ended = answered(runner, an_order(tmp_path), DUANPING_ONNXRUNTIME=nowhere)

        assert ended.outcome is Outcome.REFUSED
        assert "onnxruntime cannot be loaded" in ended.reason

    def test_a_pin_that_cannot_be_moved_is_a_failure(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        pulses = replace(plan_pulses(1_000_000, seed=1).planned(), pin="/no/such/pin")
        order = an_order(tmp_path)
        trial = replace(order.trial, pulses=pulses)
        wanted = Wanted(trial=trial, inputs=(X,), samples=None, labelled=None)
        prepared = prepare(wanted, tmp_path).prepared
        _, ended = answered(runner, replace(order, trial=trial, prepared=prepared))

        assert ended.outcome is Outcome.FAILED
        assert "The pin cannot be moved" in ended.reason

    def test_memory_that_does_not_suffice_is_said_to_be_short(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        big = helper.make_tensor("big", TensorProto.INT64, [2], [4, 300_000_000])
        data = serialised(
            [
                helper.make_node("Transpose", ["x"], ["column"]),
                helper.make_node("Expand", ["column", "big"], ["wide"]),
                helper.make_node("ReduceSum", ["wide"], ["y"]),
            ],
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            more=[big],
        )
        order = an_order(tmp_path, data)
        capped = ["prlimit", f"--as={2 * 1024**3}"]
        _, ended = answered(runner, order, before=capped)

        assert ended.outcome is Outcome.OUT_OF_MEMORY, ended.reason

    def test_it_is_gone_when_its_standard_input_closes(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        order = an_order(tmp_path)
        trial = replace(
            order.trial, minimum=Minimum(queries=1, duration_ns=600 * 10**9)
        )
        done = subprocess.run(
            [*runner.start(), "agent"],
            input=encode_order(replace(order, trial=trial)),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == LEASE_ENDED

    def test_a_line_that_is_no_order_is_said_to_be_none(self, runner: Bundle) -> None:
        done = subprocess.run(
            [*runner.start(), "agent"],
            input=b'{"task": "measure"}\n',
            capture_output=True,
            check=False,
        )
        assert done.returncode == NO_ORDER
        assert b"is not an order" in done.stderr
        assert not done.stdout


class TestPrivacy:
    @pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing")
    def test_no_socket_is_opened_and_no_file_left_at_home(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        home, log = tmp_path / "home", tmp_path / "calls"
        home.mkdir()
        traced = ["strace", "-f", "-qq", "-e", "trace=socket,connect", "-o", str(log)]
        order = encode_order(replace(an_order(tmp_path), task=Task.INSPECT))
        with subprocess.Popen(
            [*traced, *runner.start(), "agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(order)
            child.stdin.flush()
            last = child.stdout.readlines()[-1]

        assert json.loads(last)["line"] == "done"
        assert "socket" not in log.read_text()
        assert not list(home.iterdir())


class TestMemory:
    def test_a_cold_start_tells_its_memory_too(
        self, runner: Bundle, tmp_path: Path
    ) -> None:
        order = an_order(tmp_path)
        trial = replace(order.trial, scenario=ColdStart())
        wanted = Wanted(trial=trial, inputs=(X,), samples=None, labelled=None)
        prepared = prepare(wanted, tmp_path).prepared
        order = replace(order, task=Task.START, trial=trial, prepared=prepared)
        events, ended = answered(runner, order)

        assert ended.outcome is Outcome.DONE, ended.reason
        assert ended.queries == 1
        (memory,) = (e for e in events if isinstance(e, MemoryMeasured))
        assert memory.method == "VmHWM"
        assert (memory.peak_bytes or 0) >= (memory.baseline_bytes or 0) > 0

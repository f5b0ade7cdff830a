"""States go from query to query, and their outputs are still held against a rerun."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from harness.agent.serve import serve
from harness.agent.states import states_of
from harness.clock import SystemClock
from harness.domain.labelled import Source
from harness.domain.plan import Minimum
from harness.domain.query import ItemsScored, OutputsChecked, TrialEnded, TrialEvent
from harness.domain.workload import Fill, InputSpec
from harness.loadgen.transcript import Done, Hello, Listener
from harness.loadgen.wire import Order, Task, encode_order
from harness.scoring.rows import unpack
from harness.testing.builders import a_trial

X = InputSpec(name="x", dtype="float32", shape=(1, 4))
STATE = InputSpec(
    name="state", dtype="float32", shape=(1, 4), fill=Fill.ZEROS, follows=1
)


def a_counter() -> bytes:
    """Counts its queries in a state: y = x + state, next = state + 1."""
    shape = [1, 4]
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "state"], ["y"]),
            helper.make_node("Add", ["state", "one"], ["next"]),
        ],
        "counter",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name in ("x", "state")
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name in ("y", "next")
        ],
        [one],
    )
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def measured(folder: Path) -> list[TrialEvent]:
    path, model = folder / "model.onnx", a_counter()
    path.write_bytes(model)
    few = Minimum(queries=200, duration_ns=0)
    order = Order(
        task=Task.MEASURE,
        trial=replace(a_trial(), minimum=few, baseline_ns=1000),
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path=str(path),
        sha256=hashlib.sha256(model).hexdigest(),
        inputs=(X, STATE),
    )
    lines: list[bytes] = []
    serve(encode_order(order), lines.append, SystemClock())
    listener = Listener()
    heard = [listener.take(line) for line in lines]
    return [item for item in heard if not isinstance(item, Hello | Done)]


def test_outputs_that_go_on_from_a_state_agree_with_the_same_computed_again(
    tmp_path: Path,
) -> None:
    events = measured(tmp_path)

    (checked,) = [e for e in events if isinstance(e, OutputsChecked)]
    ended = events[-1]
    assert isinstance(ended, TrialEnded)
    assert checked.compared >= 0.1 * 200
    assert (checked.differing, checked.non_finite) == (0, 0), ended.reason


def test_scores_of_a_model_with_states_are_of_answers_that_start_at_zero(
    tmp_path: Path,
) -> None:
    (scored,) = [e for e in measured(tmp_path) if isinstance(e, ItemsScored)]

    rows = unpack(scored.packed, scored.width)
    assert scored.source is Source.SESSION
    assert rows[:, 1:9].max() <= 1.0  # x is 0 to 1, and nothing was counted yet


def test_a_state_follows_its_output_and_starts_again_where_that_is_not_finite() -> None:
    states = states_of((X, STATE))
    assert set(states.buffers) == {"state"}

    states.follow((np.zeros((1, 4)), np.full((1, 4), 7.0)))
    assert states.copies()["state"].tolist() == [[7.0] * 4]

    states.follow((np.zeros((1, 4)), np.array([[1.0, np.nan, 1.0, 1.0]])))
    assert states.copies()["state"].tolist() == [[0.0] * 4]


@pytest.mark.parametrize("inputs", [(), (X,)])
def test_a_model_without_states_has_none(inputs: tuple[InputSpec, ...]) -> None:
    assert states_of(inputs).is_empty

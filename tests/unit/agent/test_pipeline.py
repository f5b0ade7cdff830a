"""A pipeline of two tiny models and a step between them, carried out by the agent."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from harness.agent.serve import serve
from harness.clock import SystemClock
from harness.domain.plan import Minimum
from harness.domain.query import (
    ModelLoaded,
    Outcome,
    OutputsChecked,
    Phase,
    QueryBlock,
    TrialEnded,
    TrialEvent,
)
from harness.domain.scenario import Offline, Periodic, Scenario
from harness.domain.workload import BuiltStage, InputSpec, Stage
from harness.loadgen.transcript import Done, Hello, Listener
from harness.loadgen.wire import Order, Task, encode_order
from harness.testing.builders import a_trial

SCORES = InputSpec(name="x", dtype="float32", shape=(1, 4), low=-1.0, high=1.0)
IDS = InputSpec(name="ids", dtype="int64", shape=(1, 6), high=3.0)


def negative() -> bytes:
    return _model("Neg", "x", "y", TensorProto.FLOAT, [1, 4])


def absolute() -> bytes:
    return _model("Abs", "ids", "z", TensorProto.INT64, [1, 6])


def _model(operator: str, take: str, give: str, kind: int, shape: list[int]) -> bytes:
    graph = helper.make_graph(
        [helper.make_node(operator, [take], [give])],
        "one",
        [helper.make_tensor_value_info(take, kind, shape)],
        [helper.make_tensor_value_info(give, kind, shape)],
    )
    opset = helper.make_opsetid("", 13)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    data: bytes = made.SerializeToString()
    return data


STAGES = (
    BuiltStage(
        stage=Stage(name="turn", model="a"),
        file="a.onnx",
        inputs=(SCORES,),
        outputs=("y",),
    ),
    BuiltStage(
        stage=Stage(name="pick", step="argmax-tokens", takes=("y",), gives="ids")
    ),
    BuiltStage(
        stage=Stage(name="size", model="b"),
        file="b.onnx",
        inputs=(IDS,),
        outputs=("z",),
    ),
)


def an_order(
    folder: Path,
    scenario: Scenario | None = None,
    *,
    stages: tuple[BuiltStage, ...] = STAGES,
    task: Task = Task.MEASURE,
) -> Order:
    (folder / "a.onnx").write_bytes(negative())
    (folder / "b.onnx").write_bytes(absolute())
    trial = replace(
        a_trial("e2e", scenario),
        minimum=Minimum(queries=20, duration_ns=0),
        baseline_ns=1000,
    )
    return Order(
        task=task,
        trial=trial,
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path=str(folder / "a.onnx"),
        sha256=hashlib.sha256(negative() + absolute()).hexdigest(),
        inputs=(SCORES,),
        external=("b.onnx",),
        stages=stages,
        spawned_ns=SystemClock().now_ns(),
    )


def carry_out(order: Order) -> list[TrialEvent]:
    lines: list[bytes] = []
    serve(encode_order(order), lines.append, SystemClock())
    hearer = Listener()
    heard = [hearer.take(line) for line in lines]
    return [item for item in heard if not isinstance(item, Hello | Done)]


def ended(events: Sequence[TrialEvent]) -> TrialEnded:
    last = events[-1]
    assert isinstance(last, TrialEnded)
    return last


def blocks(events: Sequence[TrialEvent]) -> list[QueryBlock]:
    return [e for e in events if isinstance(e, QueryBlock)]


def test_every_query_says_when_each_of_its_stages_was_done(tmp_path: Path) -> None:
    events = carry_out(an_order(tmp_path))

    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    for block in blocks(events):
        assert set(block.inner_counts) == {3}
        done = np.asarray(block.inner_ns).reshape(-1, 3)
        assert (np.diff(done, axis=1) >= 0).all()
        assert (done[:, 0] >= np.asarray(block.issued_ns)).all()
        assert (done[:, 2] <= np.asarray(block.completed_ns)).all()


def test_timed_outputs_are_those_of_the_stages_called_one_by_one(
    tmp_path: Path,
) -> None:
    events = carry_out(an_order(tmp_path))

    (checked,) = (e for e in events if isinstance(e, OutputsChecked))
    assert checked.compared > 0
    assert checked.differing == 0


def test_a_schedule_and_several_samples_a_query_work_too(tmp_path: Path) -> None:
    periodic = carry_out(
        an_order(tmp_path, Periodic(period_ns=1_000_000, deadline_ns=1_000_000))
    )
    offline = carry_out(an_order(tmp_path, Offline(samples_per_query=4)))

    measured = [b for b in blocks(periodic) if b.phase is Phase.MEASURED]
    assert {c for b in measured for c in b.inner_counts} == {3}
    assert {c for b in blocks(offline) for c in b.inner_counts} == {12}


def test_what_the_runtime_made_of_all_models_is_added_up(tmp_path: Path) -> None:
    (loaded,) = (
        e
        for e in carry_out(an_order(tmp_path, task=Task.INSPECT))
        if isinstance(e, ModelLoaded)
    )

    assert loaded.placement == {"CPUExecutionProvider": 2}


def test_stages_that_do_not_fit_are_refused_with_both_shapes(tmp_path: Path) -> None:
    wrong = replace(STAGES[2], inputs=(replace(IDS, name="y", shape=(1, 6)),))

    last = ended(carry_out(an_order(tmp_path, stages=(STAGES[0], wrong))))

    assert last.outcome is Outcome.REFUSED
    assert "int64 [1, 6], but what comes before gives float32 [1, 4]" in last.reason


def test_a_changed_second_model_is_found_before_anything_is_timed(
    tmp_path: Path,
) -> None:
    order = an_order(tmp_path)
    (tmp_path / "b.onnx").write_bytes(negative())

    last = ended(carry_out(order))

    assert last.outcome is Outcome.REFUSED
    assert "sha256" in last.reason


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"model": "a", "step": "log-mel"}, "either a model or a step"),
        ({}, "either a model or a step"),
        ({"step": "polish", "takes": ("x",), "gives": "y"}, "there is no step"),
        ({"step": "log-mel"}, "takes tensors and gives one"),
    ],
)
def test_a_stage_that_makes_no_sense_is_refused(
    wrong: dict[str, str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Stage(name="s", **wrong)  # type: ignore[arg-type]

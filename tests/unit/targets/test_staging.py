"""A pipeline on an emulated device: models are costed, steps are named and left out."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.domain.plan import Minimum
from harness.domain.query import Noted, Outcome, QueryBlock, TrialEnded, TrialEvent
from harness.domain.workload import BuiltStage, InputSpec, ModelArtifact, Stage
from harness.emulation.graph_cost import cost_of_file
from harness.emulation.predict import predict
from harness.plugins import Address
from harness.schema.profile import load_profile, profile_path
from harness.targets.emulated import open_target
from harness.testing.builders import a_trial

PROFILE = load_profile(profile_path("commercial"))


def write(path: Path, width: int) -> None:
    weights = np.ones((300, width), dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 300])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, width])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph), path)


def a_pipeline(folder: Path) -> ModelArtifact:
    write(folder / "a.onnx", 5000)
    write(folder / "b.onnx", 20000)
    inputs = (InputSpec(name="x", dtype="float32", shape=(1, 300)),)
    step = Stage(name="cut", step="crop-peak", takes=("y",), gives="x")
    data = b"".join((folder / f).read_bytes() for f in ("a.onnx", "b.onnx"))
    return ModelArtifact(
        name="p",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        inputs=inputs,
        external=("b.onnx",),
        stages=(
            BuiltStage(
                stage=Stage(name="one", model="a"), file="a.onnx", inputs=inputs
            ),
            BuiltStage(stage=step),
            BuiltStage(
                stage=Stage(name="two", model="b"), file="b.onnx", inputs=inputs
            ),
        ),
    )


def execute(folder: Path) -> list[TrialEvent]:
    model = a_pipeline(folder)
    trial = replace(a_trial("e2e"), minimum=Minimum(queries=50, duration_ns=0))
    with (
        open_target(Address.parse("emulated@"), PROFILE) as target,
        target.deploy(model, folder / "a.onnx", None) as deployment,
    ):
        return list(target.execute(trial, deployment))


def test_stages_share_the_latency_as_their_models_cost(tmp_path: Path) -> None:
    events = execute(tmp_path)

    blocks = [e for e in events if isinstance(e, QueryBlock)]
    first, last = events[0], events[-1]
    assert first.trial == last.trial
    assert isinstance(last, TrialEnded)
    assert last.outcome is Outcome.DONE
    done = np.concatenate([np.asarray(b.inner_ns) for b in blocks]).reshape(-1, 3)
    issued = np.concatenate([np.asarray(b.issued_ns) for b in blocks])
    completed = np.concatenate([np.asarray(b.completed_ns) for b in blocks])
    each = [
        predict(PROFILE, cost_of_file(tmp_path / f)).latency_s
        for f in ("a.onnx", "b.onnx")
    ]
    share = (done[:, 0] - issued) / (completed - issued)
    assert np.median(share) == pytest.approx(each[0] / sum(each), rel=1e-3)
    assert (done[:, 1] == done[:, 0]).all()
    assert (done[:, 2] <= completed).all()


def test_the_steps_that_are_left_out_are_named(tmp_path: Path) -> None:
    notes = {e.key: e.value for e in execute(tmp_path) if isinstance(e, Noted)}

    assert "steps=cut" in notes["finding.outside-emulation-domain"]

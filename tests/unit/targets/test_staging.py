"""A pipeline on an emulated device: models are costed, steps are named and left out."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.domain.plan import Minimum
from harness.domain.predictedstage import PREDICTED_STAGES, predicted_stages
from harness.domain.query import Noted, Outcome, QueryBlock, TrialEnded, TrialEvent
from harness.domain.workload import (
    BuiltStage,
    InputSpec,
    ModelArtifact,
    Remote,
    Stage,
)
from harness.emulation.graph_cost import cost_of_file
from harness.emulation.predict import predict
from harness.plugins import Address
from harness.schema.profile import load_profile, profile_path
from harness.targets.emulated import open_target
from harness.targets.staging import stage_costs
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


def test_every_stage_has_its_own_prediction_in_the_record_and_a_step_has_none(
    tmp_path: Path,
) -> None:
    notes = {e.key: e.value for e in execute(tmp_path) if isinstance(e, Noted)}

    one, cut, two = predicted_stages(notes[PREDICTED_STAGES])
    assert (one.name, cut.name, two.name) == ("one", "cut", "two")
    assert cut.latency_s is None
    for stage, file in ((one, "a.onnx"), (two, "b.onnx")):
        alone = predict(PROFILE, cost_of_file(tmp_path / file))
        assert stage.latency_s == pytest.approx(alone.latency_s, rel=1e-5)
        assert (stage.low_s, stage.high_s) == pytest.approx(
            alone.interval_90_s, rel=1e-5
        )
        assert stage.relative_uncertainty == pytest.approx(
            alone.relative_uncertainty, rel=1e-5
        )


def test_a_stage_that_asks_a_service_is_costed_as_what_the_device_does_alone(
    tmp_path: Path,
) -> None:
    model = a_pipeline(tmp_path)
    first, *others = model.stages
    remote = Remote(url="http://a/b", timeout_ns=1)
    asking = replace(first, stage=replace(first.stage, remote=remote))
    model = replace(model, stages=(asking, *others))

    costs = stage_costs(model, tmp_path)

    assert costs.by_stage == stage_costs(a_pipeline(tmp_path), tmp_path).by_stage
    (said,) = (
        f.values for f in costs.predicted(PROFILE).findings if "services" in f.values
    )
    assert said == {"steps": "cut", "services": "one"}

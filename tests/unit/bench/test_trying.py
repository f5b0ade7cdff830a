"""Workloads on networks that fail: real packets, real namespaces, an own service."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

from harness.bench.servicegate import service_gate
from harness.bench.trying import (
    Trying,
    network_code,
    tried_after,
    untried,
    why_not_here,
)
from harness.domain.finding import Finding
from harness.domain.network import GOOD, Network
from harness.domain.plan import Plan, RuntimeSettings
from harness.domain.query import NetworkTried, Outcome
from harness.domain.scenario import LlmDecode
from harness.domain.workload import (
    BuiltStage,
    DecoderFacts,
    InputSpec,
    ModelArtifact,
    Remote,
    Stage,
)
from harness.errors import ExitCode, LinkError
from harness.stats.severity import finding
from harness.testing.builders import a_plan, a_trial
from harness.testing.decoders import CONTEXT, VOCABULARY, decoder_bytes
from harness.testing.servicebench import Arrays, Service, serving
from harness.units import NS_PER_S

_MS = NS_PER_S // 1000
NETWORKS = (
    Network(name=GOOD),
    Network(name="none", loss=1.0),
    Network(name="slow", delay_ns=300 * _MS, jitter_ns=100 * _MS),
    Network(name="flapping", up_ns=NS_PER_S, down_ns=NS_PER_S),
)
NOT_HERE = why_not_here()
needs_namespaces = pytest.mark.skipif(bool(NOT_HERE), reason=NOT_HERE)


def write_model(folder: Path) -> Path:
    shape = [1, 64]
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opset = helper.make_opsetid("", 13)
    path = folder / "model.onnx"
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def a_model(path: Path, url: str = "") -> ModelArtifact:
    inputs = (InputSpec(name="x", dtype="float32", shape=(1, 64), low=-1.0),)
    remote = Remote(url=url, timeout_ns=150 * _MS) if url else None
    stage = BuiltStage(
        stage=Stage(name="turn", model="m", remote=remote),
        file=path.name,
        inputs=inputs,
        outputs=("y",),
    )
    data = path.read_bytes()
    return ModelArtifact(
        name="m",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        inputs=inputs,
        stages=(stage,) if url else (),
    )


def a_local_plan(model: ModelArtifact, target: str = "local@") -> Plan:
    plan = a_plan((a_trial("neg"),))
    trial = replace(
        plan.trials[0],
        model=model.name,
        target=target,
        settings=RuntimeSettings(),
    )
    preset = replace(plan.preset, name="rapid")
    return replace(plan, trials=(trial,), models=(model,), preset=preset)


def tried(path: Path, plan: Plan) -> list[NetworkTried]:
    trying = Trying(plan=plan, paths={"m": path}, samples={}, networks=NETWORKS)
    return [event for trial in plan.trials for event in trying.events(trial)]


@pytest.fixture
def service() -> Iterator[Service]:
    def answer(given: Arrays) -> Arrays:
        return {"y": 100 * given["x"]}

    with serving(answer) as one:
        yield one


@needs_namespaces
@pytest.mark.slow
@pytest.mark.long
def test_a_stage_that_asks_a_service_is_taken_over_where_the_network_fails(
    tmp_path: Path, service: Service
) -> None:
    path = write_model(tmp_path)

    found = tried(path, a_local_plan(a_model(path, service.url)))

    assert len(found) == 3 * len(NETWORKS)
    assert {one.round for one in found} == {1, 2, 3}
    for one in found:
        assert one.outcome is Outcome.DONE, one.reason
        assert len(one.latencies_ns) >= 32
        share = len(one.fell_back) / len(one.latencies_ns)
        match one.network.name:
            case "good":
                # a busy machine may let a query or two be late
                assert share < 0.5
            case "none":
                assert share == 1.0
                assert min(one.latencies_ns) >= 150 * _MS
            case "slow":
                # 200 to 400 ms on the way out, and the timeout is 150 ms
                assert share == 1.0
            case "flapping":
                assert 0.0 < share < 1.0
    assert service.asked > 0


@needs_namespaces
@pytest.mark.slow
@pytest.mark.long
def test_a_model_on_the_device_answers_the_same_on_every_network(
    tmp_path: Path,
) -> None:
    path = write_model(tmp_path)

    found = tried(path, a_local_plan(a_model(path)))

    assert {one.outcome for one in found} == {Outcome.DONE}
    assert len({one.outputs_sha256 for one in found}) == 1
    assert all(one.outputs_sha256 and not one.differing for one in found)
    assert not any(one.fell_back for one in found)
    lengths = {one.network.name: len(one.latencies_ns) for one in found}
    assert lengths == {"good": 100, "none": 100, "slow": 100, "flapping": 100}
    orders = [
        tuple(one.network.name for one in found if one.round == number)
        for number in (1, 2, 3)
    ]
    assert len(set(orders)) > 1


@needs_namespaces
@pytest.mark.slow
@pytest.mark.long
def test_a_language_model_answers_as_well_without_a_network(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(decoder_bytes())
    talk = LlmDecode(prompt_tokens=(16,), output_tokens=6)
    facts = DecoderFacts(vocabulary=VOCABULARY, context=CONTEXT)
    model = replace(a_model(path), decoder=facts, inputs=())
    plan = a_local_plan(model)
    trial = replace(plan.trials[0], scenario=talk)
    plan = replace(plan, trials=(trial,))

    found = tried(path, plan)

    assert {one.outcome for one in found} == {Outcome.DONE}, found[0].reason
    assert {one.outputs_sha256 for one in found} == {""}
    assert not any(one.differing for one in found)
    assert all(len(one.latencies_ns) >= 32 for one in found)


@needs_namespaces
def test_a_model_that_cannot_be_loaded_is_recorded_with_its_reason(
    tmp_path: Path,
) -> None:
    path = write_model(tmp_path)
    plan = a_local_plan(a_model(path))
    path.write_bytes(b"no model")

    found = tried(path, plan)

    assert {one.outcome for one in found} == {Outcome.REFUSED}
    assert "sha256" in found[0].reason
    assert not any(one.latencies_ns for one in found)


def test_a_machine_without_namespaces_says_so_and_passes_nothing(
    tmp_path: Path,
) -> None:
    words = "print('no network can be made here: not permitted', file=sys.stderr)"
    refusing = ("python3", "-c", f"import sys; {words}; sys.exit(77)")
    reason = why_not_here(refusing)

    found = list(untried(a_local_plan(a_model(write_model(tmp_path))), reason, ()))

    assert reason == "no network can be made here: not permitted"
    assert [one.code for one in found] == ["network-unchecked"]
    assert found[0].values["detail"] == reason
    assert network_code(found) is ExitCode.NO_ANSWER


def test_a_command_that_is_not_there_is_a_reason_too() -> None:
    assert "no network can be made here" in why_not_here(("/nowhere/python",))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("emulated@", "an emulated device has no network"),
        ("linux@ssh:board", "elsewhere"),
        ("local@constrained?memory=1GB", "held back"),
    ],
)
def test_what_is_not_this_machine_is_unchecked(
    tmp_path: Path, target: str, said: str
) -> None:
    plan = a_local_plan(a_model(write_model(tmp_path)), target)

    assert not tried_after(plan)
    (one,) = untried(plan, "", ())
    assert said in str(one.values["detail"])


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], ExitCode.OK),
        (["network-kept"], ExitCode.OK),
        (["network-kept", "network-unsettled"], ExitCode.NO_ANSWER),
        (["network-unchecked", "network-broken"], ExitCode.NO),
    ],
)
def test_the_exit_code_tells_no_from_unknown(codes: list[str], code: ExitCode) -> None:
    found: list[Finding] = [finding(one, "neg", detail="") for one in codes]

    assert network_code(found) is code


def test_what_was_tried_is_no_finding_and_what_was_cut_short_is(
    tmp_path: Path,
) -> None:
    plan = a_local_plan(a_model(write_model(tmp_path)))

    (one,) = untried(plan, "", ())

    assert "did not come to its end" in str(one.values["detail"])
    assert not list(untried(plan, "", {"neg"}))


def test_a_way_to_a_service_that_cannot_be_made_says_what_to_do(
    tmp_path: Path,
) -> None:
    with (
        pytest.raises(LinkError, match="Set TMPDIR"),
        service_gate(tmp_path / ("long" * 30), "127.0.0.1", 9),
    ):
        pass

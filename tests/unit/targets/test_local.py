"""This machine as a target: real processes that end well, crash, hang or starve."""

import hashlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from harness.clock import SystemClock
from harness.domain.origin import Origin
from harness.domain.plan import Minimum, Trial
from harness.domain.query import (
    MemoryMeasured,
    ModelLoaded,
    Noted,
    Outcome,
    OutputsChecked,
    Phase,
    PhaseEntered,
    QueryBlock,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.scenario import ColdStart, Periodic, Sustained
from harness.domain.workload import InputSpec
from harness.errors import DeployMismatch, SchemaError
from harness.loadgen.wire import Order, Task, encode_order
from harness.plugins import Address
from harness.runtimes.onnxbytes import identity_model
from harness.targets.agentlife import COMMAND
from harness.targets.apart import clean_environment
from harness.targets.base import Deployment, Target
from harness.targets.local import LocalTarget, open_target
from harness.targets.performing import longest_silence_s
from harness.testing.builders import a_model, a_profile, a_trial
from harness.units import NS_PER_S

X = InputSpec(name="x", dtype="float32", shape=(1, 3), low=-1.0, high=-0.5)
N = InputSpec(name="x", dtype="int64", shape=(1,), low=2.0**45, high=2.0**45)
LONG = Minimum(queries=1, duration_ns=600 * NS_PER_S)
SHORT = Minimum(queries=20, duration_ns=0)


class InterruptingClock(SystemClock):
    """A clock whose reading, once asked to, is cut short by a Ctrl-C."""

    is_armed = False

    def now_ns(self) -> int:
        is_main = threading.current_thread() is threading.main_thread()
        if self.is_armed and is_main:
            self.is_armed = False
            raise KeyboardInterrupt
        return super().now_ns()


def one_node(operator: str) -> bytes:
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    return as_bytes(graph)


def huge_output() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("ConstantOfShape", ["x"], ["y"])],
        "huge",
        [helper.make_tensor_value_info("x", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    return as_bytes(graph)


def endless_loop() -> bytes:
    """Make a model that goes round about 3.5e13 times."""
    turn = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Neg", ["value"], ["next"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.INT64, [1]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.INT64, [1]),
        ],
    )
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["x"], ["turns"], keepdims=0),
            helper.make_node("Loop", ["turns", "", "x"], ["y"], body=turn),
        ],
        "endless",
        [helper.make_tensor_value_info("x", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [1])],
    )
    return as_bytes(graph)


def as_bytes(graph: onnx.GraphProto) -> bytes:
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def deployed(folder: Path, model: bytes, spec: InputSpec = X) -> Deployment:
    path = folder / "model.onnx"
    path.write_bytes(model)
    sha256 = hashlib.sha256(model).hexdigest()
    artifact = replace(a_model(), sha256=sha256, inputs=(spec,))
    return Deployment(model=artifact, path=path)


def a_short_trial(minimum: Minimum = SHORT) -> Trial:
    return replace(a_trial(), minimum=minimum, baseline_ns=1000)


def agents() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "harness.agent" in child.cmdline()]


def last(events: Sequence[TrialEvent]) -> TrialEnded:
    ended = events[-1]
    assert isinstance(ended, TrialEnded)
    assert sum(isinstance(event, TrialEnded) for event in events) == 1
    return ended


def timed(events: Sequence[TrialEvent]) -> int:
    return sum(len(e.completed_ns) for e in events if isinstance(e, QueryBlock))


@pytest.fixture(name="target")
def _target() -> Iterator[LocalTarget]:
    with open_target(Address.parse("local@"), a_profile()) as target:
        yield target


def test_a_trial_that_goes_well_begins_and_ends_as_promised(
    target: LocalTarget, tmp_path: Path
) -> None:
    events = list(target.execute(a_short_trial(), deployed(tmp_path, one_node("Neg"))))

    kinds = {type(event) for event in events}
    assert isinstance(target, Target)
    assert isinstance(events[0], TrialStarted)
    assert events[0].clock == "monotonic"
    assert {ModelLoaded, MemoryMeasured, OutputsChecked, ReadingsTaken} <= kinds
    assert last(events).outcome is Outcome.DONE
    assert last(events).queries == timed(events) == 28
    assert agents() == []


def test_readings_from_outside_are_measured_and_of_the_trials_clock(
    target: LocalTarget, tmp_path: Path
) -> None:
    events = list(target.execute(a_short_trial(), deployed(tmp_path, one_node("Neg"))))

    blocks = [event.block for event in events if isinstance(event, ReadingsTaken)]
    assert "rss" in {block.channel.name for block in blocks}
    assert {block.origin for block in blocks} == {Origin.MEASURED}
    assert {block.clock for block in blocks} == {"monotonic"}


def test_what_the_runtime_made_of_the_model_is_asked_once(
    target: LocalTarget, tmp_path: Path
) -> None:
    deployment = deployed(tmp_path, one_node("Neg"))

    first = list(target.execute(a_short_trial(), deployment))
    again = list(target.execute(a_short_trial(), deployment))

    found = [e for e in first + again if isinstance(e, ModelLoaded)]
    assert [e.placement for e in found] == [{"CPUExecutionProvider": 1}] * 2
    assert [e.quantisable_nodes for e in found] == [0, 0]


def test_nan_in_the_outputs_is_counted_and_ends_nothing(
    target: LocalTarget, tmp_path: Path
) -> None:
    events = list(target.execute(a_short_trial(), deployed(tmp_path, one_node("Log"))))

    (checked,) = [event for event in events if isinstance(event, OutputsChecked)]
    assert checked.non_finite == checked.compared > 0
    assert last(events).outcome is Outcome.DONE


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_what_was_measured_before_a_crash_is_not_lost(
    target: LocalTarget, tmp_path: Path, number: signal.Signals
) -> None:
    events: list[TrialEvent] = []

    trial = a_short_trial(LONG)
    for event in target.execute(trial, deployed(tmp_path, one_node("Neg"))):
        events.append(event)
        if isinstance(event, QueryBlock) and event.phase is Phase.MEASURED:
            for agent in agents():
                agent.send_signal(number)

    ended = last(events)
    assert ended.outcome is Outcome.CRASHED
    assert number.name in ended.reason
    assert ended.queries == timed(events) > 0
    assert agents() == []


def test_a_query_that_never_ends_is_a_hang_and_the_process_is_gone(
    tmp_path: Path,
) -> None:
    target = LocalTarget(a_profile(), SystemClock(), hang_after_s=4.0)

    deployment = deployed(tmp_path, endless_loop(), N)
    events = list(target.execute(a_short_trial(), deployment))

    assert last(events).outcome is Outcome.HUNG
    assert last(events).queries == 0
    assert any(isinstance(event, ModelLoaded) for event in events)
    assert agents() == []


def test_a_model_that_wants_too_much_memory_is_told_apart(
    target: LocalTarget, tmp_path: Path
) -> None:
    events = list(target.execute(a_short_trial(), deployed(tmp_path, huge_output(), N)))

    assert last(events).outcome is Outcome.OUT_OF_MEMORY
    assert "allocate memory" in last(events).reason


def test_a_model_that_is_refused_says_so_and_is_never_loaded(
    target: LocalTarget, tmp_path: Path
) -> None:
    events = list(target.execute(a_short_trial(), deployed(tmp_path, b"not a model")))

    assert last(events).outcome is Outcome.REFUSED
    assert "refuses the model" in last(events).reason
    assert not any(isinstance(event, ModelLoaded) for event in events)


def test_a_file_that_changed_after_it_was_deployed_is_refused(
    target: LocalTarget, tmp_path: Path
) -> None:
    deployment = deployed(tmp_path, one_node("Neg"))
    deployment.path.write_bytes(one_node("Abs"))

    events = list(target.execute(a_short_trial(), deployment))

    assert last(events).outcome is Outcome.REFUSED


def test_ctrl_c_ends_the_trial_as_interrupted_and_is_passed_on(tmp_path: Path) -> None:
    clock = InterruptingClock()
    target = LocalTarget(a_profile(), clock, hang_after_s=60.0)
    events: list[TrialEvent] = []

    def execute() -> None:
        deployment = deployed(tmp_path, one_node("Neg"))
        for event in target.execute(a_short_trial(LONG), deployment):
            events.append(event)
            is_timed = isinstance(event, QueryBlock) and event.phase is Phase.MEASURED
            clock.is_armed = is_timed and timed(events) < 10**9

    with pytest.raises(KeyboardInterrupt):
        execute()

    assert last(events).outcome is Outcome.INTERRUPTED
    assert last(events).queries == timed(events) > 0
    assert agents() == []


def test_closing_the_events_early_ends_the_agent(
    target: LocalTarget, tmp_path: Path
) -> None:
    deployment = deployed(tmp_path, one_node("Neg"))
    events = target.execute(a_short_trial(LONG), deployment)
    while not isinstance(next(events), QueryBlock):
        pass
    running = len(agents())

    events.close()  # type: ignore[attr-defined]

    assert running == 1
    assert agents() == []


def test_each_cold_start_is_a_process_of_its_own(
    target: LocalTarget, tmp_path: Path
) -> None:
    minimum = Minimum(queries=3, duration_ns=0)
    trial = replace(a_trial(scenario=ColdStart()), minimum=minimum)

    events = list(target.execute(trial, deployed(tmp_path, one_node("Neg"))))

    blocks = [event for event in events if isinstance(event, QueryBlock)]
    (checked,) = [event for event in events if isinstance(event, OutputsChecked)]
    latencies_s = [
        (block.completed_ns[0] - block.scheduled_ns[0]) / NS_PER_S for block in blocks
    ]
    assert [len(block.completed_ns) for block in blocks] == [1, 1, 1]
    assert all(0.01 < latency < 60.0 for latency in latencies_s)
    assert checked.compared == 3
    assert sum(isinstance(event, ModelLoaded) for event in events) == 1
    assert sum(isinstance(event, MemoryMeasured) for event in events) == 1
    assert last(events).queries == 3


def test_cold_starts_end_with_the_first_that_fails(
    target: LocalTarget, tmp_path: Path
) -> None:
    trial = replace(a_trial(scenario=ColdStart()), minimum=SHORT)

    events = list(target.execute(trial, deployed(tmp_path, b"not a model")))

    phases = [event for event in events if isinstance(event, PhaseEntered)]
    assert last(events).outcome is Outcome.REFUSED
    assert len(phases) <= 1


def test_the_agent_runs_on_cores_of_its_own(
    target: LocalTarget, tmp_path: Path
) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core only")
    seen: list[int] = []

    deployment = deployed(tmp_path, one_node("Neg"))
    for event in target.execute(a_short_trial(LONG), deployment):
        if isinstance(event, QueryBlock):
            seen = agents()[0].cpu_affinity()
            break

    assert seen == [max(os.sched_getaffinity(0))]


def test_deploying_another_file_than_the_plan_names_is_refused(
    target: LocalTarget, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(one_node("Neg"))

    with (
        pytest.raises(DeployMismatch, match="not 000000000000"),
        target.deploy(a_model(), path, None),
    ):
        pass


def test_a_deployment_holds_whatever_folder_the_harness_is_in(
    target: LocalTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = deployed(tmp_path, one_node("Neg")).model
    monkeypatch.chdir(tmp_path)

    with target.deploy(model, Path("model.onnx"), Path("samples.npz")) as deployment:
        assert deployment.path == tmp_path / "model.onnx"
        assert deployment.samples == tmp_path / "samples.npz"


def test_this_machine_says_what_it_is_and_leaves_out_what_it_does_not_know(
    target: LocalTarget,
) -> None:
    sut = target.identify()

    assert sut.origin is Origin.MEASURED
    assert {"os", "kernel", "cpu", "cores", "memory_bytes", "python"} <= set(sut.facts)
    assert sut.facts["runtime_version"]
    assert all(sut.facts.values())


def test_preparing_reads_conditions_and_changes_nothing(target: LocalTarget) -> None:
    before = os.sched_getaffinity(0)

    with target.prepare(a_profile().conditions) as reached:
        assert reached.load_average is not None
        assert reached.ambient_degc is None

    assert os.sched_getaffinity(0) == before


def test_this_machine_takes_no_link() -> None:
    with (
        pytest.raises(SchemaError, match="needs no link"),
        open_target(Address.parse("local@somewhere"), a_profile()),
    ):
        pass


def test_an_agent_may_be_silent_for_a_baseline_or_a_busy_schedule() -> None:
    periodic = Periodic(period_ns=NS_PER_S, deadline_ns=NS_PER_S)

    assert longest_silence_s(a_trial()) == 10.0
    assert longest_silence_s(a_trial(scenario=periodic)) == 128.0
    assert longest_silence_s(a_trial(scenario=Sustained())) == 10.0


def test_a_run_under_a_fresh_home_leaves_no_file_and_opens_no_socket(
    tmp_path: Path,
) -> None:
    home, trace = tmp_path / "home", tmp_path / "trace"
    home.mkdir()
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    deployment = deployed(tmp_path, identity_model([("x", "float32", (1, 3))]))
    order = Order(
        task=Task.MEASURE,
        trial=a_short_trial(),
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path=str(deployment.path),
        sha256=deployment.model.sha256,
        inputs=(X,),
    )
    # left to itself, the library would be free to phone home
    switches = {"ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"}
    fixed = clean_environment(1) | {"HOME": str(home)}
    environment = {name: fixed[name] for name in fixed if name not in switches}

    with subprocess.Popen(
        [strace, "-f", "-e", "trace=socket", "-o", str(trace), *COMMAND],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        agent.stdin.write(encode_order(order))
        agent.stdin.flush()
        lines = agent.stdout.readlines()
    if not lines:
        pytest.skip("strace may not trace here")

    assert b'"line":"done"' in lines[-1]
    assert "AF_INET" not in trace.read_text()
    assert list(home.rglob("*")) == []


def test_notes_name_the_runtime_that_was_really_loaded(
    target: LocalTarget, tmp_path: Path
) -> None:
    events = list(target.execute(a_short_trial(), deployed(tmp_path, one_node("Neg"))))

    notes = {event.key: event.value for event in events if isinstance(event, Noted)}
    assert notes["runtime"] == "onnxruntime"
    assert notes["runtime_version"] == target.identify().facts["runtime_version"]

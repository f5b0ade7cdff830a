"""An order is carried out in this process; the clock is real and the windows short."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from harness.agent.serve import serve
from harness.clock import SystemClock
from harness.domain.plan import Minimum, RuntimeSettings, Trial
from harness.domain.query import (
    MemoryMeasured,
    ModelLoaded,
    Noted,
    Outcome,
    OutputsChecked,
    OverheadMeasured,
    Phase,
    PhaseEntered,
    PulsesMade,
    QueryBlock,
    TrialEnded,
    TrialEvent,
)
from harness.domain.scenario import ColdStart, Offline, Scenario
from harness.domain.workload import InputSpec
from harness.errors import LinkError
from harness.loadgen.pulses import plan_pulses
from harness.loadgen.transcript import Done, Hello, Listener
from harness.loadgen.wire import Order, Task, encode_order
from harness.runtimes.onnxbytes import identity_model
from harness.testing.builders import a_trial

FEW = Minimum(queries=20, duration_ns=0)
X = InputSpec(name="x", dtype="float32", shape=(1, 3), low=-1.0, high=1.0)


def one_node(operator: str) -> bytes:
    shape = [1, 3]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def an_order(
    folder: Path,
    model: bytes,
    *,
    task: Task = Task.MEASURE,
    scenario: Scenario | None = None,
    inputs: Sequence[InputSpec] = (X,),
) -> Order:
    path = folder / "model.onnx"
    path.write_bytes(model)
    trial = replace(a_trial(scenario=scenario), minimum=FEW, baseline_ns=1000)
    return Order(
        task=task,
        trial=trial,
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path=str(path),
        sha256=hashlib.sha256(model).hexdigest(),
        inputs=tuple(inputs),
        spawned_ns=SystemClock().now_ns(),
    )


def carry_out(order: Order) -> list[TrialEvent]:
    """Serve the order; gives the events of a transcript that is found to be whole."""
    lines: list[bytes] = []
    serve(encode_order(order), lines.append, SystemClock())
    listener = Listener()
    heard = [listener.take(line) for line in lines]
    assert isinstance(heard[0], Hello)
    assert isinstance(heard[-1], Done)
    return [item for item in heard if not isinstance(item, Hello | Done)]


def ended(events: Sequence[TrialEvent]) -> TrialEnded:
    last = events[-1]
    assert isinstance(last, TrialEnded)
    return last


def with_settings(order: Order, settings: RuntimeSettings) -> Order:
    trial: Trial = replace(order.trial, settings=settings)
    return replace(order, trial=trial)


def test_a_trial_says_everything_that_the_record_wants(tmp_path: Path) -> None:
    events = carry_out(an_order(tmp_path, one_node("Neg")))

    kinds = {type(event) for event in events}
    loaded = next(e for e in events if isinstance(e, ModelLoaded))
    assert {OverheadMeasured, MemoryMeasured, OutputsChecked, QueryBlock} <= kinds
    assert [e.phase for e in events if isinstance(e, PhaseEntered)] == [
        Phase.BASELINE_BEFORE,
        Phase.LOAD,
        Phase.WARM_UP,
        Phase.MEASURED,
        Phase.BASELINE_AFTER,
        Phase.AFTERWARDS,
    ]
    assert loaded.sha256 == hashlib.sha256(one_node("Neg")).hexdigest()
    assert ended(events).outcome is Outcome.DONE
    assert ended(events).queries == 8 + 20


def test_a_tenth_of_the_timed_outputs_is_computed_again(tmp_path: Path) -> None:
    events = carry_out(an_order(tmp_path, one_node("Neg")))

    (checked,) = [e for e in events if isinstance(e, OutputsChecked)]
    assert checked.compared >= 2
    assert (checked.differing, checked.non_finite) == (0, 0)


def test_the_same_seed_gives_the_same_outputs(tmp_path: Path) -> None:
    first = carry_out(an_order(tmp_path, one_node("Neg")))
    again = carry_out(an_order(tmp_path, one_node("Neg"), scenario=Offline()))

    digests = {e.sha256 for e in first + again if isinstance(e, OutputsChecked)}
    assert len(digests) == 1


def test_outputs_of_a_model_that_gives_nan_are_counted(tmp_path: Path) -> None:
    below_zero = replace(X, low=-1.0, high=-0.5)

    events = carry_out(an_order(tmp_path, one_node("Log"), inputs=[below_zero]))

    (checked,) = [e for e in events if isinstance(e, OutputsChecked)]
    assert checked.non_finite == checked.compared > 0
    assert checked.differing == 0


@pytest.mark.parametrize("has_batch_axis", [True, False])
def test_a_query_of_many_samples_is_one_batch_or_many_calls(
    tmp_path: Path, *, has_batch_axis: bool
) -> None:
    shape = ["N" if has_batch_axis else 1, 3]
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])],
        "batch",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    spec = replace(X, has_batch_axis=has_batch_axis)

    events = carry_out(
        an_order(
            tmp_path,
            model.SerializeToString(),
            scenario=Offline(samples_per_query=4),
            inputs=[spec],
        )
    )

    blocks = [e for e in events if isinstance(e, QueryBlock)]
    assert ended(events).outcome is Outcome.DONE
    assert {block.samples_per_query for block in blocks} == {4}


def test_a_cold_start_counts_from_the_start_of_the_process(tmp_path: Path) -> None:
    order = an_order(tmp_path, one_node("Neg"), task=Task.START, scenario=ColdStart())

    events = carry_out(order)

    (block,) = [e for e in events if isinstance(e, QueryBlock)]
    (checked,) = [e for e in events if isinstance(e, OutputsChecked)]
    assert list(block.scheduled_ns) == [order.spawned_ns]
    assert block.completed_ns[0] > block.issued_ns[0] > order.spawned_ns
    assert checked.compared == 1
    assert not any(isinstance(e, OverheadMeasured) for e in events)


def test_an_inspection_loads_and_measures_nothing(tmp_path: Path) -> None:
    order = an_order(tmp_path, one_node("Neg"), task=Task.INSPECT)

    events = carry_out(order)

    (loaded,) = [e for e in events if isinstance(e, ModelLoaded)]
    assert (loaded.quantised_nodes, loaded.quantisable_nodes) == (0, 0)
    assert loaded.placement == {"CPUExecutionProvider": 1}
    assert {type(e) for e in events} == {Noted, ModelLoaded, TrialEnded}


def test_counting_computes_as_many_inferences_as_asked_and_tells_no_time(
    tmp_path: Path,
) -> None:
    order = an_order(tmp_path, one_node("Neg"), task=Task.COUNT)

    events = carry_out(order)

    assert [type(e) for e in events] == [TrialEnded]
    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    assert ended(events).queries == FEW.queries


def test_another_file_than_the_one_ordered_is_refused(tmp_path: Path) -> None:
    order = replace(an_order(tmp_path, one_node("Neg")), sha256="f" * 64)

    events = carry_out(order)

    assert ended(events).outcome is Outcome.REFUSED
    assert "not ffffffffffff" in ended(events).reason


def test_a_model_that_the_runtime_cannot_read_is_refused(tmp_path: Path) -> None:
    events = carry_out(an_order(tmp_path, b"not a model"))

    assert ended(events).outcome is Outcome.REFUSED
    assert "onnxruntime refuses the model" in ended(events).reason


def test_a_provider_that_is_not_there_is_refused(tmp_path: Path) -> None:
    settings = RuntimeSettings(provider="CUDAExecutionProvider")
    order = with_settings(an_order(tmp_path, one_node("Neg")), settings)

    events = carry_out(order)

    assert ended(events).outcome is Outcome.REFUSED
    assert "no CUDAExecutionProvider" in ended(events).reason


def test_inputs_that_the_model_does_not_take_end_as_a_failure(tmp_path: Path) -> None:
    wrong = replace(X, shape=(1, 4))

    events = carry_out(an_order(tmp_path, one_node("Neg"), inputs=[wrong]))

    assert ended(events).outcome is Outcome.FAILED
    assert "onnxruntime failed" in ended(events).reason


def test_a_model_that_is_not_there_ends_as_a_failure_that_names_it(
    tmp_path: Path,
) -> None:
    order = an_order(tmp_path, one_node("Neg"))
    Path(order.model_path).unlink()

    events = carry_out(order)

    assert ended(events).outcome is Outcome.FAILED
    assert "model.onnx" in ended(events).reason


def test_too_little_memory_is_an_outcome_of_its_own(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("ConstantOfShape", ["x"], ["y"])],
        "huge",
        [helper.make_tensor_value_info("x", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    huge = InputSpec(name="x", dtype="int64", shape=(1,), low=2.0**45, high=2.0**45)

    events = carry_out(an_order(tmp_path, model.SerializeToString(), inputs=[huge]))

    assert ended(events).outcome is Outcome.OUT_OF_MEMORY


def test_a_line_that_is_no_order_is_an_error_and_no_trial() -> None:
    with pytest.raises(LinkError, match="not an order"):
        serve(b"{}\n", lambda _: None, SystemClock())


def test_the_identity_model_itself_can_be_measured(tmp_path: Path) -> None:
    model = identity_model([("x", "float32", (1, 3))])

    events = carry_out(an_order(tmp_path, model))

    (overhead,) = [e for e in events if isinstance(e, OverheadMeasured)]
    assert overhead.queries > 0
    assert 0 < overhead.latency_p50_ns <= overhead.latency_p90_ns


def marked(order: Order, pin: Path) -> Order:
    pulses = replace(plan_pulses(1_000_000, seed=1).planned(), pin=str(pin))
    return replace(order, trial=replace(order.trial, pulses=pulses))


def test_marks_keep_a_core_busy_and_move_the_pin(tmp_path: Path) -> None:
    pin = tmp_path / "value"
    pin.touch()

    events = carry_out(marked(an_order(tmp_path, one_node("Neg")), pin))

    made = [event for event in events if isinstance(event, PulsesMade)]
    pulses = sum(len(event.rises_ns) for event in made)
    assert pin.read_bytes() == b"10" * pulses
    for event in made:
        assert all(
            fall > rise
            for rise, fall in zip(event.rises_ns, event.falls_ns, strict=True)
        )
    assert ended(events).outcome is Outcome.DONE


def test_a_pin_that_cannot_be_moved_ends_the_trial_with_what_to_do(
    tmp_path: Path,
) -> None:
    gone = tmp_path / "gpio17" / "value"

    events = carry_out(marked(an_order(tmp_path, one_node("Neg")), gone))

    assert ended(events).outcome is Outcome.FAILED
    assert "The pin cannot be moved" in ended(events).reason

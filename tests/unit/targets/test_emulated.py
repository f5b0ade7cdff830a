"""An emulated device in virtual time: the whole trial, without a second's wait."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from harness.domain.origin import Origin
from harness.domain.plan import Minimum, Seeds, Trial
from harness.domain.profile import Conditions, DeviceProfile, Parameter
from harness.domain.query import (
    MemoryMeasured,
    ModelLoaded,
    Noted,
    Outcome,
    OutputsChecked,
    Phase,
    PhaseEntered,
    PulsesMade,
    QueryBlock,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.scenario import (
    ColdStart,
    MultiStream,
    Offline,
    Periodic,
    Scenario,
    Server,
    SingleStream,
    Sustained,
)
from harness.domain.sut import ConditionsReached
from harness.domain.workload import InputSpec, ModelArtifact
from harness.emulation.device_model import WANTED
from harness.emulation.graph_cost import cost_of_file
from harness.emulation.predict import predict
from harness.emulation.prediction import Prediction
from harness.errors import DeployMismatch, SchemaError, Unsupported
from harness.loadgen.pulses import plan_pulses
from harness.planning import PRESETS
from harness.plugins import TARGETS, Address, find
from harness.schema.profile import load_profile, profile_path
from harness.targets.base import Deployment, Target
from harness.targets.emulated import open_target
from harness.testing.builders import a_trial

S = 1_000_000_000
ADDRESS = Address.parse("emulated@")
SHORT = Minimum(queries=64, duration_ns=6 * S)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a float network of one matrix product, 300 x 200."""
    weights = np.ones((300, 200), dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 300])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 200])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "one.onnx"
    onnx.save(helper.make_model(graph), path)
    return path


def the_profile(name: str = "wearable", **values: float) -> DeviceProfile:
    profile = load_profile(profile_path(name))
    assert profile.emulation is not None
    changed = {
        key.replace("__", "."): Parameter(
            value=value, unit=WANTED[key.replace("__", ".")].unit, source="fit:test"
        )
        for key, value in values.items()
    }
    parameters = profile.emulation.parameters | changed
    return replace(profile, emulation=replace(profile.emulation, parameters=parameters))


def an_artifact(path: Path) -> ModelArtifact:
    return ModelArtifact(
        name="one",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size_bytes=path.stat().st_size,
        inputs=(InputSpec(name="x", dtype="float32", shape=(1, 300)),),
    )


@contextmanager
def deployed(path: Path, profile: DeviceProfile) -> Iterator[tuple[Target, Deployment]]:
    with (
        open_target(ADDRESS, profile) as target,
        target.deploy(an_artifact(path), path, None) as deployment,
    ):
        yield target, deployment


def a_short_trial(scenario: Scenario, **changes: object) -> Trial:
    trial = replace(
        a_trial(scenario=scenario),
        minimum=SHORT,
        warm_up=Minimum(queries=8, duration_ns=S),
        baseline_ns=2 * S,
    )
    return replace(trial, **changes)  # type: ignore[arg-type]


def execute(
    path: Path, scenario: Scenario, profile: DeviceProfile, **changes: object
) -> list[TrialEvent]:
    trial = a_short_trial(scenario, **changes)
    with deployed(path, profile) as (target, deployment):
        return list(target.execute(trial, deployment))


def prediction_of(path: Path, profile: DeviceProfile) -> Prediction:
    return predict(profile, cost_of_file(path, {"x": (1, 300)}))


def blocks(events: list[TrialEvent], phase: Phase = Phase.MEASURED) -> list[QueryBlock]:
    return [e for e in events if isinstance(e, QueryBlock) and e.phase is phase]


def column(events: list[TrialEvent], name: str) -> NDArray[np.int64]:
    return np.concatenate(
        [np.asarray(getattr(block, name), dtype=np.int64) for block in blocks(events)]
    )


def latencies_s(events: list[TrialEvent]) -> NDArray[np.float64]:
    return (column(events, "completed_ns") - column(events, "scheduled_ns")) / S


def power(events: list[TrialEvent]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    (taken,) = (e for e in events if isinstance(e, ReadingsTaken))
    return np.asarray(taken.block.times_ns), np.asarray(taken.block.values)


def energy_j(events: list[TrialEvent], begin_ns: int, end_ns: int) -> float:
    times, watts = power(events)
    widths = np.diff(np.append(0, times))
    inside = (times > begin_ns) & (times <= end_ns)
    return float(watts[inside] @ widths[inside]) / S


def phases(events: list[TrialEvent]) -> dict[Phase, int]:
    return {e.phase: e.at_ns for e in events if isinstance(e, PhaseEntered)}


def test_the_entry_point_opens_a_target() -> None:
    with find(TARGETS, "emulated")(ADDRESS, the_profile()) as target:
        assert isinstance(target, Target)


def test_an_emulated_device_says_so_and_what_it_stands_for() -> None:
    with open_target(ADDRESS, the_profile()) as target:
        sut = target.identify()

    assert sut.origin is Origin.EMULATED
    assert sut.clock == "virtual"
    assert sut.facts["model"] == "rates/1"
    assert "STM32U575" in sut.facts["stands_for"]
    assert "cold.process" in sut.facts["assumed_parameters"]


def test_a_model_of_a_device_has_no_conditions() -> None:
    with (
        open_target(ADDRESS, the_profile()) as target,
        target.prepare(Conditions()) as reached,
    ):
        assert reached == ConditionsReached()


def test_marks_are_made_in_virtual_time_and_draw_the_power_of_work(
    model: Path,
) -> None:
    marked = plan_pulses(10_000_000, seed=3).planned()

    events = execute(model, SingleStream(), the_profile(), pulses=marked)

    assert list(phases(events)) == [p for p in Phase if p is not Phase.AFTERWARDS]
    made = [e for e in events if isinstance(e, PulsesMade)]
    assert [e.phase for e in made] == [Phase.PREAMBLE, Phase.POSTAMBLE]
    (taken,) = [e for e in events if isinstance(e, ReadingsTaken)]
    times = np.asarray(taken.block.times_ns)
    watts = np.asarray(taken.block.values)
    rise, fall = made[0].rises_ns[0], made[0].falls_ns[0]
    at_work = watts[(times > rise + 10_000_000) & (times <= fall)]
    at_rest = watts[(times > 10_000_000) & (times <= rise)]
    assert at_work.min() > 1.5 * at_rest.max()


def test_events_come_in_the_order_of_the_method(model: Path) -> None:
    events = execute(model, SingleStream(), the_profile())

    assert isinstance(events[0], TrialStarted)
    assert events[0].clock == "virtual"
    assert isinstance(events[-1], TrialEnded)
    assert events[-1].outcome is Outcome.DONE
    others = {Phase.PREAMBLE, Phase.POSTAMBLE, Phase.AFTERWARDS}
    assert list(phases(events)) == [one for one in Phase if one not in others]
    assert not any(isinstance(event, OutputsChecked) for event in events)


def test_the_digest_of_the_real_file_is_reported(model: Path) -> None:
    events = execute(model, SingleStream(), the_profile())

    (loaded,) = (e for e in events if isinstance(e, ModelLoaded))
    assert loaded.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert loaded.load_ns > 0


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_both_minima_of_every_preset_are_met_in_virtual_time(
    model: Path, preset: object
) -> None:
    minimum = preset.minimum  # type: ignore[attr-defined]

    events = execute(model, SingleStream(), the_profile(), minimum=minimum)

    begun, ended = column(events, "issued_ns")[0], column(events, "completed_ns")[-1]
    assert len(latencies_s(events)) >= minimum.queries
    assert ended - begun >= minimum.duration_ns


def test_latencies_have_the_predicted_median_and_scatter(model: Path) -> None:
    profile = the_profile(jitter__sigma=0.02, jitter__between_runs=0.0)

    times = latencies_s(execute(model, SingleStream(), profile))

    predicted = prediction_of(model, profile)
    assert np.median(times) == pytest.approx(predicted.latency_s, rel=5e-3)
    assert np.log(times).std() == pytest.approx(0.02, rel=0.1)


def test_net_energy_of_an_inference_is_net_power_times_latency(model: Path) -> None:
    profile = the_profile(jitter__between_runs=0.0)
    events = execute(model, SingleStream(), profile)

    begun, ended = phases(events)[Phase.MEASURED], phases(events)[Phase.BASELINE_AFTER]
    predicted = prediction_of(model, profile)
    idle_j = predicted.idle_power_w * (ended - begun) / S
    net_j = (energy_j(events, begun, ended) - idle_j) / len(latencies_s(events))

    assert net_j == pytest.approx(predicted.energy_j, rel=5e-3)


def test_baselines_read_the_idle_power(model: Path) -> None:
    events = execute(model, SingleStream(), the_profile())

    times, watts = power(events)
    begun = phases(events)
    idle = prediction_of(model, the_profile()).idle_power_w
    before = watts[times <= begun[Phase.LOAD]]
    after = watts[times > begun[Phase.BASELINE_AFTER] + 20_000_000]
    assert len(before) == 200
    assert len(after) >= 195
    assert before == pytest.approx(idle)
    assert after == pytest.approx(idle)


def test_power_of_a_periodic_load_is_that_of_its_duty(model: Path) -> None:
    profile = the_profile()
    period = Periodic(period_ns=S // 10, deadline_ns=S // 10)
    events = execute(model, period, profile)

    begun, ended = phases(events)[Phase.MEASURED], phases(events)[Phase.BASELINE_AFTER]
    mean_w = energy_j(events, begun, ended) / ((ended - begun) / S)
    predicted = prediction_of(model, profile)
    duty = float(latencies_s(events).mean()) / 0.1

    net_w = predicted.active_power_w - predicted.idle_power_w
    assert mean_w == pytest.approx(predicted.idle_power_w + duty * net_w, rel=5e-3)


def test_readings_are_marked_as_emulated(model: Path) -> None:
    events = execute(model, SingleStream(), the_profile())

    (taken,) = (e for e in events if isinstance(e, ReadingsTaken))
    assert taken.block.origin is Origin.EMULATED
    assert taken.block.clock == "virtual"
    assert taken.block.channel.name == "power"
    assert taken.block.channel.unit == "W"
    assert taken.block.channel.rate_hz == pytest.approx(100.0)


def test_several_samples_pay_the_cost_of_a_call_once(model: Path) -> None:
    profile = the_profile(fixed=0.05, jitter__between_runs=0.0)
    predicted = prediction_of(model, profile)

    four = latencies_s(execute(model, MultiStream(samples_per_query=4), profile))

    expected_s = 0.05 + 4 * (predicted.latency_s - 0.05)
    assert np.median(four) == pytest.approx(expected_s, rel=2e-3)


def test_offline_and_server_are_carried_out_too(model: Path) -> None:
    offline = execute(model, Offline(), the_profile())
    server = execute(model, Server(latency_bound_ns=S), the_profile())

    assert blocks(offline)[0].samples_per_query == 32
    assert {block.segment for block in blocks(server)} >= {0, 1}
    assert blocks(server)[0].rate_hz is not None


def test_a_cold_start_counts_from_the_start_of_its_process(model: Path) -> None:
    profile = the_profile(cold__process=0.5, jitter__between_runs=0.0)
    events = execute(
        model, ColdStart(), profile, minimum=Minimum(queries=5, duration_ns=0)
    )

    predicted = prediction_of(model, profile)
    whole_s = 0.5 + predicted.load_s + predicted.latency_s
    assert len(latencies_s(events)) == 5
    assert latencies_s(events) == pytest.approx(whole_s, rel=5e-3)


def test_sustained_work_slows_a_device_that_throttles(model: Path) -> None:
    profile = the_profile(
        throttle__time_constant=30.0, throttle__onset=0.5, throttle__floor=0.8
    )

    events = execute(model, Sustained(duration_ns=300 * S), profile)

    times = latencies_s(events)
    fifth = len(times) // 5
    assert times[:5].mean() / times[-fifth:].mean() == pytest.approx(0.8, rel=5e-3)
    begun, ended = phases(events)[Phase.MEASURED], phases(events)[Phase.BASELINE_AFTER]
    predicted = prediction_of(model, profile)
    net_j = (
        energy_j(events, begun, ended) - predicted.idle_power_w * (ended - begun) / S
    )
    assert net_j / len(times) == pytest.approx(predicted.energy_j, rel=5e-3)


def test_memory_of_a_microcontroller_is_weights_and_arena(model: Path) -> None:
    events = execute(model, SingleStream(), the_profile())

    (memory,) = (e for e in events if isinstance(e, MemoryMeasured))
    assert memory.method == "model"
    assert memory.weights_bytes == 300 * 200 * 4
    assert memory.arena_bytes is not None
    assert memory.peak_bytes is None


def test_memory_under_an_operating_system_is_a_resident_set(model: Path) -> None:
    events = execute(model, SingleStream(), the_profile("other"))

    (memory,) = (e for e in events if isinstance(e, MemoryMeasured))
    assert memory.peak_bytes is not None
    assert memory.baseline_bytes == 45_000_000
    assert memory.peak_bytes > memory.baseline_bytes
    assert memory.weights_bytes is None


def test_what_the_device_model_says_of_itself_is_noted(model: Path) -> None:
    events = execute(model, SingleStream(), the_profile("smartphone"))

    notes = {e.key: e.value for e in events if isinstance(e, Noted)}
    low, high = map(float, notes["emulation.interval_80_s"].split())
    assert notes["emulation.form"] == "rates/1"
    assert low < float(notes["emulation.latency_s"]) < high
    assert "energy" in notes["finding.emulation-not-validated"]
    assert notes["finding.outside-emulation-domain"] == "float_macs=1.0"


def test_a_model_that_does_not_fit_is_refused_and_the_reason_noted(
    model: Path,
) -> None:
    profile = replace(the_profile(memory__flash=0.0), ram_bytes=100_000)

    events = execute(model, SingleStream(), profile)

    ended = events[-1]
    assert isinstance(ended, TrialEnded)
    assert ended.outcome is Outcome.REFUSED
    assert "do not fit the memory of 100000" in ended.reason
    assert ended.queries == 0
    assert any(
        isinstance(e, Noted) and e.key == "finding.does-not-fit-memory" for e in events
    )


def test_the_same_seeds_give_the_same_events_and_other_seeds_others(
    model: Path,
) -> None:
    other = Seeds(arrival=1, sample=2, order=4)

    first = execute(model, SingleStream(), the_profile())
    again = execute(model, SingleStream(), the_profile())
    differently = execute(model, SingleStream(), the_profile(), seeds=other)

    assert first == again
    assert latencies_s(first)[0] != latencies_s(differently)[0]


def test_a_file_that_was_not_planned_is_refused(model: Path) -> None:
    other = replace(an_artifact(model), sha256="1" * 64)

    with (
        open_target(ADDRESS, the_profile()) as target,
        pytest.raises(DeployMismatch, match="not the model 'one'"),
        target.deploy(other, model, None),
    ):
        pass


def test_an_address_with_a_link_is_refused() -> None:
    with (
        pytest.raises(Unsupported, match="has no link"),
        open_target(Address.parse("emulated@serial:x"), the_profile()),
    ):
        pass


def test_a_device_model_that_cannot_be_used_is_refused_at_once() -> None:
    profile = the_profile(throttle__floor=0.0)

    with (
        pytest.raises(SchemaError, match=r"throttle\.floor"),
        open_target(ADDRESS, profile),
    ):
        pass

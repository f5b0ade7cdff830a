"""Small builders of plans and records with made-up figures, for tests.

Everything is seeded; nothing here touches a device.
"""

from array import array
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.domain.origin import Origin
from harness.domain.plan import (
    Arm,
    Minimum,
    Plan,
    Preset,
    RuntimeSettings,
    Seeds,
    Trial,
)
from harness.domain.profile import DeviceClass, DeviceProfile
from harness.domain.query import (
    MemoryMeasured,
    ModelLoaded,
    Outcome,
    OutputsChecked,
    OverheadMeasured,
    Phase,
)
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import Queries, RunRecord, TrialRecord
from harness.domain.scenario import Scenario, SingleStream
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import InputSpec, ModelArtifact, Suite, Workload
from harness.units import NS_PER_S

SHA = "0" * 64
PRESET = Preset(
    name="quick",
    minimum=Minimum(queries=128, duration_ns=10 * NS_PER_S),
    runs=3,
    energy_window_ns=60 * NS_PER_S,
)


def a_profile(name: str = "wearable") -> DeviceProfile:
    """Make a wearable's profile with a battery of 1.1 Wh."""
    return DeviceProfile(
        name=name,
        device_class=DeviceClass.WEARABLE,
        title_zh="可穿戴设备",
        title_en="Wearable",
        suite="wearable",
        tier_set="2026.1",
        subtypes=("watch",),
        is_os_class=False,
        ram_bytes=768 * 1024,
        battery_j=3960.0,
    )


def a_model(name: str = "kws-dscnn-u8s8") -> ModelArtifact:
    """Make a description of a small keyword-spotting model with seeded weights."""
    return ModelArtifact(
        name=name,
        sha256=SHA,
        size_bytes=54_000,
        inputs=(InputSpec(name="input", dtype="float32", shape=(1, 1, 49, 10)),),
        task="keyword spotting",
        quantisation="int8 QDQ u8s8 per channel",
        opset=13,
        macs=2_657_000,
        parameters=23_000,
        licence="Apache-2.0",
        is_trained=False,
    )


def a_trial(
    workload: str = "kws",
    scenario: Scenario | None = None,
    *,
    run: int = 1,
    arm: Arm = Arm.DEVICE,
) -> Trial:
    """Make one trial of a workload on an emulated device, or on the host."""
    scenario = scenario or SingleStream()
    return Trial(
        id=f"{workload}.{scenario.kind.lower()}.{arm.value}.r{run}",
        arm=arm,
        target="emulated@" if arm is Arm.DEVICE else "local@",
        workload=workload,
        model=a_model().name,
        scenario=scenario,
        run=run,
        warm_up=Minimum(queries=8, duration_ns=0),
        minimum=PRESET.minimum,
        baseline_ns=NS_PER_S,
        seeds=Seeds(arrival=1, sample=2, order=3),
        settings=RuntimeSettings(),
    )


def a_plan(trials: Sequence[Trial]) -> Plan:
    """Make a plan of the trials given, over a suite that has their workloads."""
    scenarios: dict[str, dict[str, Scenario]] = {}
    for trial in trials:
        scenarios.setdefault(trial.workload, {})[trial.scenario.kind] = trial.scenario
    workloads = tuple(
        Workload(
            id=name,
            model="kws-dscnn",
            title_zh="关键词识别",
            title_en="Keyword spotting",
            scenarios=tuple(kinds.values()),
        )
        for name, kinds in scenarios.items()
    )
    return Plan(
        profile=a_profile(),
        profile_sha256=SHA,
        suite=Suite(name="wearable", workloads=workloads),
        suite_sha256=SHA,
        tier_set="2026.1",
        tier_set_sha256=SHA,
        guard_ratio=1.0,
        preset=PRESET,
        models=(a_model(),),
        trials=tuple(trials),
    )


def some_latencies(
    count: int, *, median_ns: float = 20e6, sigma: float = 0.03, seed: int = 0
) -> NDArray[np.int64]:
    """Draw log-normal latencies in ns."""
    generator = np.random.default_rng(seed)
    return np.rint(median_ns * np.exp(sigma * generator.standard_normal(count))).astype(
        np.int64
    )


def some_queries(latencies_ns: NDArray[np.int64], *, warm_up: int = 8) -> Queries:
    """Put latencies end to end, the first `warm_up` of them as warm-up."""
    ends = np.cumsum(latencies_ns)
    starts = ends - latencies_ns
    count = len(latencies_ns)
    measured = array("b", [0] * warm_up + [1] * (count - warm_up))
    return Queries(
        scheduled_ns=array("q", starts.tobytes()),
        issued_ns=array("q", starts.tobytes()),
        completed_ns=array("q", ends.tobytes()),
        is_measured=measured,
        segment=array("q", [0] * count),
    )


def a_trial_record(
    trial: Trial | None = None,
    *,
    latencies_ns: NDArray[np.int64] | None = None,
    peak_bytes: int = 60 * 1024**2,
    power_w: float = 0.03,
) -> TrialRecord:
    """Make the record of a trial that went well, with a flat power trace."""
    trial = trial or a_trial()
    if latencies_ns is None:
        latencies_ns = some_latencies(600, seed=trial.run)
    queries = some_queries(latencies_ns)
    end = queries.completed_ns[-1]
    times = np.arange(0, end + 2 * NS_PER_S, NS_PER_S // 10, dtype=np.int64)
    is_device = trial.arm is Arm.DEVICE
    origin = Origin.EMULATED if is_device else Origin.HOST
    idle = np.where(times > end, 0.002, power_w)
    return TrialRecord(
        trial=trial,
        outcome=Outcome.DONE,
        clock="virtual" if is_device else "monotonic",
        phases=(
            (Phase.LOAD, 0),
            (Phase.WARM_UP, 0),
            (Phase.MEASURED, queries.issued_ns[8]),
            (Phase.BASELINE_AFTER, end),
        ),
        queries=queries,
        readings=(
            ReadingBlock(
                channel=Channel(
                    name="power" if is_device else "rss",
                    unit="W" if is_device else "B",
                    source="emulated" if is_device else "psutil",
                ),
                clock="virtual" if is_device else "monotonic",
                origin=origin,
                times_ns=array("q", times.tobytes()),
                values=array(
                    "d",
                    (idle if is_device else np.full(len(times), 5e7)).tobytes(),
                ),
            ),
        ),
        loaded=ModelLoaded(
            trial=trial.id,
            sha256=SHA,
            load_ns=4_000_000,
            quantised_nodes=10,
            quantisable_nodes=10,
            placement={"CPUExecutionProvider": 12},
        ),
        overhead=None
        if is_device
        else OverheadMeasured(
            trial=trial.id,
            queries=1000,
            latency_p50_ns=4_000,
            latency_p90_ns=5_000,
            gap_p50_ns=900,
        ),
        memory=MemoryMeasured(
            trial=trial.id,
            method="model" if is_device else "VmHWM",
            baseline_bytes=None if is_device else 40 * 1024**2,
            peak_bytes=None if is_device else peak_bytes,
            retained_bytes=None if is_device else 45 * 1024**2,
            weights_bytes=54_000 if is_device else None,
            arena_bytes=22_000 if is_device else None,
        ),
        outputs=OutputsChecked(
            trial=trial.id, compared=60, differing=0, non_finite=0, sha256=SHA
        ),
        started_at="2026-01-02T03:04:05Z",
        ended_at="2026-01-02T03:04:25Z",
        conditions=ConditionsReached(load_average=0.1),
    )


def a_record(
    workloads: Sequence[str] = ("kws", "vww", "ad"), *, runs: int = 3
) -> RunRecord:
    """Make a whole record: each workload emulated `runs` times, once on the host."""
    trials = [
        a_trial(workload, run=run)
        for workload in workloads
        for run in range(1, runs + 1)
    ] + [a_trial(workload, arm=Arm.HOST) for workload in workloads]
    plan = a_plan(trials)
    return RunRecord(
        name="20260102T030405Z_wearable_00000000",
        plan=plan,
        plan_id=SHA,
        suts={
            "emulated@": SutDescription(
                address="emulated@",
                name="wearable",
                origin=Origin.EMULATED,
                clock="virtual",
                facts={"model": "rates/1"},
            ),
            "local@": SutDescription(
                address="local@",
                name="this machine",
                origin=Origin.HOST,
                clock="monotonic",
                facts={"os": "Linux", "cpu": "x86_64", "runtime": "onnxruntime"},
            ),
        },
        trials=tuple(a_trial_record(trial) for trial in trials),
        started_at="2026-01-02T03:04:05Z",
        ended_at="2026-01-02T03:05:05Z",
        harness_version="0.1.0",
    )


def without_trial(record: RunRecord, trial_id: str) -> RunRecord:
    """Give the record as if it had been killed before that trial was started."""
    kept = tuple(t for t in record.trials if t.trial.id != trial_id)
    return replace(record, trials=kept, is_complete=False)

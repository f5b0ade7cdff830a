"""Profile + suite + preset → Plan. Pure: same input, same plan, same plan id.

Decides how many runs of what are executed, in which seeded order, with which
seeds and minima. It knows no device, no file and no clock.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

import numpy as np

from harness.domain.labelled import LabelledData
from harness.domain.plan import (
    Arm,
    Minimum,
    Plan,
    Preset,
    RuntimeSettings,
    Seeds,
    Trial,
)
from harness.domain.profile import DeviceProfile
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
from harness.domain.workload import ModelArtifact, Suite, Workload
from harness.errors import UnknownName
from harness.units import NS_PER_S

EMULATED = "emulated@"
LOCAL = "local@"

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="rapid",
            minimum=Minimum(queries=64, duration_ns=6 * NS_PER_S),
            runs=1,
            energy_window_ns=6 * NS_PER_S,
        ),
        Preset(
            name="quick",
            minimum=Minimum(queries=128, duration_ns=10 * NS_PER_S),
            runs=3,
            energy_window_ns=60 * NS_PER_S,
        ),
        Preset(
            name="standard",
            minimum=Minimum(queries=1024, duration_ns=60 * NS_PER_S),
            runs=5,
            energy_window_ns=60 * NS_PER_S,
        ),
        Preset(
            name="official",
            minimum=Minimum(queries=1024, duration_ns=60 * NS_PER_S),
            runs=5,
            energy_window_ns=300 * NS_PER_S,
            cool_down_ns=300 * NS_PER_S,
            is_evidential=True,
        ),
    )
}
"""The four presets of the method, section 1."""

_LONG_RUNS = frozenset({"standard", "official"})
"""Presets that repeat a Sustained run; the others execute it once."""
_HOST_MINIMUM = Minimum(queries=64, duration_ns=NS_PER_S)
"""The host arm is a reference: enough for a median, short enough to wait for."""
_HOST_WARM_UP = Minimum(queries=8, duration_ns=0)
_DEVICE_WARM_UP = Minimum(queries=16, duration_ns=NS_PER_S)
_BASELINE_NS = 2 * NS_PER_S
_COLD_STARTS = {"rapid": 5, "quick": 10, "standard": 30, "official": 30}
_VIRTUAL_QUERIES = 3000
"""Virtual time costs nothing, so an emulated run is long enough for every percentile
in use: the 95 % bound of p99.9 needs 2995 queries (docs/adr/0003)."""
_VIRTUAL_COLD_STARTS = 30
_PROCESS_START_S = 0.8
"""Expected cost of starting a process beside the model; for the time shown only."""
_SCORING_S = 4.0
"""Expected cost of answering labelled items, here and by the parent; likewise."""
_VIRTUAL_TRIAL_S = 0.4
"""Expected cost of a trial in virtual time; for the time shown only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """Everything that a plan is made from. Digests are of the files as read."""

    profile: DeviceProfile
    profile_sha256: str
    suite: Suite
    suite_sha256: str
    tier_set: str
    tier_set_sha256: str
    preset: Preset
    target: str
    """Address of the device under test: ``emulated@``, ``local@`` …"""
    device_models: Mapping[str, ModelArtifact]
    """Workload id → the model file that the device gets."""
    host_models: Mapping[str, ModelArtifact]
    """Workload id → the model file that the host executes for reference."""
    seed: int = 0
    provider: str = "CPUExecutionProvider"
    meter: str = ""
    """Address of the meter that reads the device's power; empty: none."""
    labelled: Mapping[str, LabelledData] = field(default_factory=dict)
    """Workload id → the labelled items that its answers are scored on."""
    parents: tuple[ModelArtifact, ...] = ()
    """Float32 parents that the labelled data name."""


def preset_named(name: str) -> Preset:
    """Give the preset of that name. Raises UnknownName."""
    if name not in PRESETS:
        raise UnknownName("preset", name, PRESETS)
    return PRESETS[name]


def make_plan(parts: Ingredients) -> Plan:
    """Lay out all trials: first the host's, then the device's runs, interleaved.

    Run by run every measurement comes once, in an order shuffled anew for each run,
    so that a slow drift does not fall on one workload only.
    """
    trials = (*_host_trials(parts), *_device_trials(parts))
    models = {
        model.name: model
        for model in (
            *parts.device_models.values(),
            *parts.host_models.values(),
            *parts.parents,
        )
    }
    return Plan(
        profile=parts.profile,
        profile_sha256=parts.profile_sha256,
        suite=parts.suite,
        suite_sha256=parts.suite_sha256,
        tier_set=parts.tier_set,
        tier_set_sha256=parts.tier_set_sha256,
        guard_ratio=1.0,
        preset=parts.preset,
        models=tuple(models[name] for name in sorted(models)),
        trials=trials,
        meter=parts.meter,
        labelled=dict(parts.labelled),
    )


def expected_seconds(trial: Trial) -> float:
    """Say about how long a trial takes in real time; for progress, not for judging."""
    scoring_s = _SCORING_S if trial.is_scored else 0.0
    if trial.target.startswith(EMULATED):
        return _VIRTUAL_TRIAL_S + scoring_s
    if isinstance(trial.scenario, ColdStart):
        return trial.minimum.queries * _PROCESS_START_S
    windows_ns = 2 * trial.baseline_ns + trial.warm_up.duration_ns + _window_ns(trial)
    return _PROCESS_START_S + windows_ns / NS_PER_S + scoring_s


def _window_ns(trial: Trial) -> int:
    match trial.scenario:
        case Sustained(duration_ns=duration_ns):
            return duration_ns
        case Periodic(period_ns=period_ns):
            return max(trial.minimum.duration_ns, trial.minimum.queries * period_ns)
        case Server():
            # a search brackets and halves: about eight probes
            return 8 * trial.minimum.duration_ns
        case SingleStream() | MultiStream() | Offline() | ColdStart():
            return trial.minimum.duration_ns
        case _:
            assert_never(trial.scenario)


def _host_trials(parts: Ingredients) -> Iterator[Trial]:
    for workload in parts.suite.workloads:
        if workload.id in parts.host_models:
            yield _trial(parts, workload, SingleStream(), run=1, arm=Arm.HOST)


def _device_trials(parts: Ingredients) -> Iterator[Trial]:
    measurements = [
        (workload, scenario)
        for workload in parts.suite.workloads
        for scenario in workload.scenarios
    ]
    for run in range(1, parts.preset.runs + 1):
        seed = _seed(parts.seed, "order", str(run))
        for index in np.random.default_rng(seed).permutation(len(measurements)):
            workload, scenario = measurements[index]
            if run <= _runs_of(scenario, parts.preset):
                yield _trial(parts, workload, scenario, run=run, arm=Arm.DEVICE)


def _runs_of(scenario: Scenario, preset: Preset) -> int:
    if isinstance(scenario, Sustained) and preset.name not in _LONG_RUNS:
        return 1
    return preset.runs


def _trial(
    parts: Ingredients, workload: Workload, scenario: Scenario, *, run: int, arm: Arm
) -> Trial:
    is_host = arm is Arm.HOST
    models = parts.host_models if is_host else parts.device_models
    identity = (workload.id, scenario.kind, arm.value, str(run))
    return Trial(
        id=".".join((workload.id, scenario.kind.lower(), arm.value, f"r{run}")),
        arm=arm,
        target=LOCAL if is_host else parts.target,
        workload=workload.id,
        model=models[workload.id].name,
        scenario=scenario,
        run=run,
        warm_up=_HOST_WARM_UP if is_host else _DEVICE_WARM_UP,
        minimum=_HOST_MINIMUM if is_host else _minimum_of(scenario, parts),
        baseline_ns=0 if is_host else _BASELINE_NS,
        seeds=Seeds(
            arrival=_seed(parts.seed, "arrival", *identity),
            # the same samples in every arm and run, so that outputs can be compared
            sample=_seed(parts.seed, "sample", workload.id),
            order=_seed(parts.seed, "order", *identity),
        ),
        settings=RuntimeSettings(
            provider="CPUExecutionProvider" if is_host else parts.provider,
            intra_op_threads=parts.profile.conditions.intra_op_threads,
        ),
        is_scored=arm is Arm.DEVICE
        and run == 1
        and workload.id in parts.labelled
        and scenario == _scored_scenario(workload),
    )


def _scored_scenario(workload: Workload) -> Scenario:
    """Choose where labelled items are answered: the first scenario with a window."""
    windowed = (s for s in workload.scenarios if not isinstance(s, ColdStart))
    return next(windowed, workload.scenarios[0])


def _minimum_of(scenario: Scenario, parts: Ingredients) -> Minimum:
    is_virtual = parts.target.startswith(EMULATED)
    if isinstance(scenario, ColdStart):
        starts = _VIRTUAL_COLD_STARTS if is_virtual else _COLD_STARTS[parts.preset.name]
        return Minimum(queries=starts, duration_ns=0)
    asked = parts.preset.minimum
    if is_virtual:
        return replace(asked, queries=_VIRTUAL_QUERIES)
    if parts.meter:
        window_ns = max(asked.duration_ns, parts.preset.energy_window_ns)
        return replace(asked, duration_ns=window_ns)
    return asked


def _seed(base: int, *words: str) -> int:
    digest = hashlib.sha256("/".join((str(base), *words)).encode()).digest()
    return int.from_bytes(digest[:4], "big")

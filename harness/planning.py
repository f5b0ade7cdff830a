"""Profile + suite + preset → Plan. Pure: same input, same plan, same plan id.

Decides how many runs of what are executed, in which seeded order, with which
seeds and minima. It knows no device, no file and no clock.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

import numpy as np

from harness.domain.fit import require_fit
from harness.domain.labelled import LabelledData
from harness.domain.plan import (
    Arm,
    Minimum,
    Plan,
    Preset,
    Pulses,
    Recording,
    RuntimeSettings,
    Seeds,
    Supply,
    Trial,
    is_timed,
)
from harness.domain.profile import CPU, DeviceProfile
from harness.domain.scenario import (
    ColdStart,
    LlmDecode,
    LlmSustained,
    MultiStream,
    Offline,
    Periodic,
    Scenario,
    Server,
    SingleStream,
    Sustained,
    Talking,
    talk_of,
)
from harness.domain.workload import ModelArtifact, Suite, Workload
from harness.errors import UnknownName
from harness.units import NS_PER_S

EMULATED = "emulated@"
LOCAL = "local@"
MCU = "mcu@"
_SIMULATED_MCU = "mcu@sim:"
EMULATED_MCU = "mcu@qemu:"
MARKED_WINDOWS, MARKED_WINDOW_NS = 5, 10 * NS_PER_S
"""Windows that a board in energy mode marks, and their least length (MLPerf Tiny)."""
STREAMED = "sww"
"""Workload that listens to a stream of audio (MLPerf Tiny: streaming wake word)."""
RECORDED = "trace@"
"""In the place of a meter's address: another machine records, its file comes later."""

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
_GENERATIONS = {"rapid": 4, "quick": 16, "standard": 32, "official": 64}
"""At each level of a run: sixteen in each of three runs are enough for p90, which takes
29, and half as many more where they depend on each other; an answer is as long as a
hundred queries (docs/adr/0017)."""
_VIRTUAL_GENERATIONS = 300
"""The 95 % bound of a p99 needs 299."""
_SUSTAINED_GENERATIONS = 10
"""Two in each fifth of a long window, however slow the model is."""
_HOST_GENERATIONS = 2
_TALK_WARM_UP = Minimum(queries=1, duration_ns=0)
_IDLE_READINGS = 12
"""Ten readings of idle at least, and one lost at either end (power: idle)."""
_GUARD_READINGS = 3
_LENGTHS = (1.0, 1.5, 2.0)
"""Windows of runs in turn, with a meter: energy has to grow in proportion to work."""
_COLD_STARTS = {"rapid": 5, "quick": 10, "standard": 30, "official": 30}
_VIRTUAL_QUERIES = 3000
"""Virtual time costs nothing, so an emulated run is long enough for every percentile
in use: the 95 % bound of p99.9 needs 2995 queries (docs/adr/0003)."""
_VIRTUAL_COLD_STARTS = 30
_COUNTED_WARM_UP = Minimum(queries=2, duration_ns=0)
_COUNTED_QUERIES = ((100e6, 20), (1e9, 4), (float("inf"), 1))
"""Up to so many multiply-accumulates, the inferences that the longer process of a round
has more than the shorter. What a start varies by, some hundred instructions, is spread
over them; a large model needs no more than one, and an emulator is slow."""
_COUNTED_TRIAL_S = 30.0
"""Expected cost of counting on an emulated processor; for the time shown only."""
_PROCESS_START_S = 0.8
"""Expected cost of starting a process beside the model; for the time shown only."""
_SCORING_S = 4.0
"""Expected cost of answering labelled items, here and by the parent; likewise."""
_VIRTUAL_TRIAL_S = 0.4
"""Expected cost of a trial in virtual time; for the time shown only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterUse:
    """A meter, and what it asks of the trials that it reads."""

    address: str
    step_ns: int
    """Interval between readings as they enter the record."""
    latency_ns: int = 0
    """How long after its interval a reading may arrive."""
    pulses: Pulses | None = None
    """Marks that relate its clock to the trial's; the seed is chosen anew each time."""
    edges: str = ""
    """Its input at which a microcontroller's own time stamps fall; empty: none."""
    window_ns: int = 0
    """Shortest window for the uncertainty that the user wants to claim."""
    supply: Supply = field(default_factory=Supply)

    @property
    def settling_ns(self) -> int:
        """How long it still sees what was before: three readings and its delay."""
        return _GUARD_READINGS * self.step_ns + self.latency_ns


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
    provider: str = CPU
    provider_options: tuple[tuple[str, str], ...] = ()
    runtime: str = "onnxruntime"
    meter: MeterUse | None = None
    """What reads the device's power; None: nothing does."""
    labelled: Mapping[str, LabelledData] = field(default_factory=dict)
    """Workload id → the labelled items that its answers are scored on."""
    parents: tuple[ModelArtifact, ...] = ()
    """Float32 parents that the labelled data name."""
    stream: Recording | None = None
    """What is played to a device that listens for a wake word."""


def is_virtual(target: str) -> bool:
    """Say whether a target lives in virtual time, where only simulated meters do."""
    return target.startswith((EMULATED, _SIMULATED_MCU))


def preset_named(name: str) -> Preset:
    """Give the preset of that name. Raises UnknownName."""
    if name not in PRESETS:
        raise UnknownName("preset", name, PRESETS)
    return PRESETS[name]


def make_plan(parts: Ingredients) -> Plan:
    """Lay out all trials: first the host's, then the device's runs, interleaved.

    Run by run every measurement comes once, in an order shuffled anew for each run,
    so that a slow drift does not fall on one workload only. Raises UsageError for a
    workload whose model and scenarios do not go together.
    """
    for workload in parts.suite.workloads:
        require_fit(workload, parts.device_models[workload.id])
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
        meter=parts.meter.address if parts.meter else "",
        supply=parts.meter.supply if parts.meter else Supply(),
        labelled=dict(parts.labelled),
    )


def expected_seconds(trial: Trial) -> float:
    """Say about how long a trial takes in real time; for progress, not for judging."""
    scoring_s = _SCORING_S if trial.is_scored else 0.0
    if is_virtual(trial.target):
        return _VIRTUAL_TRIAL_S + scoring_s
    if not is_timed(trial.target):
        return _COUNTED_TRIAL_S + scoring_s
    if trial.edges:
        # should the board be in energy mode: what it marks, and rests of a second
        window_ns = max(MARKED_WINDOW_NS, trial.minimum.duration_ns // MARKED_WINDOWS)
        whole_ns = MARKED_WINDOWS * (window_ns + NS_PER_S) + 2 * trial.baseline_ns
        return whole_ns / NS_PER_S
    if trial.stream is not None:
        return (2 * trial.baseline_ns + trial.stream.length_ns) / NS_PER_S
    if isinstance(trial.scenario, ColdStart):
        return trial.minimum.queries * _PROCESS_START_S
    windows_ns = 2 * trial.baseline_ns + trial.warm_up.duration_ns + _window_ns(trial)
    if trial.pulses is not None:
        windows_ns += 2 * _mark_ns(trial.pulses)
    return _PROCESS_START_S + windows_ns / NS_PER_S + scoring_s


def _mark_ns(pulses: Pulses) -> int:
    """Give about how long one mark takes, with three chips of rest on either side."""
    return (pulses.chips + 6) * pulses.chip_ns


def _window_ns(trial: Trial) -> int:
    match trial.scenario:
        case Sustained(duration_ns=duration_ns) | LlmSustained(duration_ns=duration_ns):
            return duration_ns
        case Periodic(period_ns=period_ns):
            return max(trial.minimum.duration_ns, trial.minimum.queries * period_ns)
        case Server():
            # a search brackets and halves: about eight probes
            return 8 * trial.minimum.duration_ns
        case LlmDecode(levels=levels):
            return len(levels) * trial.minimum.duration_ns
        case SingleStream() | MultiStream() | Offline() | ColdStart():
            return trial.minimum.duration_ns
        case _:
            assert_never(trial.scenario)


def _host_trials(parts: Ingredients) -> Iterator[Trial]:
    for workload in parts.suite.workloads:
        if workload.id in parts.host_models:
            scenario = _host_scenario(workload)
            yield _trial(parts, workload, scenario, run=1, arm=Arm.HOST)


def _host_scenario(workload: Workload) -> Scenario:
    """Give what the host executes for reference: single queries, or a few answers."""
    for scenario in workload.scenarios:
        if isinstance(scenario, Talking):
            talk = talk_of(scenario)
            return LlmDecode(
                prompt_tokens=talk.prompt_tokens[:1],
                output_tokens=talk.output_tokens,
            )
    return SingleStream()


def _device_trials(parts: Ingredients) -> Iterator[Trial]:
    measurements = [
        (workload, scenario)
        for workload in parts.suite.workloads
        for scenario in _scenarios_of(workload, parts)
    ]
    for run in range(1, parts.preset.runs + 1):
        seed = _seed(parts.seed, "order", str(run))
        for index in np.random.default_rng(seed).permutation(len(measurements)):
            workload, scenario = measurements[index]
            if run <= _runs_of(scenario, parts):
                yield _trial(parts, workload, scenario, run=run, arm=Arm.DEVICE)


def _scenarios_of(workload: Workload, parts: Ingredients) -> tuple[Scenario, ...]:
    """Give a workload's scenarios; only an inference itself where there is no time."""
    is_talk = any(isinstance(one, LlmDecode) for one in workload.scenarios)
    if is_timed(parts.target) or is_talk:
        return workload.scenarios
    return (SingleStream(),)


def _runs_of(scenario: Scenario, parts: Ingredients) -> int:
    preset = parts.preset
    is_long = isinstance(scenario, Sustained | LlmSustained)
    is_once = is_long or not is_timed(parts.target)
    if is_once and preset.name not in _LONG_RUNS:
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
        warm_up=_warm_up_of(scenario, parts, is_host=is_host),
        minimum=_minimum(scenario, parts, run, models[workload.id], is_host=is_host),
        baseline_ns=0 if is_host else _baseline_ns(parts),
        pulses=None if is_host else _pulses(scenario, parts, identity),
        edges="" if is_host or parts.meter is None else parts.meter.edges,
        stream=parts.stream if _is_streamed(workload, scenario, arm) else None,
        seeds=Seeds(
            arrival=_seed(parts.seed, "arrival", *identity),
            # the same samples in every arm and run, so that outputs can be compared
            sample=_seed(parts.seed, "sample", workload.id),
            order=_seed(parts.seed, "order", *identity),
        ),
        settings=RuntimeSettings(
            provider=CPU if is_host else parts.provider,
            provider_options=() if is_host else parts.provider_options,
            intra_op_threads=_threads(parts, is_host=is_host),
            runtime=parts.runtime,
        ),
        is_scored=arm is Arm.DEVICE
        and run == 1
        and workload.id in parts.labelled
        and scenario == _scored_scenario(workload, parts),
    )


def _is_streamed(workload: Workload, scenario: Scenario, arm: Arm) -> bool:
    """Say whether a trial is of a frame every period, out of a stream of audio."""
    return (
        arm is Arm.DEVICE and workload.id == STREAMED and isinstance(scenario, Periodic)
    )


def _threads(parts: Ingredients, *, is_host: bool) -> int:
    """Give one thread where work is counted: others wait in loops, as long as it takes.

    The profile's own number elsewhere.
    """
    if not is_host and not is_timed(parts.target):
        return 1
    return parts.profile.conditions.intra_op_threads


def _scored_scenario(workload: Workload, parts: Ingredients) -> Scenario:
    """Choose where labelled items are answered: the first scenario with a window."""
    scenarios = _scenarios_of(workload, parts)
    windowed = (s for s in scenarios if not isinstance(s, ColdStart))
    return next(windowed, scenarios[0])


def _warm_up_of(scenario: Scenario, parts: Ingredients, *, is_host: bool) -> Minimum:
    """Warm up until a slow meter sees the load alone when the window begins."""
    warm_up = _HOST_WARM_UP if is_host else _DEVICE_WARM_UP
    if isinstance(scenario, Talking):
        warm_up = _TALK_WARM_UP
    if not is_host and not is_timed(parts.target):
        return _COUNTED_WARM_UP
    if is_host or parts.meter is None:
        return warm_up
    duration_ns = max(warm_up.duration_ns, parts.meter.settling_ns)
    return replace(warm_up, duration_ns=duration_ns)


def _minimum(
    scenario: Scenario,
    parts: Ingredients,
    run: int,
    model: ModelArtifact,
    *,
    is_host: bool,
) -> Minimum:
    if is_host:
        return _host_minimum(scenario)
    if is_timed(parts.target):
        return _minimum_of(scenario, parts, run)
    macs = model.macs or 0
    queries = next(queries for most, queries in _COUNTED_QUERIES if macs <= most)
    return Minimum(queries=queries, duration_ns=0)


def _host_minimum(scenario: Scenario) -> Minimum:
    if isinstance(scenario, Talking):
        return replace(_HOST_MINIMUM, queries=_HOST_GENERATIONS)
    return _HOST_MINIMUM


def _baseline_ns(parts: Ingredients) -> int:
    """Rest long enough for readings of idle alone."""
    if not is_timed(parts.target):
        return 0
    if parts.meter is None:
        return _BASELINE_NS
    idle_ns = _IDLE_READINGS * parts.meter.step_ns + parts.meter.settling_ns
    return max(_BASELINE_NS, idle_ns)


def _pulses(
    scenario: Scenario, parts: Ingredients, identity: tuple[str, ...]
) -> Pulses | None:
    """Give each trial marks of its own, so that no two can be taken for each other."""
    if parts.meter is None or parts.meter.pulses is None:
        return None
    if isinstance(scenario, ColdStart):
        return None
    return replace(parts.meter.pulses, seed=_seed(parts.seed, "pulses", *identity))


def _minimum_of(scenario: Scenario, parts: Ingredients, run: int) -> Minimum:
    is_virtual = parts.target.startswith(EMULATED)
    if isinstance(scenario, ColdStart):
        starts = _VIRTUAL_COLD_STARTS if is_virtual else _COLD_STARTS[parts.preset.name]
        return Minimum(queries=starts, duration_ns=0)
    asked = parts.preset.minimum
    if isinstance(scenario, LlmSustained):
        asked = replace(asked, queries=_SUSTAINED_GENERATIONS)
    elif isinstance(scenario, LlmDecode):
        real = _GENERATIONS.get(parts.preset.name, asked.queries)
        asked = replace(asked, queries=_VIRTUAL_GENERATIONS if is_virtual else real)
    elif is_virtual and not (parts.meter and isinstance(scenario, Periodic)):
        # a simulated meter would have to read for an hour of periods
        asked = replace(asked, queries=_VIRTUAL_QUERIES)
    if parts.meter is None:
        return asked
    energy_ns = max(parts.preset.energy_window_ns, parts.meter.window_ns)
    longer = 1.0
    if isinstance(scenario, SingleStream):
        longer = _LENGTHS[(run - 1) % len(_LENGTHS)]
    return replace(asked, duration_ns=max(asked.duration_ns, round(longer * energy_ns)))


def _seed(base: int, *words: str) -> int:
    digest = hashlib.sha256("/".join((str(base), *words)).encode()).digest()
    return int.from_bytes(digest[:4], "big")

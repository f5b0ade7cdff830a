"""What one trial shows about whether its figures may be believed (method, section 7).

Each check looks at the record of one trial and gives findings; none of them looks at
a figure's size, only at how it came about.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from harness.domain.finding import Finding
from harness.domain.origin import Origin
from harness.domain.plan import Arm, is_timed
from harness.domain.profile import SETTABLE
from harness.domain.query import FIRMWARE_MODEL, Outcome, Phase
from harness.domain.record import RunRecord, TrialRecord
from harness.domain.scenario import ColdStart, Server, Sustained, Talking
from harness.stats.group import origin_of
from harness.stats.idle import baselines, guard_s, idle_power
from harness.stats.marked import check_marked
from harness.stats.memoryprobe import find_memory
from harness.stats.meterchecks import check_meter
from harness.stats.metered import MEANS, REFUSED, VALUES, latency_s, u_clock_s
from harness.stats.percentile import percentile_of_sorted
from harness.stats.power import power_trace
from harness.stats.series import stream_of, window_of
from harness.stats.severity import finding
from harness.stats.talkchecks import check_talk
from harness.units import NS_PER_S

REALS_DIFFER = 1e-4
"""Of the largest magnitude among the outputs: as within one machine (agent.outputs)."""
OVERHEAD_LIMIT = 0.05
_PROCESSOR = "CPUExecutionProvider"
FALLBACK_LIMIT = 0.10
FUSED_LIMIT = 0.9
READINGS_LOST_LIMIT = 1e-3
GAP_LIMIT = 0.01
BASELINE_DRIFT_LIMIT = 0.10
"""Ratios of the method, sections 1, 4 and 6; the last, of idle power, is ours."""
THROTTLE = "throttle"
"""Channel of the kernel's own account of how hard it holds the processor back."""
_WINDOW_SLACK = 1e-3
"""A window short by less than this ratio is short by the cost of asking the clock."""

_ENDINGS: Mapping[Outcome | None, str] = MappingProxyType(
    {
        Outcome.CRASHED: "trial-crashed",
        Outcome.OUT_OF_MEMORY: "trial-out-of-memory",
        Outcome.HUNG: "trial-hung",
        Outcome.INTERRUPTED: "trial-interrupted",
        Outcome.REFUSED: "trial-failed",
        Outcome.FAILED: "trial-failed",
        None: "trial-interrupted",
    }
)
"""How a trial ended other than well → the code for it."""


def check_trial(record: RunRecord, trial: TrialRecord) -> Iterator[Finding]:
    """Give every finding about one trial."""
    if trial.outcome is not Outcome.DONE:
        yield _ending(trial)
    yield from _digest(record, trial)
    yield from _outputs(trial)
    yield from _kernels(trial)
    yield from _fusion(trial)
    yield from _fallback(trial)
    yield from _conditions(record, trial)
    yield from _throttling(trial)
    yield from check_meter(trial)
    yield from _repeats(trial)
    yield from _unscored(trial)
    yield from _alignment(trial)
    if trial.outcome is Outcome.DONE and is_timed(trial.trial.target):
        for check in _OF_A_FINISHED_TRIAL:
            yield from check(trial)


def _ending(trial: TrialRecord) -> Finding:
    code = _ENDINGS[trial.outcome]
    return finding(code, trial.trial.id, trial.trial.arm, reason=trial.reason)


def _digest(record: RunRecord, trial: TrialRecord) -> Iterator[Finding]:
    planned = record.plan.model(trial.trial.model).sha256
    if trial.loaded is not None and trial.loaded.sha256 != planned:
        yield finding(
            "model-digest-changed",
            trial.trial.id,
            trial.trial.arm,
            planned=planned,
            loaded=trial.loaded.sha256,
        )
    if FIRMWARE_MODEL in trial.notes:
        yield finding(
            "firmware-model",
            trial.trial.id,
            trial.trial.arm,
            planned=trial.trial.model,
            firmware=trial.notes[FIRMWARE_MODEL],
        )


def _outputs(trial: TrialRecord) -> Iterator[Finding]:
    outputs = trial.outputs
    if outputs is None:
        return
    about = (trial.trial.id, trial.trial.arm)
    if outputs.non_finite:
        yield finding(
            "outputs-not-finite",
            *about,
            outputs=outputs.non_finite,
            compared=outputs.compared,
        )
    if outputs.differing:
        yield finding(
            "outputs-differ",
            *about,
            outputs=outputs.differing,
            compared=outputs.compared,
        )


def _kernels(trial: TrialRecord) -> Iterator[Finding]:
    """Say so where an emulated processor's kernels compute something else.

    Reals may be summed in another order; one step of an integer is far more than that.
    """
    for found in trial.compared:
        if found.largest_difference <= REALS_DIFFER * found.largest_value:
            continue
        yield finding(
            "kernels-disagree",
            trial.trial.id,
            trial.trial.arm,
            condition=f"{found.model} on {found.processor}",
            differing=found.items - found.identical,
            compared=found.items,
            difference=found.largest_difference,
            largest=found.largest_value,
        )


def _fusion(trial: TrialRecord) -> Iterator[Finding]:
    loaded = trial.loaded
    if loaded is None or loaded.quantised_nodes is None or not loaded.quantisable_nodes:
        return
    ratio = loaded.quantised_nodes / loaded.quantisable_nodes
    if ratio < FUSED_LIMIT:
        yield finding(
            "half-fused" if loaded.quantised_nodes else "not-quantised",
            trial.trial.id,
            trial.trial.arm,
            quantised=loaded.quantised_nodes,
            quantisable=loaded.quantisable_nodes,
        )


def _fallback(trial: TrialRecord) -> Iterator[Finding]:
    """Nodes that run elsewhere than on the provider asked for, by number."""
    if trial.loaded is None:
        return
    placement = trial.loaded.placement
    asked = trial.trial.settings.provider
    nodes = sum(placement.values())
    elsewhere = nodes - placement.get(asked, 0)
    about = (trial.trial.id, trial.trial.arm)
    if not nodes:
        if asked != _PROCESSOR:
            yield finding("placement-not-read", *about, provider=asked)
    elif elsewhere == nodes:
        yield finding("provider-unused", *about, provider=asked, nodes=nodes)
    elif elsewhere > FALLBACK_LIMIT * nodes:
        yield finding(
            "fallback",
            trial.trial.id,
            trial.trial.arm,
            provider=asked,
            nodes=nodes,
            elsewhere=elsewhere,
        )


_AS_GOOD_AS: Mapping[str, tuple[str | None, ...]] = {
    "governor": (None,),  # processors of one speed have none
    "screen": ("none",),
    "radios": ("none",),
    "charging": ("Discharging", "Not charging"),
}


def _conditions(record: RunRecord, trial: TrialRecord) -> Iterator[Finding]:
    """Compare the conditions read before the trial with those that were asked for.

    A model of a device has no surroundings; a host that stands in has no say.
    """
    reached, asked = trial.conditions, record.plan.profile.conditions
    is_real = origin_of(record, trial.trial) is Origin.MEASURED
    if reached is not None and (is_real or trial.trial.arm is Arm.HOST):
        yield from _load(trial, reached.busy_cores)
    if not is_real or reached is None:
        return
    about = trial.trial.id
    for name in SETTABLE:
        wanted, found = getattr(asked, name), getattr(reached, name)
        good = {wanted, *_AS_GOOD_AS[name]}
        if name in reached.missed or (wanted is not None and found not in good):
            yield finding(
                "condition-not-reached",
                about,
                condition=name,
                asked=str(wanted),
                reached=str(found or "unknown"),
                reason=reached.missed.get(name, ""),
            )
    ambient = reached.ambient_degc
    is_inside = (
        ambient is None or asked.ambient_min_degc <= ambient <= asked.ambient_max_degc
    )
    if ambient is not None and not is_inside:
        yield finding(
            "condition-not-reached",
            about,
            condition="ambient_degc",
            asked=f"{asked.ambient_min_degc} to {asked.ambient_max_degc}",
            reached=ambient,
        )
    limit, start = asked.device_max_start_degc, reached.device_degc
    if limit is not None and start is not None and start > limit:
        yield finding("throttled-at-start", about, limit_degc=limit, start_degc=start)


def _repeats(trial: TrialRecord) -> Iterator[Finding]:
    """Say so where inputs that had been seen before were answered faster."""
    if trial.repeats is None:
        return
    memory = find_memory(trial.repeats)
    if memory is not None:
        yield finding(
            "repeated-input-faster",
            trial.trial.id,
            trial.trial.arm,
            seen_s=memory.seen_s,
            unseen_s=memory.unseen_s,
            rounds=trial.repeats.rounds,
        )


def _unscored(trial: TrialRecord) -> Iterator[Finding]:
    """Say so where items, or all of them, could not be scored."""
    for key, reason in trial.notes.items():
        if key.startswith(_NOT_SCORED):
            yield finding(
                "items-not-scored",
                trial.trial.id,
                trial.trial.arm,
                condition=key.removeprefix(_NOT_SCORED),
                reason=reason,
            )


_NOT_SCORED = "not_scored."


def _throttling(trial: TrialRecord) -> Iterator[Finding]:
    """Say so where the kernel held the processor back, before the trial or in it."""
    seen = [
        value
        for block in trial.readings
        if block.channel.name == THROTTLE
        for value in block.values
    ]
    throttled = sum(value > 0 for value in seen)
    reached = trial.conditions
    at_start = (reached.throttle if reached else None) or 0.0
    if throttled or at_start > 0:
        yield finding(
            "throttled",
            trial.trial.id,
            trial.trial.arm,
            at_start=at_start,
            readings=len(seen),
            throttled=throttled,
        )


def _alignment(trial: TrialRecord) -> Iterator[Finding]:
    """Say so where marks were made and the clocks could not be related by them."""
    reason = trial.notes.get(REFUSED)
    # a meter that was lost has a finding of its own, and no marks to be found
    if reason is not None and "meter.failure" not in trial.notes:
        yield finding(
            "alignment-refused",
            trial.trial.id,
            trial.trial.arm,
            reason=reason,
            detail=trial.notes.get(VALUES, ""),
            used=trial.notes.get(MEANS, "none"),
        )


_BUSY_CORES = 0.5
"""Half a core of other work is enough to stretch tails on a shared cache."""


def _load(trial: TrialRecord, busy: float | None) -> Iterator[Finding]:
    """Say so where other processes kept cores busy just before the trial."""
    if busy is not None and busy > _BUSY_CORES:
        yield finding(
            "background-load", trial.trial.id, trial.trial.arm, busy_cores=busy
        )


def _enough(trial: TrialRecord) -> Iterator[Finding]:
    """Compare queries and seconds with the plan's minimum: both must be met."""
    if trial.marked is not None:
        yield from check_marked(trial)
        return
    planned, queries = trial.trial, len(stream_of(trial))
    if isinstance(planned.scenario, Talking):
        yield from check_talk(trial, planned.scenario)
        return
    if queries < planned.minimum.queries:
        yield finding(
            "too-few-queries",
            planned.id,
            planned.arm,
            queries=queries,
            minimum=planned.minimum.queries,
        )
    if isinstance(planned.scenario, ColdStart | Server):
        return  # a start has no window, and a search ends a probe that has failed
    wanted_ns = planned.minimum.duration_ns
    if isinstance(planned.scenario, Sustained):
        wanted_ns = max(wanted_ns, planned.scenario.duration_ns)
    seconds, wanted = _window_s(trial), wanted_ns / NS_PER_S
    if seconds < wanted * (1 - _WINDOW_SLACK):
        yield finding(
            "window-too-short",
            planned.id,
            planned.arm,
            seconds=round(seconds, 3),
            minimum=wanted,
        )


def _window_s(trial: TrialRecord) -> float:
    """Length of the window from the start of its phase, or from the first query."""
    window = window_of(trial)
    if window is None:
        return 0.0
    starts = [at_ns for phase, at_ns in trial.phases if phase is Phase.MEASURED]
    begin = min([window.start_s, *(at_ns / NS_PER_S for at_ns in starts[:1])])
    return window.end_s - begin


def _overhead(trial: TrialRecord) -> Iterator[Finding]:
    stream = stream_of(trial)
    if trial.overhead is None or not len(stream):
        return
    median = percentile_of_sorted(stream.ordered, 0.5)
    cost = trial.overhead.latency_p50_ns / NS_PER_S
    if cost > OVERHEAD_LIMIT * median:
        yield finding(
            "overhead-above-limit",
            trial.trial.id,
            trial.trial.arm,
            overhead_s=cost,
            median_s=median,
        )


def _readings(trial: TrialRecord) -> Iterator[Finding]:
    """Look at the power trace: readings lost in the window, and idle power drifting."""
    trace, window = power_trace(trial), window_of(trial)
    if trace is None or window is None:
        return
    lost, longest = trace.gaps(window)
    if lost > READINGS_LOST_LIMIT or longest > GAP_LIMIT * window.duration_s:
        yield finding(
            "readings-lost",
            trial.trial.id,
            trial.trial.arm,
            lost_ratio=lost,
            longest_s=longest,
        )
    guard = guard_s(trace.step_s, u_clock_s(trial), latency_s(trial))
    idle = idle_power(baselines(trial, trace, guard))
    if idle is None or idle.drift_w is None:
        return
    if abs(idle.drift_w) > BASELINE_DRIFT_LIMIT * abs(idle.power_w):
        yield finding(
            "baseline-drifted",
            trial.trial.id,
            trial.trial.arm,
            drift_w=idle.drift_w,
            idle_w=idle.power_w,
        )


_OF_A_FINISHED_TRIAL: tuple[Callable[[TrialRecord], Iterator[Finding]], ...] = (
    _enough,
    _overhead,
    _readings,
)

"""Energy and power of a group of runs, gross and net of idle.

Gross energy is the integral of power over the measured window. Net energy integrates
power less idle power up to a guard of three readings past the end, so that what a
slow meter smears over the edge is still inside; beyond it there is nothing to add. A
sum of whole readings between the edges would be wrong by up to a reading at each. At
the start of the window the load goes on from the warm-up, and the edge costs only
what the power changes there.

The budget (JCGM 100): spread between runs, or the block bootstrap of the readings and
the placement of a short window for one run alone; edges u_t·ΔP with u_t = T_s/√12;
drift of idle |P_after - P_before|·T/√12; noise of idle. What the meter's data sheet
says, and how wrong a model of a device may be, are added by `metered` and `modelled`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, hypot, inf, log, sqrt

import numpy as np

from harness.domain.estimate import Estimate
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.record import TrialRecord
from harness.domain.scenario import Periodic
from harness.stats.bootstrap import block_mean
from harness.stats.group import (
    NO_POWER_READINGS,
    NOT_READABLE,
    Answer,
    Figure,
    Group,
)
from harness.stats.power import PowerTrace, baselines, evidence_class, power_trace
from harness.stats.series import Window, is_measured, window_of
from harness.stats.uncertainty import TWO_SIDED, Reals, Term, between_runs, student

GUARD_READINGS = 3
_SECONDS_PER_HOUR = 3600.0
_PLACEMENT = ((10.0, 0.053), (60.0, 0.023), (300.0, 0.009))
"""Window in s → by how much its mean power strays from the 600 s mean, at most, in
95 % of 616 runs of systems below 20 W (computed from the power logs that MLCommons
published with MLPerf Inference v1.0, edge)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Idle power in W: mean, u of it from noise, and after less before."""

    power_w: float
    u_w: float
    drift_w: float | None
    """None where only one of the two baselines can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One figure of one run, with two uncertainties.

    `u_a` is of what changes from run to run, used where there is no second run;
    `u_b` of what every run has alike.
    """

    value: float
    u_a: float
    u_b: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnergy:
    """What the power trace of one run gives; net and idle are None without idle."""

    gross_j: Reading
    net_j: Reading | None
    power_w: Reading
    idle_w: Reading | None


def energy_answers(group: Group) -> Iterator[Answer]:
    """Give energy per inference, mean and idle power, and what a battery makes of it.

    Always-on power and battery figures are those of the periodic load.
    """
    runs = [found for trial in group.trials if (found := run_energy(trial))]
    grade = weakest_evidence(group)
    if not runs or grade is None:
        yield from (group.withhold(n, NO_POWER_READINGS) for n in energy_names(group))
        return

    def answer(name: str, take: Callable[[RunEnergy], Reading | None]) -> Answer:
        readings = [reading for run in runs if (reading := take(run)) is not None]
        if not readings:
            return group.withhold(name, NOT_READABLE)
        return group.estimate(name, figure_of(readings, group.queries, grade))

    yield answer("energy_per_inference_net", lambda run: run.net_j)
    yield answer("energy_per_inference_gross", lambda run: run.gross_j)
    yield answer("average_power", lambda run: run.power_w)
    yield answer("idle_power", lambda run: run.idle_w)
    if isinstance(group.scenario, Periodic):
        power = [run.power_w for run in runs]
        yield from _always_on(group, figure_of(power, group.queries, grade))


def run_energy(trial: TrialRecord) -> RunEnergy | None:
    """Integrate one run; None where readings are missing or do not span the window."""
    window, queries = window_of(trial), trial.queries
    if window is None or queries is None:
        return None
    inferences = float(is_measured(queries).sum() * queries.samples_per_query)
    return energy_within(trial, window, inferences)


def energy_within(
    trial: TrialRecord, window: Window, inferences: float
) -> RunEnergy | None:
    """Integrate a window of one run in which so many inferences, or tokens, were made.

    None where readings are missing or do not span the window.
    """
    trace = power_trace(trial)
    if trace is None or not trace.covers(window):
        return None
    tail_s = float(trace.ends_s[-1]) - window.end_s
    # half of the idle time after is kept for the baseline
    guard_s = max(min(GUARD_READINGS * trace.step_s, tail_s / 2), 0.0)
    idle = idle_power(baselines(trial, trace, guard_s))
    gross = _gross(trace, window, idle)
    net = None if idle is None else _net(trace, window, idle, guard_s)
    return RunEnergy(
        gross_j=_per(gross, inferences),
        net_j=None if net is None else _per(net, inferences),
        power_w=_per(gross, window.duration_s),
        idle_w=None if idle is None else _idle_reading(idle),
    )


def idle_power(series: Sequence[Reals]) -> Idle | None:
    """Take the mean of the baselines, each counting alike; None where there is none."""
    if not series:
        return None
    means = [block_mean(readings) for readings in series]
    both = len(means) > 1
    return Idle(
        power_w=sum(mean.value for mean in means) / len(means),
        u_w=hypot(*(mean.term.u for mean in means)) / len(means),
        drift_w=means[1].value - means[0].value if both else None,
    )


def placement_ratio(window_s: float) -> float:
    """Say how far a window's mean power may lie from that of ten minutes (95 %).

    Straight lines between the published points on logarithmic axes; beyond the ends
    the end values hold.
    """
    lengths = [log(length) for length, _ in _PLACEMENT]
    ratios = [log(ratio) for _, ratio in _PLACEMENT]
    return exp(float(np.interp(log(window_s), lengths, ratios)))


def _gross(trace: PowerTrace, window: Window, idle: Idle | None) -> Reading:
    energy = trace.energy_j(window)
    mean_w = energy / window.duration_s
    after_w = mean_w if idle is None else idle.power_w
    lead = _edge_j(trace, window.start_s)
    trail = trace.step_s / sqrt(12) * abs(mean_w - after_w)
    return Reading(
        value=energy, u_a=_one_run_j(trace, window, mean_w), u_b=hypot(lead, trail)
    )


def _net(trace: PowerTrace, window: Window, idle: Idle, guard_s: float) -> Reading:
    guarded = Window(start_s=window.start_s, end_s=window.end_s + guard_s)
    duration = guarded.duration_s
    net = trace.energy_j(guarded) - idle.power_w * duration
    drift = abs(idle.drift_w or 0.0) * duration / sqrt(12)
    lead = _edge_j(trace, window.start_s)
    mean_w = trace.energy_j(window) / window.duration_s
    # a guard of less than one reading guards nothing
    is_guarded = guard_s >= trace.step_s
    swing_w = 0.0 if is_guarded else mean_w - idle.power_w
    trail = trace.step_s / sqrt(12) * abs(swing_w)
    return Reading(
        value=net,
        u_a=_one_run_j(trace, window, mean_w),
        u_b=hypot(drift, lead, trail, idle.u_w * duration),
    )


def _edge_j(trace: PowerTrace, at_s: float) -> float:
    """Energy that an edge may cost: u_t times the change of power there."""
    index = int(np.searchsorted(trace.ends_s, at_s))
    first, last = max(index - 1, 0), min(index + 1, len(trace.power_w) - 1)
    change = abs(float(trace.power_w[last] - trace.power_w[first]))
    return trace.step_s / sqrt(12) * change


def _one_run_j(trace: PowerTrace, window: Window, mean_w: float) -> float:
    """Energy that one run alone may be off: noise of readings, and placement."""
    readings = trace.within(window)
    noise_w = block_mean(readings).term.u if len(readings) else 0.0
    placement_w = 0.0
    if trace.origin is Origin.MEASURED:
        reach = placement_ratio(window.duration_s) / student(inf, TWO_SIDED)
        placement_w = mean_w * reach
    return max(noise_w, placement_w) * window.duration_s


def _idle_reading(idle: Idle) -> Reading:
    drift = abs(idle.drift_w or 0.0) / sqrt(12)
    return Reading(value=idle.power_w, u_a=idle.u_w, u_b=drift)


def _per(reading: Reading, divisor: float) -> Reading:
    return Reading(
        value=reading.value / divisor,
        u_a=reading.u_a / divisor,
        u_b=reading.u_b / divisor,
    )


def figure_of(
    readings: Sequence[Reading], queries: int, grade: EvidenceClass
) -> Figure:
    """Put runs together; what they share does not shrink with their number."""
    shared = Term(u=sum(reading.u_b for reading in readings) / len(readings))
    if len(readings) == 1:
        value, own = readings[0].value, Term(u=readings[0].u_a)
        how = "one run, block bootstrap of readings"
    else:
        spread = between_runs([reading.value for reading in readings])
        value, own = spread.value, spread.term
        how = f"mean of {len(readings)} runs, Student t"
    modelled = "; modelled power" if grade is EvidenceClass.D else ""
    return Figure(
        value=value,
        terms=(own, shared),
        runs=len(readings),
        queries=queries,
        method=f"trapezoid on the meter's time stamps, {how}{modelled}",
        evidence_class=grade,
    )


def _always_on(group: Group, power: Figure) -> Iterator[Answer]:
    yield group.estimate("always_on_power", power)
    battery_j = group.profile.battery_j
    if battery_j is None or power.value <= 0:
        return
    yield group.estimate(
        "battery_life", _scaled(power, battery_j / power.value, "battery over power")
    )
    drain = power.value / battery_j * _SECONDS_PER_HOUR
    yield group.estimate("battery_drain", _scaled(power, drain, "power over battery"))


def _scaled(power: Figure, value: float, what: str) -> Figure:
    """Give a figure proportional to power or to its inverse: same relative u."""
    factor = value / power.value
    return Figure(
        value=value,
        terms=tuple(Term(u=t.u * factor, freedom=t.freedom) for t in power.terms),
        runs=power.runs,
        queries=power.queries,
        method=f"{what} that the profile states; {power.method}",
        evidence_class=power.evidence_class,
    )


def as_read(one: Estimate, group: Group) -> Estimate:
    """Give a power figure the origin of its readings where they are no evidence.

    The device may be real and its meter simulated: then the figure is simulated.
    """
    if one.evidence_class is None or not group.origin.is_evidence:
        return one
    for trial in group.trials:
        trace = power_trace(trial)
        if trace is not None and not trace.origin.is_evidence:
            return replace(one, origin=trace.origin)
    return one


def weakest_evidence(group: Group) -> EvidenceClass | None:
    """Take the weakest class among the runs, A being the strongest."""
    traces = [found for trial in group.trials if (found := power_trace(trial))]
    if not traces:
        return None
    return max(evidence_class(trace) for trace in traces)


def energy_names(group: Group) -> tuple[str, ...]:
    """Name the figures that the power readings of a group owe."""
    names = ("energy_per_inference_net", "energy_per_inference_gross", "average_power")
    if not isinstance(group.scenario, Periodic):
        return names
    battery = ("battery_life", "battery_drain") if group.profile.battery_j else ()
    return (*names, "always_on_power", *battery)

"""Energy and power of a group of runs, gross and net of idle, each with its budget.

Gross energy is the integral of power over the measured window. Net energy integrates
power less idle power up to a guard past the end (`harness.stats.guarded`), so that
what a slow meter smears over the edge is still inside; beyond it there is nothing to
add. A sum of whole readings between the edges would be wrong by up to a reading at
each. At the start of the window the load goes on from the warm-up, and the edge costs
only what the power changes there.

The budget (JCGM 100), row by row: spread between runs, or the block bootstrap of the
readings and the placement of a short window for one run alone; edges u_t·ΔP with
u_t² = T_s²/12 + u_clock²; drift of idle |P_after - P_before|·T/√12; noise of idle;
and what the meter's data sheet says (`harness.stats.budget`). How wrong a model of a
device may be is added by `modelled`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, hypot, inf, log, sqrt
from statistics import median, stdev

import numpy as np

from harness.domain.estimate import Estimate
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.query import Phase
from harness.domain.record import TrialRecord
from harness.domain.scenario import Periodic
from harness.stats.bootstrap import block_mean
from harness.stats.budget import Accuracy, Energy, Source, Use, meter_budget
from harness.stats.group import (
    CLOCKS_NOT_RELATED,
    NO_POWER_READINGS,
    NOT_READABLE,
    Answer,
    Figure,
    Group,
)
from harness.stats.guarded import MOST_LOST_RATIO, Guarded, lost_ratio, net_energy
from harness.stats.idle import Idle, baselines, guard_s, idle_power, rests
from harness.stats.marked import LEAST_WINDOWS, MEDIAN_VARIANCE, marked_windows
from harness.stats.meterchecks import why_refused
from harness.stats.metered import (
    MEANS,
    REFUSED,
    accuracy_noted,
    latency_s,
    u_clock_s,
)
from harness.stats.power import (
    PowerTrace,
    evidence_class,
    power_trace,
    trace_of,
)
from harness.stats.relation import Means, Reason, Refused
from harness.stats.series import Window, is_measured, window_of
from harness.stats.uncertainty import TWO_SIDED, Term, between_runs, student
from harness.units import NS_PER_S

_SECONDS_PER_HOUR = 3600.0
_PLACEMENT = ((10.0, 0.053), (60.0, 0.023), (300.0, 0.009))
"""Window in s → by how much its mean power strays from the 600 s mean, at most, in
95 % of 616 runs of systems below 20 W (computed from the power logs that MLCommons
published with MLPerf Inference v1.0, edge)."""
_OF_WINDOWS = "median of windows between falls of a pin"
WITHHELD_FOR = {
    Reason.READINGS_LOST: "readings-lost",
    Reason.NO_IDLE: "too-little-idle",
    Reason.NOT_COVERED: "readings-incomplete",
    Reason.NOT_BELIEVED: "readings-not-believed",
    Reason.EDGES_NOT_SEEN: "edges-not-seen",
}
"""Why an energy is refused → the reason that is given for the figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One figure of one run, with two kinds of uncertainty.

    `own` changes from run to run, and is used where there is no second run;
    `shared` is what every run has alike, source by source.
    """

    value: float
    own: Term
    shared: tuple[Term, ...]

    def per(self, divisor: float) -> "Reading":
        """Give the reading divided by an exact number."""
        return Reading(
            value=self.value / divisor,
            own=self.own.times(1 / divisor),
            shared=tuple(term.times(1 / divisor) for term in self.shared),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnergy:
    """What the power trace of one run gives; idle is None without a baseline."""

    gross_j: Reading
    net_j: Reading | Refused
    power_w: Reading
    idle_w: Reading | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One run laid out for integration: trace, window, and what is known of both."""

    trial: TrialRecord
    trace: PowerTrace
    window: Window
    guard_s: float
    u_edge_s: float
    meter: Accuracy | None
    mean_w: float
    idle: Idle | None


def energy_answers(group: Group) -> Iterator[Answer]:
    """Give energy per inference, mean and idle power, and what a battery makes of it.

    Always-on power and battery figures are those of the periodic load.
    """
    found = [one for trial in group.trials if (one := run_energy(trial)) is not None]
    runs = [one for one in found if isinstance(one, RunEnergy)]
    grade = weakest_evidence(group)
    if not runs or grade is None:
        reason = why_no_energy(group, found)
        yield from (group.withhold(name, reason) for name in energy_names(group))
        return

    def answer(name: str, take: Callable[[RunEnergy], Reading | None]) -> Answer:
        readings = [reading for run in runs if (reading := take(run)) is not None]
        if not readings:
            return group.withhold(name, NOT_READABLE)
        return group.estimate(name, figure_of(readings, _counted(group), grade))

    yield from _net(group, runs, grade)
    yield answer("energy_per_inference_gross", lambda run: run.gross_j)
    yield answer("average_power", lambda run: run.power_w)
    yield answer("idle_power", lambda run: run.idle_w)
    if isinstance(group.scenario, Periodic):
        power = [run.power_w for run in runs]
        yield from _always_on(group, figure_of(power, group.queries, grade))


def why_no_energy(group: Group, found: Sequence[RunEnergy | Refused]) -> str:
    """Say why a group has no energy: what was refused, or no readings at all."""
    reasons = [WITHHELD_FOR[one.reason] for one in found if isinstance(one, Refused)]
    if reasons:
        return reasons[0]
    is_apart = any(
        REFUSED in trial.notes
        or (trace_of(trial.readings) is not None and power_trace(trial) is None)
        for trial in group.trials
    )
    return CLOCKS_NOT_RELATED if is_apart else NO_POWER_READINGS


def _net(
    group: Group, runs: Sequence[RunEnergy], grade: EvidenceClass
) -> Iterator[Answer]:
    name = "energy_per_inference_net"
    readings = [run.net_j for run in runs if isinstance(run.net_j, Reading)]
    if readings:
        yield group.estimate(name, figure_of(readings, _counted(group), grade))
        return
    refused = [run.net_j for run in runs if isinstance(run.net_j, Refused)]
    yield group.withhold(name, WITHHELD_FOR[refused[0].reason])


def run_energy(trial: TrialRecord) -> RunEnergy | Refused | None:
    """Integrate one run.

    None where there are no readings over the window; refused where more than 0.1 % of
    them are missing in it, or where they cannot be believed.
    """
    if trial.marked is not None:
        return _median_energy(trial, trial.marked.inferences)
    window, queries = window_of(trial), trial.queries
    if window is None or queries is None:
        return None
    inferences = float(is_measured(queries).sum() * queries.samples_per_query)
    return energy_within(trial, window, inferences)


def _median_energy(
    trial: TrialRecord, inferences: Sequence[int]
) -> RunEnergy | Refused | None:
    """Take the medians of windows that falls of a pin mark (MLPerf Tiny, energy)."""
    found = [
        energy_within(trial, window, count)
        for window, count in zip(marked_windows(trial), inferences, strict=False)
        if window is not None
    ]
    runs = [one for one in found if isinstance(one, RunEnergy)]
    refused = [one for one in found if isinstance(one, Refused)]
    if refused:
        return refused[0]
    if len(runs) < LEAST_WINDOWS:
        values = {"windows": float(len(inferences)), "seen": float(len(runs))}
        return Refused(reason=Reason.EDGES_NOT_SEEN, values=values)
    nets = [one.net_j for one in runs]
    net = next((one for one in nets if isinstance(one, Refused)), None)
    return RunEnergy(
        gross_j=_median([one.gross_j for one in runs]),
        net_j=net or _median([one for one in nets if isinstance(one, Reading)]),
        power_w=_median([one.power_w for one in runs]),
        idle_w=runs[0].idle_w,
    )


def _median(readings: Sequence[Reading]) -> Reading:
    """Take the median; what the windows share does not shrink with their number."""
    values = [reading.value for reading in readings]
    count = len(values)
    u = stdev(values) * sqrt(MEDIAN_VARIANCE[count])
    return Reading(
        value=median(values),
        own=Term(u=u, freedom=count - 1, source=Source.REPEATABILITY),
        shared=tuple(_shared(readings)),
    )


def energy_within(
    trial: TrialRecord, window: Window, inferences: float, *, rests_after: bool = True
) -> RunEnergy | Refused | None:
    """Integrate a window of one run with so many inferences in it; as `run_energy`.

    Where the device goes on working after the window, there is no guard behind it.
    """
    refused = why_refused(trial)
    if refused is not None:
        return refused
    run = _laid_out(trial, window)
    if run is None:
        return None
    if not rests_after:
        run = replace(run, guard_s=0.0)
    lost = lost_ratio(run.trace, run.window)
    if lost > MOST_LOST_RATIO:
        return Refused(reason=Reason.READINGS_LOST, values={"lost_ratio": lost})
    gross, net = _gross(run), _guarded_net(run)
    return RunEnergy(
        gross_j=gross.per(inferences),
        net_j=net.per(inferences) if isinstance(net, Reading) else net,
        power_w=gross.per(run.window.duration_s),
        idle_w=None if run.idle is None else _idle_reading(run.idle, run.meter),
    )


def _laid_out(trial: TrialRecord, window: Window) -> _Run | None:
    trace = power_trace(trial)
    if trace is None or not trace.covers(window):
        return None
    u_clock = u_clock_s(trial)
    wanted = guard_s(trace.step_s, u_clock, latency_s(trial))
    guard = max(min(wanted, _rest_after_s(trial, trace, window)), 0.0)
    return _Run(
        trial=trial,
        trace=trace,
        window=window,
        guard_s=guard,
        u_edge_s=hypot(trace.step_s / sqrt(12), u_clock),
        meter=accuracy_noted(trial),
        mean_w=trace.energy_j(window) / window.duration_s,
        idle=idle_power(baselines(trial, trace, wanted)),
    )


def _rest_after_s(trial: TrialRecord, trace: PowerTrace, window: Window) -> float:
    """Give for how long the device rests after the window: to a mark, or half of idle.

    The other half is kept for the baseline.
    """
    for made in trial.pulses:
        if made.phase is Phase.POSTAMBLE:
            return made.rises_ns[0] / NS_PER_S - window.end_s
    return (float(trace.ends_s[-1]) - window.end_s) / 2


def placement_ratio(window_s: float) -> float:
    """Say how far a window's mean power may lie from that of ten minutes (95 %).

    Straight lines between the published points on logarithmic axes; beyond the ends
    the end values hold.
    """
    lengths = [log(length) for length, _ in _PLACEMENT]
    ratios = [log(ratio) for _, ratio in _PLACEMENT]
    return exp(float(np.interp(log(window_s), lengths, ratios)))


def _gross(run: _Run) -> Reading:
    energy = run.mean_w * run.window.duration_s
    after_w = run.mean_w if run.idle is None else run.idle.power_w
    trail = run.u_edge_s * abs(run.mean_w - after_w)
    edges = Term(u=hypot(_lead_j(run), trail), source=Source.EDGES)
    return Reading(
        value=energy,
        own=_one_run_j(run),
        shared=(edges, *_meter_terms(run, Energy.GROSS, energy)),
    )


def _guarded_net(run: _Run) -> Reading | Refused:
    """Give net energy in J: from the window's start, as the load was on already."""
    end_s = run.window.end_s + run.guard_s
    span = Window(start_s=run.window.start_s, end_s=end_s)
    wanted = guard_s(run.trace.step_s, u_clock_s(run.trial), latency_s(run.trial))
    found = net_energy(run.trace, run.window, span, rests(run.trial, run.trace, wanted))
    if isinstance(found, Refused):
        return found
    # a guard of less than one reading guards nothing
    is_guarded = run.guard_s >= run.trace.step_s
    swing_w = 0.0 if is_guarded else run.mean_w - found.idle.power_w
    edges = hypot(_lead_j(run), run.u_edge_s * abs(swing_w))
    return Reading(
        value=found.energy_j,
        own=_one_run_j(run),
        shared=(
            Term(u=edges, source=Source.EDGES),
            *_idle_terms(found, span),
            *_meter_terms(run, Energy.NET, found.energy_j),
        ),
    )


def _idle_terms(found: Guarded, span: Window) -> Iterator[Term]:
    drift_w = abs(found.idle.drift_w or 0.0)
    yield Term(u=drift_w * span.duration_s / sqrt(12), source=Source.IDLE_DRIFT)
    for term in found.scatter:
        if term.source is Source.IDLE_NOISE:
            yield Term(u=term.u, freedom=term.freedom, source=term.source)


def _meter_terms(run: _Run, energy: Energy, value_j: float) -> Iterator[Term]:
    """Give what the data sheet adds; nothing where no meter stands behind a trace."""
    if run.meter is None:
        return
    use = Use(
        energy=energy,
        duration_s=run.window.duration_s,
        step_s=run.trace.step_s,
        active_w=run.mean_w,
    )
    for term in meter_budget(run.meter, use, value_j).terms:
        if term.u > 0:
            yield Term(u=term.u, freedom=term.freedom, source=term.source)


def _lead_j(run: _Run) -> float:
    """Energy that the first edge may cost: u_t times the change of power there."""
    trace = run.trace
    index = int(np.searchsorted(trace.ends_s, run.window.start_s))
    first, last = max(index - 1, 0), min(index + 1, len(trace.power_w) - 1)
    change = abs(float(trace.power_w[last] - trace.power_w[first]))
    return run.u_edge_s * change


def _one_run_j(run: _Run) -> Term:
    """Energy that one run alone may be off: noise of readings, or placement."""
    readings = run.trace.within(run.window)
    noise = block_mean(readings).term if len(readings) else Term(u=0.0)
    placement_w = 0.0
    if run.trace.origin is Origin.MEASURED:
        reach = placement_ratio(run.window.duration_s) / student(inf, TWO_SIDED)
        placement_w = run.mean_w * reach
    if placement_w > noise.u:
        return Term(u=placement_w * run.window.duration_s, source=Source.PLACEMENT)
    return Term(u=noise.u * run.window.duration_s, source=Source.NOISE)


def _idle_reading(idle: Idle, meter: Accuracy | None) -> Reading:
    drift = Term(u=abs(idle.drift_w or 0.0) / sqrt(12), source=Source.IDLE_DRIFT)
    own = Term(u=idle.u_w, source=Source.IDLE_NOISE)
    if meter is None:
        return Reading(value=idle.power_w, own=own, shared=(drift,))
    # a second of idle: its energy in J is its power in W
    use = Use(energy=Energy.GROSS, duration_s=1.0, step_s=1.0, active_w=idle.power_w)
    terms = (
        Term(u=term.u, source=term.source)
        for term in meter_budget(meter, use, idle.power_w).terms
        if term.u > 0
    )
    return Reading(value=idle.power_w, own=own, shared=(drift, *terms))


def figure_of(
    readings: Sequence[Reading], queries: int, grade: EvidenceClass
) -> Figure:
    """Put runs together; what they share does not shrink with their number."""
    if len(readings) == 1:
        value, own = readings[0].value, readings[0].own
        is_median = own.source is Source.REPEATABILITY
        how = f"one run, {_OF_WINDOWS if is_median else 'block bootstrap of readings'}"
    else:
        spread = between_runs([reading.value for reading in readings])
        value = spread.value
        own = replace(spread.term, source=Source.REPEATABILITY)
        how = f"mean of {len(readings)} runs, Student t"
        if readings[0].own.source is Source.REPEATABILITY:
            how = f"{how}; of each the {_OF_WINDOWS}"
    modelled = "; modelled power" if grade is EvidenceClass.D else ""
    return Figure(
        value=value,
        terms=(own, *_shared(readings)),
        runs=len(readings),
        queries=queries,
        method=f"trapezoid on the meter's time stamps, {how}{modelled}",
        evidence_class=grade,
    )


def _shared(readings: Sequence[Reading]) -> Iterator[Term]:
    """Give each source's mean over the runs: the same error in every one of them."""
    by_source: dict[str, list[Term]] = {}
    for reading in readings:
        for term in reading.shared:
            by_source.setdefault(term.source, []).append(term)
    for source, terms in by_source.items():
        yield Term(
            u=sum(term.u for term in terms) / len(readings),
            freedom=min(term.freedom for term in terms),
            source=source,
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
        terms=tuple(term.times(factor) for term in power.terms),
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


def _counted(group: Group) -> int:
    """Count the inferences behind a figure: queries, or those of marked windows."""
    marked = (one.marked.inferences for one in group.trials if one.marked)
    return group.queries or sum(map(sum, marked))


def weakest_evidence(group: Group) -> EvidenceClass | None:
    """Take the weakest class among the runs, A being the strongest."""
    classes = [one for trial in group.trials if (one := _evidence_of(trial))]
    return max(classes, default=None)


def _evidence_of(trial: TrialRecord) -> EvidenceClass | None:
    trace = power_trace(trial)
    if trace is None:
        return None
    found = evidence_class(trace)
    has_edge = trial.notes.get(MEANS) == Means.EDGES
    return EvidenceClass.A if found is EvidenceClass.B and has_edge else found


def energy_names(group: Group) -> tuple[str, ...]:
    """Name the figures that the power readings of a group owe."""
    names = ("energy_per_inference_net", "energy_per_inference_gross", "average_power")
    if not isinstance(group.scenario, Periodic):
        return names
    battery = ("battery_life", "battery_drain") if group.profile.battery_j else ()
    return (*names, "always_on_power", *battery)

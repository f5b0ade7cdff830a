"""What a meter saw, as the page shows it: zooms, energies of queries, and budgets.

Who the meter is and how its clock was related is here as well. Worked out here,
worded in the templates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.domain.estimate import BudgetRow, Estimate
from harness.domain.plan import Arm
from harness.domain.query import Phase
from harness.domain.record import RunRecord, TrialRecord
from harness.report import powercharts
from harness.report.powercharts import Zoom
from harness.report.series import Reals
from harness.stats.budget import REMEDIES, Source
from harness.stats.idle import baselines, guard_s, idle_power
from harness.stats.metered import MEANS, REFUSED, latency_s, u_clock_s
from harness.stats.perquery import query_energies
from harness.stats.power import PowerTrace, power_trace
from harness.stats.series import is_measured
from harness.units import NS_PER_S

_BUDGETED = (
    "energy_per_inference_net",
    "energy_per_inference_gross",
    "average_power",
    "always_on_power",
    "idle_power",
)
_QUERIES_SHOWN = 8
_MOST_ZOOMED = 4000
"""Readings drawn in one zoom; a longer one is cut off at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """One row of a budget as it is printed: its share is of the variance."""

    row: BudgetRow
    share: float
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """The budget of one figure."""

    estimate: Estimate
    lines: tuple[BudgetLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """How the clock of the meter was related to that of one trial."""

    trial: str
    means: str
    u_s: float
    offset_s: float
    skew: float
    refused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterView:
    """The meter of a run, as it described itself in the trials."""

    facts: Mapping[str, str]
    alignments: tuple[Alignment, ...]


def budgets(estimates: Sequence[Estimate]) -> tuple[BudgetView, ...]:
    """Give the budgets of the figures of power and energy that have one."""
    return tuple(
        BudgetView(estimate=one, lines=tuple(_lines(one)))
        for one in estimates
        if one.budget and one.measurand.name in _BUDGETED
    )


def meter_view(record: RunRecord) -> MeterView | None:
    """Give the meter that read the device; None where none did."""
    metered = [
        trial
        for trial in record.trials
        if trial.trial.arm is Arm.DEVICE and "meter.address" in trial.notes
    ]
    if not metered:
        return None
    facts = {
        key.removeprefix("meter."): value
        for key, value in metered[0].notes.items()
        if key.startswith("meter.")
    }
    return MeterView(
        facts=facts,
        alignments=tuple(_alignment(trial) for trial in metered if _is_related(trial)),
    )


def idle_w(trials: Sequence[TrialRecord]) -> float | None:
    """Give the idle power of the first run that has any, for a line in the chart."""
    for trial in trials:
        trace = power_trace(trial)
        idle = None if trace is None else idle_power(_baselines(trial, trace))
        if idle is not None:
            return idle.power_w
    return None


def zoom_image(trials: Sequence[TrialRecord]) -> str | None:
    """Draw the marks and the first queries of the first run that shows them."""
    for trial in trials:
        trace = power_trace(trial)
        if trace is None or u_clock_s(trial) == 0:
            continue
        zooms = [*_mark_zoom(trial, trace), *_query_zoom(trial, trace)]
        if zooms:
            idle = idle_power(_baselines(trial, trace))
            return powercharts.zooms(zooms, None if idle is None else idle.power_w)
    return None


def energies_image(trials: Sequence[TrialRecord]) -> str | None:
    """Draw how the energies of single queries are spread; None where unresolved."""
    found = [one for trial in trials if (one := query_energies(trial)) is not None]
    if not found:
        return None
    return powercharts.energies(np.concatenate([one.net_j for one in found]))


def _lines(one: Estimate) -> Iterator[BudgetLine]:
    whole = one.standard_uncertainty**2
    for row in one.budget:
        yield BudgetLine(
            row=row,
            share=row.u**2 / whole if whole else 0.0,
            remedy=REMEDIES[Source(row.source)].value,
        )


def _is_related(trial: TrialRecord) -> bool:
    return MEANS in trial.notes or REFUSED in trial.notes


def _alignment(trial: TrialRecord) -> Alignment:
    notes = trial.notes
    return Alignment(
        trial=trial.trial.id,
        means=notes.get(MEANS, ""),
        u_s=u_clock_s(trial),
        offset_s=float(notes.get("alignment.offset_s", "0")),
        skew=float(notes.get("alignment.skew", "0")),
        refused=notes.get(REFUSED, ""),
    )


def _baselines(trial: TrialRecord, trace: PowerTrace) -> list[Reals]:
    guard = guard_s(trace.step_s, u_clock_s(trial), latency_s(trial))
    return baselines(trial, trace, guard)


def _mark_zoom(trial: TrialRecord, trace: PowerTrace) -> Iterator[Zoom]:
    """Show the marks before the run, with the work that made them shaded."""
    for made in trial.pulses:
        if made.phase is Phase.PREAMBLE:
            rises = np.array(made.rises_ns) / NS_PER_S
            falls = np.array(made.falls_ns) / NS_PER_S
            lead = (falls[-1] - rises[0]) / 20
            span = (rises[0] - lead, falls[-1] + lead)
            yield from _zoom("marks", trace, span, (rises, falls))


def _query_zoom(trial: TrialRecord, trace: PowerTrace) -> Iterator[Zoom]:
    """Show the first measured queries, where the meter resolves them."""
    queries = trial.queries
    if queries is None or query_energies(trial) is None:
        return
    chosen = is_measured(queries)
    starts = np.asarray(queries.issued_ns)[chosen][:_QUERIES_SHOWN] / NS_PER_S
    ends = np.asarray(queries.completed_ns)[chosen][:_QUERIES_SHOWN] / NS_PER_S
    yield from _zoom("queries", trace, (starts[0], ends[-1]), (starts, ends))


def _zoom(
    kind: str,
    trace: PowerTrace,
    span: tuple[float, float],
    busy: tuple[Reals, Reals],
) -> Iterator[Zoom]:
    inside = (trace.ends_s > span[0]) & (trace.starts_s < span[1])
    if not inside.any():
        return
    chosen = np.flatnonzero(inside)[:_MOST_ZOOMED]
    edges = np.append(trace.starts_s[chosen[0]], trace.ends_s[chosen])
    yield Zoom(
        kind=kind,
        edges_s=edges - span[0],
        power_w=trace.power_w[chosen],
        busy_s=tuple(
            (float(start - span[0]), float(end - span[0]))
            for start, end in zip(*busy, strict=True)
            if end <= edges[-1]
        ),
    )

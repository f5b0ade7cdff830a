"""A record whose power readings lie on the clock of their trials, wherever they can.

A meter has a clock of its own, or its readings are stamped when they reach the host.
It may be calibrated: its readings are corrected by those lines first.
Either way their times are not those of the queries, until the marks in the trace say
how the two relate. That relation is derived here, from the record alone, so that a
better one can be applied to an old record; the evidence keeps the times as they were.

What was found is noted with each trial: ``alignment.means`` (``edges``, ``pulses`` or
``host-stamps``), ``alignment.u_s``, ``alignment.offset_s``, ``alignment.skew``; where
marks were made and the relation they gave was refused, ``alignment.refused`` with the
reason and ``alignment.values`` with what decided it. A relation that cannot be trusted
is never used: readings that the host stamped keep those stamps, with their larger
uncertainty, and readings of another clock stay on it and support no figure.
"""

import json
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import hypot, sqrt

import numpy as np

from harness.domain.calibration import CalibratedRange
from harness.domain.query import CLOCK_PAIRS, HOST_CLOCK
from harness.domain.reading import ReadingBlock
from harness.domain.record import RunRecord, TrialRecord
from harness.errors import SchemaError
from harness.loadgen.pulses import Burst, PulseTrain
from harness.meters.correction import corrected
from harness.schema.codec import from_plain
from harness.stats.alignment import align
from harness.stats.alignment_edges import align_by_edges
from harness.stats.marked import marked_windows, u_fall_s
from harness.stats.metered import MEANS, REFUSED, U_CLOCK, VALUES, latency_s
from harness.stats.power import POWER, PowerTrace, is_metered, trace_of
from harness.stats.relation import (
    Means,
    Refused,
    Relation,
    after,
    from_clock_pairs,
    from_host_stamps,
    on_host_clock,
)
from harness.units import NS_PER_S

CALIBRATION_LINES = "meter.calibration_lines"
"""Note that holds the lines of the meter's calibration, as JSON."""
CORRECTED = "meter.corrected"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Laid:
    """How the clock of a trial's meter relates to the trial's, and what was refused."""

    relation: Relation | None
    refused: Refused | None = None


def lay_over(record: RunRecord) -> RunRecord:
    """Give the record with power readings on the clocks of their trials.

    Trials without a meter, and those that were laid over before, stay as they are.
    """
    return replace(record, trials=tuple(laid_over(trial) for trial in record.trials))


def laid_over(trial: TrialRecord) -> TrialRecord:
    """Give one trial with its power readings corrected, and on its own clock."""
    trial = _corrected(trial)
    trace = trace_of(trial.readings)
    if trace is None or MEANS in trial.notes or not is_metered(trace):
        return trial
    if trial.marked is not None:
        return replace(trial, notes={**trial.notes, **_in_trace(trial, trace)})
    laid = _related(trial, trace)
    notes = {**trial.notes, **_notes(laid, trace)}
    if laid.relation is None:
        return replace(trial, notes=notes)
    return replace(
        trial,
        notes=notes,
        readings=tuple(
            _moved(block, trial.clock, laid.relation) for block in trial.readings
        ),
    )


def _in_trace(trial: TrialRecord, trace: PowerTrace) -> Mapping[str, str]:
    """Note that windows lie in the trace itself: no clock need be related."""
    if not any(marked_windows(trial)):
        return {}
    return {MEANS: Means.EDGES.value, U_CLOCK: f"{u_fall_s(trial, trace):.6g}"}


def _corrected(trial: TrialRecord) -> TrialRecord:
    """Correct readings of power by the lines of their meter's calibration, once."""
    lines = trial.notes.get(CALIBRATION_LINES)
    if lines is None or CORRECTED in trial.notes:
        return trial
    ranges = from_plain(
        tuple[CalibratedRange, ...], json.loads(lines), where=trial.trial.id
    )
    stated = trial.notes.get("meter.voltage_v")
    volts = float(stated) if stated else None
    return replace(
        trial,
        notes={**trial.notes, CORRECTED: "yes"},
        readings=tuple(
            corrected(block, ranges, volts) if block.channel.name == POWER else block
            for block in trial.readings
        ),
    )


def _related(trial: TrialRecord, trace: PowerTrace) -> _Laid:
    """Relate the clocks by the best means that can be trusted."""
    refused, pairs = None, _pairs(trial, trace)
    if isinstance(pairs, Refused):
        return _Laid(relation=None, refused=pairs)
    near = trace if pairs is None else on_host_clock(trace, pairs)
    for means in (align_by_edges, _by_pulses):
        found = means(trial, near)
        if isinstance(found, Relation):
            return _Laid(relation=found if pairs is None else after(pairs, found))
        refused = found or refused
    stamps = _by_stamps(trial, trace)
    if pairs is not None:
        stamps = replace(
            pairs,
            offset_ns=pairs.offset_ns + stamps.offset_ns,
            u_offset_ns=hypot(pairs.u_offset_ns, stamps.u_offset_ns),
        )
    elif trace.clock != trial.clock:
        return _Laid(relation=None, refused=refused)
    return _Laid(relation=stamps, refused=refused)


def _pairs(trial: TrialRecord, trace: PowerTrace) -> Relation | Refused | None:
    """Relate the host's clock to the board's where the record holds both, read at once.

    Only readings that the host stamped can be moved by them.
    """
    text = trial.notes.get(CLOCK_PAIRS)
    if text is None or trace.clock != HOST_CLOCK:
        return None
    try:
        return from_clock_pairs(text)
    except ValueError as error:
        raise SchemaError(
            f"The note '{CLOCK_PAIRS}' cannot be read: {error}",
            where=trial.trial.id,
            remedy="The record was changed, or written by another program.",
        ) from error


def _by_pulses(trial: TrialRecord, trace: PowerTrace) -> Relation | Refused | None:
    return align(_train(trial), trace) if trial.pulses else None


def _by_stamps(trial: TrialRecord, trace: PowerTrace) -> Relation:
    """Take a reading as arriving anywhere from at once to its meter's latency later."""
    late_s = latency_s(trial)
    return from_host_stamps(
        trace.step_s * NS_PER_S,
        late_s / 2 * NS_PER_S,
        late_s / sqrt(12) * NS_PER_S,
    )


def _train(trial: TrialRecord) -> PulseTrain:
    return PulseTrain(
        bursts=tuple(
            Burst(rises_ns=made.rises_ns, falls_ns=made.falls_ns)
            for made in trial.pulses
        )
    )


def _notes(laid: _Laid, trace: PowerTrace) -> Mapping[str, str]:
    notes: dict[str, str] = {}
    if laid.relation is not None:
        relation = laid.relation
        middle_ns = (trace.starts_s[0] + trace.ends_s[-1]) / 2 * NS_PER_S
        offset_ns = relation.to_host(np.array([middle_ns]))[0] - middle_ns
        reach_s = (trace.ends_s[-1] - trace.starts_s[0]) / 2
        # at the edges of a window, which lie off the middle, skew counts as well
        u_s = hypot(relation.u_at(middle_ns) / NS_PER_S, relation.u_skew * reach_s)
        notes |= {
            MEANS: relation.means.value,
            U_CLOCK: f"{u_s:.6g}",
            "alignment.offset_s": f"{float(offset_ns) / NS_PER_S:.6g}",
            "alignment.skew": f"{relation.skew:.6g}",
        }
    if laid.refused is not None:
        values = laid.refused.values.items()
        notes |= {
            REFUSED: laid.refused.reason.value,
            VALUES: " ".join(f"{name}={value:.4g}" for name, value in values),
        }
    return notes


def _moved(block: ReadingBlock, clock: str, relation: Relation) -> ReadingBlock:
    """Give the readings of power with the trial's times; other channels as they are."""
    if block.channel.name != POWER:
        return block
    times = np.asarray(block.times_ns, dtype=np.int64)
    since = (times - relation.reference_ns).astype(np.float64)
    by = np.rint(relation.offset_ns + relation.skew * since).astype(np.int64)
    return replace(block, clock=clock, times_ns=array("q", (times + by).tobytes()))

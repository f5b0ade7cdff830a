"""Lay a recording of power beside the trials of a record that it is of.

The recorder's clock stays its own. Its zero is moved, once for the whole recording,
to where the run was found in it, so that it agrees with the host's clock as well as
phases tell; what relates the two clocks finely is left to statistics, as with any
meter that has a clock of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from harness.bench.limits import Limits, limit_notes
from harness.bench.metering import LOSS_LIMIT, failure
from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.query import CLOCK_PAIRS, HOST_BOOT, HOST_CLOCK, Outcome
from harness.domain.reading import ReadingBlock
from harness.domain.record import RunRecord, TrialRecord
from harness.errors import MeterError, NotCalibrated, UsageError
from harness.meters.accuracy import Accuracy, accuracy_of
from harness.meters.datasheet import datasheet_of
from harness.meters.decoding import thinned
from harness.meters.exports.trace import ImportedTrace
from harness.planning import EMULATED
from harness.record.additions import POWER_TRACE, NewAddition, NewTrial
from harness.stats.placement import Placement, activity_of, phases_of, place
from harness.stats.relation import Reason, Refused, Relation, from_clock_pairs
from harness.units import NS_PER_S

_MARGIN_S = 5.0
"""Kept before and after each trial: clocks are found to agree within two seconds."""
_GAP = 1.5
"""Longer than so many usual steps has lost a reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """A recording that was laid beside a record, ready to be added to it."""

    placement: Placement | None
    """Where the run was found in it; None: its stamps say."""
    addition: NewAddition


def lay(record: RunRecord, trace: ImportedTrace, *, name: str, original: bytes) -> Laid:
    """Find the run in a recording and cut out what belongs to each trial.

    Raises UsageError for a device that is emulated or a record without trials,
    MeterError where the run cannot be told in the recording, NotCalibrated where no
    data sheet says how wrong its power may be.
    """
    _require_rated(trace, name)
    trials = tuple(_measured(record))
    if trace.clock == HOST_CLOCK:
        return _laid_by_stamps(trials, trace, name=name, original=original)
    placement = _placed(trials, trace, name)
    shift_ns = round(placement.offset_s * NS_PER_S)
    blocks = tuple(_moved(block, shift_ns) for block in trace.blocks)
    added = tuple(
        one
        for number in range(len(trials))
        if (one := _cut(trials, number, blocks, trace)) is not None
    )
    found = {
        "offset_s": f"{placement.offset_s:.6f}",
        "correlation": f"{placement.correlation:.4f}",
        "lead": f"{placement.lead:.4g}",
    }
    addition = _addition(trace, name, original, found, added)
    return Laid(placement=placement, addition=addition)


def _laid_by_stamps(
    trials: tuple[TrialRecord, ...], trace: ImportedTrace, *, name: str, original: bytes
) -> Laid:
    """Lay readings that this machine has stamped beside trials of a board's clock.

    Both clocks were read together around them; times stay as they were taken, and are
    moved when figures are made of them, as those of a meter of the run itself.
    """
    added = []
    for number, trial in enumerate(trials):
        relation = _relation(trial, trace, name)
        near = tuple(_on_board_clock(block, relation) for block in trace.blocks)
        kept = _cut(trials, number, near, trace)
        if kept is None:
            continue
        blocks = tuple(_on_host_clock(block, relation) for block in kept.blocks)
        notes = {**kept.notes, "meter.clock": HOST_CLOCK}
        added.append(replace(kept, blocks=blocks, notes=notes))
    if not added:
        raise MeterError(
            "By its stamps the recording holds no trial of this run",
            where=name,
            remedy="Is it of this run? Otherwise leave by=host-stamps out.",
        )
    found = {"placed_by": "host-stamps"}
    addition = _addition(trace, name, original, found, tuple(added))
    return Laid(placement=None, addition=addition)


def _relation(trial: TrialRecord, trace: ImportedTrace, name: str) -> Relation:
    """Relate this machine's clock to a trial's. Raises UsageError, MeterError."""
    pairs = trial.notes.get(CLOCK_PAIRS)
    if pairs is None or trial.notes.get(HOST_BOOT) != trace.facts["host_boot"]:
        raise UsageError(
            f"Nothing relates this recording's clock to that of trial {trial.trial.id}",
            where=name,
            remedy="It was taken on another machine, or before a restart of this one. "
            "Leave by=host-stamps out: marks of load place it.",
        )
    relation = from_clock_pairs(pairs)
    if isinstance(relation, Refused):
        raise MeterError(
            "The clocks of host and board ran apart by "
            f"{relation.values['skew']:.2g}: one of them stood still or was set",
            where=name,
            remedy="Leave by=host-stamps out: marks of load place it.",
        )
    return relation


def _on_board_clock(block: ReadingBlock, relation: Relation) -> ReadingBlock:
    since = np.asarray(block.times_ns, dtype=np.int64) - relation.reference_ns
    shift = np.rint(relation.offset_ns + relation.skew * since).astype(np.int64)
    times = np.asarray(block.times_ns, dtype=np.int64) + shift
    return replace(block, times_ns=type(block.times_ns)("q", times.tobytes()))


def _on_host_clock(block: ReadingBlock, relation: Relation) -> ReadingBlock:
    """Undo `_on_board_clock`, to the nanosecond or two that rounding costs."""
    times = np.asarray(block.times_ns, dtype=np.int64)
    since = (times - relation.reference_ns - relation.offset_ns) / (1 + relation.skew)
    shift = np.rint(relation.offset_ns + relation.skew * since).astype(np.int64)
    moved = times - shift
    return replace(block, times_ns=type(block.times_ns)("q", moved.tobytes()))


def _addition(
    trace: ImportedTrace,
    name: str,
    original: bytes,
    found: dict[str, str],
    added: tuple[NewTrial, ...],
) -> NewAddition:
    return NewAddition(
        kind=POWER_TRACE,
        source_name=name,
        original=original,
        facts={
            "form": trace.form,
            "program": trace.program,
            "datasheet": trace.driver,
            "clock": trace.clock,
            "readings_missing": str(trace.loss.missing),
            "readings_expected": str(trace.loss.expected),
            **found,
            **trace.facts,
        },
        trials=added,
    )


def _measured(record: RunRecord) -> Iterator[TrialRecord]:
    origins = {sut.origin for sut in record.suts.values()}
    if record.plan.is_emulated or Origin.EMULATED in origins:
        raise UsageError(
            "The device of this record is emulated: it has no power to record",
            where=record.name,
            remedy="Measure a real device, such as --target local@.",
        )
    clock = ""
    for trial in record.trials:
        is_ours = (
            trial.trial.arm is Arm.DEVICE
            and not trial.trial.target.startswith(EMULATED)
            and trial.outcome is Outcome.DONE
            and phases_of(trial)
        )
        # times of two clocks cannot be laid along one recording
        if is_ours and clock in {"", trial.clock}:
            clock = trial.clock
            yield trial


def _placed(
    trials: tuple[TrialRecord, ...], trace: ImportedTrace, name: str
) -> Placement:
    activity = activity_of(trials)
    if activity is None:
        raise UsageError(
            "No trial of this record has both idle and busy phases to be found by",
            where=name,
            remedy="Run again with --power-trace, so that idle baselines are kept.",
        )
    power = trace.power
    ends_s = np.asarray(power.times_ns, dtype=np.int64) / NS_PER_S
    found = place(activity, ends_s, np.asarray(power.values))
    if isinstance(found, Refused):
        raise _refusal(found, name)
    return found


_SENTENCES = {
    Reason.NOT_COVERED: (
        "The recording ({recording_s:.0f} s) does not hold the run ({run_s:.0f} s)",
        "Start the recorder before the run and stop it after, and export all of it.",
    ),
    Reason.NO_MATCH: (
        "Nothing in the recording looks like this run (correlation {correlation:.2f})",
        "Check that it is of this run, and of the device under test only.",
    ),
    Reason.AMBIGUOUS: (
        "The recording looks like this run in two places (lead {lead:.2f})",
        "Export the time of this run only.",
    ),
}


def _refusal(refused: Refused, name: str) -> MeterError:
    what, remedy = _SENTENCES[refused.reason]
    return MeterError(what.format(**refused.values), where=name, remedy=remedy)


def _moved(block: ReadingBlock, shift_ns: int) -> ReadingBlock:
    times = np.asarray(block.times_ns, dtype=np.int64) + shift_ns
    return replace(block, times_ns=type(block.times_ns)("q", times.tobytes()))


def _cut(
    trials: tuple[TrialRecord, ...],
    number: int,
    blocks: tuple[ReadingBlock, ...],
    trace: ImportedTrace,
) -> NewTrial | None:
    """Give a trial its readings; None where the recording has none of it."""
    begin_ns, end_ns = _span(trials, number)
    cut = tuple(
        piece
        for block in blocks
        if len((piece := _within(block, begin_ns, end_ns)).values)
    )
    if not any(block.channel.name == "power" for block in cut):
        return None
    trial = trials[number].trial.id
    power = next(block for block in cut if block.channel.name == "power")
    return NewTrial(
        trial=trial,
        blocks=tuple(
            thinned(block) if block.channel.name == "power" else block for block in cut
        ),
        notes=_notes(trial, power, trace),
    )


def _span(trials: tuple[TrialRecord, ...], number: int) -> tuple[int, int]:
    """Give the time of a trial with margins that end where its neighbours are busy."""
    spans = [
        (phases[0][1].start_s, phases[-1][1].end_s) for phases in map(phases_of, trials)
    ]
    begin_s, end_s = spans[number]
    earliest = spans[number - 1][1] if number else -np.inf
    latest = spans[number + 1][0] if number + 1 < len(spans) else np.inf
    return (
        round(max(begin_s - _MARGIN_S, min(earliest, begin_s)) * NS_PER_S),
        round(min(end_s + _MARGIN_S, max(latest, end_s)) * NS_PER_S),
    )


def _within(block: ReadingBlock, begin_ns: int, end_ns: int) -> ReadingBlock:
    times = np.asarray(block.times_ns, dtype=np.int64)
    first, last = np.searchsorted(times, [begin_ns, end_ns])
    return replace(
        block, times_ns=block.times_ns[first:last], values=block.values[first:last]
    )


def _notes(trial: str, power: ReadingBlock, trace: ImportedTrace) -> dict[str, str]:
    """Say of a trial what a live meter's record says, and that it was recorded."""
    missing, expected = _lost(power, trace.step_s)
    facts = {
        "meter.address": power.channel.source,
        "meter.origin": power.origin.value,
        "meter.model": trace.facts.get("model") or trace.program,
        "meter.serial_number": trace.facts.get("serial_number", ""),
        "meter.voltage_v": trace.facts.get("voltage_v", ""),
        "meter.clock": power.clock,
        "meter.recorded_by": trace.program,
        "meter.readings_lost": str(missing),
        "meter.readings_expected": str(expected),
        # nobody knows in which trial they were, so each is a lower bound
        "meter.readings_over_range": str(trace.loss.over_range),
        # limits become a standard uncertainty here (rectangular, JCGM 100, 4.3.7)
        "meter.voltage_ratio": f"{trace.voltage_ratio / sqrt(3):.6g}",
    }
    if missing > LOSS_LIMIT * expected:
        facts |= failure("readings-lost", f"{missing} of {expected} readings lost")
    watts = np.asarray(power.values, dtype=np.float64)
    try:
        limits = {
            note.key: note.value
            for note in limit_notes(trial, watts, _limits_of(trace))
        }
    except NotCalibrated as error:
        # power of which nobody says how wrong it may be supports no figure
        limits = failure(error.code, error.sentence())
    return {key: value for key, value in (facts | limits).items() if value}


def _limits_of(trace: ImportedTrace) -> Limits:
    stated = trace.facts.get("voltage_v")
    volts = float(stated) if stated else None

    def limits(least_w: float, most_w: float) -> Accuracy:
        return accuracy_of(trace.driver, least_w=least_w, most_w=most_w, volts=volts)

    return limits


def _require_rated(trace: ImportedTrace, name: str) -> None:
    """Raise NotCalibrated where nobody says how wrong this recorder may be."""
    sheet = datasheet_of(trace.driver)
    is_by_current = all(one.channel != "power" for one in sheet.ranges)
    if is_by_current and "voltage_v" not in trace.facts:
        raise NotCalibrated(
            f"The data sheet of {sheet.model} rates current, and the recording holds "
            "power only",
            where=name,
            remedy="State the supply's voltage: FILE?voltage=3.0V&within=30mV",
        )


def _lost(power: ReadingBlock, step_s: float) -> tuple[int, int]:
    times = np.asarray(power.times_ns, dtype=np.int64)
    steps: NDArray[np.float64] = np.diff(times) / (step_s * NS_PER_S)
    missing = int(np.rint(steps[steps > _GAP] - 1).sum())
    return missing, len(power.values) + missing

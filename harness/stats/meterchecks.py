"""What befell the meter beside a trial, and what that leaves of the trial's energy.

Whoever read the meter notes how it went (``meter.failure``, ``meter.failure_code``,
``meter.readings_…``, ``meter.tally.…``); the trace itself shows a value that stands
still while the load does not, and one that is told in another unit from some time on.
Each window then has one of four answers (`WindowStatus`), never a number without one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from math import ceil
from types import MappingProxyType

import numpy as np

from harness.domain.finding import Finding
from harness.domain.query import Phase
from harness.domain.record import TrialRecord
from harness.stats.guarded import MOST_LOST_RATIO, lost_ratio
from harness.stats.power import PowerTrace, power_trace, trace_of
from harness.stats.relation import Reason, Refused
from harness.stats.series import Window, window_of
from harness.stats.severity import finding
from harness.stats.uncertainty import Reals
from harness.units import NS_PER_S

RANGE_CHANGES_LIMIT = 0.01
"""Share of readings next to a change of range, from which on it is worth saying."""
CLOCK_LIMIT_PPM = 50.0
"""Clocks of real meters are off by 106 to 138 millionths (five runs of 490 s published
with MLPerf Tiny v1.2); below this nothing comes of it."""
_LEAST_STUCK, _LEAST_STUCK_S = 5, 0.2
"""Equal readings on either side of a change of load, and for how long: clocks may be
related no better than that."""
_LEAST_BESIDE_STEP = 5
_UNIT_SLACK = 0.10
_PULSED = (Phase.PREAMBLE, Phase.POSTAMBLE)
"""Where the load is switched on purpose."""
_UNIT_FACTORS = (1e3, 1e6)

_BY_CODE: Mapping[str, str] = MappingProxyType(
    {
        "link": "meter-lost",
        "link-closed": "meter-lost",
        "link-timeout": "meter-silent",
        "readings-lost": "readings-lost",
        "over-range": "meter-saturated",
        "supply-changed": "power-state-changed",
    }
)
"""Code of the error that ended the readings → code of the finding."""
_WITHOUT_ENERGY = ("readings-lost", "not-calibrated", "supply-changed")
"""After these, what was read supports no energy, wherever it lies."""


class WindowStatus(StrEnum):
    """What may be said of the energy of a measured window."""

    OK = "ok"
    LOWER_BOUND = "lower-bound"
    """Power went beyond the meter's range: it took at least so much."""
    INCOMPLETE = "incomplete"
    """Readings end before the window does, or begin after it: no energy."""
    REFUSED = "refused"
    """There are readings, and they cannot be relied on: no energy."""


def window_status(trial: TrialRecord) -> WindowStatus | None:
    """Say what the meter leaves of the trial's energy; None where there was no meter.

    A failure after the window leaves its gross energy as it is.
    """
    trace, window = power_trace(trial), window_of(trial)
    if "meter.address" not in trial.notes and trace is None:
        return None
    if trial.notes.get("meter.failure_code") in _WITHOUT_ENERGY:
        return WindowStatus.REFUSED
    if trace is None:
        # there may be readings by a clock that has no relation to the trial's
        is_apart = trace_of(trial.readings) is not None
        return WindowStatus.REFUSED if is_apart else WindowStatus.INCOMPLETE
    if window is None or not trace.covers(window):
        return WindowStatus.INCOMPLETE
    return _of_covered(trial, trace, window)


def _of_covered(trial: TrialRecord, trace: PowerTrace, window: Window) -> WindowStatus:
    if lost_ratio(trace, window) > MOST_LOST_RATIO or _is_doubtful(trial, trace):
        return WindowStatus.REFUSED
    is_over = _count(trial, "meter.readings_over_range") > 0
    return WindowStatus.LOWER_BOUND if is_over else WindowStatus.OK


def why_refused(trial: TrialRecord) -> Refused | None:
    """Say why a metered trial has no energy; None where that is not the meter's doing.

    A trace whose clock has no relation to the trial's is refused elsewhere.
    """
    if "meter.address" not in trial.notes:
        return None
    status, trace = window_status(trial), power_trace(trial)
    code = trial.notes.get("meter.failure_code", "")
    is_doubtful = trace is not None and _is_doubtful(trial, trace)
    if code == "readings-lost":
        return Refused(reason=Reason.READINGS_LOST)
    if code in _WITHOUT_ENERGY or is_doubtful:
        return Refused(reason=Reason.NOT_BELIEVED)
    if status is WindowStatus.INCOMPLETE and code:
        return Refused(reason=Reason.NOT_COVERED)
    return None


def check_meter(trial: TrialRecord) -> Iterator[Finding]:
    """Give every finding about the meter beside one trial."""
    status = window_status(trial)
    if status is None:
        return
    about, window = (trial.trial.id, trial.trial.arm), status.value
    reason = trial.notes.get("meter.failure")
    if reason is not None:
        code = trial.notes.get("meter.failure_code", "readings-lost")
        found = finding(_BY_CODE.get(code, "meter-failed"), *about, reason=reason)
        after_s = float(trial.notes.get("meter.failure_after_s", "0"))
        when = {"after_s": after_s} if after_s else {}
        yield replace(found, values={**found.values, **when, "window": window})
    over_range = _count(trial, "meter.readings_over_range")
    if over_range:
        ratio = over_range / max(_count(trial, "meter.readings_expected"), over_range)
        yield finding("meter-saturated", *about, over_range_ratio=ratio, window=window)
    yield from _repairs(trial)
    trace = power_trace(trial)
    if trace is not None and _is_stuck(trial, trace):
        yield finding("readings-stuck", *about, window=window)
    if trace is not None and (factor := _unit_step(trial, trace)):
        yield finding("power-unit-changed", *about, factor=factor, window=window)


def _repairs(trial: TrialRecord) -> Iterator[Finding]:
    """Say what was put right, or could not be seen, without any harm to the energy."""
    about = (trial.trial.id, trial.trial.arm)
    tally = {
        name: _count(trial, f"meter.tally.{name}")
        for name in ("damaged", "repeated", "unreadable_bytes")
    }
    repaired = {name: count for name, count in tally.items() if count}
    if repaired:
        found = finding("readings-repaired", *about)
        missing = _count(trial, "meter.readings_lost")
        yield replace(found, values={**repaired, "readings_lost": missing})
    below = _count(trial, "meter.tally.below_threshold")
    if below:
        yield finding("below-threshold", *about, readings=below)
    received = _count(trial, "meter.tally.received")
    settling = _count(trial, "meter.tally.settling")
    if received and settling > RANGE_CHANGES_LIMIT * received:
        yield finding("range-changes", *about, settling_ratio=settling / received)
    off_ppm = float(trial.notes.get("meter.tally.clock_ppm", "0"))
    if abs(off_ppm) >= CLOCK_LIMIT_PPM:
        yield finding("meter-clock-off", *about, off_ppm=off_ppm)


def _count(trial: TrialRecord, note: str) -> int:
    return int(float(trial.notes.get(note, "0")))


def _is_doubtful(trial: TrialRecord, trace: PowerTrace) -> bool:
    return _is_stuck(trial, trace) or _unit_step(trial, trace) > 0


def _is_stuck(trial: TrialRecord, trace: PowerTrace) -> bool:
    """Say whether readings stay exactly the same while the load begins or ends."""
    changes = np.flatnonzero(np.diff(trace.power_w)) + 1
    least = max(_LEAST_STUCK, ceil(_LEAST_STUCK_S / trace.step_s))
    for at_s in _load_edges_s(trial):
        place = int(np.searchsorted(trace.ends_s, at_s, side="right"))
        before = changes[changes <= place]
        begin = int(before[-1]) if len(before) else 0
        after = changes[changes > place]
        end = int(after[0]) if len(after) else len(trace.power_w)
        if min(place - begin, end - place) >= least:
            return True
    return False


def _load_edges_s(trial: TrialRecord) -> list[float]:
    """Give the times at which idle ends and begins again: at marks, where they are."""
    if trial.marked is not None:
        heard = (*trial.marked.begun_ns, *trial.marked.ended_ns)
        return [at_ns / NS_PER_S for at_ns in heard]
    if trial.pulses:
        first, last = trial.pulses[0], trial.pulses[-1]
        return [first.rises_ns[0] / NS_PER_S, last.falls_ns[-1] / NS_PER_S]
    phases = [phase for phase, _ in trial.phases]
    starts = [at_ns / NS_PER_S for _, at_ns in trial.phases]
    edges = [
        start
        for before, start in zip(phases, starts[1:], strict=False)
        if before is Phase.BASELINE_BEFORE
    ]
    return edges + [
        start
        for phase, start in zip(phases, starts, strict=True)
        if phase is Phase.BASELINE_AFTER
    ]


def _unit_step(trial: TrialRecord, trace: PowerTrace) -> float:
    """Find a lasting step by a thousand or a million within one phase; 0.0: none.

    Between phases such a step may be the load's own: a device that sleeps.
    """
    starts = [at_ns / NS_PER_S for _, at_ns in trial.phases]
    phases = [phase for phase, _ in trial.phases]
    for phase, begin, end in zip(phases, starts, [*starts[1:], np.inf], strict=True):
        if phase in _PULSED:
            continue
        inside = (trace.starts_s >= begin) & (trace.ends_s <= end)
        factor = _lasting_step(trace.power_w[inside])
        if factor:
            return factor
    return 0.0


def _lasting_step(power_w: Reals) -> float:
    if len(power_w) < 2 * _LEAST_BESIDE_STEP or power_w.min() <= 0:
        return 0.0
    at = int(np.argmax(np.abs(np.diff(np.log(power_w))))) + 1
    before, after = power_w[:at], power_w[at:]
    if min(len(before), len(after)) < _LEAST_BESIDE_STEP:
        return 0.0
    ratio = float(np.median(after) / np.median(before))
    for factor in (*_UNIT_FACTORS, *(1 / factor for factor in _UNIT_FACTORS)):
        if abs(ratio / factor - 1) <= _UNIT_SLACK:
            return factor
    return 0.0

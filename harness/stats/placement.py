"""Where in a recording a run lies, found by what the run did.

A recorder of its own shares no clock with the host, and nobody says when it was
started. But the host knows when the device was busy and when it was idle, and power
tells the same story: the two are correlated at every shift (masked, so that times of
which nothing is known count for neither). This is only good to a fraction of the
shortest phase; pulses or edges relate the clocks then (`alignment`, `relation`).

A place is refused unless the recording holds nine tenths of the run, the correlation
is at least 0.4, and any other place leaves at least a twentieth more of the power's
variance unexplained. A wrong place that passes all the same is found out by the marks,
which are sought within two seconds of it only.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from harness.domain.query import Phase
from harness.domain.record import TrialRecord
from harness.stats.relation import Reason, Refused
from harness.stats.series import Window
from harness.stats.uncertainty import Reals
from harness.units import NS_PER_S

_BUSY = (Phase.WARM_UP, Phase.MEASURED)
_IDLE = (Phase.BASELINE_BEFORE, Phase.BASELINE_AFTER)
_FINEST_S = 0.02
_MOST_CELLS = 1 << 20
_LEAST_HELD = 0.9
_LEAST_CORRELATION = 0.4
_LEAST_LEAD = 1.05
_LEAST_CELLS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What the device did, in s of the host's clock; what is in neither is unknown."""

    busy: tuple[Window, ...]
    idle: tuple[Window, ...]

    @property
    def begin_s(self) -> float:
        """First time of which something is known."""
        return min(window.start_s for window in (*self.busy, *self.idle))

    @property
    def end_s(self) -> float:
        """Last time of which something is known."""
        return max(window.end_s for window in (*self.busy, *self.idle))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """host = recording + offset_s, coarsely, and what speaks for it."""

    offset_s: float
    step_s: float
    """Grid on which it was sought."""
    correlation: float
    lead: float
    """Variance unexplained at the next best place, over that at this one."""


def activity_of(trials: Iterable[TrialRecord]) -> Activity | None:
    """Tell from phases when the device was busy and when idle; None without both."""
    busy: list[Window] = []
    idle: list[Window] = []
    for trial in trials:
        for phase, window in phases_of(trial):
            if phase in _BUSY:
                busy.append(window)
            elif phase in _IDLE:
                idle.append(window)
    if not busy or not idle:
        return None
    return Activity(busy=tuple(busy), idle=tuple(idle))


def phases_of(trial: TrialRecord) -> list[tuple[Phase, Window]]:
    """Give the phases of a trial with their ends, in s of its clock.

    A phase ends where the next begins, the last idle one after the time planned. Any
    other last phase was broken off, and is left out.
    """
    begins = [at_ns for _, at_ns in trial.phases]
    ends = begins[1:]
    if trial.phases and trial.phases[-1][0] is Phase.BASELINE_AFTER:
        ends.append(begins[-1] + trial.trial.baseline_ns)
    return [
        (phase, Window(start_s=begin / NS_PER_S, end_s=end / NS_PER_S))
        for (phase, begin), end in zip(trial.phases, ends, strict=False)
    ]


def place(activity: Activity, ends_s: Reals, power_w: Reals) -> Placement | Refused:
    """Find where in a recording the run lies.

    `ends_s` are the ends of readings in s of the recorder's clock, increasing, and
    `power_w` their means.
    """
    length_s = activity.end_s - activity.begin_s
    step_s = max(
        _FINEST_S,
        float(np.median(np.diff(ends_s))),
        (length_s + float(ends_s[-1] - ends_s[0])) / _MOST_CELLS,
    )
    known, busy = _template(activity, step_s)
    held, power = _gridded(ends_s, power_w, step_s)
    if busy.sum() < _LEAST_CELLS or (known - busy).sum() < _LEAST_CELLS:
        return _not_covered(activity, ends_s)
    scores = _scores(known, busy, held, power)
    if scores is None:
        return _not_covered(activity, ends_s)
    best = int(np.nanargmax(scores.values))
    found = float(scores.values[best])
    evidence = {"correlation": found}
    if found < _LEAST_CORRELATION:
        return Refused(reason=Reason.NO_MATCH, values=evidence)
    shortest_s = min(one.duration_s for one in (*activity.busy, *activity.idle))
    lead = _lead(scores.values, best, int(shortest_s / step_s))
    if lead < _LEAST_LEAD:
        return Refused(reason=Reason.AMBIGUOUS, values=evidence | {"lead": lead})
    # cell `shift` of the recording lies under cell 0 of the template
    shift = best - scores.zero
    begin_s = float(ends_s[0]) + shift * step_s
    return Placement(
        offset_s=activity.begin_s - begin_s,
        step_s=step_s,
        correlation=found,
        lead=lead,
    )


def _not_covered(activity: Activity, ends_s: Reals) -> Refused:
    return Refused(
        reason=Reason.NOT_COVERED,
        values={
            "run_s": activity.end_s - activity.begin_s,
            "recording_s": float(ends_s[-1] - ends_s[0]),
        },
    )


def _template(activity: Activity, step_s: float) -> tuple[Reals, Reals]:
    """Give, cell by cell, 1 where something is known, and 1 where that is busy."""
    count = int(np.ceil((activity.end_s - activity.begin_s) / step_s)) + 1
    known, busy = np.zeros(count), np.zeros(count)
    for windows, marks in ((activity.busy, (known, busy)), (activity.idle, (known,))):
        for window in windows:
            first = int(np.ceil((window.start_s - activity.begin_s) / step_s))
            last = int(np.floor((window.end_s - activity.begin_s) / step_s))
            for mark in marks:
                mark[first:last] = 1.0
    return known, busy


def _gridded(ends_s: Reals, power_w: Reals, step_s: float) -> tuple[Reals, Reals]:
    """Average power in cells from the first reading's end on; 0 where none is held."""
    energy = np.concatenate([[0.0], np.cumsum(power_w[1:] * np.diff(ends_s))])
    count = int(np.floor((ends_s[-1] - ends_s[0]) / step_s))
    edges = ends_s[0] + step_s * np.arange(count + 1)
    mean = np.diff(np.interp(edges, ends_s, energy)) / step_s
    held = np.ones(count)
    # without the mean, the sums of squares below lose no digits
    return held, mean - mean.mean() if count else mean


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scores:
    values: Reals
    """Correlation by shift; NaN where too little is held."""
    zero: int
    """Place of shift 0."""


def _scores(known: Reals, busy: Reals, held: Reals, power: Reals) -> _Scores | None:
    """Correlate at every shift, over cells that both know; None where none holds it."""
    size = fft.next_fast_len(len(known) + len(held), real=True)

    def slid(template: Reals, recording: Reals) -> Reals:
        """Σ template[i]·recording[i + shift], for shifts from -(n-1) on."""
        spectrum = np.conj(fft.rfft(template, size)) * fft.rfft(recording, size)
        summed: Reals = np.roll(fft.irfft(spectrum, size), len(known) - 1)
        return summed[: len(known) + len(held) - 1]

    count = slid(known, held)
    enough = count >= _LEAST_HELD * known.sum()
    if not enough.any():
        return None
    sum_x, sum_y = slid(busy, held), slid(known, power)
    sum_yy, sum_xy = slid(known, power**2), slid(busy, power)
    covariance = count * sum_xy - sum_x * sum_y
    spread = (count * sum_x - sum_x**2) * (count * sum_yy - sum_y**2)
    is_told = enough & (spread > 1e-12 * max(float(spread.max()), 0.0)) & (spread > 0)
    values = np.full(len(count), np.nan)
    values[is_told] = covariance[is_told] / np.sqrt(spread[is_told])
    if not is_told.any():
        return None
    return _Scores(values=np.clip(values, -1.0, 1.0), zero=len(known) - 1)


def _lead(values: Reals, best: int, near: int) -> float:
    """Compare the best place with the best one outside its own hill.

    Within the shortest phase of it, and further while values fall, it is one place.
    """
    filled = np.where(np.isnan(values), -1.0, values)
    before = filled[: max(best - near, 0)][::-1]
    after = filled[best + near + 1 :]
    outside = np.concatenate([before[_hill(before) :], after[_hill(after) :]])
    others = outside[outside > 0]
    if not len(others):
        return float("inf")
    unexplained = max(1.0 - float(values[best]) ** 2, 1e-6)
    return (1.0 - float(others.max()) ** 2) / unexplained


def _hill(falling: NDArray[np.float64]) -> int:
    """Count how long values fall from the first on."""
    rises = np.flatnonzero(np.diff(falling) > 0)
    return int(rises[0]) + 1 if len(rises) else len(falling)

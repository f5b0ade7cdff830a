"""Windows that a device marked for a meter alone, found in the meter's own trace.

A pin fell at the begin and at the end of each window, and the meter saw it beside the
power: no clock has to be related to another, and energy is what lies between the last
two falls (MLPerf Tiny, energy; the first ones may be noise). Where the host heard of
begin and end says near which falls to look, and holds their distance to account.
"""

from collections.abc import Iterator
from math import sqrt

import numpy as np

from harness.domain.finding import Finding
from harness.domain.plan import INPUTS
from harness.domain.reading import ReadingBlock
from harness.domain.record import TrialRecord
from harness.stats.power import PowerTrace, power_trace
from harness.stats.series import Window
from harness.stats.severity import finding
from harness.stats.uncertainty import Reals
from harness.units import NS_PER_S

LEAST_WINDOW_S = 10.0
LEAST_WINDOWS = 3
"""Of five, from which a median is still taken."""
MEDIAN_VARIANCE = {3: 0.4487, 4: 0.2982, 5: 0.2868}
"""Number of normal values → variance of their median over that of one of them (A. E.
Sarhan, B. G. Greenberg, Contributions to Order Statistics, 1962, table 10B.1)."""
_NEAR_S = 0.5
"""The host hears of an edge some tens of milliseconds late (20 to 52 ms in the logs of
MLPerf Tiny v1.2), and stamps of a meter's readings come late as well."""
_RATIO = 2e-3


def marked_windows(trial: TrialRecord) -> tuple[Window | None, ...]:
    """Give each marked window by its falls; None where the meter did not see them.

    Empty where the trial marked none, or there is no trace to look in.
    """
    trace, marked = power_trace(trial), trial.marked
    if trace is None or marked is None:
        return ()
    falls = falls_s(trial, trace)
    return tuple(
        _window(falls, begun / NS_PER_S, ended / NS_PER_S)
        for begun, ended in zip(marked.begun_ns, marked.ended_ns, strict=True)
    )


def _window(falls: Reals, begun_s: float, ended_s: float) -> Window | None:
    """Give the last two falls near a window, where they are as far apart as it was."""
    near = falls[(falls > begun_s - _NEAR_S) & (falls < ended_s + _NEAR_S)]
    if len(near) < 2:  # noqa: PLR2004 - a begin and an end
        return None
    window = Window(start_s=float(near[-2]), end_s=float(near[-1]))
    heard_s = ended_s - begun_s
    is_same = abs(window.duration_s - heard_s) <= _NEAR_S + _RATIO * heard_s
    return window if is_same else None


def u_fall_s(trial: TrialRecord, trace: PowerTrace) -> float:
    """Give the standard uncertainty of when a fall was: anywhere within a reading."""
    steps = [_step_s(block, trace) for block in _blocks(trial, trace)]
    return max(steps, default=trace.step_s) / sqrt(12)


def falls_s(trial: TrialRecord, trace: PowerTrace) -> Reals:
    """Give when the pin fell, in s of the trace's clock, each amid its reading."""
    found = [_falls(block, trace, _bit(trial)) for block in _blocks(trial, trace)]
    return np.sort(np.concatenate(found)) if found else np.empty(0)


def _bit(trial: TrialRecord) -> int:
    return INPUTS.index(trial.marked.input) if trial.marked else 0


def _blocks(trial: TrialRecord, trace: PowerTrace) -> Iterator[ReadingBlock]:
    for block in trial.readings:
        is_of_meter = block.channel.source == trace.source
        if is_of_meter and block.channel.name in {"event", "logic"}:
            yield block


def _step_s(block: ReadingBlock, trace: PowerTrace) -> float:
    rate_hz = block.channel.rate_hz if block.channel.name == "logic" else None
    return 1 / rate_hz if rate_hz else trace.step_s


def _falls(block: ReadingBlock, trace: PowerTrace, bit: int) -> Reals:
    times = np.asarray(block.times_ns, dtype=np.int64) / NS_PER_S
    half: float = _step_s(block, trace) / 2
    if block.channel.name == "event":
        # it was given the time of the reading before the one in which it lies
        late: Reals = times + half
        return late
    levels = np.asarray(block.values, dtype=np.int64) >> bit & 1
    falls: Reals = times[1:][np.diff(levels) < 0]
    return falls - half


def check_marked(trial: TrialRecord) -> Iterator[Finding]:
    """Say so where marked windows were not seen, or are shorter than they must be."""
    marked = trial.marked
    if marked is None:
        return
    about, windows = (trial.trial.id, trial.trial.arm), marked_windows(trial)
    seen = [one for one in windows if one is not None]
    if len(seen) < len(marked.inferences):
        yield finding(
            "edges-not-seen",
            *about,
            input=marked.input,
            windows=len(marked.inferences),
            seen=len(seen),
        )
    shortest = min((one.duration_s for one in seen), default=LEAST_WINDOW_S)
    if shortest < LEAST_WINDOW_S:
        yield finding(
            "window-too-short",
            *about,
            seconds=round(shortest, 3),
            minimum=LEAST_WINDOW_S,
        )
    if sum(marked.inferences) < trial.trial.minimum.queries:
        yield finding(
            "too-few-queries",
            *about,
            queries=sum(marked.inferences),
            minimum=trial.trial.minimum.queries,
        )

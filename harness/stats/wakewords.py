"""How well and how busily a device listens: the streaming wake word of MLPerf Tiny.

A detection is right from the begin of a spoken word to one second after its end, since
the reference network looks back for one second; several of the same word are one. All
others are false, and those that follow a false one within a second belong to it. The
first detection of all is that of the first frame and marks the begin of the recording
(rules and mlcommons/tiny, benchmark/runner/README.md, v1.3 and v1.4; the runner there
allows two seconds, its own description one, which is what is done here).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from harness.domain.plan import Recording
from harness.domain.reading import ReadingBlock
from harness.domain.record import TrialRecord
from harness.stats.bootstrap import block_mean
from harness.stats.group import NO_START_MARK, Answer, Figure, Group
from harness.stats.series import is_measured, latencies_s
from harness.stats.uncertainty import Reals, Term, between_runs
from harness.units import NS_PER_S

LATE_S = 1.0
"""After the end of a word, a detection is still right for so long."""
SAME_S = 1.0
"""False detections within so long of another are one."""
_TICK_S = 10e-6
"""Steps of the interface board's timer."""
_COUNTS = ("true_positives", "false_negatives", "false_positives")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A pulse of the device, in s from the begin of the recording."""

    at_s: float
    word_s: float | None
    """Begin of the word that it was right about; None: it was false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a device heard of one recording."""

    detections: tuple[Detection, ...]
    """All of them, repeats as well, in order of time."""
    missed_s: tuple[float, ...]
    """Begins of words that nothing was heard of."""
    true_positives: int
    false_positives: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """Give true positives, false negatives and false positives."""
        return self.true_positives, len(self.missed_s), self.false_positives


def heard_in(trial: TrialRecord) -> Heard | None:
    """Hold what a device heard against what was said; None without a mark of begin."""
    recording, times = trial.trial.stream, _detections_s(trial.readings)
    if recording is None or not len(times):
        return None
    return judge(times[1:] - times[0], recording)


def judge(detections_s: Reals, recording: Recording) -> Heard:
    """Tell right from false; times are from the begin of the recording.

    A detection that lies near two words is of the first.
    """
    left = np.ones(len(detections_s), dtype=bool)
    words: dict[int, float] = {}
    missed = []
    for begin_ns, end_ns in recording.spoken_ns:
        begin, end = begin_ns / NS_PER_S, end_ns / NS_PER_S + LATE_S
        near = left & (detections_s >= begin) & (detections_s <= end)
        if not near.any():
            missed.append(begin)
        words |= dict.fromkeys(np.flatnonzero(near).tolist(), begin)
        left &= ~near
    return Heard(
        detections=tuple(
            Detection(at_s=float(at), word_s=words.get(place))
            for place, at in enumerate(detections_s)
        ),
        missed_s=tuple(missed),
        true_positives=len(recording.spoken_ns) - len(missed),
        false_positives=_debounced(detections_s[left]),
    )


def _debounced(false_s: Reals) -> int:
    """Count false detections, those within a second of the one counted last as one."""
    count, last = 0, -np.inf
    for at in np.sort(false_s):
        if at > last + SAME_S:
            count, last = count + 1, float(at)
    return count


def _detections_s(readings: Sequence[ReadingBlock]) -> Reals:
    for block in readings:
        if block.channel.name == "detection":
            times: Reals = np.asarray(block.times_ns, dtype=np.int64) / NS_PER_S
            return times
    return np.empty(0)


def wakeword_answers(group: Group) -> Iterator[Answer]:
    """Give counts, duty cycle, period of frames and the throughput that they leave.

    Nothing where the trials of a group were not of a recording.
    """
    if not any(trial.trial.stream for trial in group.trials):
        return
    heard = [one for trial in group.trials if (one := heard_in(trial)) is not None]
    for place, name in enumerate(_COUNTS):
        counts = [float(one.counts[place]) for one in heard]
        if counts:
            yield group.estimate(name, _counted(counts, group.queries))
        else:
            yield group.withhold(name, NO_START_MARK)
    frames = [found for trial in group.trials if (found := _frames(trial)) is not None]
    if not frames:
        return
    for name, take in _OF_FRAMES.items():
        yield group.estimate(name, _mean([take(one) for one in frames], group.queries))


def _counted(counts: Sequence[float], queries: int) -> Figure:
    """Give the mean count of runs; one run's count scatters as rare events do."""
    if len(counts) > 1:
        spread = between_runs(counts)
        return Figure(
            value=spread.value,
            terms=(spread.term,),
            runs=len(counts),
            queries=queries,
            method=f"mean of {len(counts)} runs, Student t",
        )
    return Figure(
        value=counts[0],
        terms=(Term(u=sqrt(max(counts[0], 1.0))),),
        queries=queries,
        method="count of one run, u as of a Poisson count",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frames:
    """Frames of one run: how long each was worked on, and how far apart they are."""

    busy_s: Reals
    periods_s: Reals

    @property
    def duty(self) -> tuple[float, float]:
        """Give mean time of work over mean period, and u of it."""
        (busy, u_busy), (period, u_period) = self.processing, self.period
        ratio = busy / period
        return ratio, ratio * sqrt((u_busy / busy) ** 2 + (u_period / period) ** 2)

    @property
    def processing(self) -> tuple[float, float]:
        """Give the mean time of work on a frame in s, and u of it."""
        return _with_u(self.busy_s)

    @property
    def period(self) -> tuple[float, float]:
        """Give the mean period of frames in s, and u of it."""
        return _with_u(self.periods_s)

    @property
    def rate(self) -> tuple[float, float]:
        """Give how many frames a second it could work on, and u of it."""
        busy, u = self.processing
        return 1 / busy, u / busy**2


_OF_FRAMES: dict[str, Callable[[_Frames], tuple[float, float]]] = {
    "duty_cycle": lambda frames: frames.duty,
    "frame_period": lambda frames: frames.period,
    "estimated_throughput": lambda frames: frames.rate,
}


def _frames(trial: TrialRecord) -> _Frames | None:
    queries = trial.queries
    if trial.trial.stream is None or queries is None or not is_measured(queries).any():
        return None
    chosen = is_measured(queries)
    begins = np.asarray(queries.issued_ns, dtype=np.int64)[chosen]
    busy = latencies_s(queries)[chosen]
    periods = np.diff(begins) / NS_PER_S
    if len(periods) == 0 or busy.mean() <= 0:
        return None
    return _Frames(busy_s=busy, periods_s=periods)


def _with_u(values: Reals) -> tuple[float, float]:
    """Give a mean and its u: scatter, and the steps in which it was told.

    Each end of an interval lies anywhere in its step; frames may keep time with the
    timer, so that this does not shrink with their number.
    """
    found = block_mean(values)
    return found.value, sqrt(found.term.u**2 + _TICK_S**2 / 6)


def _mean(runs: Sequence[tuple[float, float]], queries: int) -> Figure:
    values = [value for value, _ in runs]
    own = max(u for _, u in runs)
    if len(runs) == 1:
        return Figure(
            value=values[0],
            terms=(Term(u=own),),
            queries=queries,
            method="mean over the frames of one run, block bootstrap; steps of 10 µs",
        )
    spread = between_runs(values)
    return Figure(
        value=spread.value,
        terms=(spread.term, Term(u=own)),
        runs=len(runs),
        queries=queries,
        method=f"mean over frames, then of {len(runs)} runs; steps of 10 µs",
    )

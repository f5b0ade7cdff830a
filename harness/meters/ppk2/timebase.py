"""Losses of whole multiples of 64 readings, which only the host's clock can show.

The counter in each word runs modulo 64. Where 64 readings vanish, it goes on as if
nothing were missing, but from then on every reading arrives 0.64 ms later than its
place on the time axis says. Delays of the host come and go; this one stays. So the
lower envelope of the lateness is followed, one window of arrivals after the other: a
step of it that is still there one window later is a loss.

The two clocks drift apart by 50 to 150 parts per million, which is a step too, of the
same size in each window; the median of the steps before is taken off. Pure: it is
given times, it reads no clock.
"""

from collections import deque
from statistics import median

from harness.units import NS_PER_S

_WINDOW_NS = NS_PER_S
_STEPS_KEPT = 9
_MOST_DRIFT_NS = 200_000
"""In a window, at 200 parts per million: a larger step is no drift."""
_LEAST_WINDOWS = 10
"""A tenth of a millisecond of jitter at either end is 20 millionths of ten seconds."""
_CLEAR = 0.25
"""A step that is further than this from a whole multiple is not clear."""


class ArrivalWatch:
    """Finds multiples of a modulus of readings that are missing unseen."""

    def __init__(self, *, modulus: int, period_ns: int) -> None:
        self._modulus = modulus
        self._quantum_ns = modulus * period_ns
        self._period_ns = period_ns
        self._window_ends_ns: int | None = None
        self._lateness_ns = 0
        self._level_ns: int | None = None
        self._suspected_ns: int | None = None
        self._steps: deque[int] = deque(maxlen=_STEPS_KEPT)
        self._followed: list[tuple[int, int]] = []
        self.is_unclear = False
        """Whether a step was no clear multiple: the time axis is degraded there."""

    def note(self, arrival_ns: int, place: int) -> int:
        """Take the arrival of the reading at `place`; give how many are missing.

        The answer is 0 or a multiple of the modulus. From then on the caller's places
        are expected to be higher by as many.
        """
        lateness_ns = arrival_ns - place * self._period_ns
        if self._window_ends_ns is None or arrival_ns >= self._window_ends_ns:
            is_first = self._window_ends_ns is None
            ended_ns = self._window_ends_ns or arrival_ns
            envelope_ns, self._lateness_ns = self._lateness_ns, lateness_ns
            self._window_ends_ns = arrival_ns + _WINDOW_NS
            missing = 0 if is_first else self._judge(envelope_ns)
            if not is_first and self._level_ns is not None:
                self._followed.append((ended_ns, self._level_ns))
            self._lateness_ns -= missing * self._period_ns
            return missing
        self._lateness_ns = min(self._lateness_ns, lateness_ns)
        return 0

    def fast_ppm(self) -> float | None:
        """Say by how many millionths the meter's clock is fast of the host's.

        The slope of the envelope over all windows; None before it means anything.
        """
        if len(self._followed) < _LEAST_WINDOWS:
            return None
        (first_ns, first), (last_ns, last) = self._followed[0], self._followed[-1]
        return -1e6 * (last - first) / (last_ns - first_ns)

    def _judge(self, envelope_ns: int) -> int:
        if self._level_ns is None:
            self._level_ns = envelope_ns
            return 0
        step_ns = envelope_ns - self._level_ns - self._drift_ns()
        if self._suspected_ns is None:
            if step_ns < self._quantum_ns / 2:
                self._follow(envelope_ns)
            else:
                self._suspected_ns = envelope_ns
                self._level_ns += self._drift_ns()
            return 0
        stays_ns = min(step_ns, self._suspected_ns - self._level_ns)
        return self._settled(envelope_ns, stays_ns)

    def _settled(self, envelope_ns: int, stays_ns: int) -> int:
        """End a suspicion: what of the step is still there is a loss."""
        self._suspected_ns = None
        multiples = stays_ns / self._quantum_ns
        count = max(0, round(multiples))
        if count and abs(multiples - count) > _CLEAR:
            self.is_unclear = True
        self._level_ns = envelope_ns - count * self._quantum_ns
        return count * self._modulus

    def _follow(self, envelope_ns: int) -> None:
        """Take the envelope as the new level; a small step tells the drift."""
        step_ns = envelope_ns - (self._level_ns or 0)
        if abs(step_ns) <= _MOST_DRIFT_NS:
            self._steps.append(step_ns)
        self._level_ns = envelope_ns

    def _drift_ns(self) -> int:
        return round(median(self._steps)) if self._steps else 0

"""The search for the highest rate that a server keeps its latency bound at. Pure.

First bracket it, from a rate a little below what back-to-back queries reached, then
halve the bracket on a logarithmic scale. A rate counts as kept only by a probe of its
own; nothing is interpolated.
"""

from dataclasses import dataclass, replace
from math import sqrt

_FIRST_SHARE = 0.7
"""Share of the back-to-back rate that is tried first: queues grow quickly above."""
_UP = 1.5
_DOWN = 0.5
PROBES_AT_MOST = 20
_HOPELESS_SHARE = 1.0 / 64.0
"""Below this share of the back-to-back rate the bound itself is out of reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where a search stands: the bracket, and the rate of the probe to make now."""

    rate_hz: float
    tolerance: float
    """The search ends when high / low - 1 is at most this."""
    floor_hz: float
    probe: int = 0
    kept_hz: float | None = None
    """The highest rate that was kept so far."""
    missed_hz: float | None = None
    """The lowest rate that was not."""

    @classmethod
    def begin(cls, back_to_back_hz: float, tolerance: float) -> "Search":
        """Start below the rate that back-to-back queries reached."""
        return cls(
            rate_hz=back_to_back_hz * _FIRST_SHARE,
            tolerance=tolerance,
            floor_hz=back_to_back_hz * _HOPELESS_SHARE,
        )

    @property
    def is_over(self) -> bool:
        """Say whether no further probe is worth its time."""
        if self.probe >= PROBES_AT_MOST:
            return True
        if self.kept_hz is None:
            return self.rate_hz < self.floor_hz
        if self.missed_hz is None:
            return False
        return self.missed_hz / self.kept_hz - 1.0 <= self.tolerance

    def after(self, *, is_kept: bool) -> "Search":
        """Take the answer of the probe made at `rate_hz` and choose the next rate."""
        kept = self.rate_hz if is_kept else self.kept_hz
        missed = self.missed_hz if is_kept else self.rate_hz
        return replace(
            self,
            rate_hz=_between(kept, missed),
            probe=self.probe + 1,
            kept_hz=kept,
            missed_hz=missed,
        )


def _between(kept: float | None, missed: float | None) -> float:
    if kept is None and missed is not None:
        return missed * _DOWN
    if missed is None and kept is not None:
        return kept * _UP
    if kept is None or missed is None:
        raise ValueError("a probe answers one way or the other")
    return sqrt(kept * missed)

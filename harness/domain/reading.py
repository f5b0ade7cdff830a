"""Readings of instruments and counters, with their channel and provenance."""

from array import array
from dataclasses import dataclass

from harness.domain.origin import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One quantity that an instrument or counter gives.

    Names in use: ``power`` (W), ``rss`` (B), ``cpu`` (ratio of one core),
    ``frequency`` (Hz), ``temperature`` (degC), ``load`` (1), ``throttle`` (1, 0: not at
    all), ``charge`` (ratio of the battery's), ``charger`` (1: on, 0: off).
    """

    name: str
    unit: str
    """Unit inside, as `harness.units` names it."""
    source: str
    """Which instrument or counter: ``psutil``, ``emulated``, an address of a meter."""
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingBlock:
    """Readings of one channel, oldest first, stamped by the named clock.

    `times_ns` is array('q'), `values` array('d') of the same length. A reading of
    power stands for the mean over the interval that *ends* at its time.
    """

    channel: Channel
    clock: str
    origin: Origin
    times_ns: "array[int]"
    values: "array[float]"

    def __post_init__(self) -> None:
        if len(self.times_ns) != len(self.values):
            raise ValueError("a reading needs a time and a value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Readings known to be missing. Never guessed, never filled in."""

    missing: int
    expected: int
    over_range: int = 0
    """Readings at or beyond the end of the instrument's range. One that came with a
    number is a lower bound; one without is missing too."""

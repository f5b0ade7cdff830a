"""Times of readings as a file states them, made to a time axis that can be relied on.

Times run from 0, the first reading's. Readings that the file says are missing, or
that a gap in its times tells of, are counted; nothing is filled in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.domain.reading import Loss
from harness.errors import SchemaError
from harness.units import NS_PER_S

Reals = NDArray[np.float64]

_LEAST = 3
_GAP = 1.5
"""Longer than so many usual steps has lost a reading."""
_UNEVEN = 3
"""Coarse stamps may lie so many of their own steps beside an even axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Times in ns since the first reading, the usual step, and what is missing."""

    times_ns: NDArray[np.int64]
    step_s: float
    missing: int
    is_evened: bool = False
    """Whether coarse stamps were replaced by an even axis."""

    @property
    def loss(self) -> Loss:
        """Readings that are not there, be it a row left out or a value left empty."""
        return Loss(missing=self.missing, expected=len(self.times_ns) + self.missing)


def timeline(seconds: Reals, where: str) -> Timeline:
    """Make a time axis of times in s.

    Raises SchemaError for fewer than three readings, a time that is missing or goes
    back, or several readings at one time that no even rate explains.
    """
    if len(seconds) < _LEAST:
        raise SchemaError(
            f"There are {len(seconds)} readings, which make no trace",
            where=where,
            remedy="Export the whole recording.",
        )
    if not np.isfinite(seconds).all():
        place = int(np.flatnonzero(~np.isfinite(seconds))[0])
        raise SchemaError(
            f"Reading {place + 1} has no time",
            where=where,
            remedy="Export the recording anew.",
        )
    steps = np.diff(seconds)
    if (steps < 0).any():
        place = int(np.flatnonzero(steps < 0)[0]) + 1
        raise SchemaError(
            f"Time goes back at reading {place + 1}: from {seconds[place - 1]:.9g} s "
            f"to {seconds[place]:.9g} s",
            where=where,
            remedy="Export one recording at a time, in its own order.",
        )
    if (steps == 0).any():
        return _evened(seconds, where)
    step_s = float(np.median(steps))
    gaps = steps[steps > _GAP * step_s]
    return Timeline(
        times_ns=_ns(seconds - seconds[0]),
        step_s=step_s,
        missing=int(np.rint(gaps / step_s - 1).sum()),
    )


def _evened(seconds: Reals, where: str) -> Timeline:
    """Spread readings with coarse stamps evenly, where that agrees with the stamps."""
    distinct = np.unique(seconds)
    if len(distinct) < _LEAST:
        raise SchemaError(
            "Nearly all readings have the same time",
            where=where,
            remedy="Export the recording anew, with a time to each reading.",
        )
    count = len(seconds)
    step_s = float(seconds[-1] - seconds[0]) / (count - 1)
    even = seconds[0] + step_s * np.arange(count)
    coarse_s = float(np.median(np.diff(distinct)))
    worst_s = float(np.abs(even - seconds).max())
    if worst_s > _UNEVEN * coarse_s:
        raise SchemaError(
            f"Several readings share a time, and an even rate lies up to {worst_s:.3g} "
            "s beside their times",
            where=where,
            remedy="Export the recording with finer times.",
        )
    return Timeline(
        times_ns=_ns(even - seconds[0]), step_s=step_s, missing=0, is_evened=True
    )


def utc_seconds(texts: Sequence[str], where: str) -> tuple[Reals, str]:
    """Read wall-clock times; give seconds since the first, and the first as ISO 8601.

    Raises SchemaError for text that is no time.
    """
    try:
        parsed = pd.to_datetime(pd.Series(texts), utc=True, format="ISO8601")
    except ValueError as error:
        raise SchemaError(
            f"'{texts[0]}' is no date and time, or one further down is none",
            where=where,
            remedy="Export with times in seconds, or as 2026-01-31T12:00:00.000.",
        ) from error
    if parsed.isna().any():
        raise SchemaError(
            "A reading has no time", where=where, remedy="Export the recording anew."
        )
    since = (parsed - parsed.iloc[0]).to_numpy().astype("timedelta64[ns]")
    seconds = since.astype(np.int64) / NS_PER_S
    return seconds, parsed.iloc[0].isoformat(timespec="milliseconds")


def _ns(seconds: Reals) -> NDArray[np.int64]:
    return np.rint(seconds * NS_PER_S).astype(np.int64)

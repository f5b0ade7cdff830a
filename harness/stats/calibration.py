"""Gain and offset of a meter from simultaneous readings of it and of a reference.

Model: reference = offset + gain · indication, within one range of the meter. Where
indications spread well beyond their scatter, an ordinary line is fitted; where they
all lie at one level, as on a resistor, only the gain can be told, and the offset is
left to the data sheet's limits.

Uncertainty (JCGM 100:2008): type A from the residuals with n - 2 (or n - 1) degrees
of freedom; type B from the reference's limits ±(g·r + o), taken for rectangular
(4.3.7): what the reference is wrong by, the calibrated meter is wrong by too. The
offset's uncertainty is that of the intercept, and the (negative) covariance with the
gain is left out, which makes every reading above zero a little less certain than it
is, never more.

Pairs are taken for independent: they are means over intervals that do not overlap.
"""

from dataclasses import dataclass
from math import hypot, inf, sqrt

import numpy as np

from harness.stats.uncertainty import Reals, Term, combine, student

LEAST_PAIRS = 10
_SPREAD = 20.0
"""Indications must spread by so many times their scatter to tell gain from offset: an
error of 1/400 of the slope by noise in the abscissa is then the most (Fuller,
Measurement Error Models, 1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of error ±(gain·r + offset)."""

    gain_ratio: float
    offset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """reference = offset + gain · indication, with standard uncertainties."""

    gain: float
    offset: float
    u_gain_ratio: float
    u_offset: float
    freedom: float
    pairs: int
    is_gain_only: bool


def fit_line(
    indications: Reals, references: Reals, reference: Limits, own_offset: float
) -> Line:
    """Fit gain and offset. `own_offset` are the data sheet's limits ± of the meter.

    Raises ValueError for fewer than `LEAST_PAIRS` pairs, or indications about zero.
    """
    count = len(indications)
    if count < LEAST_PAIRS or count != len(references):
        raise ValueError(f"a calibration needs {LEAST_PAIRS} pairs, not {count}")
    middle = float(indications.mean())
    if middle == 0:
        raise ValueError("there is no gain without an indication")
    centred = indications - middle
    squares = float((centred**2).sum())
    if squares > 0:
        slope = float((centred * references).sum()) / squares
        left = references - references.mean() - slope * centred
        scatter = sqrt(float((left**2).sum()) / (count - 2))
        if slope > 0 and np.ptp(indications) > _SPREAD * scatter / slope:
            return _sloped(indications, references, reference, slope, scatter)
    return _level(indications, references, reference, own_offset)


def _sloped(
    indications: Reals,
    references: Reals,
    reference: Limits,
    slope: float,
    scatter: float,
) -> Line:
    count, middle = len(indications), float(indications.mean())
    squares = float(((indications - middle) ** 2).sum())
    seen = _Seen(
        gain=slope,
        offset=float(references.mean()) - slope * middle,
        u_gain_ratio=scatter / sqrt(squares) / slope,
        u_offset=scatter * sqrt(1 / count + middle**2 / squares),
        freedom=count - 2,
        pairs=count,
    )
    return seen.with_known(reference.gain_ratio, reference.offset)


def _level(
    indications: Reals, references: Reals, reference: Limits, own_offset: float
) -> Line:
    count, middle = len(indications), float(indications.mean())
    level = abs(float(references.mean()))
    gain = float(references.mean()) / middle
    seen = _Seen(
        gain=gain,
        offset=0.0,
        u_gain_ratio=float(np.std(references - gain * indications, ddof=1))
        / sqrt(count)
        / level,
        u_offset=0.0,
        freedom=count - 1,
        pairs=count,
    )
    # whatever the offsets are, at this level they are taken for a gain
    known = hypot(
        reference.gain_ratio, reference.offset / level, own_offset / abs(middle)
    )
    return seen.with_known(known, own_offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A line with what its pairs alone say of its uncertainty."""

    gain: float
    offset: float
    u_gain_ratio: float
    u_offset: float
    freedom: float
    pairs: int

    def with_known(self, gain_limit: float, offset_limit: float) -> Line:
        """Add limits ± of what every pair has alike, taken for rectangular."""
        u_gain, k_gain = combine(
            [
                Term(u=self.u_gain_ratio, freedom=self.freedom),
                Term(u=gain_limit / sqrt(3)),
            ]
        )
        u_offset, k_offset = combine(
            [
                Term(u=self.u_offset, freedom=self.freedom),
                Term(u=offset_limit / sqrt(3)),
            ]
        )
        # one number of degrees for both: that of the less certain coverage
        is_seen = max(k_gain, k_offset) > student(inf) * (1 + 1e-3)
        return Line(
            gain=self.gain,
            offset=self.offset,
            u_gain_ratio=u_gain,
            u_offset=u_offset,
            freedom=self.freedom if is_seen else inf,
            pairs=self.pairs,
            is_gain_only=self.u_offset == 0.0,
        )

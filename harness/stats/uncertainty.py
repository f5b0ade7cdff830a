"""Standard uncertainties put together as the GUM says, and factors that cover 95 %.

Symbols as in JCGM 100:2008: u standard uncertainty, ν degrees of freedom, k coverage
factor. It knows no measurand and no device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot, inf, isinf, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

Reals = NDArray[np.float64]

CONFIDENCE = 0.95
"""Coverage of expanded uncertainties (two-sided) and of one-sided bounds."""
TWO_SIDED = (1 + CONFIDENCE) / 2
_FREEDOM_OF_A_NORMAL = 1e6
"""Above so many degrees of freedom Student's t is the normal law to six digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One contribution: u in the unit of the result, and its degrees of freedom."""

    u: float
    freedom: float = inf
    """Infinite for a bound taken from knowledge (type B; JCGM 100, G.4.3)."""
    source: str = ""
    """A `Source` of the budget, for figures whose budget is printed row by row."""

    def times(self, factor: float) -> "Term":
        """Give the term of a figure `factor` times as large."""
        return replace(self, u=self.u * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A value between runs: mean, u of the mean, k, and one-sided 95 % bounds."""

    value: float
    term: Term
    lower: float
    upper: float


def rectangular(half_width: float) -> Term:
    """Give the term for a value known to lie within ±half_width (JCGM 100, 4.3.7)."""
    return Term(u=half_width / sqrt(3))


def student(freedom: float, probability: float = TWO_SIDED) -> float:
    """Give the quantile of Student's t; of the normal law for infinite freedom.

    >>> round(student(2), 3), round(student(inf), 3)
    (4.303, 1.96)
    """
    if freedom > _FREEDOM_OF_A_NORMAL:
        return float(special.ndtri(probability))
    return float(special.stdtrit(freedom, probability))


def combine(terms: Sequence[Term]) -> tuple[float, float]:
    """Combine uncorrelated terms: (u, k) with k for a coverage of 95 %.

    Root sum of squares, and the effective degrees of freedom of Welch and
    Satterthwaite (JCGM 100, 5.1.2 and G.4.1). No term, or none above zero, gives
    u = 0 and k = 2.
    """
    u = hypot(*(term.u for term in terms))
    if u == 0:
        return 0.0, 2.0
    # shares are taken before the fourth power, which would underflow for seconds
    share = sum((term.u / u) ** 4 / term.freedom for term in terms if term.u > 0)
    return u, student(1 / share if share > 0 else inf)


def between_runs(values: Sequence[float]) -> Spread:
    """Give the mean of independent runs with Student's t (JCGM 100, 4.2 and G.3).

    u = s/√R with ν = R - 1. Raises ValueError for fewer than two runs.
    """
    if len(values) < 2:  # noqa: PLR2004 - a spread needs two
        raise ValueError("the spread between runs needs two runs")
    observed = np.asarray(values, dtype=np.float64)
    freedom = len(observed) - 1
    mean = float(observed.mean())
    u = _spread_of(observed) / sqrt(len(observed))
    reach = student(freedom, CONFIDENCE) * u
    return Spread(
        value=mean,
        term=Term(u=u, freedom=freedom),
        lower=mean - reach,
        upper=mean + reach,
    )


def _spread_of(observed: Reals) -> float:
    """Sample standard deviation; exactly zero for equal values.

    The rounding of a mean of equal numbers must not look like a spread.
    """
    if np.all(observed == observed[0]):
        return 0.0
    return float(observed.std(ddof=1))


def is_known(bound: float) -> bool:
    """Say whether a bound exists: one that does not is held as ±infinity."""
    return not isinf(bound)

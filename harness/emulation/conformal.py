"""From residuals of left-out models to a factor that holds 90 % of new ones.

With 20 residuals or more the bound is conformal: of n absolute residuals of models
that the fit had not seen, the ⌈0.9 (n+1)⌉-th smallest; if the next model is like one
of these, it is within with a probability of at least 90 %, whatever the distribution
(Vovk et al., 2005; Lei et al., JASA 2018). With fewer there are too few ranks for it:
a Student bound, whose variance is shrunk to that which is usual of such devices.
"""

from collections.abc import Sequence
from math import ceil, exp, sqrt

import numpy as np
from scipy.special import stdtrit

COVERAGE = 0.90
CONFORMAL_FROM = 20
"""Residuals from which ranks are used alone."""
_PRIOR_COUNT = 4.0
"""Residuals that the usual spread of such devices is worth."""


def factor_90(residuals: Sequence[float], usual: float) -> float:
    """Give the factor that holds 90 % of new models.

    `residuals` are ln(predicted/measured) of left-out models; `usual` is their
    standard deviation on such devices.
    """
    if len(residuals) >= CONFORMAL_FROM:
        return exp(_rank_bound(residuals))
    return exp(_student_bound(residuals, usual))


def _rank_bound(residuals: Sequence[float]) -> float:
    count = len(residuals)
    rank = min(count, ceil(COVERAGE * (count + 1)))
    return float(np.sort(np.abs(residuals))[rank - 1])


def _student_bound(residuals: Sequence[float], usual: float) -> float:
    count = len(residuals)
    squares = sum(one * one for one in residuals)
    freedom = _PRIOR_COUNT + count
    variance = (_PRIOR_COUNT * usual**2 + squares) / freedom
    return float(stdtrit(freedom, (1 + COVERAGE) / 2)) * sqrt(variance)

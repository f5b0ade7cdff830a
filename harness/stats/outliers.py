"""Outliers of one run, classified and shown, never removed."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from harness.stats.uncertainty import Reals

_MILD, _SEVERE = 1.5, 3.0
"""Tukey's inner and outer fences, in interquartile ranges from the quartiles
(Exploratory Data Analysis, 1977, section 2D)."""
_SEVERE_BY_CHANCE = 2.34e-6
"""Share of a normal sample beyond Tukey's outer fences: 2·Φ(-4.7214)."""
_CHANCE = 1e-3
_LEAST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """How many observations lie beyond Tukey's fences, on the slow and fast side."""

    observations: int
    mild: int
    """Beyond 1.5 interquartile ranges, but not beyond 3."""
    severe: int
    fast: int
    """Of both kinds, on the fast side."""

    @property
    def is_unusual(self) -> bool:
        """Say whether there are more severe ones than chance gives a normal sample.

        Mild ones are in every sample (0.7 % of a normal one) and say nothing.
        """
        expected = self.observations * _SEVERE_BY_CHANCE
        by_chance = float(special.pdtrc(self.severe - 1, expected))
        return self.severe > 0 and by_chance < _CHANCE


def classify_outliers(latencies: Reals) -> Outliers:
    """Count the outliers of a run by Tukey's fences on the logarithm of latency.

    Latencies are skewed, and the logarithm takes most of that away. With no spread
    between the quartiles (a coarse clock) nothing is called an outlier.
    """
    none = Outliers(observations=len(latencies), mild=0, severe=0, fast=0)
    if len(latencies) < _LEAST or latencies.min() <= 0:
        return none
    logs = np.log(latencies)
    low, high = np.quantile(logs, [0.25, 0.75])
    reach = high - low
    if reach == 0:
        return none
    beyond = np.maximum(logs - high, low - logs) / reach
    return Outliers(
        observations=len(latencies),
        mild=int(((beyond > _MILD) & (beyond <= _SEVERE)).sum()),
        severe=int((beyond > _SEVERE).sum()),
        fast=int((logs < low - _MILD * reach).sum()),
    )

"""How long each query takes on an emulated device: scatter, outliers and heat."""

from collections.abc import Iterator
from math import exp

import numpy as np

from harness.emulation.predict import Prediction, Scatter, Throttling
from harness.units import NS_PER_S

_ROWS = 4096
"""Times are drawn in blocks, since a single draw costs as much as a thousand."""


def median_ns(prediction: Prediction, samples: int) -> float:
    """Give the median time of a query of several samples on a cool device, in ns."""
    each_s = prediction.latency_s - prediction.per_call_s
    return (prediction.per_call_s + samples * each_s) * NS_PER_S


def run_factor(scatter: Scatter, generator: np.random.Generator) -> float:
    """Draw how much slower or faster than the prediction a whole run is."""
    return float(np.exp(scatter.between_runs * generator.standard_normal()))


def durations_ns(
    typical_ns: float, scatter: Scatter, generator: np.random.Generator
) -> Iterator[int]:
    """Draw times about `typical_ns`, in whole ns and at least 1, without end."""
    while True:
        factors = np.exp(scatter.sigma * generator.standard_normal(_ROWS))
        if scatter.tail_share:
            is_slow = generator.random(_ROWS) < scatter.tail_share
            factors[is_slow] *= scatter.tail_factor
        times = np.maximum(1, np.rint(typical_ns * factors))
        yield from times.astype(np.int64).tolist()


class Heat:
    """Heat of a device from 0 (cool) to 1 (in balance with steady work)."""

    def __init__(self, throttling: Throttling, now_ns: int) -> None:
        self._law = throttling
        self._heat = 0.0
        self._at_ns = now_ns

    def idle_until(self, now_ns: int) -> None:
        """Cool down up to an instant."""
        self._heat *= self._left(now_ns - self._at_ns)
        self._at_ns = now_ns

    def work_until(self, now_ns: int) -> None:
        """Warm up to an instant, working all the while."""
        self._heat = 1.0 - (1.0 - self._heat) * self._left(now_ns - self._at_ns)
        self._at_ns = now_ns

    @property
    def speed(self) -> float:
        """Share of the full speed that the device has now."""
        law = self._law
        if self._heat <= law.onset:
            return 1.0
        excess = (self._heat - law.onset) / (1.0 - law.onset)
        return 1.0 - (1.0 - law.floor) * excess

    def _left(self, elapsed_ns: int) -> float:
        return exp(-elapsed_ns / (self._law.time_constant_s * NS_PER_S))

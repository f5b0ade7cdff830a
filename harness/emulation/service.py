"""How long each query takes on an emulated device: scatter and outliers."""

from collections.abc import Iterator

import numpy as np

from harness.emulation.prediction import Prediction, Scatter
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

"""The limits of error of the power that was read, as a trial's record notes them."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from harness.domain.query import Noted
from harness.meters.accuracy import Accuracy

Limits = Callable[[float, float], Accuracy]
"""Least and most power in W → limits of error of the ranges that hold them."""


def limit_notes(
    trial: str, watts: NDArray[np.float64], limits: Limits
) -> Iterator[Noted]:
    """Note the limits of error of the ranges that a trace touched.

    Raises NotCalibrated where nobody says how wrong such power may be.
    """
    found = limits(float(watts.min()), float(watts.max()))
    facts = {
        "meter.gain_ratio": found.gain_ratio,
        "meter.timebase_ratio": found.timebase_ratio,
        "meter.offset_w": found.offset_w,
        "meter.resolution_w": found.resolution_w,
        "meter.latency_s": found.latency_s,
    }
    for key, value in facts.items():
        yield Noted(trial=trial, key=key, value=f"{value:.6g}")
    yield Noted(trial=trial, key="meter.accuracy", value=found.source)

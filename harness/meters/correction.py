"""What a calibration makes of readings: pure, so that a record can be corrected later.

The evidence of a run holds readings as the meter gave them, and the lines of its
calibration beside them; what is derived from it holds corrected ones.
"""

from array import array
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.domain.calibration import CalibratedRange
from harness.domain.reading import ReadingBlock

Reals = NDArray[np.float64]


def corrected(
    block: ReadingBlock, ranges: Sequence[CalibratedRange], volts: float | None
) -> ReadingBlock:
    """Apply the lines of a calibration to the readings that they are of.

    A meter of current alone gives power as current times a voltage: there the line of
    the current corrects the power.
    """
    channel, scale = block.channel.name, 1.0
    lines = [one for one in ranges if one.channel == channel]
    if not lines and channel == "power" and volts:
        channel, scale = "current", volts
        lines = [one for one in ranges if one.channel == channel]
    if not lines:
        return block
    values: Reals = np.asarray(block.values, dtype=np.float64) / scale
    fixed = values.copy()
    # of ranges that touch, the first that was written holds at the border
    for one in reversed(lines):
        inside = (np.abs(values) >= one.least) & (np.abs(values) <= one.most)
        fixed[inside] = one.offset + one.gain * values[inside]
    return replace(block, values=array("d", (fixed * scale).tobytes()))

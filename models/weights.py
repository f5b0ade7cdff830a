"""Seeded numbers for weights and calibration: the same on every machine.

They come from the raw 64-bit words of PCG64, whose stream numpy promises to keep
(NEP 19), and pass only through exact integers and single IEEE operations. So no
float kernel of a CPU and no version of numpy has a say in them.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_STEPS = 1 << 15
_PARTS = 5
"""One part in so many is taken off the mean of a filter."""
_MEAN_KEPT = 1.0 - 1.0 / _PARTS
_RECTIFIED_GAIN = 1.0 / math.sqrt(
    0.5 - 0.5 / math.pi + _MEAN_KEPT * _MEAN_KEPT * 0.5 / math.pi
)
"""Keeps the variance of a unit normal through ReLU and such a filter: the gain of
He et al. (2015), which is the square root of 2 where nothing is taken off."""


@dataclass(slots=True)
class Stream:
    """A stream of seeded integers in [-32768, 32767]."""

    _bits: np.random.PCG64

    @classmethod
    def seeded(cls, seed: int) -> "Stream":
        """Start the stream that belongs to a seed."""
        return cls(np.random.PCG64(seed))

    def integers(self, count: int) -> npt.NDArray[np.int64]:
        """Take the next `count` integers (four from each 64-bit word)."""
        words = self._bits.random_raw(-(-count // 4))
        return words.astype("<u8").view("<i2")[:count].astype(np.int64)

    def uniform(self, shape: tuple[int, ...], low: float, high: float) -> Floats:
        """Draw reals on a grid of 65536 steps, evenly over [low, high]."""
        steps = self.integers(math.prod(shape)) + _STEPS
        return (
            (low + (high - low) * (steps / 65535.0)).astype(np.float32).reshape(shape)
        )

    def filters(
        self, shape: tuple[int, ...], *, is_rectified: bool, scale: float = 1.0
    ) -> Floats:
        """Draw weights [outputs, …] that neither shrink nor grow a signal.

        A part of each output's mean weight is taken off, so that what all inputs
        have in common does not drown what tells them apart. (All of it would make
        the network chaotic: rounding would grow from layer to layer.)
        `is_rectified` says that the inputs come from a ReLU; `scale` weakens one
        branch of a sum.
        """
        fan_in = math.prod(shape[1:])
        whole = self.integers(math.prod(shape)).reshape(shape[0], fan_in)
        if fan_in > 1:
            whole = _PARTS * fan_in * whole - whole.sum(axis=1, keepdims=True)
            unit = _STEPS * _PARTS * fan_in
        else:
            unit = _STEPS
        gain = scale * (_RECTIFIED_GAIN if is_rectified else 1.0)
        step = gain * math.sqrt(3.0 / fan_in) / unit
        return (whole * step).astype(np.float32).reshape(shape)

    def biases(self, count: int) -> Floats:
        """Draw small offsets, within ±1/16."""
        return self.uniform((count,), -0.0625, 0.0625)

"""Named loads: what a simulated instrument measures, a pure function of time.

The name is in the address of a simulated meter, such as ``ppk2@sim:idle-10mW?seed=7``.
A test that knows the name knows the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import SchemaError, UnknownName
from harness.units import parse_quantity

Watts = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Seconds since power-on → watts, elementwise."""

_RIPPLE = 0.02
"""Largest relative deviation of a load from its level."""
_TONES = 5
_BURST_PERIOD_S = 0.1
_BURST_DUTY = 0.3
_FLICKER_PERIOD_S = 0.5e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load by name, its levels in watts, and the seed of its ripple."""

    name: str
    levels_w: tuple[float, ...]
    seed: int = 0

    def watts(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the power at each time, float64 of the same shape."""
        base = _SHAPES[self.name].power(np.asarray(seconds, float), self.levels_w)
        return base * (1.0 + self._ripple(seconds))

    def mean_w(self) -> float:
        """Give the power in the long run."""
        return _SHAPES[self.name].mean(self.levels_w)

    def _ripple(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give a seeded sum of tones between 1 and 50 Hz with the mean 0."""
        generator = np.random.default_rng(self.seed)
        hertz = generator.uniform(1.0, 50.0, _TONES)
        phases = generator.uniform(0.0, 2 * np.pi, _TONES)
        total = np.zeros(np.shape(seconds))
        for tone, phase in zip(hertz, phases, strict=True):
            total = total + np.sin(2 * np.pi * tone * seconds + phase)
        return total * (_RIPPLE / _TONES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waveform:
    """The power that something drew: readings of it, each the mean of its interval.

    `skew` is by how much the clock of the instrument that reads it runs slow: its
    second s is the device's s·(1 + skew). Before and after, the first and last
    readings go on.
    """

    ends_s: NDArray[np.float64]
    powers_w: NDArray[np.float64]
    skew: float = 0.0
    seed: int = 0
    pin_s: tuple[tuple[float, float], ...] = ()
    """When a pin of the device was high, from and to in s of its clock."""
    pin_bit: int = 0
    """At which input of the instrument: 0 is D0."""

    def pin(self, seconds: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Give the instrument's inputs at each time: the pin's level in its bit."""
        device_s = np.asarray(seconds, float) * (1.0 + self.skew)
        edges = np.asarray(self.pin_s, float).ravel()
        levels: NDArray[np.uint8] = np.searchsorted(edges, device_s).astype(np.uint8)
        shifted: NDArray[np.uint8] = np.left_shift(levels % 2, np.uint8(self.pin_bit))
        return shifted

    def pin_falls_s(self) -> tuple[float, ...]:
        """Give when the pin fell, in s of the instrument's clock."""
        ends = (end / (1.0 + self.skew) for _, end in self.pin_s)
        return tuple(end for end in ends if end < np.inf)

    def watts(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the power at each time, float64 of the same shape."""
        device_s = np.asarray(seconds, float) * (1.0 + self.skew)
        place = np.searchsorted(self.ends_s, device_s)
        found: NDArray[np.float64] = self.powers_w[
            np.minimum(place, len(self.powers_w) - 1)
        ]
        return found


class Drawn(Protocol):
    """What a simulated instrument measures: a `Load`, a `Waveform`, one spoilt."""

    @property
    def seed(self) -> int:
        """Give the seed of what is random in it."""
        ...

    def watts(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the power at each time, float64 of the same shape."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    levels: int
    power: Callable[
        [NDArray[np.float64], tuple[float, ...]],
        NDArray[np.float64],
    ]
    mean: Callable[[tuple[float, ...]], float]
    example: str


def _idle(
    seconds: NDArray[np.float64], levels_w: tuple[float, ...]
) -> NDArray[np.float64]:
    return np.full(np.shape(seconds), levels_w[0])


def _bursts(
    seconds: NDArray[np.float64], levels_w: tuple[float, ...]
) -> NDArray[np.float64]:
    is_busy = seconds % _BURST_PERIOD_S < _BURST_DUTY * _BURST_PERIOD_S
    return np.where(is_busy, levels_w[1], levels_w[0])


def _flicker(
    seconds: NDArray[np.float64], levels_w: tuple[float, ...]
) -> NDArray[np.float64]:
    is_high = seconds % _FLICKER_PERIOD_S >= _FLICKER_PERIOD_S / 2
    return np.where(is_high, levels_w[1], levels_w[0])


def _bursts_mean(levels_w: tuple[float, ...]) -> float:
    return levels_w[0] + _BURST_DUTY * (levels_w[1] - levels_w[0])


_SHAPES = {
    "idle": _Shape(
        levels=1, power=_idle, mean=lambda levels: levels[0], example="idle-10mW"
    ),
    "bursts": _Shape(
        levels=2, power=_bursts, mean=_bursts_mean, example="bursts-5mW-120mW"
    ),
    "flicker": _Shape(
        levels=2,
        power=_flicker,
        mean=lambda levels: (levels[0] + levels[1]) / 2,
        example="flicker-100uW-60mW",
    ),
}
"""``idle``: one level. ``bursts``: 30 ms of every 100 ms at the second level.
``flicker``: every other quarter of a millisecond, as a radio or a regulator does."""


def parse_load(text: str, seed: int = 0) -> Load:
    """Read a name such as ``idle-10mW`` or ``bursts-5mW-120mW``.

    Raises UnknownName for another shape, SchemaError for levels that are no power.
    """
    name, *levels = text.split("-")
    if name not in _SHAPES:
        raise UnknownName("load", name, _SHAPES, where=f"sim:{text}")
    shape = _SHAPES[name]
    if len(levels) != shape.levels:
        raise SchemaError(
            f"The load '{name}' takes {shape.levels} level(s), not {len(levels)}",
            where=f"sim:{text}",
            remedy=f"Write for example sim:{shape.example}",
        )
    return Load(
        name=name,
        levels_w=tuple(parse_quantity(level, "W") for level in levels),
        seed=seed,
    )

"""Offset and skew from falling edges alone, each with power levels of its own.

A governor makes power climb in steps of its own after a rise, which draws a fit of
all edges late; nothing holds power back at a fall. Around each fall there is one level
before and another after, both its own, so that it does not matter how far power had
climbed; offset, skew and one time constant are common to all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from harness.stats.alignment_fit import (
    Fit,
    fit_of,
    least_noise,
    solve,
    spread,
    unknowns_of,
)
from harness.stats.uncertainty import Reals

_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Readings near one falling edge, and when the host has it."""

    starts_s: Reals
    ends_s: Reals
    power_w: Reals
    at_s: float


def fit_falls(falls: Sequence[Fall], first: Fit) -> Fit:
    """Fit offset, skew and lag to all falling edges, from a first fit on.

    u from what each edge says by itself (cluster-robust; Cameron and Miller, J. Human
    Resources 50 (2015) 317, section II), so that an edge that the host logged late, or
    that other work hid, counts as what it is.
    """
    joined = _Joined.of(falls)
    start = unknowns_of(first)
    swing_w = float(np.ptp(joined.power_w))
    noise_w = least_noise(joined.residuals(start), swing_w)
    found = solve(lambda unknowns: joined.residuals(unknowns) / noise_w, start)
    data = joined.residuals(found.x) / noise_w
    inverse = np.linalg.inv(found.jac.T @ found.jac)
    weighed = found.jac[: len(data)] * _pull(data)[:, None]
    pushes = np.add.reduceat(weighed, joined.begins, axis=0)
    freedom = max(len(falls) - 2, 1)
    prior = found.jac[len(data) :]
    meat = pushes.T @ pushes * len(falls) / freedom + prior.T @ prior
    return fit_of(found.x, inverse @ meat @ inverse, freedom, noise_w * spread(data))


def shift_of(fall: Fall, fit: Fit, shifts_s: Reals) -> float:
    """Say by which of the given shifts in s one falling edge fits best.

    Shifts at which power would have to rise there do not count; infinite where none
    is left.
    """
    joined = _Joined.of([fall])
    best, at = np.inf, np.inf
    for shift in shifts_s:
        unknowns = unknowns_of(fit)
        unknowns[0] += shift
        square = float((joined.residuals(unknowns) ** 2).sum())
        if joined.steps_w(unknowns)[0] > 0 and square < best:
            best, at = square, float(shift)
    return at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joined:
    """The readings of all falls in one row; `begins` is where each fall's begin."""

    starts_s: Reals
    ends_s: Reals
    power_w: Reals
    at_s: Reals
    begins: NDArray[np.intp]
    counts: NDArray[np.intp]

    @classmethod
    def of(cls, falls: Sequence[Fall]) -> "_Joined":
        counts = np.array([len(fall.power_w) for fall in falls], dtype=np.intp)
        return cls(
            starts_s=np.concatenate([fall.starts_s for fall in falls]),
            ends_s=np.concatenate([fall.ends_s for fall in falls]),
            power_w=np.concatenate([fall.power_w for fall in falls]),
            at_s=np.repeat([fall.at_s for fall in falls], counts),
            begins=np.cumsum(counts) - counts,
            counts=counts,
        )

    def residuals(self, unknowns: Reals) -> Reals:
        """Model less reading, each fall's two levels by least squares."""
        response, steps = self._line(unknowns)
        level = self._mean(self.power_w)
        found: Reals = level + np.repeat(steps, self.counts) * response - self.power_w
        return found

    def steps_w(self, unknowns: Reals) -> Reals:
        """By how much power drops at each fall."""
        return self._line(unknowns)[1]

    def _line(self, unknowns: Reals) -> tuple[Reals, Reals]:
        response = self._response(unknowns)
        response = response - self._mean(response)
        squares = np.add.reduceat(response**2, self.begins)
        products = np.add.reduceat(response * self.power_w, self.begins)
        return response, products / (squares + _TINY * self.counts)

    def _mean(self, values: Reals) -> Reals:
        means = np.add.reduceat(values, self.begins) / self.counts
        found: Reals = np.repeat(means, self.counts)
        return found

    def _response(self, unknowns: Reals) -> Reals:
        """1 until the fall, then towards 0, averaged over each reading."""
        lag = exp(unknowns[3])

        def integral(meter_s: Reals) -> Reals:
            since = meter_s * (1 + unknowns[1]) + unknowns[0] - self.at_s
            gone = -lag * np.expm1(-np.maximum(since, 0.0) / lag)
            found: Reals = np.where(since < 0, since, gone)
            return found

        length = (self.ends_s - self.starts_s) * (1 + unknowns[1])
        found: Reals = (integral(self.ends_s) - integral(self.starts_s)) / length
        return found


def _pull(data: Reals) -> Reals:
    """Give ψ(r) = r/√(1 + r²) of the soft-L1 loss, per row of the solver's Jacobian.

    The solver has multiplied its rows by (1 + r²)^-¾, so that JᵀJ is the curvature.
    """
    found: Reals = data * (1 + data**2) ** 0.25
    return found

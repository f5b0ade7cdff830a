"""Net energy over a window with guards, and energy per inference from three lengths.

A sum of whole readings over a window is wrong at each edge by what a reading smears
across it. Net energy over the window *and a stretch of known idle on both sides* has
no edges: whatever spills over lies inside, and idle adds nothing. It needs readings
that average without dead time, and a clock no better than the guard is long.

Three runs of lengths N, 2N and 3N give energy per inference as a slope, in which what
every run costs once cancels; where the three do not lie on a line, something other
than inferences took energy, or the meter did not see all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, inf, sqrt

import numpy as np

from harness.stats.bootstrap import block_mean
from harness.stats.budget import (
    Accuracy,
    Budget,
    BudgetTerm,
    Energy,
    Source,
    Use,
    meter_budget,
)
from harness.stats.idle import Idle, idle_power
from harness.stats.power import PowerTrace
from harness.stats.relation import Reason, Refused
from harness.stats.series import Window
from harness.stats.uncertainty import Reals

MOST_LOST_RATIO = 1e-3
"""Share of readings in a window that may be missing (EEMBC allows 0.1 % likewise)."""
_LEAST_IDLE_READINGS = 10
_LEAST_LENGTHS = 3
_CURVED = 3.0
"""Standard uncertainties off the line from which on it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """Net energy of one window, with what its budget needs."""

    energy_j: float
    idle: Idle
    scatter: tuple[BudgetTerm, BudgetTerm]
    """Of the readings that were summed, and of the idle taken from them."""
    use: Use
    """How the meter was used, for `harness.stats.budget.meter_budget`."""

    def budget(self, meter: Accuracy) -> Budget:
        """Give the whole budget, with what the meter's accuracy adds."""
        return meter_budget(meter, self.use, self.energy_j).with_terms(self.scatter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """One run of a certain length: inferences, net energy, and its own u.

    `u_j` is of what differs between runs; what they share, as gain, is no part of it.
    """

    inferences: int
    energy_j: float
    u_j: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """Energy per inference from runs of several lengths, and energy per run."""

    per_inference_j: float
    u_per_inference_j: float
    per_run_j: float
    freedom: float


def net_energy(
    trace: PowerTrace, window: Window, span: Window, rests: Sequence[Window]
) -> Guarded | Refused:
    """Integrate power less idle over a span around a window, of known idle else.

    Σ(P - P_idle)·T from the start to the end of `span`, readings weighted by their
    share of it; what of the span is not in the window is idle (`idle.guard_s` says how
    much of it a meter needs), or, before the window, load that goes on into it. P_idle
    is the mean of the rests, each counting alike, so that a steady drift cancels.

    Refused with fewer than ten readings in a rest, and where more than 0.1 % of the
    readings in the span are missing; nothing is made up for those.
    """
    series = [_known(trace.within(rest)) for rest in rests]
    least = min((len(readings) for readings in series), default=0)
    idle = idle_power(series) if least >= _LEAST_IDLE_READINGS else None
    if idle is None:
        return Refused(reason=Reason.NO_IDLE, values={"readings": float(least)})
    lost = lost_ratio(trace, span)
    if lost > MOST_LOST_RATIO:
        return Refused(reason=Reason.READINGS_LOST, values={"lost_ratio": lost})
    shares = _shares(trace, span)
    inside = (shares > 0) & np.isfinite(trace.power_w)
    lengths = shares[inside]
    energy = float(((trace.power_w[inside] - idle.power_w) * lengths).sum())
    return Guarded(
        energy_j=energy,
        idle=idle,
        scatter=_scatter(series, lengths),
        use=Use(
            energy=Energy.NET,
            duration_s=window.duration_s,
            step_s=trace.step_s,
            active_w=idle.power_w + energy / window.duration_s,
            idle_w=idle.power_w,
            idle_drift_w=idle.drift_w or 0.0,
            guard_s=max((span.duration_s - window.duration_s) / 2, 0.0),
        ),
    )


def slope(lengths: Sequence[Length]) -> Slope | Refused:
    """Fit a line through energy over inferences; its slope is energy per inference.

    Weighted least squares with known u (York et al., Am. J. Phys. 72 (2004) 367, for
    exact abscissae); where points scatter more than their u, u grows by √(χ²/ν)
    (R. T. Birge, Phys. Rev. 40 (1932) 207). Refused for fewer than three different
    lengths, and where a parabola bends by more than three of its u.

    Raises ValueError for an uncertainty that is not positive.
    """
    if any(length.u_j <= 0 for length in lengths):
        raise ValueError("a line through energies needs the uncertainty of each")
    different = len({length.inferences for length in lengths})
    if different < _LEAST_LENGTHS:
        return Refused(
            reason=Reason.TOO_FEW_LENGTHS,
            values={"lengths": float(different), "least": float(_LEAST_LENGTHS)},
        )
    scale = float(max(length.inferences for length in lengths))
    counts = np.array([length.inferences for length in lengths]) / scale
    energies = np.array([length.energy_j for length in lengths])
    weights = 1 / np.array([length.u_j for length in lengths])
    bend, bend_var, _ = _polynomial(counts, energies, weights, degree=2)
    bend_ratio = float(abs(bend[2]) / sqrt(bend_var[2]))
    if bend_ratio > _CURVED:
        return Refused(reason=Reason.NOT_LINEAR, values={"bend_over_u": bend_ratio})
    line, variances, chi = _polynomial(counts, energies, weights, degree=1)
    freedom = len(lengths) - 2
    birge = max(sqrt(chi / freedom), 1.0)
    return Slope(
        per_inference_j=float(line[1]) / scale,
        u_per_inference_j=sqrt(variances[1]) * birge / scale,
        per_run_j=float(line[0]),
        freedom=inf if birge == 1.0 else freedom,
    )


def _polynomial(
    counts: Reals, energies: Reals, weights: Reals, degree: int
) -> tuple[Reals, Reals, float]:
    """Give coefficients from the constant on, their variances, and χ²."""
    design = np.vander(counts, degree + 1, increasing=True) * weights[:, None]
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ (energies * weights)
    chi = float(((design @ found - energies * weights) ** 2).sum())
    return found, np.diag(inverse), chi


def _known(readings: Reals) -> Reals:
    found: Reals = readings[np.isfinite(readings)]
    return found


def _shares(trace: PowerTrace, span: Window) -> Reals:
    """Give how many seconds of each reading's interval lie in the span."""
    ends = np.minimum(trace.ends_s, span.end_s)
    shares: Reals = np.clip(ends - np.maximum(trace.starts_s, span.start_s), 0.0, None)
    return shares


def lost_ratio(trace: PowerTrace, window: Window) -> float:
    """Share of a window that no reading with a value stands for."""
    known = np.isfinite(trace.power_w)
    begins = np.maximum(trace.own_starts_s[known], window.start_s)
    read_s = np.minimum(trace.ends_s[known], window.end_s) - begins
    return 1 - float(np.clip(read_s, 0.0, None).sum()) / window.duration_s


def _scatter(series: Sequence[Reals], lengths: Reals) -> tuple[BudgetTerm, BudgetTerm]:
    """Give the type A terms, from how readings of idle scatter.

    V is the variance of a reading times what its neighbours are alike (block_mean).
    Σ of n readings has u = √(n·V)·T_s; idle enters times the whole time.
    """
    means = [block_mean(readings) for readings in series]
    each = [mean.term.u**2 * len(r) for mean, r in zip(means, series, strict=True)]
    freedom = sum(mean.term.freedom for mean in means)
    of_sum = sqrt(float((lengths**2).sum()) * sum(each) / len(each))
    of_idle = float(lengths.sum()) * hypot(*(mean.term.u for mean in means))
    return (
        BudgetTerm(source=Source.NOISE, u=of_sum, freedom=freedom),
        BudgetTerm(source=Source.IDLE_NOISE, u=of_idle / len(means), freedom=freedom),
    )

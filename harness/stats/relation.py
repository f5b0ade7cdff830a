"""How a meter's clock relates to the host's, and how well that is known.

A relation is a straight line, host = meter + offset + skew·(meter - reference), with
the reference in the middle of what it was fitted to, where offset and skew are
uncorrelated. Three ways lead to one, best first: an edge in the trace (`from_edges`),
pulses of load seen in the power itself (`harness.stats.alignment`), and the host's
own stamps of arriving readings (`from_host_stamps`). What cannot be trusted is
`Refused`, with the reason and the values that speak against it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import hypot, sqrt

import numpy as np

from harness.stats.power import PowerTrace
from harness.stats.uncertainty import Reals
from harness.units import NS_PER_S

MOST_SKEW = 300e-6
"""No crystal of a meter in order is further off; real ones showed up to 140e-6."""
_LEAST_EDGES = 3


class Reason(StrEnum):
    """Why there is no relation, energy or claim."""

    NOT_COVERED = "not-covered"
    """The trace does not hold the time in question."""
    NO_STEP = "no-step"
    """Busy and idle power differ too little for the noise."""
    NO_MATCH = "no-match"
    """The trace does not look like the pulses."""
    AMBIGUOUS = "ambiguous"
    """It looks like the pulses in two places."""
    EDGES_DISAGREE = "edges-disagree"
    TOO_MUCH_SKEW = "too-much-skew"
    TOO_FEW_EDGES = "too-few-edges"
    NO_IDLE = "no-idle"
    READINGS_LOST = "readings-lost"
    NOT_BELIEVED = "readings-not-believed"
    """Readings stand still or change their unit, or the meter says it failed."""
    TOO_FEW_LENGTHS = "too-few-lengths"
    NOT_LINEAR = "not-linear"
    """Energy does not grow in proportion to the work."""
    EDGES_NOT_SEEN = "edges-not-seen"
    """Falls of a pin that mark windows are not in the trace."""
    BELOW_FLOOR = "below-floor"
    """No window, however long, brings this meter there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What is not given, why, and the values that decided it (SI units and ratios)."""

    reason: Reason
    values: Mapping[str, float] = field(default_factory=dict)


class Means(StrEnum):
    """What a relation rests on, best first."""

    EDGES = "edges"
    PULSES = "pulses"
    HOST_STAMPS = "host-stamps"
    CLOCK_PAIRS = "clock-pairs"
    """The host's stamps of arriving readings, and both clocks read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """host = meter + offset_ns + skew·(meter - reference_ns), in ns.

    `u_offset_ns` is the standard uncertainty at the reference, `freedom` its degrees
    of freedom; `evidence` the values that the quality gate let through.
    """

    means: Means
    reference_ns: int
    offset_ns: float
    u_offset_ns: float
    skew: float = 0.0
    u_skew: float = 0.0
    freedom: float = float("inf")
    evidence: Mapping[str, float] = field(default_factory=dict)

    def to_host(self, meter_ns: Reals) -> Reals:
        """Give the host's time for times of the meter, ns both."""
        since = np.asarray(meter_ns, dtype=np.float64) - self.reference_ns
        host: Reals = self.reference_ns + self.offset_ns + since * (1 + self.skew)
        return host

    def u_at(self, meter_ns: float) -> float:
        """Give the standard uncertainty in ns of `to_host` at a time of the meter."""
        return hypot(self.u_offset_ns, self.u_skew * (meter_ns - self.reference_ns))


def on_host_clock(trace: PowerTrace, relation: Relation) -> PowerTrace:
    """Give the same readings with the host's times.

    Durations become the host's too: what the meter's crystal is off no longer counts.
    """

    def moved(times_s: Reals) -> Reals:
        since = times_s - relation.reference_ns / NS_PER_S
        host_s = (relation.reference_ns + relation.offset_ns) / NS_PER_S
        found: Reals = host_s + since * (1 + relation.skew)
        return found

    return replace(
        trace,
        starts_s=moved(trace.starts_s),
        ends_s=moved(trace.ends_s),
        step_s=trace.step_s * (1 + relation.skew),
    )


def from_edges(
    host_ns: Sequence[int], meter_ns: Sequence[int], step_ns: float, u_host_ns: float
) -> Relation | Refused:
    """Relate clocks by edges that both saw, in the same order.

    The line of least squares through the pairs. `meter_ns` is the end of the first
    reading that shows the edge, which fell anywhere within that reading: half of one
    before in the mean, u = step/√12 (JCGM 100, 4.3.7). Pulses may keep step with the
    readings, so that this part, and `u_host_ns`, are not averaged over edges; the
    scatter about the line is. Refused for fewer than three edges, for an edge off by
    more than two readings and five times `u_host_ns`, and for |skew| above 300e-6.

    Raises ValueError where the two counts differ.
    """
    if len(host_ns) != len(meter_ns):
        raise ValueError("each edge of the host needs one of the meter")
    if len(host_ns) < _LEAST_EDGES:
        return Refused(
            reason=Reason.TOO_FEW_EDGES,
            values={"edges": len(host_ns), "least": _LEAST_EDGES},
        )
    reference = round(sum(meter_ns) / len(meter_ns))
    since = np.array([at - reference for at in meter_ns], dtype=np.float64)
    apart = np.array(
        [host - meter for host, meter in zip(host_ns, meter_ns, strict=True)],
        dtype=np.float64,
    )
    line = _line(since, apart)
    u_each = hypot(step_ns / sqrt(12), u_host_ns)
    count = len(host_ns)
    worst = float(np.abs(line.residuals).max())
    evidence = {"edges": float(count), "skew": line.slope, "worst_ns": worst}
    if worst > max(2 * step_ns, 5 * u_host_ns):
        return Refused(reason=Reason.EDGES_DISAGREE, values=evidence)
    if abs(line.slope) > MOST_SKEW:
        return Refused(reason=Reason.TOO_MUCH_SKEW, values=evidence)
    return Relation(
        means=Means.EDGES,
        reference_ns=reference,
        offset_ns=line.level + step_ns / 2,
        u_offset_ns=hypot(u_each, line.scatter / sqrt(count)),
        skew=line.slope,
        u_skew=max(u_each, line.scatter) / sqrt(float((since**2).sum())),
        evidence=evidence,
    )


def from_host_stamps(
    step_ns: float, latency_ns: float = 0.0, u_latency_ns: float = 0.0
) -> Relation:
    """Relate clocks where the only time of a reading is when it reached the host.

    Coarse: the reading was taken `latency_ns` before (the meter's data sheet, and the
    transport), and lies anywhere within one interval: u = T_s/√12, and the latency's
    own uncertainty beside it.
    """
    return Relation(
        means=Means.HOST_STAMPS,
        reference_ns=0,
        offset_ns=-latency_ns,
        u_offset_ns=hypot(step_ns / sqrt(12), u_latency_ns),
    )


def from_clock_pairs(text: str) -> Relation | Refused:
    """Relate the host's clock to a board's by pairs that were read together.

    `text` is as `harness.domain.query.CLOCK_PAIRS` says. The line through the first
    pair and the last; with one pair, or two of the same time, skew stays 0 and may be
    as large as crystals are (`MOST_SKEW`, a rectangle). Here the board's clock takes
    the place of the host's in `Relation`, and the host's that of the meter's.

    Refused where the two clocks run apart by more than crystals do: one of them stood
    still between the pairs, as in sleep, was set, or began anew.

    Raises ValueError for a text that is none.
    """
    pairs = [tuple(map(float, pair.split())) for pair in text.split(";")]
    if any(len(pair) != 3 for pair in pairs):  # noqa: PLR2004 - as the form has it
        raise ValueError(f"{text!r} holds no pairs of clocks")
    (host_a, board_a, u_a), (host_b, board_b, u_b) = pairs[0], pairs[-1]
    apart_ns = host_b - host_a
    skew, u_skew = 0.0, MOST_SKEW / sqrt(3)
    if apart_ns < 0:
        raise ValueError(f"{text!r} goes back in time")
    if apart_ns > 0:
        skew = (board_b - board_a) / apart_ns - 1
        u_skew = hypot(u_a, u_b) / apart_ns
        if abs(skew) - 2 * u_skew > MOST_SKEW:
            evidence = {"skew": skew, "u_skew": u_skew, "apart_s": apart_ns / NS_PER_S}
            return Refused(reason=Reason.TOO_MUCH_SKEW, values=evidence)
    middle = (host_a + host_b) / 2
    return Relation(
        means=Means.CLOCK_PAIRS,
        reference_ns=round(middle),
        offset_ns=(board_a + board_b) / 2 - middle,
        u_offset_ns=hypot(u_a, u_b) / 2,
        skew=skew,
        u_skew=u_skew,
    )


def after(pairs: Relation, found: Relation) -> Relation:
    """Give the relation that `found` makes of a trace that `pairs` has moved.

    What was found in the trace is of its own uncertainty: that of the pairs only had
    to be good enough to find it.
    """
    since = found.reference_ns - pairs.reference_ns - pairs.offset_ns
    reference = pairs.reference_ns + round(since / (1 + pairs.skew))
    return replace(
        found,
        reference_ns=reference,
        offset_ns=found.reference_ns + found.offset_ns - reference,
        skew=(1 + pairs.skew) * (1 + found.skew) - 1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    level: float
    slope: float
    residuals: Reals
    scatter: float


def _line(abscissa: Reals, ordinate: Reals) -> _Line:
    """Least squares through points whose abscissae have a mean of (nearly) zero."""
    centred = abscissa - abscissa.mean()
    slope = float((centred * ordinate).sum() / (centred**2).sum())
    level = float(ordinate.mean() - slope * abscissa.mean())
    residuals = ordinate - level - slope * abscissa
    scatter = sqrt(float((residuals**2).sum()) / (len(ordinate) - 2))
    return _Line(level=level, slope=slope, residuals=residuals, scatter=scatter)

"""Where pulses of load show in a power trace, and what that says of two clocks.

No wire is needed: the device works and rests after a known sequence before and after
a run (`harness.loadgen.pulses`) and logs its own clock at each edge. The pattern is
found in the trace by normalised cross-correlation, then fitted (`alignment_fit`), in
the end on falling edges alone where readings are dense enough to see them. What must
hold before the result is used, or else it is refused with what failed:

====================  ========================================================
the trace holds it    readings all around every burst
step over noise       at least 3
falling edges         at least 3, and two in three, within two readings of the fit
                      (or 2 ms where readings are denser)
correlation           at least 0.4, and 1.5 times that of any other place
skew                  at most 300e-6
====================  ========================================================

Correlation alone does not tell good from bad: of published traces a good one had 0.45
and a bad one 0.58.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import hypot, sqrt

import numpy as np

from harness.loadgen.pulses import PulseTrain
from harness.stats.alignment_falls import Fall, fit_falls, shift_of
from harness.stats.alignment_fit import Fit, Stretch, first_fit, fit_pulses, step_of
from harness.stats.alignment_scene import Scene, around, near_falls, scene_of
from harness.stats.alignment_search import Match, find
from harness.stats.power import PowerTrace
from harness.stats.relation import MOST_SKEW, Means, Reason, Refused, Relation
from harness.units import NS_PER_S

SEARCH_S = 2.0
_LEAST_STEP = 3.0
_LEAST_EDGES, _LEAST_SHARE = 3, 2 / 3
_WITHIN_READINGS = 2.0
_LEAST_UNIT_S = 1e-3
"""Hosts stamp edges no better than this now and then, however dense the readings."""
_LEAST_CORRELATION = 0.4
_LEAST_LEAD = 1.5
_U_STAMP_S = 5e-5
"""By what the load may begin or end beside the host's stamp alike at every edge: a
call and a wake-up, which no number of edges averages away."""


def align(
    pulses: PulseTrain, trace: PowerTrace, search_s: float = SEARCH_S
) -> Relation | Refused:
    """Relate the clock of a trace's meter to the host's clock of the pulses.

    Beforehand the clocks must agree within ±`search_s`. Without a second burst well
    after the first, skew is hardly known, and `u_skew` says so.
    """
    scene = scene_of(pulses, trace)
    matches = find(scene, search_s)
    if matches is None:
        return Refused(reason=Reason.NOT_COVERED, values=_extent(pulses, trace))
    found = _likeness(matches)
    if (reason := _unlike(found)) is not None:
        return Refused(reason=reason, values=found)
    scene, first = _coarse(scene, matches)
    stretches = [around(scene, burst, first) for burst in scene.bursts]
    fit = fit_pulses(stretches, first)
    falls = near_falls(scene, fit, scene.nears_s[0])
    for near_s in scene.nears_s if scene.is_dense else ():
        falls = near_falls(scene, fit, near_s)
        fit = fit_falls(falls, fit) if falls else fit
    evidence = found | {
        "skew": fit.skew,
        "rise_s": fit.lags.rise_s,
        "fall_s": fit.lags.fall_s,
        "step_over_noise": _step_over_noise(stretches, fit),
        "edges_agreeing": float(_agreeing(falls, fit, scene.step_s)),
        "edges": float(len(falls)),
    }
    if (reason := _fault(evidence)) is not None:
        return Refused(reason=reason, values=evidence)
    return _relation(fit, scene, evidence)


def _extent(pulses: PulseTrain, trace: PowerTrace) -> dict[str, float]:
    return {
        "pulses_from_s": pulses.bursts[0].rises_ns[0] / NS_PER_S,
        "pulses_to_s": pulses.bursts[-1].falls_ns[-1] / NS_PER_S,
        "readings_from_s": float(trace.starts_s[0]),
        "readings_to_s": float(trace.ends_s[-1]),
    }


def _coarse(scene: Scene, matches: Sequence[Match]) -> tuple[Scene, Fit]:
    """Add the mean offset to the meter's clock; give what is left as a first fit."""
    middles = np.array([match.middle_s for match in matches])
    offsets = np.array([match.offset_s for match in matches])
    coarse = float(offsets.mean())
    spread = float(((middles - middles.mean()) ** 2).sum())
    skew = float(((middles - middles.mean()) * offsets).sum()) / spread if spread else 0
    moved = replace(
        scene,
        starts_s=scene.starts_s + coarse,
        ends_s=scene.ends_s + coarse,
        coarse_s=coarse,
    )
    return moved, first_fit(-skew * float(middles.mean()), skew)


def _agreeing(falls: Sequence[Fall], fit: Fit, step_s: float) -> int:
    """Count the falling edges that by themselves lie within two readings of the fit."""
    unit_s = max(step_s, _LEAST_UNIT_S)
    shifts = unit_s * np.arange(-4.0, 4.25, 0.25)
    found = [shift_of(fall, fit, shifts) for fall in falls]
    return sum(abs(shift) <= _WITHIN_READINGS * unit_s for shift in found)


def _step_over_noise(stretches: Sequence[Stretch], fit: Fit) -> float:
    step = min(step_of(stretch, fit) for stretch in stretches)
    return step / fit.noise_w


def _likeness(matches: Sequence[Match]) -> dict[str, float]:
    return {
        "correlation": min(match.correlation for match in matches),
        "lead": min(match.lead for match in matches),
    }


def _unlike(evidence: dict[str, float]) -> Reason | None:
    if evidence["correlation"] < _LEAST_CORRELATION:
        return Reason.NO_MATCH
    return Reason.AMBIGUOUS if evidence["lead"] < _LEAST_LEAD else None


def _fault(evidence: dict[str, float]) -> Reason | None:
    """Name the first condition of the fit that does not hold; None where all do."""
    if evidence["step_over_noise"] < _LEAST_STEP:
        return Reason.NO_STEP
    least = max(_LEAST_EDGES, _LEAST_SHARE * evidence["edges"])
    if evidence["edges_agreeing"] < least:
        return Reason.EDGES_DISAGREE
    return Reason.TOO_MUCH_SKEW if abs(evidence["skew"]) > MOST_SKEW else None


def _relation(fit: Fit, scene: Scene, evidence: dict[str, float]) -> Relation:
    """Move the reference to where offset and skew are uncorrelated."""
    (offset_var, both), (_, skew_var) = fit.covariance
    at_s = -both / skew_var
    seen = max(offset_var - both**2 / skew_var, 0.0)
    offset_s = scene.coarse_s + fit.offset_s + fit.skew * at_s
    reference_s = at_s - scene.coarse_s
    return Relation(
        means=Means.PULSES,
        reference_ns=scene.origin_ns + round(reference_s * NS_PER_S),
        offset_ns=offset_s * NS_PER_S,
        u_offset_ns=hypot(sqrt(seen), _U_STAMP_S) * NS_PER_S,
        skew=fit.skew,
        u_skew=sqrt(skew_var),
        freedom=fit.freedom,
        evidence=evidence,
    )

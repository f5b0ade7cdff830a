"""Simulated electrocardiograms: ten seconds of one lead, five kinds of beats.

Each beat is a sum of bell curves (McSharry et al., IEEE Trans. Biomed. Eng. 50,
2003), placed by a rhythm. A patient is drawn first (shape, rate, how it varies),
then strips of that patient, each with wander, muscle noise and mains.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from train.task import Gathering, Items, Part

Series = npt.NDArray[np.float64]

RATE_HZ = 250.0
LENGTH = 2500
CLASSES = (
    "sinus rhythm",
    "atrial fibrillation",
    "ventricular ectopic beats",
    "supraventricular ectopic beats",
    "bundle branch block",
)
_PATIENTS = {Part.TRAINING: 150, Part.HELD_OUT: 50}
_STRIPS = {Part.TRAINING: 5, Part.HELD_OUT: 4}
"""Of each patient and class; 50 patients by 5 by 4 are 1000 items."""
_SEEDS = {Part.TRAINING: 51, Part.HELD_OUT: 152}
_TIME = np.arange(LENGTH) / RATE_HZ
_SPAN_S = LENGTH / RATE_HZ
_EDGE_S = 0.8
"""No early beat is nearer to an end of the strip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """One bell of a beat: where (s from the R peak), how high (mV), how wide (s)."""

    at: float
    height: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The shape of the beats of one patient, and the rhythm."""

    normal: tuple[Wave, ...]
    """P, Q, R, S, T."""
    broad: tuple[Wave, ...]
    blocked: tuple[Wave, ...]
    rate_hz: float
    spread: float


def beats(part: Part) -> Items:
    """Make the strips [items, 1, 2500] of all patients of a part, in mV."""
    draw = np.random.default_rng(_SEEDS[part])
    gathered = Gathering()
    for number in range(_PATIENTS[part]):
        patient = _drawn(draw)
        for label in range(len(CLASSES)):
            for _ in range(_STRIPS[part]):
                strip = _strip(patient, CLASSES[label], draw)
                gathered.add(strip[None], label, number)
    return gathered.shuffled(draw)


def _drawn(draw: np.random.Generator) -> Patient:
    gain = np.exp(draw.normal(0.0, 0.25))

    def wave(at: float, height: float, width: float) -> Wave:
        return Wave(
            at=at * np.exp(draw.normal(0.0, 0.08)),
            height=gain * height * np.exp(draw.normal(0.0, 0.3)),
            width=width * np.exp(draw.normal(0.0, 0.12)),
        )

    sign = draw.choice((-1.0, 1.0))
    qrs = (wave(-0.03, -0.12, 0.01), wave(0.001, 1.0, 0.011), wave(0.03, -0.25, 0.012))
    p, t = wave(-0.17, 0.13, 0.025), wave(0.28, 0.28, 0.055)
    notch = (wave(-0.03, 0.55, 0.02), wave(0.035, 0.8, 0.024))
    return Patient(
        normal=(p, *qrs, t),
        broad=(
            wave(0.02, sign * 1.2, 0.045),
            wave(0.11, -sign * 0.35, 0.04),
            wave(0.34, -sign * 0.35, 0.07),
        ),
        blocked=(p, *notch, replace(t, height=-t.height)),
        rate_hz=draw.uniform(0.9, 1.6),
        spread=draw.uniform(0.01, 0.05),
    )


def _strip(patient: Patient, kind: str, draw: np.random.Generator) -> Series:
    times = _rhythm(patient, kind, draw)
    normal = patient.blocked if kind == CLASSES[4] else patient.normal
    trace = np.zeros(LENGTH)
    if kind == CLASSES[1]:
        normal = normal[1:]
        trace += _flutter(draw)
    early = _early(times, kind, draw)
    for number, at in enumerate(times):
        waves, moment = normal, at
        if number in early:
            moment -= draw.uniform(0.3, 0.5) * (at - times[number - 1])
            waves = patient.broad if kind == CLASSES[2] else _other_p(normal, draw)
        trace += _beat(waves, moment, np.exp(draw.normal(0.0, 0.03)))
    return trace + _disturbed(draw)


def _rhythm(patient: Patient, kind: str, draw: np.random.Generator) -> Series:
    """Give the times of the R peaks, a little beyond both ends."""
    mean = np.exp(draw.normal(0.0, 0.08)) / patient.rate_hz
    count = int(_SPAN_S / mean * 2.0) + 4
    if kind == CLASSES[1]:
        gaps = np.clip(mean * draw.gamma(18.0, 1.0 / 18.0, size=count), 0.32, None)
    else:
        breath = np.sin(2.0 * np.pi * 0.25 * mean * np.arange(count) + draw.uniform())
        jitter = draw.normal(0.0, 0.4, size=count)
        gaps = mean * (1.0 + patient.spread * (breath + jitter))
    times = np.cumsum(gaps) - draw.uniform(0.5, 1.0)
    return times[times < _SPAN_S + 0.5]


def _early(times: Series, kind: str, draw: np.random.Generator) -> set[int]:
    """Choose the beats that come before their time: two to four, no two in a row."""
    if kind not in CLASSES[2:4]:
        return set()
    inside = (times > _EDGE_S) & (times < _SPAN_S - _EDGE_S)
    inner = [n for n in range(2, len(times)) if inside[n]]
    start = int(draw.integers(2))
    return set(draw.permutation(inner[start::2])[: draw.integers(2, 5)].tolist())


def _other_p(waves: tuple[Wave, ...], draw: np.random.Generator) -> tuple[Wave, ...]:
    """Give an early beat from elsewhere in the atria: another P, the same QRS."""
    p = waves[0]
    height = p.height * draw.uniform(-1.2, 0.6)
    return (Wave(at=p.at * 0.75, height=height, width=p.width), *waves[1:])


def _beat(waves: tuple[Wave, ...], at: float, gain: float) -> Series:
    return gain * sum(
        one.height * np.exp(-0.5 * ((_TIME - at - one.at) / one.width) ** 2)
        for one in waves
    )


def _flutter(draw: np.random.Generator) -> Series:
    """Draw the fine waves of fibrillating atria, 4 to 9 a second."""
    size, tone = draw.uniform(0.01, 0.07), draw.uniform(4.0, 9.0)
    wander = np.cumsum(draw.standard_normal(LENGTH)) / RATE_HZ
    return size * np.sin(2.0 * np.pi * (tone * _TIME + wander))


def _disturbed(draw: np.random.Generator) -> Series:
    """Draw wander below 0.5 Hz, noise of muscles, and 50 Hz from the mains."""
    wander = draw.uniform(0.0, 0.2) * np.sin(
        2.0 * np.pi * draw.uniform(0.05, 0.5) * _TIME + draw.uniform(0.0, 6.28)
    )
    mains = draw.uniform(0.0, 0.03) * np.sin(2.0 * np.pi * 50.0 * _TIME)
    return wander + mains + draw.uniform(0.004, 0.02) * draw.standard_normal(LENGTH)

"""Simulated motion at the waist: six activities of people that never lived.

Acceleration in g (gravity included) and turning in units of 2 rad/s, six axes at
50 Hz, x forward, y to the left, z up. A person is drawn first (pace, swing, how the
device sits on the belt, its noise), then windows of that person.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.task import Gathering, Items, Part

Series = npt.NDArray[np.float64]

RATE_HZ = 50.0
TURN_UNIT = 2.0
"""rad/s that a value of 1 on a turning axis stands for."""
ACTIVITIES = ("walking", "upstairs", "downstairs", "sitting", "standing", "lying")
_LENGTH = 128
_PEOPLE = {Part.TRAINING: 200, Part.HELD_OUT: 40}
_WINDOWS = {Part.TRAINING: 8, Part.HELD_OUT: 5}
"""Of each activity and person; 40 people by 6 by 5 are 1200 items."""
_SEEDS = {Part.TRAINING: 21, Part.HELD_OUT: 122}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """How one person moves, and how the device is worn."""

    pace_hz: float
    """Steps a second on the flat."""
    swing_g: float
    harmonics: Series
    phases: Series
    mount: Series
    """Rotation [3, 3] from the body to the device."""
    noise_g: float
    recline: float
    """Radians that the pelvis leans back when seated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gait:
    """What tells stairs from the flat: factors on pace and swing, lean, heel."""

    pace: float
    swing: float
    lean: float
    heel: float


_GAITS = {
    "walking": Gait(pace=1.0, swing=1.0, lean=0.03, heel=0.5),
    "upstairs": Gait(pace=0.85, swing=0.8, lean=0.2, heel=0.15),
    "downstairs": Gait(pace=1.06, swing=1.3, lean=-0.05, heel=1.2),
}


def activities(part: Part) -> Items:
    """Make the windows [items, 6, 128] of all people of a part."""
    draw = np.random.default_rng(_SEEDS[part])
    gathered = Gathering()
    for number in range(_PEOPLE[part]):
        person = drawn_person(draw)
        for label, activity in enumerate(ACTIVITIES):
            for _ in range(_WINDOWS[part]):
                gathered.add(_window(person, activity, draw), label, number)
    return gathered.shuffled(draw)


def drawn_person(draw: np.random.Generator) -> Person:
    """Draw a person."""
    return Person(
        pace_hz=draw.normal(1.85, 0.17),
        swing_g=0.28 * np.exp(draw.normal(0.0, 0.25)),
        harmonics=np.exp(draw.normal(0.0, 0.35, size=8)),
        phases=draw.uniform(0.0, 2.0 * np.pi, size=8),
        mount=turned(*draw.normal(0.0, (0.1, 0.08, 0.3))),
        noise_g=draw.uniform(0.008, 0.03),
        recline=draw.normal(0.38, 0.15),
    )


def turned(roll: float, pitch: float, yaw: float) -> Series:
    """Give the rotation about x, then y, then z (radians)."""
    (a, b, c), (p, q, r) = np.cos((roll, pitch, yaw)), np.sin((roll, pitch, yaw))
    about_x = np.array([[1, 0, 0], [0, a, -p], [0, p, a]])
    about_y = np.array([[b, 0, q], [0, 1, 0], [-q, 0, b]])
    about_z = np.array([[c, -r, 0], [r, c, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _window(person: Person, activity: str, draw: np.random.Generator) -> Series:
    gait = _GAITS.get(activity)
    if gait is not None:
        moved, spun, lean = walked(person, gait, _LENGTH, draw)
        posture = turned(0.0, lean, 0.0)
    else:
        moved, spun = _sway(draw)
        posture = _posture(person, activity, draw)
    up = posture.T @ np.array([0.0, 0.0, 1.0])
    return worn(person, moved + up[:, None], spun, draw)


def worn(
    person: Person, felt: Series, spun: Series, draw: np.random.Generator
) -> Series:
    """Give what the device reads: rotated, with bias and noise."""
    bias = draw.normal(0.0, 0.01, size=(3, 1))
    noise = person.noise_g * draw.standard_normal((6, felt.shape[1]))
    turning = person.mount @ spun / TURN_UNIT
    return np.concatenate([person.mount @ felt + bias, turning]) + noise


def walked(
    person: Person, gait: Gait, length: int, draw: np.random.Generator
) -> tuple[Series, Series, float]:
    """Give acceleration (g, without gravity), turning (rad/s) and lean of a walk."""
    pace = person.pace_hz * gait.pace * np.exp(draw.normal(0.0, 0.06))
    swing = person.swing_g * gait.swing * np.exp(draw.normal(0.0, 0.15))
    wander = 1.0 + 0.03 * np.cumsum(draw.standard_normal(length)) / np.sqrt(length)
    step = 2.0 * np.pi * np.cumsum(pace * wander) / RATE_HZ + draw.uniform(0.0, 6.28)
    h, p = person.harmonics, person.phases
    stride = 0.5 * step
    heel = gait.heel * 0.9 * np.exp(-6.0 * (1.0 - np.cos(step + p[0])))
    moved = swing * np.stack(
        [
            0.6 * h[0] * np.sin(step + p[1]) + 0.25 * h[1] * np.sin(2.0 * step + p[2]),
            0.5 * h[2] * np.sin(stride + p[3]) + 0.2 * h[3] * np.sin(3.0 * stride),
            h[4] * np.cos(step) + 0.35 * h[5] * np.cos(2.0 * step + p[4]) + 2.0 * heel,
        ]
    )
    spun = np.stack(
        [
            0.5 * h[6] * np.sin(stride + p[5]),
            0.4 * h[7] * np.sin(step + p[6]),
            0.8 * np.sin(stride + p[7]),
        ]
    )
    lean = gait.lean + draw.normal(0.0, 0.05)
    return moved, spun * (swing / 0.28), lean


def _sway(draw: np.random.Generator) -> tuple[Series, Series]:
    """Draw the small motions of someone at rest, now and then a fidget."""
    time = np.arange(_LENGTH) / RATE_HZ
    size = 0.012 * np.exp(draw.normal(0.0, 0.6))
    tone, phase = draw.uniform(0.2, 0.9), draw.uniform(0.0, 6.28, size=(6, 1))
    waves = size * np.sin(2.0 * np.pi * tone * time + phase)
    if draw.random() < _FIDGETS:
        at, width = draw.uniform(0.3, 2.2), draw.uniform(0.1, 0.3)
        bump = np.exp(-(((time - at) / width) ** 2))
        waves += draw.normal(0.0, 0.15, size=(6, 1)) * bump
    return waves[:3], 2.0 * waves[3:]


_FIDGETS = 0.3


def _posture(person: Person, activity: str, draw: np.random.Generator) -> Series:
    side = draw.normal(0.0, 0.05)
    match activity:
        case "sitting":
            return turned(side, -person.recline + draw.normal(0.0, 0.08), 0.0)
        case "standing":
            return turned(side, draw.normal(0.02, 0.05), 0.0)
        case _:
            down = draw.normal(np.pi / 2.0, 0.2)
            about = draw.uniform(0.0, 2.0 * np.pi)
            return turned(down * np.sin(about), down * np.cos(about), 0.0)

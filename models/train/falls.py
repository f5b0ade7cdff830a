"""Simulated falls, and what is easily taken for one: four seconds at the waist.

Axes as in `motion`, but acceleration in units of 2 g, since a fall reaches far. A
fall is a start, a loss of support, a blow and a rest in another posture; some are
soft, some are broken by a hand. Its counterparts jump, drop into a chair, lie down
fast, stumble and catch themselves, pick something up.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from train.motion import (
    RATE_HZ,
    Gait,
    Person,
    Series,
    drawn_person,
    walked,
    worn,
)
from train.task import Gathering, Items, Part

CLASSES = ("no fall", "fall")
G_UNIT = 2.0
"""g that a value of 1 on an axis of acceleration stands for."""
_LENGTH = 200
_PEOPLE = {Part.TRAINING: 200, Part.HELD_OUT: 50}
_FALLS = {Part.TRAINING: 10, Part.HELD_OUT: 10}
"""Of each person, and as many windows without a fall."""
_SEEDS = {Part.TRAINING: 31, Part.HELD_OUT: 132}
_MOMENT = (1.0, 2.8)
"""When it happens, in seconds of the window."""
_FLAT = Gait(pace=1.0, swing=1.0, lean=0.03, heel=0.5)
_RUN = Gait(pace=1.45, swing=3.0, lean=0.1, heel=1.0)
_STAIRS = Gait(pace=1.04, swing=1.4, lean=0.0, heel=1.0)
_TIME = np.arange(_LENGTH) / RATE_HZ


def falls(part: Part) -> Items:
    """Make the windows [items, 6, 200] of all people of a part."""
    draw = np.random.default_rng(_SEEDS[part])
    gathered = Gathering()
    for number in range(_PEOPLE[part]):
        person = drawn_person(draw)
        for label in (0, 1) * _FALLS[part]:
            kind = _fall if label else _DAILY[draw.integers(len(_DAILY))]
            gathered.add(_read(person, kind(person, draw), draw), label, number)
    return gathered.shuffled(draw)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Motion:
    """Acceleration without gravity (g), turning (rad/s), and how the body leans.

    `lean` is the angle of the trunk to the upright, towards the side `about` (0:
    forward); both in radians.
    """

    moved: Series
    spun: Series
    lean: Series
    about: float = 0.0


def _on_foot(gait: Gait) -> Callable[[Person, np.random.Generator], _Motion]:
    def draw_motion(person: Person, draw: np.random.Generator) -> _Motion:
        moved, spun, lean = walked(person, gait, _LENGTH, draw)
        return _Motion(moved=moved, spun=spun, lean=np.full(_LENGTH, lean))

    return draw_motion


def _jump(_: Person, draw: np.random.Generator) -> _Motion:
    at = draw.uniform(*_MOMENT)
    moved = _flight(at, draw.uniform(0.2, 0.5), 0.95)
    moved[2] += _blow(at, draw.uniform(1.5, 5.0), draw)
    return _Motion(moved=moved, spun=_still(draw), lean=np.zeros(_LENGTH))


def _sit_down(_: Person, draw: np.random.Generator) -> _Motion:
    at = draw.uniform(*_MOMENT)
    moved = _flight(at, draw.uniform(0.2, 0.6), draw.uniform(0.1, 0.7))
    moved[2] += _blow(at, draw.uniform(0.5, 3.0), draw)
    lean = _turn(at, draw.uniform(0.3, 0.9), -abs(draw.normal(0.3, 0.2)))
    return _Motion(moved=moved, spun=_still(draw), lean=lean)


def _lie_down(_: Person, draw: np.random.Generator) -> _Motion:
    at = draw.uniform(*_MOMENT)
    lean = _turn(at, draw.uniform(0.4, 1.4), draw.normal(1.3, 0.3))
    moved = _still(draw)
    moved[2] += _blow(at + 0.2, draw.uniform(0.0, 2.5), draw)
    return _Motion(moved=moved, spun=_still(draw), lean=lean, about=_any_side(draw))


def _stumble(person: Person, draw: np.random.Generator) -> _Motion:
    at = draw.uniform(*_MOMENT)
    moved, spun, _ = walked(person, _FLAT, _LENGTH, draw)
    moved += _flight(at, draw.uniform(0.1, 0.3), draw.uniform(0.2, 0.6))
    moved[0] += _blow(at, draw.uniform(0.5, 3.0), draw)
    lean = _turn(at, 0.3, draw.uniform(0.2, 0.8)) - _turn(at + 0.7, 0.4, 0.5)
    return _Motion(moved=moved, spun=spun, lean=lean, about=draw.uniform(-0.6, 0.6))


def _pick_up(_: Person, draw: np.random.Generator) -> _Motion:
    at, depth = draw.uniform(*_MOMENT), draw.uniform(0.6, 1.5)
    back = at + draw.uniform(0.6, 1.2)
    lean = _turn(at, 0.5, depth) - _turn(back, 0.6, depth)
    return _Motion(moved=_still(draw), spun=_still(draw), lean=lean)


def _rest(_: Person, draw: np.random.Generator) -> _Motion:
    lean = np.full(_LENGTH, draw.uniform(-1.6, 1.6))
    still = _still(draw), _still(draw)
    return _Motion(moved=still[0], spun=still[1], lean=lean, about=_any_side(draw))


_DAILY = (
    _on_foot(_FLAT),
    _on_foot(_RUN),
    _on_foot(_STAIRS),
    _jump,
    _sit_down,
    _lie_down,
    _stumble,
    _pick_up,
    _rest,
)


def _fall(person: Person, draw: np.random.Generator) -> _Motion:
    """Draw a fall to any side, from standing, from a chair, or from a walk."""
    at = draw.uniform(*_MOMENT)
    moved, spun = _still(draw), _still(draw)
    start = str(draw.choice(("standing", "chair", "walk")))
    if start == "walk":
        before = (at - 0.3 > _TIME)[None]
        walk, turns, _ = walked(person, _FLAT, _LENGTH, draw)
        moved, spun = moved + walk * before, spun + turns * before
    moved += _flight(at, draw.uniform(0.15, 0.5), draw.uniform(0.2, 0.95))
    towards = _any_side(draw)
    sides = np.array([np.cos(towards), np.sin(towards), 1.0])
    moved += 0.7 * sides[:, None] * _blow(at, np.exp(draw.normal(0.5, 0.6)), draw)
    lean = _turn(at - 0.15, draw.uniform(0.25, 0.8), draw.normal(1.2, 0.45))
    if start == "chair":
        lean -= draw.uniform(0.0, 0.4) * (at > _TIME)
    return _Motion(moved=moved, spun=spun, lean=lean, about=towards)


def _read(person: Person, motion: _Motion, draw: np.random.Generator) -> Series:
    """Turn gravity with the body, and give what the device reads."""
    lean, east, north = motion.lean, np.cos(motion.about), np.sin(motion.about)
    up = np.stack([-np.sin(lean) * east, -np.sin(lean) * north, np.cos(lean)])
    rate = np.gradient(lean) * RATE_HZ
    spun = motion.spun + np.stack([-north * rate, east * rate, 0.0 * rate])
    read = worn(person, motion.moved + up, spun, draw)
    read[:3] /= G_UNIT
    return read


def _any_side(draw: np.random.Generator) -> float:
    return draw.uniform(0.0, 2.0 * np.pi)


def _flight(at: float, seconds: float, share: float) -> Series:
    """Take a share of gravity away (upwards along z) before the moment `at`."""
    inside = np.clip(1.0 - np.abs((_TIME - at + seconds / 2.0) / (seconds / 2.0)), 0, 1)
    return np.stack([0.0 * inside, 0.0 * inside, -share * np.sqrt(inside)])


def _blow(at: float, size_g: float, draw: np.random.Generator) -> Series:
    """Draw a blow and the smaller ones after it."""
    width = draw.uniform(0.02, 0.07)
    first = np.exp(-(((_TIME - at) / width) ** 2))
    later = at + draw.uniform(0.1, 0.3)
    second = np.exp(-(((_TIME - later) / (2.0 * width)) ** 2))
    return size_g * (first + draw.uniform(-0.4, 0.4) * second)


def _turn(at: float, seconds: float, angle: float) -> Series:
    """Turn by an angle, half of it done at the moment `at`."""
    return angle / (1.0 + np.exp(-(_TIME - at) * 6.0 / seconds))


def _still(draw: np.random.Generator) -> Series:
    """Draw small slow motions on three axes."""
    tone, phase = draw.uniform(0.2, 1.5), draw.uniform(0.0, 6.28, size=(3, 1))
    size = 0.03 * np.exp(draw.normal(0.0, 0.8))
    return size * np.sin(2.0 * np.pi * tone * _TIME + phase)

"""Simulated vibration of machines with a deep-groove ball bearing, sound and damaged.

A damaged surface strikes once a pass and rings the housing: impulses at the
frequency of the fault, with the slip of the balls, through a resonance; those of the
inner race and of a ball swell and fade as they turn through the load (McFadden and
Smith, J. Sound Vib. 96, 1984). Frequencies are those of the bearing 6205.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from train.task import Gathering, Items, Part

Series = npt.NDArray[np.float64]

RATE_HZ = 12_000.0
ORDERS = {"inner race": 5.4152, "outer race": 3.5848, "ball": 4.7135}
"""Strikes a turn of the shaft, by place of the damage (bearing 6205-2RS)."""
_CAGE = 0.3983
"""Turns of the cage for one of the shaft."""
DEPTHS = {"slight": 0.5, "middle": 1.0, "severe": 2.0}
"""Typical strength of a strike, in parts of the noise of a sound machine."""
STATES = ("sound", *(f"{place}, {depth}" for place in ORDERS for depth in DEPTHS))

WINDOW = 1024
_SPECTRUM, _HOP, _FRAMES, _BANDS = 1024, 512, 5, 128
_SOUND_LENGTH = _SPECTRUM + (_FRAMES - 1) * _HOP
_SEEDS = {Part.TRAINING: 41, Part.HELD_OUT: 142}
_MACHINES = {Part.TRAINING: 150, Part.HELD_OUT: 50}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine: how fast it turns, where it rings, what else it says."""

    shaft_hz: float
    ring_hz: float
    ring_damping: float
    tilt: float
    tones: Series
    """Strength of the first orders of the shaft."""
    mesh_order: float
    mesh: float


def bearing_states(part: Part) -> Items:
    """Make windows [items, 1, 1024] of raw vibration in ten states."""
    draw = np.random.default_rng([_SEEDS[part], 1])
    each = {Part.TRAINING: 6, Part.HELD_OUT: 2}[part]
    gathered = Gathering()
    for number in range(_MACHINES[part]):
        machine = _drawn(draw)
        for label, state in enumerate(STATES):
            for _ in range(each):
                signal = _signal(machine, state, WINDOW, draw)
                scaled = signal / (4.0 * signal.std())
                gathered.add(scaled[None], label, number)
    return gathered.shuffled(draw)


def bearing_spectra(part: Part) -> Items:
    """Make frames [items, 640]: sound machines to learn from, both kinds held out."""
    draw = np.random.default_rng([_SEEDS[part], 2])
    each = {Part.TRAINING: 60, Part.HELD_OUT: 10}[part]
    gathered = Gathering()
    for number in range(_MACHINES[part]):
        machine = _drawn(draw)
        for label in (0,) if part is Part.TRAINING else (0, 1):
            for _ in range(each):
                state = STATES[draw.integers(1, len(STATES))] if label else STATES[0]
                signal = _signal(machine, state, _SOUND_LENGTH, draw)
                gathered.add(spectra(signal), label, number)
    return gathered.shuffled(draw)


def spectra(signal: Series) -> Series:
    """Give five spectra of 128 bands, end to end, of 3072 samples at 12 kHz.

    Each band is the logarithm of the power of four lines of a Hann-windowed
    spectrum, less the mean of all 640, halved.
    """
    frames = np.lib.stride_tricks.sliding_window_view(signal, _SPECTRUM)[::_HOP]
    lines = np.fft.rfft(frames * np.hanning(_SPECTRUM))[:, : 4 * _BANDS]
    power = (lines.real**2 + lines.imag**2).reshape(_FRAMES, _BANDS, 4).sum(axis=2)
    logs = np.log(power + 1e-9)
    return ((logs - logs.mean()) / 2.0).reshape(-1)


def _drawn(draw: np.random.Generator) -> Machine:
    return Machine(
        shaft_hz=draw.uniform(24.0, 32.0),
        ring_hz=draw.uniform(2800.0, 3800.0),
        ring_damping=draw.uniform(0.03, 0.08),
        tilt=draw.uniform(-0.35, 0.35),
        tones=draw.uniform(0.0, 0.5, size=4),
        mesh_order=float(draw.integers(17, 32)),
        mesh=draw.uniform(0.1, 0.5),
    )


def _signal(
    machine: Machine, state: str, length: int, draw: np.random.Generator
) -> Series:
    shaft = machine.shaft_hz * (1.0 + draw.normal(0.0, 0.02))
    turn = 2.0 * np.pi * shaft * np.arange(length) / RATE_HZ + draw.uniform(0.0, 6.28)
    load = np.exp(draw.normal(0.0, 0.15))
    noise = lfilter([1.0, machine.tilt], [1.0], draw.standard_normal(length))
    signal = noise / noise.std()
    for order, size in enumerate(machine.tones, start=1):
        signal = signal + load * size * np.sin(order * turn)
    wobble = 1.0 + 0.2 * np.sin(turn)
    signal = signal + load * machine.mesh * wobble * np.sin(machine.mesh_order * turn)
    if state != STATES[0]:
        signal = signal + _strikes(machine, state, shaft, length, draw)
    return signal


def _strikes(
    machine: Machine,
    state: str,
    shaft_hz: float,
    length: int,
    draw: np.random.Generator,
) -> Series:
    place, depth = state.split(", ")
    lead = 256
    period = RATE_HZ / (shaft_hz * ORDERS[place])
    count = int((length + lead) / period) + 2
    gaps = period * (1.0 + draw.normal(0.0, 0.01, size=count))
    at = np.cumsum(gaps) - period * draw.uniform()
    size = DEPTHS[depth] * np.exp(draw.normal(0.0, 0.15))
    sizes = 8.0 * size * np.exp(draw.normal(0.0, 0.1, size=count))
    turns = {"inner race": 1.0, "ball": _CAGE}.get(place)
    if turns is not None:
        angle = 2.0 * np.pi * turns * shaft_hz * at / RATE_HZ + draw.uniform(0.0, 6.28)
        sizes *= np.clip(0.6 + 0.6 * np.cos(angle), 0.0, None)
    blows = np.zeros(length + lead)
    inside = (at >= 0.0) & (at < len(blows) - 1)
    np.add.at(blows, at[inside].astype(int), sizes[inside])
    return _rung(machine, blows)[lead:]


def _rung(machine: Machine, blows: Series) -> Series:
    """Pass blows through a resonance of second order, of peak gain near 1."""
    angle = 2.0 * np.pi * machine.ring_hz / RATE_HZ
    radius = np.exp(-machine.ring_damping * angle)
    poles = [1.0, -2.0 * radius * np.cos(angle), radius**2]
    return lfilter([0.0, np.sin(angle)], poles, blows)

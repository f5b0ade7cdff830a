"""Spoken items: words by espeak-ng, put into one second, with a room and noise.

espeak-ng (GPL-3.0, Debian's package) is executed, not linked; what it says is data.
"""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter, resample_poly

from train.features import RATE_HZ, cepstra
from train.task import Gathering, Items, Part
from train.words import SILENCE, UNKNOWN, VOICES, Language

Sound = npt.NDArray[np.float32]

_HEADER = 44
"""Bytes before the samples in what espeak-ng --stdout gives (16 bit, mono)."""
_UP, _DOWN = 320, 441
"""From the 22 050 Hz of espeak-ng to 16 kHz."""
_FULL = 32768.0
_QUIET = 0.01
"""Samples below this part of the peak are silence around a word."""
_TAKES = {Part.TRAINING: 4, Part.HELD_OUT: 3}
"""How often each voice says each keyword, each time at another speed and pitch."""
_OTHERS = {Part.TRAINING: 12, Part.HELD_OUT: 6}
"""How many of the other words each voice says."""
_COPIES = {Part.TRAINING: 3, Part.HELD_OUT: 1}
"""How often each take is put into another room and noise."""
_SPEED_WPM = (120, 230)
_PITCH = (15, 85)
_RATIO_DB = (5.0, 30.0)
"""Speech to noise."""


class NoVoice(Exception):
    """espeak-ng is not there, or cannot say what it must."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A word said once, without the silence around it."""

    sound: Sound
    label: int
    voice: int


def spoken(language: Language, part: Part, *, held_out: int) -> Items:
    """Make the items of a part; `held_out` is how many of those are kept.

    Classes are as frequent as they are said, silence as often as one keyword.
    """
    draw = np.random.default_rng([_SEEDS[part], len(language.accents)])
    takes = list(_takes(language, part, draw))
    copies = [take for take in takes for _ in range(_COPIES[part])]
    background = np.concatenate([take.sound for take in takes[:: len(takes) // 40]])
    gathered = Gathering()
    for take in copies:
        heard = _placed(take.sound, background, draw)
        gathered.add(cepstra(heard), take.label, take.voice)
    silence = language.classes.index(SILENCE)
    for number in range(len(copies) // len(language.classes)):
        heard = _empty(background, draw)
        gathered.add(cepstra(heard), silence, number % len(VOICES[part]))
    items = gathered.shuffled(draw)
    return items if part is Part.TRAINING else _balanced(items, held_out)


_SEEDS = {Part.TRAINING: 11, Part.HELD_OUT: 212}


def _takes(language: Language, part: Part, draw: np.random.Generator) -> Iterator[Take]:
    engine = shutil.which("espeak-ng")
    if engine is None:
        raise NoVoice("espeak-ng is missing; Debian has it: apt-get install espeak-ng")
    keywords = [(text, word) for word, text in language.keywords.items()]
    for voice, variant in enumerate(VOICES[part]):
        some = draw.permutation(language.others[part])[: _OTHERS[part]]
        others = [(str(text), UNKNOWN) for text in some]
        for text, word in keywords * _TAKES[part] + others:
            accent = language.accents[draw.integers(len(language.accents))]
            sound = _said(engine, f"{accent}+{variant}", text, draw)
            yield Take(sound=sound, label=language.classes.index(word), voice=voice)


def _said(engine: str, voice: str, text: str, draw: np.random.Generator) -> Sound:
    speed, pitch = draw.integers(*_SPEED_WPM), draw.integers(*_PITCH)
    command = [engine, "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout"]
    done = subprocess.run(  # noqa: S603 - words and voices are our own lists
        [*command, text], capture_output=True, check=False
    )
    samples = np.frombuffer(done.stdout[_HEADER:], "<i2").astype(np.float32) / _FULL
    if done.returncode != 0 or not samples.size or not samples.any():
        raise NoVoice(f"espeak-ng does not say '{text}' in the voice '{voice}'")
    sound = resample_poly(samples, _UP, _DOWN).astype(np.float32)
    loud = np.flatnonzero(np.abs(sound) > _QUIET * np.abs(sound).max())
    return sound[loud[0] : loud[-1] + 1]


def _placed(sound: Sound, background: Sound, draw: np.random.Generator) -> Sound:
    """Put a word somewhere into a second; what is longer loses its end."""
    second = np.zeros(RATE_HZ, np.float32)
    word = sound[:RATE_HZ]
    start = draw.integers(RATE_HZ - len(word) + 1)
    second[start : start + len(word)] = word
    heard = _coloured(_in_room(second, draw), draw)
    level = _power(word) ** 0.5 * 10.0 ** (-draw.uniform(*_RATIO_DB) / 20.0)
    mixed = heard + level * _noise(background, draw)
    return _at_gain(mixed, draw)


def _empty(background: Sound, draw: np.random.Generator) -> Sound:
    level = 10.0 ** draw.uniform(-4.0, -1.0)
    return (level * _noise(background, draw)).astype(np.float32)


def _at_gain(sound: Sound, draw: np.random.Generator) -> Sound:
    peak = 10.0 ** draw.uniform(-1.3, 0.0)
    return (sound * (peak / np.abs(sound).max())).astype(np.float32)


def _in_room(sound: Sound, draw: np.random.Generator) -> Sound:
    """Add a tail that fades by 60 dB within 0.05 to 0.4 s."""
    length = int(RATE_HZ * draw.uniform(0.05, 0.4))
    tail = draw.standard_normal(length) * 10.0 ** (-3.0 * np.arange(length) / length)
    tail *= draw.uniform(0.0, 0.6) / np.sqrt(np.sum(tail**2))
    size = 2 * RATE_HZ
    late = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)
    return (sound + late[:RATE_HZ]).astype(np.float32)


def _coloured(sound: Sound, draw: np.random.Generator) -> Sound:
    """Tilt the spectrum a little, as microphones do."""
    tilt = draw.uniform(-0.5, 0.5)
    return lfilter([1.0, tilt], [1.0], sound).astype(np.float32)


def _noise(background: Sound, draw: np.random.Generator) -> Sound:
    """Draw a second of hiss, rumble, hum or babble, of power 1."""
    match draw.integers(4):
        case 0:
            noise = draw.standard_normal(RATE_HZ)
        case 1:
            noise = lfilter([1.0], [1.0, -0.97], draw.standard_normal(RATE_HZ))
        case 2:
            noise = _hum(draw) + 0.3 * draw.standard_normal(RATE_HZ)
        case _:
            starts = draw.integers(len(background) - RATE_HZ, size=5)
            noise = sum(background[at : at + RATE_HZ] for at in starts)
            noise = noise + 1e-4 * draw.standard_normal(RATE_HZ)
    return (noise / np.sqrt(_power(noise))).astype(np.float32)


def _hum(draw: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw the harmonics of a motor between 40 and 300 Hz."""
    tone = draw.uniform(40.0, 300.0)
    time = np.arange(RATE_HZ) / RATE_HZ
    return sum(
        draw.uniform(0.2, 1.0)
        / order
        * np.sin(2.0 * np.pi * (order * tone * time + draw.uniform()))
        for order in range(1, 8)
    )


def _power(sound: npt.NDArray[np.floating]) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64))) + 1e-12


def _balanced(items: Items, count: int) -> Items:
    """Keep the first `count` items that have as many of each class as of the others."""
    classes = np.unique(items.labels)
    each = count // len(classes)
    kept = [np.flatnonzero(items.labels == label)[:each] for label in classes]
    return items.taken(np.sort(np.concatenate(kept)))

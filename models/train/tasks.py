"""All trained models by name."""

from dataclasses import replace
from functools import partial

import make_conv1d
import make_tiny
from spec import Input, Spec

from train.digits import images, network
from train.falls import CLASSES as FALL_CLASSES
from train.falls import falls
from train.heart import CLASSES as RHYTHMS
from train.heart import beats
from train.motion import ACTIVITIES, activities
from train.speech import spoken
from train.stories import STORIES
from train.task import Metric, Recipe, Task
from train.vibration import STATES, bearing_spectra, bearing_states
from train.words import ENGLISH, MANDARIN, Language

_SEEDED = {spec.name: spec for spec in (*make_tiny.SPECS, *make_conv1d.SPECS)}
_SPOKEN = 1008
"""Held-out items of a keyword model: 84 of each of the twelve classes."""


def _like(seeded: str, name: str, task: str, reach: float) -> Spec:
    """Draw as a seeded model does, under another name; values are within ±reach."""
    spec = _SEEDED[seeded]
    (only,) = spec.inputs
    return replace(
        spec,
        name=name,
        task=task,
        inputs=(replace(only, low=-reach, high=reach),),
    )


def _keywords(name: str, language: Language, floor: float) -> Task:
    return Task(
        spec=_like("dscnn-kws", name, "keyword spotting", 4.0),
        classes=language.classes,
        metric=Metric.TOP1,
        make=partial(spoken, language, held_out=_SPOKEN),
        recipe=Recipe(epochs=10, batch=64, rate=6e-3),
        step=1 / 32,
        floor=floor,
        story=STORIES[name],
    )


_ALL = (
    _keywords("kws-zh", MANDARIN, 0.86),
    _keywords("kws-en", ENGLISH, 0.80),
    Task(
        spec=_like("cnn1d-har", "har-imu", "human activity recognition", 4.0),
        classes=ACTIVITIES,
        metric=Metric.TOP1,
        make=activities,
        recipe=Recipe(epochs=12),
        step=1 / 32,
        floor=0.88,
        story=STORIES["har-imu"],
    ),
    Task(
        spec=_like(
            "cnn1d-fall", "fall-imu", "fall detection from inertial sensors", 4.0
        ),
        classes=FALL_CLASSES,
        metric=Metric.TOP1,
        make=falls,
        recipe=Recipe(epochs=15),
        step=1 / 32,
        floor=0.90,
        story=STORIES["fall-imu"],
    ),
    Task(
        spec=_like("fcae-ad", "bearing-ad", "anomaly detection in vibration", 4.0),
        classes=("sound", "damaged"),
        metric=Metric.AUC_RECONSTRUCTION,
        make=bearing_spectra,
        recipe=Recipe(epochs=25, batch=128),
        step=1 / 16,
        floor=0.80,
        story=STORIES["bearing-ad"],
    ),
    Task(
        spec=_like("cnn1d-vib", "bearing-state", "bearing state from vibration", 2.0),
        classes=STATES,
        metric=Metric.TOP1,
        make=bearing_states,
        recipe=Recipe(epochs=20),
        step=1 / 16,
        floor=0.75,
        story=STORIES["bearing-state"],
    ),
    Task(
        spec=_like("cnn1d-ecg", "ecg-beats", "ECG beat and rhythm classification", 2.5),
        classes=RHYTHMS,
        metric=Metric.TOP1,
        make=beats,
        recipe=Recipe(epochs=15),
        step=0.03,
        floor=0.88,
        story=STORIES["ecg-beats"],
    ),
    Task(
        spec=Spec(
            name="digits",
            task="handwritten digits",
            draw=network,
            inputs=(Input(name="image", shape=(1, 8, 8), low=0.0, high=1.0),),
            seed=301,
            source="Own design",
        ),
        classes=tuple("0123456789"),
        metric=Metric.TOP1,
        make=images,
        recipe=Recipe(epochs=30),
        step=1 / 64,
        floor=0.93,
        story=STORIES["digits"],
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}

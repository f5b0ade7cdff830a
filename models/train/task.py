"""What is said of a trained model, and the items that it learns from and answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from spec import Spec

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]
Labels = npt.NDArray[np.int64]

_LARGEST = 127


class Part(StrEnum):
    """Which half of the world an item comes from; the halves share no source."""

    TRAINING = "training"
    HELD_OUT = "held-out"


class Metric(StrEnum):
    """How answers become one figure; the names are those of the index."""

    TOP1 = "top1"
    AUC_RECONSTRUCTION = "auc-reconstruction"
    """Area under the ROC curve; the score is the mean squared error of an
    autoencoder, and the label 1 is an anomaly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Labelled items: values [items, *shape], a class each, and a source each.

    A source is what items have in common besides their class: a voice, a person,
    a machine. Items of one source are no independent evidence.
    """

    values: Floats
    labels: Labels
    sources: Labels

    def __len__(self) -> int:
        """Count the items."""
        return len(self.labels)

    def taken(self, order: npt.NDArray[np.integer]) -> "Items":
        """Give some of the items, in the order of these numbers."""
        return Items(
            values=self.values[order],
            labels=self.labels[order],
            sources=self.sources[order],
        )


@dataclass(slots=True)
class Gathering:
    """Items while they are made, one after the other."""

    _values: list[npt.NDArray[np.floating]] = field(default_factory=list)
    _labels: list[int] = field(default_factory=list)
    _sources: list[int] = field(default_factory=list)

    def add(self, values: npt.NDArray[np.floating], label: int, source: int) -> None:
        """Add one item."""
        self._values.append(values)
        self._labels.append(label)
        self._sources.append(source)

    def shuffled(self, draw: np.random.Generator) -> Items:
        """Give all items in an order that says nothing of their class."""
        items = Items(
            values=np.stack(self._values).astype(np.float32),
            labels=np.array(self._labels, np.int64),
            sources=np.array(self._sources, np.int64),
        )
        return items.taken(draw.permutation(len(items)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained. `rate` is the largest learning rate."""

    epochs: int
    batch: int = 64
    rate: float = 3e-3
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a model card says in words; all figures on a card are measured."""

    title: str
    data: str
    source: str
    """What one source of items is: "voice", "person" …"""
    sources: str
    """The same for several."""
    apart: str
    """What the held-out items do not share with those learnt from."""
    preparation: tuple[str, ...]
    """From a sensor's samples to the input, one step a line."""
    good_for: str
    not_good_for: tuple[str, ...]
    note_zh: str
    note_en: str
    is_twin: bool = True
    """Whether a seeded model has the same graph."""
    licence: str = ""
    """Where it is not that of the repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One model to be trained.

    `step` is the worth of one unit of the 8-bit values that items are kept in.
    `floor` is the least figure that a retrained model may have.
    """

    spec: Spec
    classes: tuple[str, ...]
    metric: Metric
    make: Callable[[Part], Items]
    recipe: Recipe
    step: float
    floor: float
    story: Story

    @property
    def name(self) -> str:
        """Give the name of the model."""
        return self.spec.name


def encoded(values: Floats, step: float) -> Bytes:
    """Round values to 8 bits, as a converter of a sensor would."""
    whole = np.rint(values / np.float32(step))
    return np.clip(whole, -_LARGEST, _LARGEST).astype(np.int8)


def decoded(kept: Bytes, step: float) -> Floats:
    """Give the values that 8 bits stand for."""
    return kept.astype(np.float32) * np.float32(step)

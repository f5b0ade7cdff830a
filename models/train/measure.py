"""How well a model answers: executed by onnxruntime, with bounds and a confusion.

Nothing here needs torch: whoever has the files can find the figures again.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from train.task import Floats, Labels, Metric

Scores = npt.NDArray[np.float64]

_Z = 1.959964
"""Standard normal deviate of 97.5 %: all intervals here cover 95 %."""
_RESAMPLES = 1000
_SEED = 7
_ALARMS = 0.05
"""Share of the sound training items that the threshold of an anomaly may alarm on."""
_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Bounds of 95 %."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A metric on the held-out items.

    `by_items` takes items for independent (Wilson, 1927, for a share; Hanley and
    McNeil, 1982, for an area); `by_sources` draws whole voices, people or machines
    anew (bootstrap), which is the honest one where items share a source.
    """

    value: float
    by_items: Interval
    by_sources: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a model said of each item: a class (top1), or a score (anomaly)."""

    classes: Labels
    scores: Scores


def answers(
    path: Path, values: Floats, metric: Metric, threshold: float = 0.0
) -> Answers:
    """Execute a model over items [items, *shape], one thread, on the CPU.

    The class of an anomaly score is 1 above the threshold.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    outputs = np.concatenate(
        [
            session.run(None, {name: values[at : at + _AT_ONCE]})[0]
            for at in range(0, len(values), _AT_ONCE)
        ]
    )
    if metric is Metric.TOP1:
        return Answers(
            classes=outputs.argmax(axis=1), scores=outputs.max(axis=1).astype(float)
        )
    errors = np.square(outputs.astype(np.float64) - values).mean(axis=1)
    return Answers(classes=(errors > threshold).astype(np.int64), scores=errors)


def figure(given: Answers, labels: Labels, sources: Labels, metric: Metric) -> Figure:
    """Give the metric with both intervals."""
    if metric is Metric.TOP1:
        right = (given.classes == labels).astype(float)
        value = float(right.mean())
        by_items = share_bounds(value, len(right))
    else:
        value = area(given.scores, labels)
        by_items = area_bounds(value, labels)
    by_sources = _bootstrap(given, labels, sources, metric)
    return Figure(value=value, by_items=by_items, by_sources=by_sources)


def confusion(given: Answers, labels: Labels, count: int) -> list[list[int]]:
    """Count items by true class (rows) and answered class (columns)."""
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (labels, given.classes), 1)
    return [[int(cell) for cell in row] for row in table]


def threshold_of(scores: Scores) -> float:
    """Give the score that 5 % of sound training items exceed, to 4 digits."""
    return float(f"{np.quantile(scores, 1.0 - _ALARMS):.3e}")


def area(scores: Scores, labels: Labels) -> float:
    """Give the area under the ROC curve: the chance that an anomaly scores higher."""
    sound, odd = np.sort(scores[labels == 0]), scores[labels == 1]
    below = np.searchsorted(sound, odd, side="left")
    not_above = np.searchsorted(sound, odd, side="right")
    return float((below + not_above).mean() / (2.0 * len(sound)))


def share_bounds(share: float, count: int) -> Interval:
    """Give the score interval of E. B. Wilson, JASA 22 (1927), 209."""
    z2 = _Z * _Z / count
    middle = (share + z2 / 2.0) / (1.0 + z2)
    half = _Z * np.sqrt(share * (1.0 - share) / count + z2 / (4.0 * count))
    half /= 1.0 + z2
    return Interval(low=float(middle - half), high=float(middle + half))


def area_bounds(value: float, labels: Labels) -> Interval:
    """Give the interval of Hanley and McNeil, Radiology 143 (1982), 29."""
    odd, sound = int(np.sum(labels == 1)), int(np.sum(labels == 0))
    first, second = value / (2.0 - value), 2.0 * value**2 / (1.0 + value)
    spread = value * (1.0 - value)
    spread += (odd - 1) * (first - value**2) + (sound - 1) * (second - value**2)
    half = _Z * float(np.sqrt(spread / (odd * sound)))
    return Interval(low=max(value - half, 0.0), high=min(value + half, 1.0))


def _bootstrap(
    given: Answers, labels: Labels, sources: Labels, metric: Metric
) -> Interval:
    """Draw whole sources anew, with replacement; give the middle 95 %."""
    names, member = np.unique(sources, return_inverse=True)
    draw = np.random.default_rng(_SEED)
    drawn = draw.integers(len(names), size=(_RESAMPLES, len(names)))
    if metric is Metric.TOP1:
        sizes = np.bincount(member)
        right = np.bincount(member, weights=given.classes == labels)
        found = right[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    else:
        groups = [np.flatnonzero(member == number) for number in range(len(names))]
        chosen = (np.concatenate([groups[one] for one in row]) for row in drawn)
        found = [area(given.scores[items], labels[items]) for items in chosen]
    low, high = np.quantile(found, (0.025, 0.975))
    return Interval(low=float(low), high=float(high))

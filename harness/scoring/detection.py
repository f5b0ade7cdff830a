"""Boxes against true boxes, as COCO matches them (cocodataset.org, "Detection Eval").

A row a detection: class, score, 0, then for each IoU threshold 1 where it is a hit.
A row a true box: class, 0, 1, and zeros. Best scores choose first, each true box
answers for one detection.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[Any]
THRESHOLDS = np.linspace(0.5, 0.95, 10)
WIDTH = 3 + len(THRESHOLDS)
_MOST_DETECTIONS = 100
"""Of one class on one image."""
_RECALLS = np.linspace(0, 1, 101)


def match_boxes(outputs: Sequence[Tensor], label: Tensor) -> NDArray[np.float64]:
    """Match detections with true boxes, both as x1, y1, x2, y2.

    `outputs` are boxes [k, 4], scores [k], classes [k], or one tensor [k, 6] of box,
    score and class; `label` is [n, 5] of class and box, padded with class -1.
    Raises ValueError for outputs that are neither.
    """
    boxes, scores, classes = _detections(outputs)
    true = np.asarray(label, dtype=np.float64).reshape(-1, 5)
    true = true[true[:, 0] >= 0]
    order = _best_of_each(scores, classes)
    rows = np.zeros((len(order) + len(true), WIDTH))
    rows[: len(order), 0] = classes[order]
    rows[: len(order), 1] = scores[order]
    rows[len(order) :, 0] = true[:, 0]
    rows[len(order) :, 2] = 1
    for column, threshold in enumerate(THRESHOLDS, start=3):
        is_free = np.ones(len(true), dtype=bool)
        for row, number in enumerate(order):
            overlap = _overlap(boxes[number], true[:, 1:])
            overlap[~is_free | (true[:, 0] != classes[number])] = 0
            if len(true) and overlap.max() >= threshold:
                is_free[int(overlap.argmax())] = False
                rows[row, column] = 1
    return rows


def _best_of_each(scores: Tensor, classes: Tensor) -> NDArray[np.int64]:
    """Order detections by score, and leave out those beyond the most of a class."""
    order = np.argsort(-scores, kind="stable")
    kept = np.zeros(len(order), dtype=bool)
    for number in np.unique(classes):
        of_class = np.flatnonzero(classes[order] == number)
        kept[of_class[:_MOST_DETECTIONS]] = True
    chosen: NDArray[np.int64] = order[kept]
    return chosen


def mean_average_precision(values: NDArray[np.float64]) -> float:
    """Give the mean over classes and thresholds of the 101-point precision."""
    found = [_average_precisions(values[values[:, 0] == c]) for c in _classes(values)]
    return float(np.mean(found)) if found else 0.0


def _classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.unique(values[values[:, 2] == 1, 0])


def _average_precisions(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    true = int(rows[:, 2].sum())
    found = rows[rows[:, 2] == 0]
    found = found[np.argsort(-found[:, 1], kind="stable")]
    if not len(found):
        return np.zeros(len(THRESHOLDS))
    hits = np.cumsum(found[:, 3:], axis=0)
    precision = hits / np.arange(1, len(found) + 1)[:, np.newaxis]
    best_after = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    averages = np.zeros(len(THRESHOLDS))
    for column in range(len(THRESHOLDS)):
        at = np.searchsorted(hits[:, column] / true, _RECALLS, side="left")
        reached = at < len(found)
        averages[column] = best_after[at[reached], column].sum() / len(_RECALLS)
    return averages


def _detections(outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    first = np.asarray(outputs[0], dtype=np.float64)
    if len(outputs) == 1 and first.shape[-1] == 6:  # noqa: PLR2004 - box, score, class
        flat = first.reshape(-1, 6)
        return flat[:, :4], flat[:, 4], flat[:, 5]
    if len(outputs) >= 3 and first.shape[-1] == 4:  # noqa: PLR2004 - boxes first
        scores = np.asarray(outputs[1], dtype=np.float64).ravel()
        return first.reshape(-1, 4), scores, np.asarray(outputs[2]).ravel()
    raise ValueError("its outputs are neither boxes, scores, classes nor one [k, 6]")


def _overlap(box: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of one box with each of the others."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    either = np.prod(box[2:] - box[:2]) + areas - both
    return np.where(either > 0, both / np.where(either > 0, either, 1), 0.0)

"""Do labels fit the items, and the metric? Asked before anything is measured."""

from collections.abc import Mapping
from math import prod
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from harness.catalogue.anatomy import Port
from harness.domain.labelled import Metric
from harness.errors import UsageError

Array = NDArray[Any]
_ANNOTATIONS = {Metric.MIOU: 3, Metric.EXACT: 2, Metric.MAP: 3}
"""Metric → axes that its labels have, items among them."""
_DECIDING = frozenset({Metric.TOP1, Metric.TOP5, Metric.F1})
_BOX = 5


def check_labels(
    labels: Array,
    arrays: Mapping[str, Array],
    metric: Metric,
    where: str,
    *,
    has_tokens: bool = False,
) -> None:
    """Raise UsageError where labels cannot be those of these items by that metric.

    `has_tokens`: it is known what a token is in words.
    """
    if not labels.ndim or not len(labels):
        raise UsageError(
            "The data set has no label",
            where=where,
            remedy="Axis 0 of 'labels' counts the items.",
        )
    for name, array in arrays.items():
        if array.ndim and array.size > 1 and len(array) != len(labels):
            raise UsageError(
                f"There are {len(labels)} labels, but {len(array)} items of '{name}'",
                where=where,
                remedy="Give every item one label, in the same order.",
            )
    fault = _fault(labels, metric, has_tokens=has_tokens)
    if fault:
        raise UsageError(
            f"The labels do not fit the metric {metric}: {fault}",
            where=where,
            remedy="See docs/reference/labelled-data.md, or give another --metric.",
        )


def check_classes(labels: Array, metric: Metric, output: Port, where: str) -> None:
    """Raise UsageError for a label that is none of the classes of a model's output.

    Scores say how many classes there are; an output of whole numbers does not.
    """
    sizes = (output.dims or ())[1:]
    classes = prod(size for size in sizes if isinstance(size, int))
    is_known = output.form.startswith(("float", "double")) and len(sizes) == sum(
        isinstance(size, int) for size in sizes
    )
    if metric not in _DECIDING or not is_known or not sizes:
        return
    if int(labels.max()) >= classes:
        raise UsageError(
            f"Label {int(labels.max())} of item {int(labels.argmax())} is none of the "
            f"model's {classes} classes, counted from 0",
            where=where,
            remedy="Give the labels that the model was trained with.",
        )


def _fault(  # noqa: C901, PLR0911 - one return a metric
    labels: Array, metric: Metric, *, has_tokens: bool
) -> str:
    match metric:
        case Metric.TOP1 | Metric.TOP5 | Metric.F1:
            if labels.ndim != 1 or not _is_whole(labels) or labels.min() < 0:
                return "they must be one class index an item, from 0"
        case Metric.AUC | Metric.AUC_RECONSTRUCTION:
            if labels.ndim != 1 or set(np.unique(labels)) != {0, 1}:
                return "they must be 0 and 1, and both must occur"
        case Metric.WER | Metric.CER:
            return _fault_of_sequences(labels, has_tokens=has_tokens)
        case Metric.MIOU | Metric.EXACT | Metric.MAP:
            axes = _ANNOTATIONS[metric]
            if labels.ndim != axes:
                return f"they have {labels.ndim} axes, and {axes} are needed"
            if metric is Metric.MAP and labels.shape[2] != _BOX:
                return "a box is class, x1, y1, x2, y2"
        case Metric.MSE | Metric.MAE | Metric.PSNR:
            if labels.dtype.kind not in "fiu":
                return "they must be numbers"
        case _:
            assert_never(metric)
    return ""


def _fault_of_sequences(labels: Array, *, has_tokens: bool) -> str:
    """Say what is wrong with texts, or with token ids."""
    if labels.dtype.kind == "U":
        if not has_tokens:
            return "they are texts, and 'tokens' does not say what a token is in words"
        return "" if labels.ndim == 1 else "they must be one text an item"
    if labels.ndim != 2 or not _is_whole(labels):  # noqa: PLR2004 - items, places
        return "they must be one text an item, or token ids padded with -1"
    return ""


def _is_whole(labels: Array) -> bool:
    return labels.dtype.kind in "iu"

"""One item's outputs and its label → rows, metric by metric.

What each metric keeps of an item:

=====================  ==================================================
top1, top5             predicted class, label, 1 if the label is among the k
f1                     predicted class, label
auc                    score, label
auc-reconstruction     mean squared error of output 0 against input 0, label
mse, mae, psnr         error
miou                   intersection and union, class by class
map                    see `detection`
wer, cer               edits, words or characters of the label
exact                  1 if the sequence is right
=====================  ==================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from harness.domain.labelled import Metric
from harness.scoring.detection import match_boxes
from harness.scoring.rows import Rows
from harness.scoring.sequences import Ids, decode_sequence, edits, numbered, text_of

Tensor = NDArray[Any]
SKETCH_VALUES = 64
"""Values kept of the outputs of an item that has no label."""
MASK_CLASSES = 64
"""Classes told apart where a model gives a mask instead of scores."""
_TOP5 = 5
NOT_FINITE = "outputs are not finite"
"""In what is said of an item whose outputs are no numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a metric may look at besides outputs and label."""

    first: Tensor
    """The model's first input."""
    tokens: Sequence[str] = ()
    """The text of each token, where labels are texts."""


def score_item(
    metric: Metric, item: int, outputs: Sequence[Tensor], label: Tensor, beside: Beside
) -> Rows:
    """Score the outputs for one item.

    Raises ValueError for outputs whose shape does not fit the label, and for
    outputs that are not finite.
    """
    if not all(_is_finite(tensor) for tensor in outputs):
        raise ValueError(f"its {NOT_FINITE}")
    values = np.atleast_2d(_score(metric, outputs, label, beside))
    return np.column_stack((np.full(len(values), float(item)), values))


def sketch_item(item: int, outputs: Sequence[Tensor]) -> Rows:
    """Keep up to 64 values of an item's outputs, evenly spread over all of them."""
    flat = np.concatenate([np.ravel(t).astype(np.float64) for t in outputs])
    at = np.linspace(0, max(len(flat) - 1, 0), min(SKETCH_VALUES, len(flat)))
    kept = np.zeros(SKETCH_VALUES)
    kept[: len(at)] = flat[np.rint(at).astype(np.int64)]
    return np.concatenate(([float(item)], kept))[np.newaxis]


def _score(  # noqa: C901, PLR0911 - one return a metric
    metric: Metric, outputs: Sequence[Tensor], label: Tensor, beside: Beside
) -> Tensor:
    match metric:
        case Metric.TOP1:
            return _top(outputs[0], label, 1)
        case Metric.TOP5:
            return _top(outputs[0], label, _TOP5)
        case Metric.F1:
            return _top(outputs[0], label, 1)[:2]
        case Metric.AUC:
            return np.array([float(np.ravel(outputs[0])[-1]), float(label)])
        case Metric.AUC_RECONSTRUCTION:
            return np.array([_squared(outputs[0], beside.first), float(label)])
        case Metric.MSE | Metric.PSNR:
            return np.array([_squared(outputs[0], label)])
        case Metric.MAE:
            difference = _real(outputs[0]) - _fitted(label, outputs[0])
            return np.array([np.abs(difference).mean()])
        case Metric.MIOU:
            return _overlaps(_without_batch(outputs[0], label.ndim), label)
        case Metric.MAP:
            return match_boxes(outputs, label)
        case Metric.WER | Metric.CER:
            said = decode_sequence(outputs[0], is_ctc=True)
            found, words = _compared(metric, said, label, beside.tokens)
            return np.array([edits(found, words), len(words)], dtype=np.float64)
        case Metric.EXACT:
            words = label[label >= 0]
            found = decode_sequence(outputs[0], is_ctc=False)[: len(words)]
            return np.array([float(np.array_equal(found, words))])
        case _:
            assert_never(metric)


def _compared(
    metric: Metric, said: Ids, label: Tensor, tokens: Sequence[str]
) -> tuple[Ids, Ids]:
    """Give what was said and the label as sequences of words or characters."""
    if label.dtype.kind != "U":
        return said, label[label >= 0].astype(np.int64)
    by_word = metric is Metric.WER
    return numbered(text_of(said, tokens), str(label), by_word=by_word)


def _is_finite(tensor: Tensor) -> bool:
    return tensor.dtype.kind != "f" or bool(np.isfinite(tensor).all())


def _top(scores: Tensor, label: Tensor, most: int) -> Tensor:
    flat = np.ravel(scores)
    number = int(label)
    if flat.size == 1 and scores.dtype.kind in "iu":  # a model that ends in arg-max
        return np.array([flat[0], number, flat[0] == number], dtype=np.float64)
    if not 0 <= number < flat.size:
        raise ValueError(f"label {number} is none of its {flat.size} classes")
    best = np.argsort(-flat.astype(np.float64), kind="stable")[:most]
    return np.array([best[0], number, number in best], dtype=np.float64)


def _real(tensor: Tensor) -> Tensor:
    return np.asarray(tensor, dtype=np.float64)


def _fitted(label: Tensor, output: Tensor) -> Tensor:
    if label.size != output.size:
        raise ValueError(f"its label has {label.size} values, the output {output.size}")
    return _real(label).reshape(output.shape)


def _squared(output: Tensor, label: Tensor) -> float:
    return float(((_real(output) - _fitted(label, output)) ** 2).mean())


def _without_batch(tensor: Tensor, axes: int) -> Tensor:
    while tensor.ndim > axes + 1 and tensor.shape[0] == 1:
        tensor = tensor[0]
    return tensor


def _overlaps(output: Tensor, label: Tensor) -> Tensor:
    """Count, class by class, where mask and label agree and where either is."""
    if output.ndim == label.ndim + 1 and output.shape[1:] == label.shape:
        classes = max(output.shape[0], 2)
        mask = output.argmax(axis=0) if len(output) > 1 else (output[0] > 0)
    else:
        mask, classes = np.squeeze(output), MASK_CLASSES
    if mask.shape != label.shape:
        raise ValueError(
            f"its label is {list(label.shape)}, the output {list(output.shape)}"
        )
    is_counted = label >= 0
    pairs = np.zeros((classes, 2))
    for number in range(classes):
        mine, true = (mask == number) & is_counted, label == number
        pairs[number] = (mine & true).sum(), (mine | true).sum()
    return pairs.ravel()

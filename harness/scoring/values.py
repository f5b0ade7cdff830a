"""Rows → the value of a metric, and the same for items drawn again (bootstrap)."""

from collections.abc import Callable
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from harness.domain.labelled import Metric
from harness.scoring.detection import mean_average_precision
from harness.scoring.rows import Rows

Reals = NDArray[np.float64]
_LEAST_SQUARED_ERROR = 1e-10
"""100 dB: an item that is reproduced exactly has no finite PSNR."""


def value_of(metric: Metric, rows: Rows) -> float:
    """Give the value of a metric over all items. NaN where it does not exist."""
    return _value(metric, rows[:, 1:])


def resampler(metric: Metric, rows: Rows) -> Callable[[NDArray[np.int64]], float]:
    """Give the function from places of items to the value over those items.

    Places count the items in the order of their numbers; one may come many times.
    """
    ordered = rows[np.argsort(rows[:, 0], kind="stable")]
    numbers, begins = np.unique(ordered[:, 0], return_index=True)
    values = ordered[:, 1:]
    if len(numbers) == len(values):
        return lambda places: _value(metric, values[places])
    parts = np.split(values, begins[1:])
    return lambda places: _value(metric, np.concatenate([parts[p] for p in places]))


def _value(metric: Metric, values: Reals) -> float:  # noqa: PLR0911 - one a metric
    match metric:
        case Metric.TOP1 | Metric.TOP5:
            return float(values[:, 2].mean())
        case Metric.F1:
            return _macro_f1(values[:, 0], values[:, 1])
        case Metric.AUC | Metric.AUC_RECONSTRUCTION:
            return _area(values[:, 0], values[:, 1])
        case Metric.MSE | Metric.MAE | Metric.EXACT:
            return float(values[:, 0].mean())
        case Metric.PSNR:
            error = np.maximum(values[:, 0], _LEAST_SQUARED_ERROR)
            return float((-10 * np.log10(error)).mean())
        case Metric.MIOU:
            sums = values.sum(axis=0).reshape(-1, 2)
            sums = sums[sums[:, 1] > 0]
            return float((sums[:, 0] / sums[:, 1]).mean()) if len(sums) else np.nan
        case Metric.MAP:
            return mean_average_precision(values)
        case Metric.WER | Metric.CER:
            words = float(values[:, 1].sum())
            return 1 - float(values[:, 0].sum()) / words if words else np.nan
        case _:
            assert_never(metric)


def _macro_f1(predicted: Reals, labels: Reals) -> float:
    scores = []
    for number in np.unique(np.concatenate((predicted, labels))):
        mine, true = predicted == number, labels == number
        scores.append(2 * (mine & true).sum() / (mine.sum() + true.sum()))
    return float(np.mean(scores))


def _area(scores: Reals, labels: Reals) -> float:
    """Area under the ROC curve: Mann-Whitney's U, ties counting half."""
    positive = scores[labels > 0]
    negative = np.sort(scores[labels <= 0])
    if not len(positive) or not len(negative):
        return np.nan
    below = np.searchsorted(negative, positive, side="left")
    upto = np.searchsorted(negative, positive, side="right")
    return float((below + upto).sum() / (2 * len(positive) * len(negative)))

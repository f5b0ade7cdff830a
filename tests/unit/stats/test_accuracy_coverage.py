"""The 95 % interval of every metric holds the truth about 95 times in 100.

Items are drawn from a population whose value is known, or found with so many of them
that it does not matter. Forty intervals that hold the truth with probability 0.95 hold
it fewer than 34 times in one of 200 such tests.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scoredrecords import Reals, a_scored_record, figure

from harness.domain.labelled import Metric
from harness.scoring.detection import THRESHOLDS
from harness.scoring.values import value_of

Draw = Callable[[np.random.Generator, int], tuple[Reals, Reals]]
"""Draws rows for so many items; gives the item of each row, and the rows."""
INTERVALS, LEAST_HELD = 40, 34
POPULATION = 6000


def one_each(rows: Reals) -> tuple[Reals, Reals]:
    return np.arange(len(rows), dtype=float), rows


def decisions(draw: np.random.Generator, items: int) -> tuple[Reals, Reals]:
    labels = draw.choice(4, items, p=[0.5, 0.3, 0.15, 0.05])
    other = draw.integers(0, 4, items)
    found = np.where(draw.random(items) < 0.75, labels, other)
    return one_each(np.column_stack((found, labels, found == labels)).astype(float))


def two_classes(draw: np.random.Generator, items: int) -> tuple[Reals, Reals]:
    labels = draw.integers(0, 2, items)
    return one_each(np.column_stack((draw.normal(size=items) + labels, labels)))


def errors(draw: np.random.Generator, items: int) -> tuple[Reals, Reals]:
    return one_each(0.01 * np.exp(0.6 * draw.normal(size=(items, 1))))


def sequences(draw: np.random.Generator, items: int) -> tuple[Reals, Reals]:
    words = draw.integers(3, 14, items)
    hardness = draw.beta(1.5, 9, items)
    wrong = draw.binomial(words, hardness)
    return one_each(np.column_stack((wrong, words)).astype(float))


def exact(draw: np.random.Generator, items: int) -> tuple[Reals, Reals]:
    return one_each((draw.random((items, 1)) < 0.9).astype(float))


def masks(draw: np.random.Generator, items: int) -> tuple[Reals, Reals]:
    union = draw.poisson([400, 90, 30], (items, 3)) * (draw.random((items, 3)) < 0.7)
    agree = draw.binomial(union, draw.beta([9, 6, 4], [1, 2, 3], (items, 3)))
    return one_each(np.stack((agree, union), axis=2).reshape(items, 6).astype(float))


def detections(draw: np.random.Generator, items: int) -> tuple[Reals, Reals]:
    numbers, rows = [], []
    for item in range(items):
        for _ in range(draw.integers(1, 4)):
            kind = float(draw.integers(0, 2))
            numbers.append(item)
            rows.append([kind, 0.0, 1.0, *np.zeros(len(THRESHOLDS))])
            if draw.random() < 0.8:
                hits = draw.uniform(0.4, 1.0) >= THRESHOLDS
                numbers.append(item)
                rows.append([kind, draw.beta(4, 2), 0.0, *hits.astype(float)])
        for _ in range(draw.poisson(0.7)):
            numbers.append(item)
            noise = [float(draw.integers(0, 2)), draw.beta(2, 4), 0.0]
            rows.append([*noise, *np.zeros(len(THRESHOLDS))])
    return np.array(numbers, dtype=float), np.array(rows)


@pytest.mark.parametrize(
    ("metric", "draw", "items"),
    [
        (Metric.TOP1, decisions, 200),
        (Metric.TOP5, decisions, 200),
        (Metric.F1, decisions, 300),
        (Metric.AUC, two_classes, 200),
        (Metric.AUC_RECONSTRUCTION, two_classes, 200),
        (Metric.MSE, errors, 200),
        (Metric.MAE, errors, 200),
        (Metric.PSNR, errors, 60),
        (Metric.MIOU, masks, 100),
        (Metric.MAP, detections, 150),
        (Metric.WER, sequences, 200),
        (Metric.CER, sequences, 200),
        (Metric.EXACT, exact, 200),
    ],
)
def test_an_interval_holds_the_truth_as_often_as_it_says(
    metric: Metric, draw: Draw, items: int
) -> None:
    generator = np.random.default_rng(20261126)
    numbers, rows = draw(generator, POPULATION)
    truth = value_of(metric, np.column_stack((numbers, rows)))

    held = 0
    for _ in range(INTERVALS):
        of, mine = draw(generator, items)
        found = figure(a_scored_record(metric, mine, None, items=of), "task_metric")
        held += abs(found.value - truth) <= found.expanded_uncertainty

    assert held >= LEAST_HELD


def test_every_metric_is_simulated() -> None:
    marks = test_an_interval_holds_the_truth_as_often_as_it_says.pytestmark  # type: ignore[attr-defined]
    (cases,) = (mark.args[1] for mark in marks if mark.name == "parametrize")

    assert {case[0] for case in cases} == set(Metric)

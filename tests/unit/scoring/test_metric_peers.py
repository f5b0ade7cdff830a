"""Metrics against those of other people, on answers drawn at random.

pycocotools and jiwer come with the extra ``peers``, scikit-learn with ``train``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.domain.labelled import Metric
from harness.scoring.scorers import Beside, score_item
from harness.scoring.values import value_of

Reals = NDArray[np.float64]
SEEDS = range(12)
IMAGES, CLASSES = 15, 3
TOKENS = ("", *(f"▁w{n}" for n in range(9)), "x", "y")


def value(
    metric: Metric, answers: Sequence[tuple[Any, Any]], tokens: Sequence[str] = ()
) -> float:
    beside = Beside(first=np.zeros(1), tokens=tokens)
    rows = [
        score_item(metric, item, (np.asarray(outputs),), np.asarray(label), beside)
        for item, (outputs, label) in enumerate(answers)
    ]
    return value_of(metric, np.concatenate(rows))


def some_boxes(draw: np.random.Generator, count: int) -> Reals:
    corner = draw.uniform(0, 80, (count, 2))
    return np.hstack((corner, corner + draw.uniform(5, 40, (count, 2))))


def an_image(draw: np.random.Generator, *, crowded: bool) -> tuple[Reals, Reals]:
    """Draw detections [k, 6] and true boxes [n, 5]: hits, misses and repetitions."""
    true = some_boxes(draw, int(draw.integers(0, 6)))
    of = draw.integers(0, CLASSES, len(true)).astype(float)
    again = draw.integers(0, 3, len(true))
    near = np.repeat(true, again, axis=0)
    near = near + draw.normal(0, 3, near.shape)
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)  # COCO ignores others
    noise = some_boxes(draw, 130 if crowded else int(draw.integers(0, 4)))
    found = np.vstack((near, noise))
    classes = np.concatenate(
        (np.repeat(of, again), draw.integers(0, CLASSES, len(noise)))
    )
    scores = draw.uniform(0, 1, len(found))
    return np.column_stack((found, scores, classes)), np.column_stack((of, true))


def by_coco(images: Sequence[tuple[Reals, Reals]]) -> float:
    coco = pytest.importorskip("pycocotools.coco", reason="the extra peers is missing")
    judge = pytest.importorskip("pycocotools.cocoeval")

    def flat(x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
        box = [x1, y1, x2 - x1, y2 - y1]
        return {"bbox": box, "area": box[2] * box[3], "iscrowd": 0}

    pairs = list(enumerate(images))
    true = coco.COCO()
    true.dataset = {
        "info": {},
        "images": [{"id": number} for number, _ in pairs],
        "categories": [{"id": number} for number in range(CLASSES)],
        "annotations": [
            {"image_id": n, "category_id": int(row[0]), **flat(*row[1:])}
            for n, (_, labels) in pairs
            for row in labels.tolist()
        ],
    }
    for number, one in enumerate(true.dataset["annotations"], start=1):
        one["id"] = number
    true.createIndex()
    found = true.loadRes(
        [
            {"image_id": n, "category_id": int(row[5]), "score": row[4]}
            | flat(*row[:4])
            for n, (detections, _) in pairs
            for row in detections.tolist()
        ]
    )
    evaluation = judge.COCOeval(true, found, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_mean_average_precision_is_that_of_coco(seed: int) -> None:
    draw = np.random.default_rng(seed)
    images = [an_image(draw, crowded=seed % 4 == 0) for _ in range(IMAGES)]

    mine = value(Metric.MAP, images)

    assert mine == pytest.approx(by_coco(images), abs=1e-9)
    assert 0.001 < mine < 0.99


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("metric", [Metric.WER, Metric.CER])
def test_error_rates_are_those_of_jiwer(seed: int, metric: Metric) -> None:
    jiwer = pytest.importorskip("jiwer", reason="the extra peers is missing")
    draw = np.random.default_rng(seed)
    ids = [draw.integers(1, len(TOKENS), draw.integers(2, 9)) for _ in range(10)]
    said = [np.where(draw.random(len(i)) < 0.3, draw.integers(1, 10), i) for i in ids]
    said = [tokens[: int(draw.integers(1, len(tokens) + 1))] for tokens in said]
    texts, heard = (
        ["".join(TOKENS[t] for t in one).replace("▁", " ").strip() for one in many]
        for many in (ids, said)
    )

    mine = value(metric, list(zip(said, texts, strict=True)), TOKENS)

    theirs = (jiwer.wer if metric is Metric.WER else jiwer.cer)(texts, heard)
    assert mine == pytest.approx(1 - theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_of_classes_are_those_of_scikit_learn(seed: int) -> None:
    judge = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn is in the extra [peers]"
    )
    draw = np.random.default_rng(seed)
    scores = draw.normal(size=(60, 8))
    labels = draw.integers(0, 8, 60)
    answers = list(zip(scores, labels, strict=True))
    every = list(range(8))

    assert value(Metric.TOP1, answers) == pytest.approx(
        judge.accuracy_score(labels, scores.argmax(axis=1))
    )
    assert value(Metric.TOP5, answers) == pytest.approx(
        judge.top_k_accuracy_score(labels, scores, k=5, labels=every)
    )
    assert value(Metric.F1, answers) == pytest.approx(
        judge.f1_score(labels, scores.argmax(axis=1), average="macro")
    )
    is_odd = labels % 2
    assert value(Metric.AUC, list(zip(scores[:, :1], is_odd, strict=True))) == (
        pytest.approx(judge.roc_auc_score(is_odd, scores[:, 0]))
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_overlaps_of_masks_are_those_of_scikit_learn(seed: int) -> None:
    judge = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn is in the extra [peers]"
    )
    draw = np.random.default_rng(seed)
    masks = draw.integers(0, 4, (6, 9, 7))
    scores = np.eye(5)[np.where(draw.random(masks.shape) < 0.7, masks, 4 - masks)]
    answers = list(zip(scores.transpose(0, 3, 1, 2), masks, strict=True))

    theirs = judge.jaccard_score(
        masks.ravel(), scores.argmax(axis=3).ravel(), average="macro"
    )
    assert value(Metric.MIOU, answers) == pytest.approx(theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_errors_of_reals_are_those_of_scikit_learn(seed: int) -> None:
    judge = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn is in the extra [peers]"
    )
    draw = np.random.default_rng(seed)
    true, found = draw.random((2, 7, 30))
    answers = list(zip(found, true, strict=True))

    assert value(Metric.MSE, answers) == pytest.approx(
        judge.mean_squared_error(true, found)
    )
    assert value(Metric.MAE, answers) == pytest.approx(
        judge.mean_absolute_error(true, found)
    )

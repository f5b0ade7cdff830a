"""Outputs and labels to rows, rows to values: by hand, by definition, by peers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.domain.labelled import Metric
from harness.scoring.scorers import Beside, score_item, sketch_item
from harness.scoring.sequences import edits
from harness.scoring.values import resampler, value_of

NOTHING = Beside(first=np.zeros(1))


def value(
    metric: Metric, answers: Sequence[tuple[Any, Any]], beside: Beside = NOTHING
) -> float:
    """Score (outputs, label) pairs; a lone output stands for one."""
    rows = [
        score_item(
            metric,
            item,
            outputs if isinstance(outputs, tuple) else (np.asarray(outputs),),
            np.asarray(label),
            beside,
        )
        for item, (outputs, label) in enumerate(answers)
    ]
    return value_of(metric, np.concatenate(rows))


def test_top1_counts_the_highest_score() -> None:
    assert value(Metric.TOP1, [([[0.1, 0.9]], 1), ([[0.1, 0.9]], 0)]) == 0.5


def test_top5_counts_a_label_among_the_five_highest() -> None:
    scores = np.arange(10.0)

    assert value(Metric.TOP5, [(scores, 5), (scores, 4), (scores, 9)]) == 2 / 3


def test_a_model_that_ends_in_arg_max_is_taken_at_its_word() -> None:
    answers = [(np.array([3], np.int64), 3), (np.array([2], np.int64), 3)]

    assert value(Metric.TOP1, answers) == 0.5


def test_macro_f1_is_the_mean_over_classes() -> None:
    # class 0: 2 of 2 right, once too often; class 1: 1 of 2 right
    answers = [([2.0, 1.0], 0), ([2.0, 1.0], 0), ([2.0, 1.0], 1), ([1.0, 2.0], 1)]

    assert value(Metric.F1, answers) == pytest.approx((4 / 5 + 2 / 3) / 2)


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_the_area_is_mann_whitney_s_u(seed: int, items: int) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.integers(0, 6, items).astype(float)
    labels = np.arange(items) % 2

    area = value(Metric.AUC, list(zip(scores[:, None], labels, strict=True)))

    u = stats.mannwhitneyu(scores[labels == 1], scores[labels == 0]).statistic
    pairs = (labels == 1).sum() * (labels == 0).sum()
    assert area == pytest.approx(u / pairs)


def test_an_autoencoder_is_scored_by_its_error() -> None:
    rows = [
        score_item(
            Metric.AUC_RECONSTRUCTION,
            n,
            (np.ones(4),),
            np.asarray(is_odd),
            Beside(first=first),
        )
        for n, (first, is_odd) in enumerate([(np.ones(4), 0), (np.zeros(4), 1)])
    ]

    assert value_of(Metric.AUC_RECONSTRUCTION, np.concatenate(rows)) == 1.0


def test_errors_are_means_over_values_and_items() -> None:
    answers = [([1.0, 3.0], [1.0, 1.0]), ([0.0, 0.0], [0.0, 0.0])]

    assert value(Metric.MSE, answers) == 1.0
    assert value(Metric.MAE, answers) == 0.5


def test_psnr_of_a_tenth_of_full_scale_is_20_db() -> None:
    assert value(Metric.PSNR, [(np.full(4, 0.1), np.zeros(4))]) == pytest.approx(20)


def test_intersections_and_unions_are_summed_before_they_are_divided() -> None:
    label = np.array([[0, 0], [1, -1]])
    scores = np.zeros((1, 2, 2, 2))
    scores[0, 1, :, 1] = 1.0  # says class 1 in the right column, 0 in the left

    # class 0: 1 of 3 (the -1 is left out); class 1: 0 of 2
    assert value(Metric.MIOU, [(scores, label)]) == pytest.approx((1 / 3 + 0 / 2) / 2)


def test_a_mask_counts_like_scores() -> None:
    label = np.array([[0, 1], [1, 1]])

    assert value(Metric.MIOU, [(label.astype(np.int64), label)]) == 1.0


def test_words_are_read_from_ctc_scores() -> None:
    path = np.eye(4)[[0, 2, 2, 0, 2, 3, 0]]  # blank 0: says 2, 2, 3

    assert value(Metric.WER, [(path, [2, 2, 3, -1])]) == 1.0
    assert value(Metric.WER, [(path, [2, 3, -1, -1])]) == 0.5


SPELT = Beside(first=np.zeros(1), tokens=("", "▁turn", "▁on", "▁off", "n", "开", "灯"))


def path_of(*tokens: int) -> np.ndarray:
    """Scores of a path with a blank behind every token."""
    return np.eye(7)[[part for token in tokens for part in (token, 0)]]


def test_words_and_characters_are_counted_in_the_text_that_tokens_spell() -> None:
    answers = [(path_of(1, 3), "turn on"), (path_of(1, 2), "turn on")]

    # one word of four is wrong; "off" for "on" are two edits of 14 characters
    assert value(Metric.WER, answers, SPELT) == 0.75
    assert value(Metric.CER, answers, SPELT) == pytest.approx(1 - 2 / 14)


def test_a_script_without_spaces_is_one_word_and_several_characters() -> None:
    answers = [(path_of(5), "开灯")]

    assert value(Metric.WER, answers, SPELT) == 0.0
    assert value(Metric.CER, answers, SPELT) == 0.5


def test_a_token_that_is_spelt_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="token 9 is none of its 7 tokens"):
        value(Metric.WER, [(np.array([9]), "turn")], SPELT)


def test_a_sequence_is_exact_or_not() -> None:
    ids = np.array([[5, 6, -1]], np.int64)

    assert value(Metric.EXACT, [(ids, [5, 6, -1]), (ids, [5, 7, -1])]) == 0.5


@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_edits_are_a_metric(a: list[int], b: list[int]) -> None:
    one, other = np.array(a, np.int64), np.array(b, np.int64)

    assert edits(one, other) == edits(other, one)
    assert (edits(one, other) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= edits(one, other) <= max(len(a), len(b))


def boxes(*rows: Sequence[float]) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 6)


TRUTH = [[1, 0, 0, 10, 10], [-1, 0, 0, 0, 0]]


def test_a_detection_on_the_spot_is_worth_everything() -> None:
    found = boxes([0, 0, 10, 10, 0.9, 1])

    assert value(Metric.MAP, [(found, TRUTH)]) == pytest.approx(1.0)


def test_three_quarters_of_overlap_pass_six_of_ten_thresholds() -> None:
    found = boxes([0, 0, 10, 7.6, 0.9, 1])  # IoU 0.76: 0.50 to 0.75

    assert value(Metric.MAP, [(found, TRUTH)]) == pytest.approx(0.6)


def test_a_false_alarm_above_the_hit_halves_the_precision() -> None:
    found = boxes([50, 50, 60, 60, 0.95, 1], [0, 0, 10, 10, 0.9, 1])

    assert value(Metric.MAP, [(found, TRUTH)]) == pytest.approx(0.5)


def test_a_true_box_answers_for_one_detection_only() -> None:
    found = boxes([0, 0, 10, 10, 0.9, 1], [0, 0, 10, 10, 0.8, 1])
    label = [[1, 0, 0, 10, 10], [1, 80, 80, 90, 90]]

    # recall stops at one half: 51 of 101 points
    assert value(Metric.MAP, [(found, label)]) == pytest.approx(51 / 101)


def test_the_wrong_class_is_no_hit() -> None:
    assert value(Metric.MAP, [(boxes([0, 0, 10, 10, 0.9, 2]), TRUTH)]) == 0.0


def test_a_hundred_detections_of_each_class_count_and_not_of_all_together() -> None:
    noise = [[90, 90, 95, 95, 0.9, 2]] * 150
    found = boxes(*noise, [0, 0, 10, 10, 0.1, 1])

    assert value(Metric.MAP, [(found, TRUTH)]) == pytest.approx(1.0)


def test_boxes_scores_and_classes_may_be_three_outputs() -> None:
    outputs = (np.array([[[0, 0, 10, 10.0]]]), np.array([[0.9]]), np.array([[1]]))

    assert value(Metric.MAP, [(outputs, TRUTH)]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("metric", "outputs", "label", "reason"),
    [
        (Metric.TOP1, [0.1, 0.2], 2, "label 2 is none of its 2 classes"),
        (Metric.TOP1, [np.nan, 0.2], 1, "not finite"),
        (Metric.MSE, [0.1, 0.2], [1.0, 2.0, 3.0], "its label has 3 values"),
        (Metric.MIOU, np.zeros((2, 4, 4)), np.zeros((3, 3)), "its label is"),
        (Metric.MAP, [0.1, 0.2], TRUTH, "neither boxes"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    metric: Metric, outputs: object, label: object, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        value(metric, [(outputs, label)])


def test_a_sketch_of_outputs_has_one_width_whatever_their_size() -> None:
    small, large = sketch_item(3, (np.ones(2),)), sketch_item(4, (np.ones(10**4),))

    assert small.shape == large.shape == (1, 65)
    assert (small[0, 0], large[0, 0]) == (3, 4)


def test_an_item_that_is_drawn_twice_counts_twice() -> None:
    rows = np.concatenate(
        [
            score_item(Metric.TOP1, n, (np.eye(2)[1],), np.asarray(label), NOTHING)
            for n, label in enumerate([1, 0])
        ]
    )
    draw = resampler(Metric.TOP1, rows)

    assert draw(np.array([0, 0, 0, 1])) == 0.75


def test_detections_of_an_item_stay_together_when_it_is_drawn() -> None:
    answers = [(boxes([0, 0, 10, 10, 0.9, 1]), TRUTH), (boxes(), TRUTH)]
    rows = np.concatenate(
        [
            score_item(Metric.MAP, n, (found,), np.asarray(label), NOTHING)
            for n, (found, label) in enumerate(answers)
        ]
    )
    draw = resampler(Metric.MAP, rows)

    assert draw(np.array([0, 0])) == pytest.approx(1.0)
    assert draw(np.array([1, 1])) == 0.0

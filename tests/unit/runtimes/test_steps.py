"""Steps between the models of a pipeline: what each does to tensors that are known."""

import numpy as np
import pytest

from harness.domain.workload import STEPS
from harness.errors import Unsupported
from harness.runtimes.steps import (
    FUNCTIONS,
    GALLERY,
    argmax_tokens,
    crop_lines,
    crop_peak,
    ctc_decode,
    log_mel,
    match_gallery,
    room_for,
)


def test_every_step_that_a_suite_may_name_can_be_done() -> None:
    assert FUNCTIONS.keys() == STEPS


def test_a_crop_is_taken_where_the_score_is_highest() -> None:
    maps = np.zeros((1, 3, 6, 8), np.float32)
    maps[0, 0, 4, 2] = 1.0
    frame = np.zeros((1, 1, 48, 64), np.float32)
    frame[0, 0, 30:42, 14:26] = 1.0
    crop = np.full((1, 3, 8, 8), -1.0, np.float32)

    crop_peak([maps, frame], crop)

    assert (crop == 1.0).all()


def test_a_crop_at_the_edge_stays_inside_the_frame() -> None:
    maps = np.zeros((1, 1, 6, 8), np.float32)
    maps[0, 0, 5, 7] = 1.0
    frame = np.arange(48 * 64, dtype=np.float32).reshape(1, 1, 48, 64)
    crop = np.zeros((1, 1, 12, 12), np.float32)

    crop_peak([maps, frame], crop)

    assert (crop[0, 0] == frame[0, 0, 36:, 52:]).all()


def test_lines_are_cut_where_the_text_is_from_the_top_on() -> None:
    # a page of 190 x 100 pixels whose map is a fifth as large: a line is two rows of it
    shares = np.zeros((1, 1, 38, 20), np.float32)
    page = np.zeros((1, 1, 190, 100), np.float32)
    for number, (row, left, right) in enumerate([(30, 2, 10), (4, 5, 20), (12, 0, 4)]):
        shares[0, 0, row : row + 2, left:right] = 1.0
        page[0, 0, 5 * row : 5 * row + 10, 5 * left : 5 * right] = number + 1
    lines = np.full((3, 1, 4, 16), -1.0, np.float32)

    crop_lines([shares, page], lines)

    assert [sorted(set(line.ravel().tolist())) for line in lines] == [[2], [3], [1]]


def test_as_many_lines_are_cut_as_are_asked_for_though_the_page_is_empty() -> None:
    lines = np.full((8, 1, 4, 16), -1.0, np.float32)

    crop_lines([np.zeros((1, 1, 38, 20)), np.ones((1, 1, 190, 100))], lines)

    assert (lines == 1.0).all()


def test_a_path_is_read_line_by_line_without_repeats_and_blanks() -> None:
    paths = [[0, 2, 2, 0, 2, 3], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]]
    tokens = np.zeros((3, 6), np.int64)

    ctc_decode([np.eye(4)[paths]], tokens)

    assert tokens.tolist() == [
        [2, 2, 3, -1, -1, -1],
        [1, -1, -1, -1, -1, -1],
        [-1, -1, -1, -1, -1, -1],
    ]


def test_a_tone_lights_the_bands_of_its_pitch() -> None:
    def brightest(hertz: float) -> int:
        wave = np.sin(2 * np.pi * hertz * np.arange(16000) / 16000)
        features = np.zeros((1, 1, 49, 10), np.float32)
        log_mel([wave[np.newaxis].astype(np.float32)], features)
        bands: np.ndarray = features[0, 0].mean(axis=0)
        return int(bands.argmax())

    found = [brightest(hertz) for hertz in (300.0, 1000.0, 2500.0, 6000.0)]

    assert found == sorted(set(found))


def test_silence_gives_numbers_and_not_minus_infinity() -> None:
    features = np.zeros((1, 49, 10), np.float32)

    log_mel([np.zeros((1, 16000), np.float32)], features)

    assert np.isfinite(features).all()


def test_tokens_are_classes_from_the_likeliest_on() -> None:
    ids = np.zeros((1, 5), np.int64)

    argmax_tokens([np.array([[0.1, 0.7, 0.2]], np.float32)], ids)

    assert ids.tolist() == [[1, 2, 0, 1, 2]]


def test_an_embedding_is_nearest_to_itself_whatever_its_length() -> None:
    scores = np.zeros((1, GALLERY), np.float32)
    embedding = np.random.default_rng(1).standard_normal((1, 64)).astype(np.float32)
    match_gallery([embedding], scores)
    once = scores.copy()
    match_gallery([5 * embedding], scores)

    assert np.allclose(once, scores, atol=1e-5)
    assert np.abs(scores).max() <= 1.0


def test_a_step_that_ends_nothing_is_refused() -> None:
    assert room_for("match-gallery", []).shape == (1, GALLERY)
    assert room_for("ctc-decode", [np.zeros((8, 80, 30))]).shape == (8, 80)
    with pytest.raises(Unsupported, match="'crop-peak' ends nothing"):
        room_for("crop-peak", [])

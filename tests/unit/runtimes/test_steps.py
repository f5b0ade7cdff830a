"""Steps between the models of a pipeline: what each does to tensors that are known."""

import numpy as np
import pytest

from harness.domain.workload import STEPS
from harness.errors import Unsupported
from harness.runtimes.steps import (
    FUNCTIONS,
    GALLERY,
    argmax_tokens,
    crop_peak,
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
    assert room_for("match-gallery").shape == (1, GALLERY)
    with pytest.raises(Unsupported, match="'crop-peak' ends nothing"):
        room_for("crop-peak")

"""Gain and offset: exact where readings are, honest where they are not."""

from math import hypot

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.stats.calibration import Limits, Line, fit_line
from harness.stats.uncertainty import student

Reals = NDArray[np.float64]
PERFECT = Limits(gain_ratio=0.0, offset=0.0)


def test_exact_readings_give_the_line_exactly() -> None:
    indicated = np.linspace(0.01, 0.05, 20)

    line = fit_line(indicated, 1e-4 + 1.08 * indicated, PERFECT, own_offset=1e-3)

    assert line.gain == pytest.approx(1.08, rel=1e-12)
    assert line.offset == pytest.approx(1e-4, rel=1e-9)
    assert not line.is_gain_only


def test_one_level_gives_a_gain_and_leaves_the_offset_to_the_data_sheet() -> None:
    generator = np.random.default_rng(0)
    indicated = 0.03 * (1 + generator.normal(0, 1e-3, 50))

    line = fit_line(indicated, np.full(50, 0.033), PERFECT, own_offset=5e-5)

    assert line.is_gain_only
    assert line.gain == pytest.approx(1.1, rel=1e-3)
    assert line.offset == 0.0
    assert line.u_offset == pytest.approx(5e-5 / np.sqrt(3))
    assert line.u_gain_ratio > 5e-5 / 0.03 / np.sqrt(3)


def test_what_the_reference_may_be_wrong_by_stays() -> None:
    indicated = np.linspace(0.01, 0.05, 1000)
    reference = Limits(gain_ratio=0.01, offset=1e-5)

    line = fit_line(indicated, 1.1 * indicated, reference, own_offset=0.0)

    assert line.u_gain_ratio == pytest.approx(0.01 / np.sqrt(3), rel=1e-6)
    assert line.u_offset == pytest.approx(1e-5 / np.sqrt(3), rel=1e-6)
    assert line.freedom == np.inf


def test_few_pairs_and_no_indication_are_refused() -> None:
    with pytest.raises(ValueError, match="10 pairs, not 9"):
        fit_line(np.ones(9), np.ones(9), PERFECT, 0.0)
    with pytest.raises(ValueError, match="no gain without"):
        fit_line(np.zeros(10), np.ones(10), PERFECT, 0.0)


def _expanded_at(line: Line, indication: float) -> float:
    """Give U (95 %) of a corrected reading from what a calibration file keeps."""
    u = hypot(line.u_gain_ratio * line.gain * indication, line.u_offset)
    return student(line.freedom) * u


def _one_run(generator: np.random.Generator, levels: Reals) -> tuple[Line, float]:
    """Calibrate a meter against a reference that is wrong within its limits.

    Gives the line, and the largest error of corrected readings over their U.
    """
    limits = Limits(gain_ratio=0.004, offset=2e-5)
    true = generator.choice(levels, 40)
    gain, offset = 1 + generator.uniform(-0.1, 0.1), generator.uniform(-1e-4, 1e-4)
    wrong_gain = generator.uniform(-1, 1) * limits.gain_ratio
    wrong_offset = generator.uniform(-1, 1) * limits.offset
    indicated = (true - offset) / gain + generator.normal(0, 3e-5, 40)
    references = true * (1 + wrong_gain) + wrong_offset
    line = fit_line(indicated, references, limits, own_offset=1e-4)
    at = 0.02
    indication = (at - offset) / gain
    error = line.offset + line.gain * indication - at
    return line, abs(error) / _expanded_at(line, indication)


def test_intervals_of_corrected_readings_hold_the_truth() -> None:
    generator = np.random.default_rng(20260131)
    levels = np.array([0.008, 0.02, 0.035, 0.05])

    ratios = [_one_run(generator, levels)[1] for _ in range(1000)]

    held = float(np.mean(np.array(ratios) <= 1))
    # the covariance of gain and offset is left out, and rectangles have no tails
    assert 0.94 <= held <= 1.0


def test_few_noisy_pairs_alone_are_covered_by_students_t() -> None:
    generator = np.random.default_rng(7)
    held = 0
    for _ in range(1000):
        true = generator.uniform(0.01, 0.05, 10)
        indicated = true / 1.07
        seen = true + generator.normal(0, 1e-4, 10)
        line = fit_line(indicated, seen, PERFECT, own_offset=0.0)
        middle = float(indicated.mean())
        error = line.offset + line.gain * middle - 1.07 * middle
        held += abs(error) <= _expanded_at(line, middle)
    assert held >= 940  # wider than need be: a little less certain, never more

"""A run is found in a recording that knows nothing of it, or it is not found."""

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.domain.query import Phase
from harness.stats.placement import Activity, Placement, activity_of, place
from harness.stats.relation import Reason, Refused
from harness.stats.series import Window
from harness.testing.builders import a_trial_record

Reals = NDArray[np.float64]
ZERO_S = 5000.0
"""Begin of the run on the host's clock."""


def a_run(trials: int = 4, busy_s: float = 6.0) -> Activity:
    busy, idle, at = [], [], ZERO_S
    for number in range(trials):
        length = busy_s + 0.7 * number  # no two trials of a run last alike
        idle.append(Window(start_s=at, end_s=at + 2))
        busy.append(Window(start_s=at + 2.5, end_s=at + 2.5 + length))
        idle.append(Window(start_s=at + 2.5 + length, end_s=at + 4.5 + length))
        at += 5 + length
    return Activity(busy=tuple(busy), idle=tuple(idle))


def a_recording(  # noqa: PLR0913 - each argument is one property of the bench
    run: Activity,
    *,
    begin_s: float,
    length_s: float,
    step_s: float = 0.001,
    noise: float = 0.05,
    skew: float = 130e-6,
    seed: int = 0,
) -> tuple[Reals, Reals]:
    ends = step_s * (1 + np.arange(int(length_s / step_s)))
    host = begin_s + ends * (1 + skew)
    power = np.full(len(ends), 0.01)
    for window in run.busy:
        power[(host > window.start_s) & (host <= window.end_s)] = 0.04
    power += np.random.default_rng(seed).normal(0, noise * 0.03, len(ends))
    return ends, power


@pytest.mark.parametrize("step_s", [0.001, 0.1, 0.5])
@pytest.mark.parametrize("lead_s", [0.3, 20.0, 300.0])
def test_a_run_is_found_to_a_fraction_of_its_phases(
    step_s: float, lead_s: float
) -> None:
    run = a_run()
    ends, power = a_recording(
        run, begin_s=ZERO_S - lead_s, length_s=lead_s + 60, step_s=step_s
    )

    found = place(run, ends, power)

    assert isinstance(found, Placement)
    drift_s = 130e-6 * (lead_s + 60)
    assert found.offset_s == pytest.approx(
        ZERO_S - lead_s, abs=2 * max(step_s, 0.02) + drift_s
    )
    assert found.correlation > 0.9


@pytest.mark.parametrize("seed", range(20))
def test_a_run_is_found_in_noise_nearly_as_large_as_its_step(seed: int) -> None:
    run = a_run()
    ends, power = a_recording(
        run, begin_s=ZERO_S - 30, length_s=100, step_s=0.02, noise=0.7, seed=seed
    )

    found = place(run, ends, power)

    assert isinstance(found, Placement)
    assert found.offset_s == pytest.approx(ZERO_S - 30, abs=0.3)


def test_a_recording_of_something_else_is_refused() -> None:
    generator = np.random.default_rng(1)
    ends = 0.01 * np.arange(1, 20_000)

    found = place(a_run(), ends, generator.normal(0.04, 0.01, len(ends)))

    assert isinstance(found, Refused)
    assert found.reason is Reason.NO_MATCH


def test_a_recording_that_is_too_short_is_refused() -> None:
    run = a_run()
    ends, power = a_recording(run, begin_s=ZERO_S, length_s=20)

    found = place(run, ends, power)

    assert isinstance(found, Refused)
    assert found.reason is Reason.NOT_COVERED


def test_the_same_run_twice_in_one_recording_is_ambiguous() -> None:
    run = a_run(trials=2)
    _, power = a_recording(run, begin_s=ZERO_S - 1, length_s=40)
    twice = np.concatenate([power, power])

    found = place(run, 0.001 * np.arange(1, len(twice) + 1), twice)

    assert isinstance(found, Refused)
    assert found.reason is Reason.AMBIGUOUS


def test_a_flat_recording_is_refused() -> None:
    ends = 0.01 * np.arange(1, 20_000)

    assert isinstance(place(a_run(), ends, np.full(len(ends), 0.01)), Refused)


def test_activity_comes_from_phases_and_ends_as_planned() -> None:
    trial = a_trial_record()

    found = activity_of([trial])

    assert found is not None
    after = next(at for phase, at in trial.phases if phase is Phase.BASELINE_AFTER)
    assert found.idle == (
        Window(start_s=after / 1e9, end_s=(after + trial.trial.baseline_ns) / 1e9),
    )
    assert activity_of([]) is None

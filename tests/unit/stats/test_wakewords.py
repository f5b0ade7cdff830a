"""Detections held against what was said, by the rules of MLPerf Tiny's streaming."""

from array import array
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from harness.domain.estimate import Estimate, Withheld
from harness.domain.origin import Origin
from harness.domain.plan import Recording
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import TrialRecord
from harness.domain.scenario import Periodic
from harness.report.heardview import Fate, heard_views
from harness.stats.group import Answer, Group
from harness.stats.wakewords import heard_in, judge, wakeword_answers
from harness.testing.builders import a_model, a_profile, a_trial, a_trial_record
from harness.units import NS_PER_S

PERIODIC = Periodic(period_ns=32_000_000, deadline_ns=32_000_000)


def a_recording(*words: tuple[float, float]) -> Recording:
    return Recording(
        file="words.wav",
        length_ns=60 * NS_PER_S,
        spoken_ns=tuple((round(a * NS_PER_S), round(b * NS_PER_S)) for a, b in words),
    )


TWO = a_recording((1.0, 1.65), (7.0, 7.36))


@pytest.mark.parametrize(
    ("detections", "counts"),
    [
        ([1.2, 7.2], (2, 0, 0)),
        # of the rules: with a word to 1.65 s, 2.60 s is right and 2.80 s is not
        ([2.60], (1, 1, 0)),
        ([2.80], (0, 2, 1)),
        ([0.99], (0, 2, 1)),
        ([1.0], (1, 1, 0)),
        ([], (0, 2, 0)),
        # several of one word are one
        ([1.2, 1.5, 2.0, 7.2], (2, 0, 0)),
        # false ones within a second of the one that counted are one
        ([20.0, 20.5, 20.9, 21.2], (0, 2, 2)),
        ([20.0, 21.0, 22.0], (0, 2, 2)),
    ],
)
def test_right_and_false_are_told_by_the_rules(
    detections: Sequence[float], counts: tuple[int, int, int]
) -> None:
    assert judge(np.array(detections), TWO).counts == counts


def test_a_detection_near_two_words_is_of_the_first() -> None:
    close = a_recording((1.0, 1.6), (2.0, 2.6))

    heard = judge(np.array([2.3]), close)

    assert heard.counts == (1, 1, 0)
    assert heard.missed_s == (2.0,)


def a_streamed(
    detections_s: Sequence[float], *, run: int = 1, busy_s: float = 0.012
) -> TrialRecord:
    trial = replace(a_trial("sww", PERIODIC, run=run), stream=TWO)
    made = a_trial_record(trial)
    assert made.queries is not None
    begins = np.arange(1000) * 32_000_000
    queries = replace(
        made.queries,
        scheduled_ns=array("q", begins.tolist()),
        issued_ns=array("q", begins.tolist()),
        completed_ns=array("q", (begins + round(busy_s * NS_PER_S)).tolist()),
        is_measured=array("b", [1] * 1000),
        segment=array("q", [0] * 1000),
    )
    block = ReadingBlock(
        channel=Channel(name="detection", unit="1", source="interface board"),
        clock="interface board",
        origin=Origin.MEASURED,
        times_ns=array("q", [round(at * NS_PER_S) for at in detections_s]),
        values=array("d", [1.0] * len(detections_s)),
    )
    return replace(made, queries=queries, readings=(block,))


def answers(*trials: TrialRecord) -> dict[str, Answer]:
    group = Group(
        arm=trials[0].trial.arm,
        workload="sww",
        scenario=PERIODIC,
        origin=Origin.MEASURED,
        profile=a_profile(),
        model=a_model(),
        trials=trials,
    )
    return {one.measurand.name: one for one in wakeword_answers(group)}


def test_the_first_detection_marks_the_begin_and_is_none_itself() -> None:
    heard = heard_in(a_streamed([100.0, 101.2, 107.2]))

    assert heard is not None
    assert heard.counts == (2, 0, 0)
    assert [one.at_s for one in heard.detections] == pytest.approx([1.2, 7.2])


def test_one_run_gives_counts_and_the_frames_their_duty_cycle() -> None:
    found = answers(a_streamed([0.0, 1.2, 20.0]))

    values = {
        name: one.value for name, one in found.items() if isinstance(one, Estimate)
    }
    assert values["true_positives"] == 1
    assert values["false_negatives"] == 1
    assert values["false_positives"] == 1
    assert values["duty_cycle"] == pytest.approx(0.375)
    assert values["frame_period"] == pytest.approx(0.032)
    assert values["estimated_throughput"] == pytest.approx(1 / 0.012)
    duty = found["duty_cycle"]
    assert isinstance(duty, Estimate)
    # a frame that keeps time with the timer is told no better than its steps
    assert duty.standard_uncertainty == pytest.approx(
        0.375 * 10e-6 / 6**0.5 * np.hypot(1 / 0.012, 1 / 0.032), rel=1e-3
    )


def test_runs_are_put_together_by_their_means() -> None:
    found = answers(
        a_streamed([0.0, 1.2, 7.2], run=1), a_streamed([0.0, 1.2], run=2, busy_s=0.014)
    )

    heard, duty = found["true_positives"], found["duty_cycle"]
    assert isinstance(heard, Estimate)
    assert isinstance(duty, Estimate)
    assert (heard.value, heard.runs) == (1.5, 2)
    assert duty.value == pytest.approx((12 + 14) / 2 / 32)


def test_without_a_pulse_at_the_first_frame_nothing_is_counted() -> None:
    found = answers(a_streamed([]))

    counts = found["true_positives"]
    assert isinstance(counts, Withheld)
    assert counts.reason == "no-start-mark"
    assert isinstance(found["duty_cycle"], Estimate)


def test_trials_without_a_recording_have_nothing_of_it() -> None:
    assert not answers(a_trial_record(a_trial("sww", PERIODIC)))


def test_the_page_lists_each_word_and_each_detection_in_order_of_time() -> None:
    (view,) = heard_views([a_streamed([0.0, 1.2, 20.0])])

    assert view.file == "words.wav"
    assert [(line.fate, line.word_s, line.at_s) for line in view.lines] == [
        (Fate.RIGHT, 1.0, 1.2),
        (Fate.MISSED, 7.0, None),
        (Fate.FALSE, None, 20.0),
    ]

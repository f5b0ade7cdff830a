"""Figures of latency by scenario: which are given, from what, and what is withheld."""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.domain.estimate import Estimate, Withheld
from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.query import OverheadMeasured
from harness.domain.record import TrialRecord
from harness.domain.scenario import (
    ColdStart,
    MultiStream,
    Offline,
    Periodic,
    Scenario,
    Server,
    SingleStream,
    Sustained,
)
from harness.stats.group import Answer, Group
from harness.stats.latency import latency_answers
from harness.stats.misses import miss_answer
from harness.stats.series import latencies_s, spacings_s, stream_of, window_of
from harness.testing.builders import (
    a_model,
    a_profile,
    a_trial,
    a_trial_record,
    some_latencies,
)


def a_group(
    *trials: TrialRecord, refresh_hz: float | None = None, arm: Arm = Arm.DEVICE
) -> Group:
    return Group(
        arm=arm,
        workload="kws",
        scenario=trials[0].trial.scenario,
        origin=Origin.EMULATED,
        profile=replace(a_profile(), refresh_hz=refresh_hz),
        model=a_model(),
        trials=trials,
    )


def runs_of(
    scenario: Scenario, latencies: Sequence[NDArray[np.int64]]
) -> tuple[TrialRecord, ...]:
    return tuple(
        a_trial_record(a_trial(scenario=scenario, run=run), latencies_ns=column)
        for run, column in enumerate(latencies, start=1)
    )


def by_name(group: Group) -> dict[str, Answer]:
    return {answer.measurand.name: answer for answer in latency_answers(group)}


def estimate_of(answer: Answer) -> Estimate:
    assert isinstance(answer, Estimate)
    return answer


def test_warm_up_queries_never_enter_an_estimate() -> None:
    latencies = some_latencies(600)
    spoilt = latencies.copy()
    spoilt[:8] *= 1000

    calm = by_name(a_group(a_trial_record(latencies_ns=latencies)))
    warm = by_name(a_group(a_trial_record(latencies_ns=spoilt)))

    for name in ("latency_mean", "latency_p50", "latency_p99", "throughput"):
        assert estimate_of(warm[name]).value == pytest.approx(
            estimate_of(calm[name]).value, rel=1e-9
        )


def test_columns_are_read_in_seconds() -> None:
    trial = a_trial_record(latencies_ns=np.full(10, 20_000_000))
    assert trial.queries is not None

    window = window_of(trial)

    assert latencies_s(trial.queries) == pytest.approx(np.full(10, 0.02))
    assert len(stream_of(trial)) == 2
    assert spacings_s(trial) == pytest.approx([0.02, 0.02])
    assert window is not None
    assert window.duration_s == pytest.approx(0.04)


def test_a_trial_without_queries_has_empty_columns() -> None:
    trial = replace(a_trial_record(), queries=None)

    assert len(stream_of(trial)) == 0
    assert len(spacings_s(trial)) == 0
    assert window_of(trial) is None


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (SingleStream(), {"latency_p90", "jitter", "throughput", "repeat_cv"}),
        (MultiStream(), {"latency_p90", "jitter", "throughput", "repeat_cv"}),
        (
            Periodic(period_ns=30_000_000, deadline_ns=30_000_000),
            {"latency_p90", "jitter", "repeat_cv"},
        ),
        (Offline(), {"throughput", "repeat_cv"}),
        (Sustained(), {"throughput", "repeat_cv"}),
        (ColdStart(), {"cold_start_p90"}),
        (Server(latency_bound_ns=1), set()),
    ],
)
def test_each_scenario_answers_what_it_can(
    scenario: Scenario, expected: set[str]
) -> None:
    runs = runs_of(scenario, [some_latencies(600, seed=seed) for seed in range(3)])

    found = by_name(a_group(*runs))

    assert expected <= found.keys()
    every = {"latency_p90", "jitter", "throughput", "repeat_cv", "cold_start_p90"}
    assert not (every - expected) & found.keys()


def test_a_withheld_percentile_says_how_many_queries_would_settle_it() -> None:
    runs = runs_of(
        SingleStream(), [some_latencies(136, seed=seed) for seed in range(3)]
    )

    p99 = by_name(a_group(*runs))["latency_p99"]

    assert isinstance(p99, Withheld)
    assert p99.reason == "too-few-queries"
    assert (p99.needed_queries, p99.observed_queries) == (299, 128)


def test_one_run_has_no_repeatability() -> None:
    assert "repeat_cv" not in by_name(a_group(a_trial_record()))


def test_a_rate_counts_samples_not_queries() -> None:
    trial = a_trial_record(
        a_trial(scenario=Offline(samples_per_query=32)),
        latencies_ns=np.full(208, 64_000_000),
    )
    assert trial.queries is not None
    batched = replace(trial, queries=replace(trial.queries, samples_per_query=32))

    rate = estimate_of(by_name(a_group(batched))["throughput"])

    assert rate.value == pytest.approx(32 / 0.064)


def test_jitter_in_frames_is_given_only_where_a_refresh_rate_is_declared() -> None:
    trial = a_trial_record(latencies_ns=some_latencies(800))

    plain = by_name(a_group(trial))
    display = by_name(a_group(trial, refresh_hz=90.0))

    jitter = estimate_of(display["jitter"])
    frames = estimate_of(display["jitter_frame_ratio"])
    assert "jitter_frame_ratio" not in plain
    assert frames.value == pytest.approx(jitter.value * 90)
    assert frames.standard_uncertainty == pytest.approx(
        jitter.standard_uncertainty * 90
    )
    assert frames.upper_bound == pytest.approx((jitter.upper_bound or 0) * 90)


def test_withheld_jitter_is_withheld_in_frames_too() -> None:
    found = by_name(
        a_group(a_trial_record(latencies_ns=some_latencies(100)), refresh_hz=90)
    )

    frames = found["jitter_frame_ratio"]
    assert isinstance(frames, Withheld)
    assert frames.needed_queries == 299


def test_few_cold_starts_a_run_are_put_together() -> None:
    runs = runs_of(
        ColdStart(),
        [some_latencies(18, median_ns=5e8, seed=seed) for seed in range(3)],
    )

    p90 = estimate_of(by_name(a_group(*runs))["cold_start_p90"])

    assert (p90.runs, p90.queries) == (3, 30)
    assert p90.upper_bound is not None
    assert "of fresh processes" in p90.method


def test_enough_cold_starts_a_run_are_never_put_together() -> None:
    runs = runs_of(
        ColdStart(),
        [some_latencies(38, median_ns=5e8, seed=seed) for seed in range(3)],
    )

    p90 = estimate_of(by_name(a_group(*runs))["cold_start_p90"])

    assert (p90.runs, p90.queries) == (3, 90)
    assert "per run" in p90.method


def test_runs_whose_cold_starts_differ_widen_the_bound() -> None:
    alike = [some_latencies(18, median_ns=5e8, seed=seed) for seed in range(3)]
    unlike = [alike[0], alike[1] // 2, alike[2] * 2]

    calm = estimate_of(by_name(a_group(*runs_of(ColdStart(), alike)))["cold_start_p90"])
    wide = estimate_of(
        by_name(a_group(*runs_of(ColdStart(), unlike)))["cold_start_p90"]
    )

    assert (wide.upper_bound or 0) > 1.2 * wide.value
    assert (calm.upper_bound or 9) < 1.2 * calm.value


def test_too_few_cold_starts_are_said_to_be_too_few() -> None:
    runs = runs_of(ColdStart(), [some_latencies(13, median_ns=5e8)])

    p90 = by_name(a_group(*runs))["cold_start_p90"]

    assert isinstance(p90, Withheld)
    assert (p90.needed_queries, p90.observed_queries) == (29, 5)


def with_overhead(trial: TrialRecord, cost_ns: int) -> TrialRecord:
    overhead = OverheadMeasured(
        trial=trial.trial.id,
        queries=1000,
        latency_p50_ns=cost_ns,
        latency_p90_ns=2 * cost_ns,
        gap_p50_ns=0,
    )
    return replace(trial, overhead=overhead)


def test_the_harness_s_own_cost_enters_latencies_below_a_millisecond() -> None:
    plain = a_trial_record(latencies_ns=some_latencies(600, median_ns=1e5))
    costly = with_overhead(plain, 3_000)

    before = estimate_of(by_name(a_group(plain))["latency_p50"])
    after = estimate_of(by_name(a_group(costly))["latency_p50"])

    own = before.standard_uncertainty
    assert after.value == before.value
    assert after.standard_uncertainty == pytest.approx(
        sqrt(own**2 + (3e-6 / sqrt(3)) ** 2)
    )
    assert after.lower_bound == pytest.approx((before.lower_bound or 0) - 3e-6)
    assert after.upper_bound == before.upper_bound
    assert "own cost" in after.method


def test_longer_latencies_are_left_alone() -> None:
    plain = a_trial_record(latencies_ns=some_latencies(600, median_ns=2e6))

    before = estimate_of(by_name(a_group(plain))["latency_p50"])
    after = estimate_of(by_name(a_group(with_overhead(plain, 3_000)))["latency_p50"])

    assert after == before


def test_a_query_that_ends_after_its_deadline_is_a_miss() -> None:
    scenario = Periodic(period_ns=30_000_000, deadline_ns=25_000_000)
    latencies = np.full(1008, 20_000_000)
    latencies[100:1008:91] = 26_000_000
    latencies[200] = 25_000_000  # on the deadline is in time

    answer = miss_answer(a_group(*runs_of(scenario, [latencies])), scenario)

    misses = estimate_of(answer)
    assert misses.value == pytest.approx(10 / 1000)
    assert (misses.upper_bound or 0) > misses.value


def test_without_queries_nothing_is_estimated() -> None:
    scenario = Periodic(period_ns=30_000_000, deadline_ns=25_000_000)
    empty = replace(a_trial_record(a_trial(scenario=scenario)), queries=None)
    single = replace(a_trial_record(), queries=None)

    answers = [miss_answer(a_group(empty), scenario), *latency_answers(a_group(single))]

    assert all(isinstance(answer, Withheld) for answer in answers)
    assert {answer.measurand.name for answer in answers} >= {
        "deadline_miss_ratio",
        "latency_mean",
        "throughput",
    }


def test_latencies_count_from_the_schedule_not_from_the_issue() -> None:
    trial = a_trial_record(latencies_ns=np.full(10, 20_000_000))
    assert trial.queries is not None
    issued = np.asarray(trial.queries.issued_ns) + 5_000_000
    late = replace(trial.queries, issued_ns=array("q", issued.tobytes()))

    assert latencies_s(late) == pytest.approx(np.full(10, 0.02))

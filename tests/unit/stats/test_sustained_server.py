"""Sustained load and the search for the highest rate of arrivals."""

from array import array
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.domain.estimate import Estimate, Withheld
from harness.domain.origin import Origin
from harness.domain.plan import Trial
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import Queries, TrialRecord
from harness.domain.scenario import Server, Sustained
from harness.stats.group import Answer, Group
from harness.stats.server import probes, server_answer
from harness.stats.sustained import rss_growth, sustained_answers, sustained_ratio
from harness.stats.uncertainty import combine
from harness.testing.builders import (
    a_model,
    a_profile,
    a_trial,
    a_trial_record,
    some_latencies,
)
from harness.units import NS_PER_S

SERVER = Server(latency_bound_ns=30_000_000, percentile=0.9)


def a_group(*trials: TrialRecord) -> Group:
    return Group(
        arm=trials[0].trial.arm,
        workload="kws",
        scenario=trials[0].trial.scenario,
        origin=Origin.EMULATED,
        profile=a_profile(),
        model=a_model(),
        trials=trials,
    )


def a_long_run(slow_down: float, *, seed: int = 0) -> TrialRecord:
    """Make a run whose queries get slower by a factor in the middle."""
    latencies = some_latencies(2008, seed=seed).astype(np.float64)
    latencies[1008:] *= slow_down
    trial = a_trial(scenario=Sustained(), run=seed + 1)
    return a_trial_record(trial, latencies_ns=np.rint(latencies).astype(np.int64))


def with_rss(trial: TrialRecord, values: NDArray[np.float64]) -> TrialRecord:
    assert trial.queries is not None
    end = trial.queries.completed_ns[-1]
    times = np.linspace(0, end, len(values)).astype(np.int64)
    block = ReadingBlock(
        channel=Channel(name="rss", unit="B", source="psutil"),
        clock=trial.clock,
        origin=Origin.MEASURED,
        times_ns=array("q", times.tobytes()),
        values=array("d", values.tobytes()),
    )
    return replace(trial, readings=(block,))


def by_name(answers: list[Answer]) -> dict[str, Answer]:
    return {answer.measurand.name: answer for answer in answers}


def test_a_slow_down_is_what_the_last_fifth_keeps_of_the_first() -> None:
    found = sustained_ratio(a_long_run(1.25))

    assert found is not None
    assert found.value == pytest.approx(0.8, abs=0.01)
    assert 0 < combine(found.terms)[0] < 0.01


def test_several_long_runs_are_put_together_by_student() -> None:
    group = a_group(*(a_long_run(1.25, seed=seed) for seed in range(3)))

    ratio = by_name(list(sustained_answers(group)))["sustained_ratio"]

    assert isinstance(ratio, Estimate)
    assert ratio.runs == 3
    assert ratio.value == pytest.approx(0.8, abs=0.01)


def test_a_handful_of_queries_sustains_nothing() -> None:
    short = a_trial_record(
        a_trial(scenario=Sustained()), latencies_ns=some_latencies(15)
    )

    ratio = by_name(list(sustained_answers(a_group(short))))["sustained_ratio"]

    assert isinstance(ratio, Withheld)
    assert (ratio.needed_queries, ratio.observed_queries) == (10, 7)


@pytest.mark.slow
def test_intervals_of_the_sustained_ratio_hold() -> None:
    found = [sustained_ratio(a_long_run(1.25, seed=seed)) for seed in range(400)]

    held = []
    for figure in found:
        assert figure is not None
        u, k = combine(figure.terms)
        held.append(abs(figure.value - 0.8) <= k * u)
    assert np.mean(held) >= 0.93


def test_growth_of_the_resident_set_is_taken_from_its_curve() -> None:
    curve = np.repeat([5e7, 5.5e7], 50)

    growth = rss_growth(with_rss(a_long_run(1.0), curve))

    assert growth is not None
    assert growth.value == pytest.approx(0.1)


def test_a_curve_of_too_few_points_has_no_growth() -> None:
    assert rss_growth(with_rss(a_long_run(1.0), np.array([5e7, 6e7]))) is None


def test_a_curve_of_nothing_has_no_growth() -> None:
    assert rss_growth(with_rss(a_long_run(1.0), np.zeros(100))) is None


def test_without_a_curve_growth_is_not_readable() -> None:
    growth = by_name(list(sustained_answers(a_group(a_long_run(1.0)))))["rss_growth"]

    assert isinstance(growth, Withheld)
    assert growth.reason == "not-readable"


def test_growth_over_runs_is_an_estimate() -> None:
    runs = [with_rss(a_long_run(1.0, seed=s), np.full(100, 5e7)) for s in range(2)]

    growth = by_name(list(sustained_answers(a_group(*runs))))["rss_growth"]

    assert isinstance(growth, Estimate)
    assert (growth.value, growth.runs) == (0.0, 2)


def a_search(
    medians_ns: Mapping[float, float], *, queries: int = 400, run: int = 1
) -> TrialRecord:
    """Make a search that probed each rate with latencies about the median given."""
    trial: Trial = a_trial(scenario=SERVER, run=run)
    rates = list(medians_ns)
    columns = [
        some_latencies(queries, median_ns=medians_ns[rate], seed=10 * run + index)
        for index, rate in enumerate(rates)
    ]
    latencies = np.concatenate(columns)
    starts = np.arange(len(latencies)) * 10_000_000
    ends = starts + latencies
    return replace(
        a_trial_record(trial),
        queries=Queries(
            scheduled_ns=array("q", starts.tobytes()),
            issued_ns=array("q", starts.tobytes()),
            completed_ns=array("q", ends.tobytes()),
            is_measured=array("b", [1] * len(latencies)),
            segment=array("q", np.repeat(range(len(rates)), queries).tolist()),
            segment_rates_hz=dict(enumerate(rates)),
        ),
    )


def test_the_highest_rate_that_is_shown_to_keep_the_bound_is_claimed() -> None:
    search = a_search({40.0: 20e6, 80.0: 60e6, 60.0: 27e6, 70.0: 40e6})

    rate = server_answer(a_group(search), SERVER)

    assert isinstance(rate, Estimate)
    assert rate.value == 60.0
    assert rate.standard_uncertainty == pytest.approx(5.0 / np.sqrt(3))


def test_a_percentile_within_the_bound_is_not_enough() -> None:
    search = a_search({40.0: 29.0e6}, queries=60)

    (probe,) = probes(search, SERVER)
    rate = server_answer(a_group(search), SERVER)

    assert search.queries is not None
    ended = np.asarray(search.queries.completed_ns)
    latencies = (ended - np.asarray(search.queries.scheduled_ns)) / NS_PER_S
    assert np.quantile(latencies, 0.9, method="inverted_cdf") <= 0.030
    assert probe.upper_s > 0.030
    assert isinstance(rate, Withheld)
    assert rate.reason == "no-rate-kept-the-bound"


def test_probes_too_short_for_a_bound_say_what_they_lack() -> None:
    rate = server_answer(a_group(a_search({40.0: 20e6}, queries=20)), SERVER)

    assert isinstance(rate, Withheld)
    assert rate.reason == "too-few-queries"
    assert (rate.needed_queries, rate.observed_queries) == (29, 20)


def test_several_searches_are_put_together() -> None:
    searches = [
        a_search({40.0: 20e6, best: 22e6, 90.0: 90e6}, run=run)
        for run, best in enumerate((58.0, 60.0, 62.0), start=1)
    ]

    rate = server_answer(a_group(*searches), SERVER)

    assert isinstance(rate, Estimate)
    assert rate.value == pytest.approx(60.0)
    assert rate.runs == 3


def test_a_rate_that_got_no_query_is_no_probe() -> None:
    search = a_search({40.0: 20e6})
    assert search.queries is not None
    rates = {**search.queries.segment_rates_hz, 7: 99.0}
    queries = replace(search.queries, segment_rates_hz=rates)

    found = probes(replace(search, queries=queries), SERVER)

    assert [probe.rate_hz for probe in found] == [40.0]


def test_a_search_that_recorded_nothing_is_withheld() -> None:
    empty = replace(a_search({40.0: 20e6}), queries=None)

    rate = server_answer(a_group(empty), SERVER)

    assert isinstance(rate, Withheld)
    assert rate.needed_queries is None

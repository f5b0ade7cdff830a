"""The whole of a record: groups, origins, failures, and purity."""

from dataclasses import replace

import pytest

from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.query import Outcome
from harness.domain.record import RunRecord
from harness.domain.scenario import (
    ColdStart,
    Periodic,
    Scenario,
    Server,
    Sustained,
)
from harness.stats.estimating import estimate
from harness.stats.group import groups_of, origin_of
from harness.testing.builders import (
    a_plan,
    a_record,
    a_trial,
    a_trial_record,
    without_trial,
)


def a_record_of(scenario: Scenario, *, runs: int = 3) -> RunRecord:
    trials = [a_trial(scenario=scenario, run=run) for run in range(1, runs + 1)]
    return replace(
        a_record(["kws"]),
        plan=a_plan(trials),
        trials=tuple(a_trial_record(trial) for trial in trials),
    )


def test_the_same_record_gives_the_same_answer_again() -> None:
    record = a_record()

    assert estimate(record) == estimate(record)


def test_device_and_host_are_never_put_together() -> None:
    record = a_record(["kws"])

    estimates, _ = estimate(record)

    medians = {e.origin: e for e in estimates if e.measurand.name == "latency_p50"}
    assert medians.keys() == {Origin.EMULATED, Origin.HOST}
    assert (medians[Origin.EMULATED].runs, medians[Origin.HOST].runs) == (3, 1)


def test_the_host_gives_latency_memory_and_size_and_nothing_else() -> None:
    estimates, withheld = estimate(a_record(["kws"]))

    host = {e.measurand.name for e in estimates if e.origin is Origin.HOST}
    host |= {w.measurand.name for w in withheld if w.origin is Origin.HOST}

    assert {"latency_p50", "latency_p99", "peak_rss", "model_file_size"} <= host
    assert not {name for name in host if "energy" in name or "power" in name}


def test_a_failed_run_is_left_out_and_the_others_count() -> None:
    record = a_record(["kws"])
    failed = replace(
        record,
        trials=(replace(record.trials[0], outcome=Outcome.CRASHED), *record.trials[1:]),
    )

    estimates, _ = estimate(failed)

    assert {
        e.runs
        for e in estimates
        if e.measurand.name == "latency_p50" and e.origin is Origin.EMULATED
    } == {2}


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (Server(latency_bound_ns=10**8), "server_rate"),
        (ColdStart(), "cold_start_p90"),
        (Sustained(), "sustained_ratio"),
        (Periodic(period_ns=10**8, deadline_ns=10**8), "deadline_miss_ratio"),
    ],
)
def test_a_workload_whose_trials_all_failed_owes_its_figures(
    scenario: Scenario, expected: str
) -> None:
    record = replace(a_record_of(scenario), trials=())

    estimates, withheld = estimate(record)

    assert [e.measurand.name for e in estimates] == ["model_file_size"]
    assert expected in {w.measurand.name for w in withheld}
    assert {w.reason for w in withheld} == {"trial-failed"}


def test_a_failed_single_stream_and_a_failed_host_owe_their_latencies() -> None:
    record = a_record(["kws"])
    for trial in record.trials:
        record = without_trial(record, trial.trial.id)

    _, withheld = estimate(record)

    owed = {(w.origin, w.measurand.name) for w in withheld}
    assert (Origin.EMULATED, "latency_p99") in owed
    assert (Origin.EMULATED, "energy_per_inference_net") in owed
    assert (Origin.HOST, "peak_rss") in owed
    assert (Origin.HOST, "energy_per_inference_net") not in owed


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (ColdStart(), {"cold_start_p90"}),
        (Sustained(), {"sustained_ratio", "throughput", "average_power"}),
        (
            Periodic(period_ns=10**8, deadline_ns=10**8),
            {"deadline_miss_ratio", "latency_p90", "always_on_power", "battery_life"},
        ),
    ],
)
def test_each_scenario_of_the_device_gives_its_figures(
    scenario: Scenario, expected: set[str]
) -> None:
    record = a_record_of(scenario)

    estimates, _ = estimate(record)

    assert expected <= {e.measurand.name for e in estimates}
    assert {e.scenario for e in estimates} == {scenario.kind}


def test_a_search_without_probes_is_withheld() -> None:
    _, withheld = estimate(a_record_of(Server(latency_bound_ns=10**8)))

    assert "server_rate" in {w.measurand.name for w in withheld}


def test_origin_is_that_of_what_answered_and_never_too_good() -> None:
    record = a_record(["kws"])
    device, host = a_trial(), a_trial(arm=Arm.HOST)
    nobody = replace(record, suts={})

    assert origin_of(record, device) is Origin.EMULATED
    assert origin_of(record, host) is Origin.HOST
    assert origin_of(nobody, device) is Origin.EMULATED
    assert origin_of(nobody, replace(device, target="local@")) is Origin.MEASURED


def test_groups_come_in_the_order_of_the_plan() -> None:
    groups = list(groups_of(a_record(["vww", "kws"])))

    assert [(group.workload, group.arm) for group in groups] == [
        ("vww", Arm.DEVICE),
        ("kws", Arm.DEVICE),
        ("vww", Arm.HOST),
        ("kws", Arm.HOST),
    ]
    assert [group.queries for group in groups] == [1776, 1776, 592, 592]


def test_every_estimate_says_how_it_was_made() -> None:
    estimates, _ = estimate(a_record())

    assert all(e.method for e in estimates)
    assert all(e.runs >= 1 for e in estimates)

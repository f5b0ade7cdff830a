"""Findings: each code where it belongs, with its severity, and once."""

from array import array
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from harness.domain.finding import (
    CODES,
    Finding,
    Severity,
    Validity,
    validity_of,
)
from harness.domain.labelled import LabelledData, Metric
from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.profile import Conditions
from harness.domain.query import (
    ModelLoaded,
    Outcome,
    OutputsChecked,
    OverheadMeasured,
    Phase,
)
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import LabInfo, RunRecord, TrialRecord
from harness.domain.scenario import ColdStart, Server, Sustained
from harness.domain.sut import ConditionsReached
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.stats.severity import SEVERITIES
from harness.testing.builders import (
    SHA,
    a_plan,
    a_record,
    a_trial,
    a_trial_record,
    some_latencies,
    without_trial,
)

DEVICE, HOST = "kws.singlestream.device.r1", "kws.singlestream.host.r1"
Change = Callable[[TrialRecord], TrialRecord]


def findings_of(record: RunRecord) -> dict[str, Finding]:
    """Give the findings by code; for a code found twice, the first."""
    found: dict[str, Finding] = {}
    for one in find(record, estimate(record)[0]):
        found.setdefault(one.code, one)
    return found


def changed(record: RunRecord, trial_id: str, change: Change) -> RunRecord:
    trials = tuple(change(t) if t.trial.id == trial_id else t for t in record.trials)
    return replace(record, trials=trials)


def measured(record: RunRecord, **asked: object) -> RunRecord:
    """Give the record as if the device had really been there, with four cores."""
    sut = record.suts["emulated@"]
    real = replace(sut, origin=Origin.MEASURED, facts={"cores": "4"})
    profile = replace(record.plan.profile, conditions=Conditions(**asked))  # type: ignore[arg-type]
    plan = replace(record.plan, profile=profile)
    return replace(record, plan=plan, suts={**record.suts, "emulated@": real})


def official(record: RunRecord) -> RunRecord:
    preset = replace(record.plan.preset, name="official", is_evidential=True)
    return replace(record, plan=replace(record.plan, preset=preset))


def outputs(*, differing: int = 0, non_finite: int = 0) -> Change:
    checked = OutputsChecked(
        trial="t", compared=60, differing=differing, non_finite=non_finite, sha256=SHA
    )
    return lambda trial: replace(trial, outputs=checked)


def loaded(**what: object) -> Change:
    base: dict[str, object] = {"trial": "t", "sha256": SHA, "load_ns": 1}
    event = ModelLoaded(**{**base, **what})  # type: ignore[arg-type]
    return lambda trial: replace(trial, loaded=event)


def surroundings(**what: object) -> Change:
    reached = ConditionsReached(**what)  # type: ignore[arg-type]
    return lambda trial: replace(trial, conditions=reached)


def test_a_good_emulated_run_has_notes_only() -> None:
    found = findings_of(a_record())

    assert found.keys() == {"emulated", "seeded-weights", "preset-not-evidential"}
    assert validity_of(found.values()) is Validity.VALID


def test_accuracy_on_simulated_items_is_said_to_be_that() -> None:
    data = LabelledData(
        name="x.npz", sha256="0" * 64, items=9, metric=Metric.TOP1, is_simulated=True
    )
    record = a_record(["kws", "vww"])
    real = replace(data, is_simulated=False)
    plan = replace(record.plan, labelled={"kws": data, "vww": real})

    found = findings_of(replace(record, plan=plan))["simulated-items"]

    assert found.severity is Severity.NOTE
    assert found.values == {"workloads": "kws"}


def test_every_code_that_is_derived_is_a_code() -> None:
    assert SEVERITIES.keys() <= CODES


@pytest.mark.parametrize(
    ("change", "code", "severity"),
    [
        (outputs(non_finite=3), "outputs-not-finite", Severity.INVALIDATING),
        (outputs(differing=2), "outputs-differ", Severity.CONDITIONAL),
        (loaded(sha256="1" * 64), "model-digest-changed", Severity.INVALIDATING),
        (
            loaded(quantised_nodes=8, quantisable_nodes=10),
            "half-fused",
            Severity.NOTE,
        ),
        (
            loaded(quantised_nodes=0, quantisable_nodes=10),
            "not-quantised",
            Severity.NOTE,
        ),
        (
            loaded(placement={"CPUExecutionProvider": 8, "Other": 2}),
            "fallback",
            Severity.CONDITIONAL,
        ),
        (
            loaded(placement={"Other": 10}),
            "provider-unused",
            Severity.INVALIDATING,
        ),
    ],
)
def test_what_a_trial_shows_is_found_on_the_device_and_noted_on_the_host(
    change: Change, code: str, severity: Severity
) -> None:
    record = a_record(["kws"])

    on_device = findings_of(changed(record, DEVICE, change))[code]
    on_host = findings_of(changed(record, HOST, change))[code]

    assert (on_device.severity, on_device.subject) == (severity, DEVICE)
    assert (on_host.severity, on_host.subject) == (Severity.NOTE, HOST)


@pytest.mark.parametrize(
    ("provider", "is_found"), [("CPUExecutionProvider", False), ("Other", True)]
)
def test_where_operators_ran_is_asked_of_every_provider_but_the_processor(
    provider: str, *, is_found: bool
) -> None:
    def unread(trial: TrialRecord) -> TrialRecord:
        settings = replace(trial.trial.settings, provider=provider)
        asked = replace(trial, trial=replace(trial.trial, settings=settings))
        return loaded(placement={})(asked)

    found = findings_of(changed(a_record(["kws"]), DEVICE, unread))

    assert ("placement-not-read" in found) is is_found


@pytest.mark.parametrize(
    "change",
    [
        loaded(quantised_nodes=9, quantisable_nodes=10),
        loaded(quantised_nodes=0, quantisable_nodes=0),
        loaded(placement={"CPUExecutionProvider": 9, "Other": 1}),
        lambda trial: replace(trial, loaded=None, outputs=None),
    ],
)
def test_what_is_within_its_limit_is_not_found(change: Change) -> None:
    found = findings_of(changed(a_record(["kws"]), DEVICE, change))

    assert not {"half-fused", "not-quantised", "fallback"} & found.keys()


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.CRASHED, "trial-crashed"),
        (Outcome.OUT_OF_MEMORY, "trial-out-of-memory"),
        (Outcome.HUNG, "trial-hung"),
        (Outcome.INTERRUPTED, "trial-interrupted"),
        (Outcome.FAILED, "trial-failed"),
        (Outcome.REFUSED, "trial-failed"),
        (None, "trial-interrupted"),
    ],
)
def test_a_trial_that_did_not_end_well_is_found(
    outcome: Outcome | None, code: str
) -> None:
    ended = changed(
        a_record(["kws"]),
        DEVICE,
        lambda trial: replace(trial, outcome=outcome, reason="signal 11"),
    )

    found = findings_of(ended)[code]

    assert found.severity is Severity.CONDITIONAL
    assert found.values["reason"] == "signal 11"


def test_a_trial_that_was_never_started_is_found() -> None:
    found = findings_of(without_trial(a_record(["kws"]), DEVICE))

    assert found["trial-not-executed"].subject == DEVICE


def test_a_window_must_have_both_its_queries_and_its_seconds() -> None:
    few = changed(
        a_record(["kws"]),
        DEVICE,
        lambda t: a_trial_record(t.trial, latencies_ns=np.full(108, 150_000_000)),
    )
    short = changed(
        a_record(["kws"]),
        DEVICE,
        lambda t: a_trial_record(t.trial, latencies_ns=np.full(308, 20_000_000)),
    )

    assert findings_of(few)["too-few-queries"].values == {
        "queries": 100,
        "minimum": 128,
    }
    assert "window-too-short" not in findings_of(few)
    assert findings_of(short)["window-too-short"].values == {
        "seconds": 6.0,
        "minimum": 10.0,
    }
    assert validity_of(findings_of(short).values()) is Validity.INVALID


def test_a_window_short_by_a_clock_reading_is_not_short() -> None:
    almost = changed(
        a_record(["kws"]),
        DEVICE,
        lambda t: a_trial_record(t.trial, latencies_ns=np.full(508, 19_999_000)),
    )

    assert "window-too-short" not in findings_of(almost)


def test_a_sustained_window_is_as_long_as_its_scenario_says() -> None:
    trial = a_trial(scenario=Sustained())
    record = replace(
        a_record(["kws"]), plan=a_plan([trial]), trials=(a_trial_record(trial),)
    )

    assert findings_of(record)["window-too-short"].values["minimum"] == 600.0


@pytest.mark.parametrize("scenario", [ColdStart(), Server(latency_bound_ns=10**9)])
def test_starts_and_searches_have_no_window_of_seconds(
    scenario: ColdStart | Server,
) -> None:
    trial = a_trial(scenario=scenario)
    run = a_trial_record(trial, latencies_ns=some_latencies(200))
    record = replace(a_record(["kws"]), plan=a_plan([trial]), trials=(run,))

    assert "window-too-short" not in findings_of(record)


def test_a_costly_harness_is_found() -> None:
    costly = OverheadMeasured(
        trial="t",
        queries=1000,
        latency_p50_ns=1_100_000,
        latency_p90_ns=1_200_000,
        gap_p50_ns=1,
    )
    record = changed(
        a_record(["kws"]), DEVICE, lambda trial: replace(trial, overhead=costly)
    )

    found = findings_of(record)["overhead-above-limit"]

    assert found.severity is Severity.CONDITIONAL
    assert found.values["overhead_s"] == pytest.approx(1.1e-3)


def test_runs_that_do_not_repeat_are_found_once_for_the_workload() -> None:
    slow = changed(
        a_record(["kws"]),
        DEVICE,
        lambda t: a_trial_record(t.trial, latencies_ns=some_latencies(600) * 2),
    )

    found = findings_of(slow)["spread-above-limit"]

    assert (found.subject, found.severity) == ("kws", Severity.CONDITIONAL)
    assert found.values["scenario"] == "SingleStream"
    assert float(found.values["spread"]) > 0.10


def test_a_machine_that_was_busy_just_before_a_trial_is_found() -> None:
    record = measured(a_record(["kws"]))

    busy = changed(record, DEVICE, surroundings(busy_cores=0.8))
    calm = changed(record, DEVICE, surroundings(busy_cores=0.3))

    found = findings_of(busy)["background-load"]
    assert found.severity is Severity.CONDITIONAL
    assert found.values["busy_cores"] == pytest.approx(0.8)
    assert "background-load" not in findings_of(calm)


def test_a_busy_host_does_not_touch_an_emulated_device() -> None:
    record = a_record(["kws"])
    host = replace(record.suts["local@"], facts={"cores": "2"})
    record = replace(record, suts={**record.suts, "local@": host})
    busy = surroundings(busy_cores=9.0)

    on_host = findings_of(changed(record, HOST, busy))
    on_device = findings_of(changed(record, DEVICE, busy))

    assert on_host["background-load"].severity is Severity.NOTE
    assert "background-load" not in on_device


def test_conditions_other_than_asked_for_are_found() -> None:
    record = measured(a_record(["kws"]), governor="performance")

    found = [
        one
        for one in find(
            changed(
                record, DEVICE, surroundings(governor="powersave", ambient_degc=31.0)
            ),
            (),
        )
        if one.code == "condition-not-reached"
    ]

    assert [one.values["condition"] for one in found] == ["governor", "ambient_degc"]
    assert {one.severity for one in found} == {Severity.CONDITIONAL}


def test_a_wish_that_was_missed_is_found_with_its_reason() -> None:
    record = measured(a_record(["kws"]), charging="off", wished=("charging",))
    missed = surroundings(missed={"charging": "This board has nothing"})

    found = findings_of(changed(record, DEVICE, missed))["condition-not-reached"]

    assert found.values["condition"] == "charging"
    assert found.values["reason"] == "This board has nothing"


def test_a_board_without_a_screen_has_it_off() -> None:
    record = measured(a_record(["kws"]), screen="off", charging="off")

    off = surroundings(screen="none", charging="Not charging")
    on = surroundings(screen="on", charging="Discharging")

    assert missed_in(changed(record, DEVICE, off)) == []
    assert missed_in(changed(record, DEVICE, on)) == ["screen"]


def missed_in(record: RunRecord) -> list[object]:
    """List the conditions that one trial's findings name."""
    return [
        one.values["condition"]
        for one in find(record, ())
        if (one.code, one.subject) == ("condition-not-reached", DEVICE)
    ]


def test_what_no_target_has_looked_after_is_not_taken_for_reached() -> None:
    record = measured(a_record(["kws"]), radios="off")

    found = findings_of(changed(record, DEVICE, surroundings()))

    assert found["condition-not-reached"].values["condition"] == "radios"


def test_a_hot_start_is_found_where_a_limit_is_declared() -> None:
    record = measured(a_record(["kws"]), device_max_start_degc=35.0)

    hot = findings_of(changed(record, DEVICE, surroundings(device_degc=41.0)))
    cool = findings_of(changed(record, DEVICE, surroundings(device_degc=30.0)))

    assert hot["throttled-at-start"].values == {"limit_degc": 35.0, "start_degc": 41.0}
    assert "throttled-at-start" not in cool


def test_a_processor_that_was_held_back_is_told_whenever_it_was() -> None:
    record = a_record(["kws"])
    held = ReadingBlock(
        channel=Channel(name="throttle", unit="1", source="kernel"),
        clock="board",
        origin=Origin.MEASURED,
        times_ns=array("q", [1, 2, 3]),
        values=array("d", [0.0, 2.0, 0.0]),
    )
    free = replace(held, values=array("d", [0.0, 0.0, 0.0]))

    during = findings_of(
        changed(record, DEVICE, lambda t: replace(t, readings=(held,)))
    )
    before = findings_of(changed(record, DEVICE, surroundings(throttle=1.0)))
    never = findings_of(changed(record, DEVICE, lambda t: replace(t, readings=(free,))))

    assert during["throttled"].values == {
        "at_start": 0.0,
        "readings": 3,
        "throttled": 1,
    }
    assert during["throttled"].severity is Severity.CONDITIONAL
    assert before["throttled"].values["at_start"] == 1.0
    assert "throttled" not in never


def test_a_model_in_firmware_is_not_taken_for_the_file_of_the_plan() -> None:
    record = changed(
        a_record(["kws"]),
        DEVICE,
        lambda trial: replace(trial, notes={"firmware_model": "kws01"}),
    )

    found = findings_of(record)["firmware-model"]

    assert found.values["firmware"] == "kws01"
    assert found.severity is Severity.CONDITIONAL


def test_an_official_run_wants_a_temperature_and_its_specimens() -> None:
    record = official(measured(a_record(["kws"])))
    warm = replace(
        record,
        trials=tuple(surroundings(ambient_degc=23.0)(t) for t in record.trials),
        lab=LabInfo(fields={"sampling.units": "2"}),
    )

    bare, better = findings_of(record), findings_of(warm)

    assert {"temperature-missing", "specimens-not-recorded"} <= bare.keys()
    assert bare["temperature-missing"].severity is Severity.CONDITIONAL
    assert "preset-not-evidential" not in bare
    assert "temperature-missing" not in better
    assert better["fewer-specimens-than-asked"].values["recorded"] == 2


def test_other_presets_and_emulated_devices_need_no_temperature() -> None:
    assert "temperature-missing" not in findings_of(measured(a_record(["kws"])))
    assert "temperature-missing" not in findings_of(official(a_record(["kws"])))


def test_lost_power_readings_are_found() -> None:
    def punched(trial: TrialRecord) -> TrialRecord:
        block = trial.readings[0]
        kept = [i for i in range(len(block.times_ns)) if not 40 <= i < 44]
        gappy = replace(
            block,
            times_ns=array("q", [block.times_ns[i] for i in kept]),
            values=array("d", [block.values[i] for i in kept]),
        )
        return replace(trial, readings=(gappy,))

    found = findings_of(changed(a_record(["kws"]), DEVICE, punched))["readings-lost"]

    assert found.severity is Severity.CONDITIONAL
    assert found.values["longest_s"] == pytest.approx(0.4)


def test_an_idle_power_that_moved_is_found() -> None:
    def moved(trial: TrialRecord) -> TrialRecord:
        shift = 3 * 10**9
        block = trial.readings[0]
        assert trial.queries is not None
        later = np.asarray(block.times_ns) + shift
        before = np.arange(1, 31) * 100_000_000
        values = np.concatenate([np.full(30, 0.004), np.asarray(block.values)])
        times = np.concatenate([before, later + 1])
        queries = replace(
            trial.queries,
            scheduled_ns=array("q", (np.asarray(trial.queries.scheduled_ns) + shift)),
            issued_ns=array("q", (np.asarray(trial.queries.issued_ns) + shift)),
            completed_ns=array("q", (np.asarray(trial.queries.completed_ns) + shift)),
        )
        phases = tuple((phase, at + shift) for phase, at in trial.phases)
        return replace(
            trial,
            queries=queries,
            phases=((Phase.BASELINE_BEFORE, 0), *phases),
            readings=(
                replace(
                    block,
                    times_ns=array("q", times.tolist()),
                    values=array("d", values.tolist()),
                ),
            ),
        )

    found = findings_of(changed(a_record(["kws"]), DEVICE, moved))["baseline-drifted"]

    assert found.values["drift_w"] == pytest.approx(-0.002)
    assert found.severity is Severity.CONDITIONAL


def test_patterns_are_told_once_for_the_workload_with_how_many_runs_show_them() -> None:
    def drifting(trial: TrialRecord) -> TrialRecord:
        latencies = some_latencies(608, seed=trial.trial.run) * np.linspace(1, 1.2, 608)
        latencies[300:303] *= 20
        return a_trial_record(
            trial.trial, latencies_ns=np.rint(latencies).astype(np.int64)
        )

    record = changed(a_record(["kws"]), DEVICE, drifting)
    record = changed(record, DEVICE.replace("r1", "r2"), drifting)
    found = findings_of(record)

    drift, outliers = found["drift-in-window"], found["outliers-present"]
    assert (drift.subject, drift.severity) == ("kws", Severity.NOTE)
    assert (drift.values["shown"], drift.values["runs"]) == (2, 3)
    assert float(drift.values["change"]) == pytest.approx(0.2, abs=0.03)
    assert outliers.values["severe"] == 6


def test_steps_and_periods_are_told_too() -> None:
    def patterned(trial: TrialRecord) -> TrialRecord:
        count = np.arange(608)
        latencies = some_latencies(608) * (1 + 0.05 * np.sin(count / 3))
        if trial.trial.run == 1:
            latencies[400:] *= 1.3
        return a_trial_record(
            trial.trial, latencies_ns=np.rint(latencies).astype(np.int64)
        )

    record = changed(a_record(["kws"]), DEVICE, patterned)
    record = changed(record, DEVICE.replace("r1", "r2"), patterned)
    found = findings_of(record)

    assert float(found["step-in-window"].values["change"]) == pytest.approx(
        0.3, abs=0.05
    )
    assert float(found["period-in-window"].values["queries"]) == pytest.approx(
        6 * np.pi, rel=0.05
    )


def test_what_was_found_while_running_is_kept_and_not_said_twice() -> None:
    said = Finding(
        code="trial-crashed",
        severity=Severity.INVALIDATING,
        subject=DEVICE,
        values={"by": "bench"},
    )
    other = Finding(code="meter-failed", severity=Severity.CONDITIONAL)
    record = changed(
        replace(a_record(["kws"]), findings=(said, other)),
        DEVICE,
        lambda trial: replace(trial, outcome=Outcome.CRASHED),
    )

    found = find(record, ())

    assert found[:2] == (said, other)
    assert [one.code for one in found].count("trial-crashed") == 1


def test_nothing_about_the_host_can_do_more_than_be_noted() -> None:
    record = a_record(["kws"])
    broken = changed(record, HOST, lambda t: replace(t, outcome=Outcome.CRASHED))
    gone = without_trial(broken, HOST)

    for one in (*find(broken, ()), *find(gone, ())):
        if one.subject == HOST:
            assert one.severity is Severity.NOTE
    assert any(t.trial.arm is Arm.HOST for t in record.trials)


def test_a_finished_trial_without_queries_has_no_window() -> None:
    record = changed(
        a_record(["kws"]), DEVICE, lambda trial: replace(trial, queries=None)
    )

    found = findings_of(record)

    assert found["too-few-queries"].values["queries"] == 0
    assert found["window-too-short"].values["seconds"] == 0.0


def test_a_full_official_run_of_trained_models_has_nothing_against_it() -> None:
    record = official(measured(a_record(["kws"])))
    model = replace(record.plan.models[0], is_trained=True)
    record = replace(
        record,
        plan=replace(record.plan, models=(model,)),
        trials=tuple(surroundings(ambient_degc=23.0)(t) for t in record.trials),
        lab=LabInfo(fields={"sampling.units": "3"}),
    )

    assert findings_of(record) == {}


def test_what_a_device_model_says_of_itself_is_told_once_for_the_workload() -> None:
    notes = {
        "finding.operator-unknown": "operators=Einsum",
        "finding.of-a-newer-version": "x=1",
        "emulation.form": "rates/1",
    }
    record = a_record(["kws"])
    trials = tuple(replace(trial, notes=notes) for trial in record.trials[:3])

    found = find(replace(record, trials=trials), ())

    said = [one for one in found if one.code == "operator-unknown"]
    assert [(one.subject, one.values) for one in said] == [
        ("kws", {"detail": "operators=Einsum"})
    ]

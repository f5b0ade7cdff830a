"""Counts of an emulated processor: a figure of their own, and of nothing else."""

from dataclasses import replace

import pytest

from harness.domain.counting import InstructionsCounted
from harness.domain.estimate import COUNTED, NEEDS_NO_TIME
from harness.domain.origin import Origin
from harness.domain.query import Outcome
from harness.domain.record import RunRecord, TrialRecord
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.stats.instructions import per_inference
from harness.testing.builders import a_trial_record
from harness.testing.counted import PARENT, a_counted_record, counts

OF_TIME = {"s", "Hz", "J", "W", "ratio/h", "tok/s", "tok/J"}


def with_trials(record: RunRecord, *trials: TrialRecord) -> RunRecord:
    return replace(record, trials=trials)


def test_what_a_start_costs_cancels_in_the_difference_of_two_counts() -> None:
    counted = InstructionsCounted(
        trial="t",
        model="m",
        processor="cortex-a76",
        fewer=2,
        more=22,
        counts_fewer=(90_002_000,),
        counts_more=(90_022_000,),
    )

    assert per_inference(counted) == [1000.0]


def test_the_figure_is_the_median_of_the_rounds_and_u_their_deviation() -> None:
    estimates, _ = estimate(a_counted_record(("kws",), has_parent=False))

    one = next(e for e in estimates if e.measurand.name in COUNTED)

    assert one.measurand.unit == "instructions"
    assert one.value == 919_255 - 40
    assert one.standard_uncertainty == pytest.approx(40.0)
    assert one.origin is Origin.EMULATED
    assert one.condition == "processor=cortex-a76"


def test_a_parent_and_another_processor_have_figures_of_their_own() -> None:
    record = a_counted_record(("kws",))
    trial = record.trials[0]
    a53 = counts(trial.trial.id, trial.trial.model, 1_386_000, "cortex-a53")
    both = with_trials(record, replace(trial, counted=(*trial.counted, a53)))

    estimates, _ = estimate(both)

    found = {
        (e.measurand.name, e.condition)
        for e in estimates
        if e.measurand.name in COUNTED
    }
    assert found == {
        ("instructions_per_inference", "processor=cortex-a76"),
        ("instructions_per_inference", "processor=cortex-a53"),
        ("instructions_per_inference_parent", "processor=cortex-a76"),
    }


def test_no_figure_of_a_target_without_time_has_a_unit_of_time() -> None:
    estimates, withheld = estimate(a_counted_record())

    assert {e.measurand.name for e in estimates} <= NEEDS_NO_TIME
    assert not {e.measurand.unit for e in estimates} & OF_TIME
    assert {w.reason for w in withheld if w.measurand.unit in OF_TIME} == {"not-timed"}


def test_queries_that_such_a_record_should_not_hold_give_no_latency() -> None:
    record = a_counted_record(("kws",))
    trial = record.trials[0]
    timed = a_trial_record(trial.trial)
    forged = replace(trial, queries=timed.queries, readings=timed.readings)

    estimates, _ = estimate(with_trials(record, forged))

    assert {e.measurand.name for e in estimates} <= NEEDS_NO_TIME


def test_such_a_record_stays_emulated_whatever_its_description_says() -> None:
    record = a_counted_record(("kws",))
    suts = {
        address: replace(sut, origin=Origin.MEASURED)
        for address, sut in record.suts.items()
    }

    estimates, _ = estimate(replace(record, suts=suts))

    assert {e.origin for e in estimates} == {Origin.EMULATED}


def test_without_a_finished_trial_the_count_is_withheld() -> None:
    record = a_counted_record(("kws",))
    failed = replace(record.trials[0], outcome=Outcome.CRASHED, counted=())

    _, withheld = estimate(with_trials(record, failed))

    reasons = {w.measurand.name: w.reason for w in withheld}
    assert reasons["instructions_per_inference"] == "trial-failed"


def test_a_run_without_windows_is_not_blamed_for_having_none() -> None:
    record = a_counted_record()

    codes = {one.code for one in find(record, estimate(record)[0])}

    assert "emulated-processor" in codes
    assert not codes & {"too-few-queries", "window-too-short", "emulated"}


def test_sums_in_another_order_are_no_disagreement_and_a_wrong_step_is() -> None:
    record = a_counted_record(("kws",))
    trial = record.trials[0]
    ours, parents = trial.compared
    off = replace(ours, identical=15, largest_difference=0.02)

    def codes_with(*compared: object) -> list[str]:
        changed = with_trials(record, replace(trial, compared=compared))
        return [one.code for one in find(changed, estimate(changed)[0])]

    assert parents.model == PARENT
    assert parents.identical < parents.items
    assert "kernels-disagree" not in codes_with(ours, parents)
    assert "kernels-disagree" in codes_with(off, parents)


@pytest.mark.parametrize(
    ("fewer", "more", "counts_fewer", "counts_more"),
    [
        (2, 2, (10,), (20,)),
        (2, 22, (), ()),
        (2, 22, (10, 10), (20,)),
        (2, 22, (20,), (20,)),
    ],
)
def test_counts_that_cannot_be_are_no_event(
    fewer: int, more: int, counts_fewer: tuple[int, ...], counts_more: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"inferences|counts|instructions"):
        InstructionsCounted(
            trial="t",
            model="m",
            processor="p",
            fewer=fewer,
            more=more,
            counts_fewer=counts_fewer,
            counts_more=counts_more,
        )

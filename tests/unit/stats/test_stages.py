"""Figures of the stages of a pipeline, from made-up instants."""

from array import array
from dataclasses import replace

import pytest

from harness.domain.estimate import Estimate, Withheld
from harness.domain.origin import Origin
from harness.domain.predictedstage import PREDICTED_STAGES
from harness.domain.record import TrialRecord
from harness.domain.scenario import SingleStream
from harness.domain.workload import BuiltStage, Stage
from harness.stats.group import Group
from harness.stats.latency import latency_answers
from harness.stats.modelled import with_model_error
from harness.stats.stages import stage_answers
from harness.testing.builders import a_model, a_profile, a_trial, a_trial_record

STAGES = (
    BuiltStage(stage=Stage(name="detect", model="d"), file="d.onnx"),
    BuiltStage(stage=Stage(name="crop", step="crop-peak", takes=("f",), gives="c")),
)


def a_run(run: int = 1) -> TrialRecord:
    """Give queries of which the second stage takes a quarter."""
    record = a_trial_record(a_trial(run=run))
    queries = record.queries
    assert queries is not None
    inner = array("q")
    for issued, completed in zip(queries.issued_ns, queries.completed_ns, strict=True):
        inner.extend((completed - (completed - issued) // 4, completed))
    return replace(
        record,
        queries=replace(
            queries, inner_counts=array("q", [2] * len(queries)), inner_ns=inner
        ),
    )


def a_group(*trials: TrialRecord, origin: Origin = Origin.MEASURED) -> Group:
    return Group(
        arm=trials[0].trial.arm,
        workload="face_e2e",
        scenario=SingleStream(),
        origin=origin,
        profile=a_profile(),
        model=replace(a_model(), stages=STAGES),
        trials=trials,
    )


def test_each_stage_has_its_percentiles_and_its_share() -> None:
    found = {
        (one.measurand.name, one.condition): one
        for one in stage_answers(a_group(a_run(1), a_run(2)))
    }

    crop, share = found["stage_p50", "stage=crop"], found["stage_share", "stage=crop"]
    assert isinstance(crop, Estimate)
    assert isinstance(share, Estimate)
    assert crop.value == pytest.approx(0.005, rel=0.02)
    assert share.value == pytest.approx(0.25, rel=1e-6)
    detect = found["stage_p90", "stage=detect"]
    assert isinstance(detect, Estimate)
    assert detect.value > 0.015


def test_a_step_of_an_emulated_device_has_no_figure() -> None:
    group = a_group(a_run(), origin=Origin.EMULATED)

    found = [a for a in stage_answers(group) if a.condition == "stage=crop"]

    assert [(type(a), a.measurand.name) for a in found] == [(Withheld, "stage_p50")]


def test_queries_of_several_samples_have_no_stages() -> None:
    run = a_run()
    assert run.queries is not None
    twice = replace(
        run.queries,
        inner_counts=array("q", [4] * len(run.queries)),
        inner_ns=run.queries.inner_ns * 2,
    )

    assert list(stage_answers(a_group(replace(run, queries=twice)))) == []


def test_one_model_alone_has_no_stages() -> None:
    group = replace(a_group(a_run()), model=a_model())

    assert list(stage_answers(group)) == []


PREDICTED = "detect 0.015 0.01 0.02 0.3; crop"


def an_emulated_group(predicted: str) -> Group:
    notes = {PREDICTED_STAGES: predicted, "emulation.relative_uncertainty": "0.5"}
    return a_group(replace(a_run(), notes=notes), origin=Origin.EMULATED)


def with_errors(group: Group, name: str, condition: str = "") -> Estimate:
    answers = (*stage_answers(group), *latency_answers(group))
    (one,) = (
        a for a in answers if (a.measurand.name, a.condition) == (name, condition)
    )
    assert isinstance(one, Estimate)
    return with_model_error(one, group)


def test_a_stage_has_the_error_of_its_own_prediction() -> None:
    one = with_errors(an_emulated_group(PREDICTED), "stage_p50", "stage=detect")

    assert one.instrument_uncertainty == pytest.approx(0.3 * one.value)
    assert "steps" not in one.method


def test_the_whole_says_which_steps_it_leaves_out() -> None:
    one = with_errors(an_emulated_group(PREDICTED), "latency_p50")

    assert one.instrument_uncertainty == pytest.approx(0.5 * one.value)
    assert one.method.endswith("without the steps crop")


def test_the_share_of_a_stage_is_no_surer_than_the_predictions_behind_it() -> None:
    group = an_emulated_group("detect 0.015 0.01 0.02 0.3; crop 0.005 0.004 0.007 0.4")

    one = with_errors(group, "stage_share", "stage=detect")

    # s = a/(a + b): u = s·(1 - s)·√(u_a² + u_b²), all relative but the result
    assert one.value == pytest.approx(0.75)
    assert one.instrument_uncertainty == pytest.approx(0.75 * 0.25 * 0.5)


def test_a_step_says_that_it_is_not_modelled() -> None:
    (gap,) = (
        a
        for a in stage_answers(an_emulated_group(PREDICTED))
        if a.condition == "stage=crop"
    )

    assert isinstance(gap, Withheld)
    assert gap.reason == "step-not-modelled"

"""Scores in a record to metric and retention, with uncertainty; coverage by draws."""

from dataclasses import replace

import numpy as np
import pytest
from scoredrecords import Reals, a_scored_record, figure, figures

from harness.domain.estimate import Estimate, Withheld
from harness.domain.labelled import Metric
from harness.domain.query import RepeatsProbed
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.stats.memoryprobe import find_memory


def top1(hits: Reals) -> Reals:
    """Rows of items of class 1, decided for 1 where they are hit and for 0 else."""
    return np.column_stack((hits, np.ones(len(hits)), hits))


def hits(right: int, items: int) -> Reals:
    return (np.arange(items) < right).astype(float)


def test_retention_is_the_quantised_metric_over_the_parent_s() -> None:
    record = a_scored_record(Metric.TOP1, top1(hits(891, 1000)), top1(hits(900, 1000)))

    retention = figure(record, "accuracy_retention")

    assert retention.value == pytest.approx(0.99)
    assert figure(record, "task_metric").value == 0.891
    assert figure(record, "task_metric_parent").value == 0.9
    assert figure(record, "decision_agreement").value == 0.991
    assert 0.002 < retention.expanded_uncertainty < 0.01
    assert retention.lower_bound is not None
    assert retention.lower_bound < 0.99 < (retention.upper_bound or 0)
    assert "9 changed" in retention.method
    assert retention.origin.value == "emulated"


def test_of_errors_the_parent_s_comes_first() -> None:
    draw = np.random.default_rng(1)
    parent = draw.uniform(0.9, 1.1, (500, 1))
    record = a_scored_record(Metric.MSE, 1.25 * parent, parent)

    retention = figure(record, "accuracy_retention")

    assert retention.value == pytest.approx(0.8)
    # the errors of the two models go up and down together, so their ratio stands firm
    assert retention.standard_uncertainty < 0.005


def test_without_a_parent_there_is_a_metric_and_no_retention() -> None:
    found = figures(a_scored_record(Metric.TOP1, top1(hits(891, 1000)), None))

    assert isinstance(found["task_metric"], Estimate)
    retention = found["accuracy_retention"]
    assert isinstance(retention, Withheld)
    assert retention.reason == "no-parent"


def test_items_that_are_missing_withhold_the_figure() -> None:
    record = a_scored_record(Metric.TOP1, top1(hits(9, 10)), top1(hits(9, 10)))
    data = replace(record.plan.labelled["kws"], items=11)
    record = replace(record, plan=replace(record.plan, labelled={"kws": data}))

    found = figures(record)["accuracy_retention"]

    assert isinstance(found, Withheld)
    assert found.reason == "items-not-scored"


def test_a_parent_that_is_never_right_has_no_retention() -> None:
    record = a_scored_record(Metric.TOP1, top1(hits(9, 10)), top1(hits(0, 10)))

    found = figures(record)["accuracy_retention"]

    assert isinstance(found, Withheld)
    assert found.reason == "metric-undefined"


def test_the_same_record_gives_the_same_bootstrap() -> None:
    draw = np.random.default_rng(2)
    mine = np.column_stack((draw.normal(size=200), np.arange(200) % 2))
    record = a_scored_record(Metric.AUC, mine, mine)

    assert figure(record, "task_metric") == figure(record, "task_metric")


@pytest.mark.parametrize("is_paired", [True, False])
def test_the_bootstrap_of_a_ratio_of_areas_covers_the_truth(*, is_paired: bool) -> None:
    """The truth of two normal classes a distance d apart is the area Φ(d/√2)."""
    covered, records = 0, 25
    draw = np.random.default_rng(20260103)
    for _ in range(records):
        labels = np.arange(300) % 2
        shared = draw.normal(size=300) + 1.5 * labels
        noise = 0.4 if is_paired else 0.0
        mine = shared + noise * draw.normal(size=300)
        theirs = shared + noise * draw.normal(size=300)
        if not is_paired:
            theirs = draw.normal(size=300) + 1.5 * labels
        record = a_scored_record(
            Metric.AUC,
            np.column_stack((mine, labels)),
            np.column_stack((theirs, labels)),
        )
        found = figure(record, "accuracy_retention")  # the truth is 1: both are alike
        covered += abs(found.value - 1) <= found.expanded_uncertainty

    assert covered >= 0.83 * records  # 95 % less 2.7 standard deviations of 25 draws


def test_a_model_below_its_floor_is_found() -> None:
    record = a_scored_record(
        Metric.TOP1, top1(hits(700, 1000)), top1(hits(900, 1000)), floor=0.9
    )

    found = {f.code for f in find(record, estimate(record)[0])}

    assert "accuracy-below-target" in found


def test_a_model_that_may_reach_its_floor_is_not_found() -> None:
    record = a_scored_record(
        Metric.TOP1, top1(hits(895, 1000)), top1(hits(900, 1000)), floor=0.9
    )

    found = {f.code for f in find(record, estimate(record)[0])}

    assert "accuracy-below-target" not in found


def probed(
    repeated: float, rotated: float, fresh: float, *, noise: float = 0.02, seed: int = 0
) -> RepeatsProbed:
    draw = np.random.default_rng(seed)

    def around(median_ns: float) -> tuple[int, ...]:
        scatter = np.exp(noise * draw.standard_normal(64))
        return tuple(int(ns) for ns in median_ns * scatter)

    return RepeatsProbed(
        trial="t",
        rounds=8,
        repeated_ns=around(repeated),
        rotated_ns=around(rotated),
        fresh_ns=around(fresh),
    )


@pytest.mark.parametrize(
    ("latencies", "is_found"),
    [
        ((100e3, 100e3, 100e3), False),
        ((93e3, 100e3, 100e3), False),  # within the 10 % of the method
        ((85e3, 100e3, 100e3), True),  # remembers its last answer
        ((5e3, 5e3, 100e3), True),  # remembers all answers
        ((4e3, 5.5e3, 5.5e3), False),  # a cold cache, not a memory
        ((120e3, 100e3, 100e3), False),
    ],
)
def test_what_was_seen_before_may_not_be_much_faster(
    latencies: tuple[float, float, float], *, is_found: bool
) -> None:
    assert (find_memory(probed(*latencies)) is not None) is is_found


def test_an_honest_device_is_hardly_ever_accused() -> None:
    accused = sum(
        find_memory(probed(1e5, 1e5, 1e5, noise=0.2, seed=seed)) is not None
        for seed in range(500)
    )

    assert accused <= 5

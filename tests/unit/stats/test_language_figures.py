"""Accuracy by language: each for itself, over Chinese, and the least of them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.domain.estimate import Estimate, Withheld
from harness.domain.labelled import GROUP, LANGUAGE, LabelledData, Metric, Source
from harness.domain.query import ItemsScored
from harness.domain.record import RunRecord
from harness.scoring.rows import pack
from harness.stats.estimating import estimate
from harness.stats.proportions import (
    ONE_SIDED_Z,
    TWO_SIDED_Z,
    independent_ratio_interval,
)
from harness.testing.builders import SHA, a_plan, a_record, a_trial, a_trial_record

TRIAL = replace(a_trial(), is_scored=True)
Rows = NDArray[np.float64]


def a_spoken_record(
    rows: dict[str, Rows], metric: Metric = Metric.TOP1, grouping: str = LANGUAGE
) -> RunRecord:
    """Make a record whose items are in groups, interleaved as a data set's may be."""
    names = tuple(sorted(rows))
    group_of = np.concatenate(
        [np.full(len(rows[name]), number) for number, name in enumerate(names)]
    )
    values = np.concatenate([rows[name] for name in names])
    lot = np.random.default_rng(3).permutation(len(values))
    packed = np.column_stack((np.arange(len(values)), values[lot]))
    event = ItemsScored(
        trial=TRIAL.id,
        model=TRIAL.model,
        source=Source.REFERENCE,
        metric=metric.value,
        items=len(values),
        width=values.shape[1],
        packed=pack(packed),
    )
    data = LabelledData(
        name="spoken.npz",
        sha256=SHA,
        items=len(values),
        metric=metric,
        grouping=grouping,
        groups=names,
        group_of=tuple(int(number) for number in group_of[lot]),
    )
    plan = replace(a_plan([TRIAL]), labelled={"kws": data})
    trial = replace(a_trial_record(TRIAL), scored=(event,))
    return replace(a_record(["kws"], runs=1), plan=plan, trials=(trial,))


def spoken(right: int, items: int) -> Rows:
    hits = (np.arange(items) < right).astype(float)
    return np.column_stack((hits, np.ones(items), hits))


def figures(record: RunRecord) -> dict[tuple[str, str], Estimate | Withheld]:
    estimates, withheld = estimate(record)
    return {(o.measurand.name, o.condition): o for o in (*withheld, *estimates)}


def figure(record: RunRecord, name: str, condition: str = "") -> Estimate:
    found = figures(record)[name, condition]
    assert isinstance(found, Estimate), found
    return found


THREE = {
    "zh": spoken(380, 400),
    "en": spoken(360, 400),
    "ms": spoken(304, 400),
}


def test_every_language_has_its_accuracy_and_its_ratio_to_chinese() -> None:
    record = a_spoken_record(THREE)

    assert figure(record, "group_metric", "language=zh").value == 0.95
    assert figure(record, "group_metric", "language=ms").value == 0.76
    assert figure(record, "language_ratio", "language=en").value == pytest.approx(
        0.9 / 0.95
    )
    assert ("language_ratio", "language=zh") not in figures(record)


def test_the_least_ratio_is_bound_by_the_least_of_all_bounds() -> None:
    record = a_spoken_record(THREE)

    least = figure(record, "language_ratio_min")

    assert least.value == pytest.approx(0.8)
    bounds = [
        figure(record, "language_ratio", f"language={name}").lower_bound
        for name in ("en", "ms")
    ]
    assert least.lower_bound == min(one for one in bounds if one is not None)
    assert 0.74 < (least.lower_bound or 0) < 0.8
    assert least.method.startswith("ms")


def test_a_language_with_few_items_withholds_the_least_and_nothing_else() -> None:
    record = a_spoken_record({**THREE, "kk": spoken(60, 99)})

    gap = figures(record)["language_ratio_min", ""]
    assert isinstance(gap, Withheld)
    assert gap.reason == "too-few-items"
    assert (gap.needed_queries, gap.observed_queries) == (100, 99)
    assert figure(record, "language_ratio", "language=kk").value < 1


def test_without_chinese_there_is_nothing_to_hold_the_others_against() -> None:
    record = a_spoken_record({"en": spoken(90, 100), "ms": spoken(80, 100)})

    gap = figures(record)["language_ratio_min", ""]
    assert isinstance(gap, Withheld)
    assert gap.reason == "no-chinese-items"
    assert figure(record, "group_metric", "language=en").value == 0.9


def test_a_dialect_of_chinese_stands_for_it_where_there_is_no_other() -> None:
    record = a_spoken_record({"en": spoken(90, 100), "zh-HK": spoken(100, 100)})

    assert figure(record, "language_ratio_min").value == pytest.approx(0.9)


def test_where_nothing_chinese_is_right_there_is_no_ratio() -> None:
    record = a_spoken_record({"en": spoken(90, 100), "zh": spoken(0, 100)})

    gap = figures(record)["language_ratio_min", ""]
    assert isinstance(gap, Withheld)
    assert gap.reason == "metric-undefined"


def test_other_groups_have_their_accuracy_and_no_ratio() -> None:
    record = a_spoken_record(
        {"child": spoken(80, 100), "60+": spoken(90, 100)}, grouping=GROUP
    )

    assert figure(record, "group_metric", "group=60+").value == 0.9
    assert not any("language" in name for name, _ in figures(record))


def test_of_errors_chinese_comes_first() -> None:
    draw = np.random.default_rng(2)
    record = a_spoken_record(
        {
            "zh": draw.uniform(0.9, 1.1, (300, 1)),
            "en": 1.25 * draw.uniform(0.9, 1.1, (300, 1)),
        },
        Metric.MSE,
    )

    least = figure(record, "language_ratio_min")
    assert least.value == pytest.approx(0.8, rel=0.02)
    assert least.lower_bound is not None
    assert 0.77 < least.lower_bound < least.value
    assert figure(record, "language_ratio_min") == least  # drawn from a fixed seed


def test_the_interval_agrees_with_published_ones() -> None:
    # Koopman (1984), example: 36/40 over 16/80, 95 % two-sided 2.94 to 7.15
    found = independent_ratio_interval((36, 40), (16, 80), TWO_SIDED_Z)

    assert found.lower == pytest.approx(2.94, abs=0.01)
    assert found.upper == pytest.approx(7.15, abs=0.01)


def test_bounds_hold_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(5)
    truth = 0.81 / 0.9
    drawn = generator.binomial(150, (0.81, 0.9), (1500, 2))

    held = sum(
        independent_ratio_interval(
            (int(one), 150), (int(other), 150), ONE_SIDED_Z
        ).lower
        <= truth
        for one, other in drawn
    )

    assert held / 1500 == pytest.approx(0.95, abs=0.015)


def test_a_ratio_to_no_hit_at_all_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no hit"):
        independent_ratio_interval((3, 10), (0, 10), ONE_SIDED_Z)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"grouping": "colour"}, "not put together"),
        ({"group_of": (0,)}, "every item"),
        ({"group_of": (0, 7)}, "no name"),
    ],
)
def test_groups_that_make_no_sense_are_refused(
    wrong: dict[str, object], why: str
) -> None:
    sound = LabelledData(
        name="d",
        sha256=SHA,
        items=2,
        metric=Metric.TOP1,
        grouping=LANGUAGE,
        groups=("en", "zh"),
        group_of=(0, 1),
    )
    with pytest.raises(ValueError, match=why):
        replace(sound, **wrong)  # type: ignore[arg-type]

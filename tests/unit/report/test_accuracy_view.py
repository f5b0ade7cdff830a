"""Accuracy on the page: figures, and the table of who is taken for whom."""

from dataclasses import replace

import numpy as np
import pytest

from harness.assessment import assess
from harness.domain.labelled import LabelledData, Metric, Source
from harness.domain.query import ItemsScored
from harness.domain.record import RunRecord
from harness.report.accuracyview import accuracy_view
from harness.report.page import Language, render
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.scoring.rows import pack
from harness.testing.builders import SHA, a_plan, a_record, a_trial, a_trial_record

TIERS = load_tier_set(tier_set_path("2026.1"))
TRIAL = replace(a_trial(), is_scored=True)


def a_scored_record(classes: tuple[str, ...] = ("<yes>", "no")) -> RunRecord:
    """Three items of class 0, of which one is taken for 1, and two of class 1."""
    truth, answer = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1])
    rows = np.column_stack((np.arange(5), answer, truth, answer == truth))
    scored = [
        ItemsScored(
            trial=TRIAL.id,
            model=TRIAL.model,
            source=source,
            metric="top1",
            items=5,
            width=3,
            packed=pack(rows),
        )
        for source in (Source.REFERENCE, Source.PARENT)
    ]
    data = LabelledData(
        name="items.npz",
        sha256=SHA,
        items=5,
        metric=Metric.TOP1,
        parent=TRIAL.model,
        classes=classes,
    )
    plan = replace(a_plan([TRIAL]), labelled={"kws": data})
    trial = replace(a_trial_record(TRIAL), scored=tuple(scored))
    return replace(a_record(["kws"], runs=1), plan=plan, trials=(trial,))


@pytest.mark.parametrize(
    ("classes", "shown"), [(("<yes>", "no"), ("<yes>", "no")), ((), ("0", "1"))]
)
def test_confusions_are_counted_by_what_an_item_is(
    classes: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    record = a_scored_record(classes)

    view = accuracy_view(record, assess(record, TIERS), "kws")

    assert view is not None
    assert view.confusions == ((2, 1), (0, 2))
    assert view.classes == shown
    assert [name for name, _ in view.figures] == [
        "task_metric",
        "task_metric_parent",
        "accuracy_retention",
        "decision_agreement",
    ]


def test_a_workload_without_labelled_items_has_no_accuracy() -> None:
    record = a_record(["kws"], runs=1)

    assert accuracy_view(record, assess(record, TIERS), "kws") is None


def test_the_page_shows_it_and_escapes_the_names_of_classes() -> None:
    record = a_scored_record()

    page = render(record, assess(record, TIERS), TIERS, language=Language.BOTH)

    text = page.decode()
    assert "准确率" in text
    assert "&lt;yes&gt;" in text
    assert "<yes>" not in text


def a_grouped_record(grouping: str, names: tuple[str, ...]) -> RunRecord:
    record = a_scored_record()
    data = replace(
        record.plan.labelled["kws"],
        grouping=grouping,
        groups=names,
        group_of=(1, 0, 1, 0, 1),
    )
    return replace(record, plan=replace(record.plan, labelled={"kws": data}))


def test_languages_stand_side_by_side_with_their_ratio_to_chinese() -> None:
    record = a_grouped_record("language", ("en", "zh"))
    assessment = assess(record, TIERS)

    view = accuracy_view(record, assessment, "kws")

    assert view is not None
    english, chinese = view.groups
    assert (english.name, english.items, english.metric.value) == ("en", 2, 1.0)
    assert (chinese.name, chinese.items) == ("zh", 3)
    assert english.ratio is not None
    assert chinese.ratio is None
    assert view.image.startswith("data:image/svg+xml;base64,")
    page = render(record, assessment, TIERS, language=Language.BOTH).decode()
    assert "分语言" in page
    assert "By language" in page


def test_groups_that_are_no_languages_have_no_ratio_and_are_escaped() -> None:
    record = a_grouped_record("group", ("60+", "<child>"))
    assessment = assess(record, TIERS)

    page = render(record, assessment, TIERS, language=Language.EN).decode()

    assert "By group" in page
    assert "<child>" not in page
    assert "&lt;child&gt;" in page
    assert "over that in Chinese" not in page.split("By group")[1].split("</table>")[0]

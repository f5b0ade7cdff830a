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

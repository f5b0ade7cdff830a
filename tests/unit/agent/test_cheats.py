"""Devices that cache, skip, truncate or swap are found; an honest one is not.

Each cheat is a runtime of `cheating`, executed by the real agent; what it says goes
through a real record, beside what the honest runtime answers to the same items.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.agent.serve import serve
from harness.clock import SystemClock
from harness.domain.labelled import LabelledData, Metric, Source
from harness.domain.plan import Minimum, Plan, Trial
from harness.domain.query import (
    ItemsScored,
    Outcome,
    RepeatsProbed,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.record import RunRecord
from harness.domain.sut import ConditionsReached
from harness.domain.workload import Fill, InputSpec
from harness.loadgen.transcript import Done, Hello, Listener
from harness.loadgen.wire import Order, Task, encode_order
from harness.record.reader import read_record
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.testing.builders import a_model, a_plan, a_trial
from harness.testing.bundles import new_writer

WIDTH, HIDDEN, CLASSES, ITEMS = 256, 1024, 10, 400
PLAIN = "harness.runtimes.onnxrt:open_runtime"
X = InputSpec(
    name="x", dtype="float32", shape=(1, WIDTH), fill=Fill.FILE, has_batch_axis=True
)


def a_classifier(seed: int) -> bytes:
    """Two layers of seeded weights: some tenth of a millisecond a query."""
    draw = np.random.default_rng(seed)
    first = draw.standard_normal((WIDTH, HIDDEN)).astype(np.float32) / 16
    second = draw.standard_normal((HIDDEN, CLASSES)).astype(np.float32) / 16
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "a"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("MatMul", ["r", "b"], ["y"]),
        ],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(first, "a"), numpy_helper.from_array(second, "b")],
    )
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """A model with labelled items, and a way to have a runtime measured on them."""

    folder: Path
    is_labelled: bool = True

    @property
    def order(self) -> Order:
        few = Minimum(queries=600, duration_ns=0)
        trial = replace(a_trial(), minimum=few, baseline_ns=1000, is_scored=True)
        trial = replace(trial, target="local@")
        model = self.folder / "model.onnx"
        inputs = X if self.is_labelled else replace(X, fill=Fill.UNIFORM, low=-1.0)
        return Order(
            task=Task.MEASURE,
            trial=trial,
            runtime=PLAIN,
            model_path=str(model),
            sha256=hashlib.sha256(model.read_bytes()).hexdigest(),
            inputs=(inputs,),
            samples_path=str(self.folder / "items.npz"),
            labelled=self.data if self.is_labelled else None,
        )

    @property
    def data(self) -> LabelledData:
        return LabelledData(
            name="items.npz",
            sha256="0" * 64,
            items=ITEMS,
            metric=Metric.TOP1,
            parent=a_model().name,
        )

    def measured(self, runtime: str) -> RunRecord:
        """Let the runtime answer as the device, and the plain one as the host."""
        order = replace(self.order, runtime=runtime)
        device = list(said(order))
        answer = replace(self.order, task=Task.ANSWER)
        host = [
            event
            for source in (Source.REFERENCE, Source.PARENT)
            for event in said(replace(answer, source=source))
            if isinstance(event, ItemsScored)
        ]
        ended = device.pop()
        assert isinstance(ended, TrialEnded)
        assert ended.outcome is Outcome.DONE, ended.reason
        return self._recorded(order.trial, [*device, *host, ended])

    def _recorded(self, trial: Trial, events: list[TrialEvent]) -> RunRecord:
        plan: Plan = a_plan([trial])
        model = replace(plan.models[0], sha256=self.order.sha256, is_trained=True)
        labelled = {"kws": self.data} if self.is_labelled else {}
        plan = replace(plan, models=(model,), labelled=labelled)
        with new_writer(self.folder, plan) as writer:
            writer.begin(trial, ConditionsReached())
            writer.add(TrialStarted(trial=trial.id, clock="monotonic"))
            for event in events:
                writer.add(event)
            writer.finish()
        return read_record(writer.bundle)


def said(order: Order) -> Iterator[TrialEvent]:
    lines: list[bytes] = []
    serve(encode_order(order), lines.append, SystemClock())
    listener = Listener()
    for line in lines:
        heard = listener.take(line)
        if not isinstance(heard, Hello | Done):
            yield heard


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    model = a_classifier(seed=1)
    (tmp_path / "model.onnx").write_bytes(model)
    (tmp_path / "other.onnx").write_bytes(a_classifier(seed=2))
    x = np.random.default_rng(3).standard_normal((ITEMS, WIDTH)).astype(np.float32)
    labels = np.random.default_rng(4).integers(0, CLASSES, ITEMS)
    np.savez(tmp_path / "items.npz", x=x, labels=labels)
    return Laboratory(folder=tmp_path)


def codes(record: RunRecord) -> set[str]:
    return {finding.code for finding in find(record, estimate(record)[0])}


CHEATS = {
    "repeated-input-faster",
    "outputs-differ",
    "answers-not-the-models",
    "answers-differ-when-timed",
}


@pytest.mark.parametrize("is_labelled", [True, False])
def test_an_honest_device_is_found_guilty_of_nothing(
    laboratory: Laboratory, *, is_labelled: bool
) -> None:
    record = replace(laboratory, is_labelled=is_labelled).measured(
        "cheating:open_honest"
    )

    assert not codes(record) & CHEATS
    assert not {code for code in codes(record) if code == "items-not-scored"}


@pytest.mark.parametrize(
    ("runtime", "code"),
    [
        ("open_caching", "repeated-input-faster"),
        ("open_last_answer", "repeated-input-faster"),
        ("open_skipping", "outputs-differ"),
        ("open_skipping", "answers-differ-when-timed"),
        ("open_truncating", "answers-not-the-models"),
        ("open_timed_only", "answers-differ-when-timed"),
        ("open_swapping", "answers-not-the-models"),
    ],
)
def test_a_device_that_cheats_is_found(
    laboratory: Laboratory, runtime: str, code: str
) -> None:
    record = laboratory.measured(f"cheating:{runtime}")

    assert code in codes(record)


@pytest.mark.parametrize(
    ("runtime", "code"),
    [
        ("open_caching", "repeated-input-faster"),
        ("open_truncating", "answers-not-the-models"),
        ("open_swapping", "answers-not-the-models"),
        ("open_timed_only", "outputs-differ"),
    ],
)
def test_a_cheat_is_found_without_any_label(
    laboratory: Laboratory, runtime: str, code: str
) -> None:
    record = replace(laboratory, is_labelled=False).measured(f"cheating:{runtime}")

    assert code in codes(record)


def test_a_tenth_of_the_timed_queries_at_least_is_scored(
    laboratory: Laboratory,
) -> None:
    record = laboratory.measured("cheating:open_honest")

    (trial,) = record.trials
    by_source = {event.source: event for event in trial.scored}
    assert set(by_source) == {
        Source.WINDOW,
        Source.SESSION,
        Source.REFERENCE,
        Source.PARENT,
    }
    assert by_source[Source.SESSION].items == ITEMS
    # 600 queries go round 128 items; a fifth of the queries is looked at
    assert by_source[Source.WINDOW].items >= 60
    assert isinstance(trial.repeats, RepeatsProbed)


def test_a_model_that_is_its_own_parent_keeps_all_of_its_accuracy(
    laboratory: Laboratory,
) -> None:
    record = laboratory.measured("cheating:open_honest")

    found = {one.measurand.name: one for one in estimate(record)[0]}
    assert found["accuracy_retention"].value == 1.0
    assert found["accuracy_retention"].standard_uncertainty > 0
    assert found["decision_agreement"].value == 1.0
    assert found["task_metric"].value == found["task_metric_parent"].value


def test_labels_that_the_model_has_no_class_for_are_said_and_nothing_is_retained(
    laboratory: Laboratory,
) -> None:
    arrays = dict(np.load(laboratory.folder / "items.npz"))
    arrays["labels"][7] = CLASSES
    np.savez(laboratory.folder / "items.npz", **arrays)

    record = laboratory.measured("cheating:open_honest")

    estimates, withheld = estimate(record)
    said_so = [f for f in find(record, estimates) if f.code == "items-not-scored"]
    assert "item 7: label 10 is none of its 10 classes" in {
        str(f.values["reason"]).partition(" (")[0] for f in said_so
    }
    reasons = {one.measurand.name: one.reason for one in withheld}
    assert reasons["accuracy_retention"] == "items-not-scored"

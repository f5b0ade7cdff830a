"""The float32 parent is counted beside a scored trial, where the target counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.bench.counting import parent_counts
from harness.domain.counting import InstructionsCounted
from harness.domain.labelled import LabelledData, Metric
from harness.domain.plan import Arm, Plan, Trial
from harness.domain.workload import ModelArtifact
from harness.targets.base import CountingTarget, Deployment
from harness.testing.builders import SHA, a_model, a_plan, a_trial
from harness.testing.counted import PARENT, TARGET, counts

PATHS = {PARENT: Path("parent.onnx")}
SAMPLES = {PARENT: Path("items.npz")}


@dataclass
class Counter:
    """A target that counts whatever was deployed on it, and only while it is."""

    deployed: list[Deployment] = field(default_factory=list)
    is_open: bool = False

    @contextmanager
    def deploy(
        self, model: ModelArtifact, path: Path, samples: Path | None
    ) -> Iterator[Deployment]:
        on = Deployment(model=model, path=path, samples=samples)
        self.deployed.append(on)
        self.is_open = True
        yield on
        self.is_open = False

    def count(self, trial: Trial, on: Deployment) -> Iterator[InstructionsCounted]:
        assert self.is_open
        yield counts(trial.id, on.model.name, 1000, "cortex-a76")


def a_counted_plan(*, parent: str = PARENT, is_scored: bool = True) -> Plan:
    trial = replace(a_trial(), target=TARGET, is_scored=is_scored)
    plan = replace(a_plan([trial]), models=(a_model(), a_model(PARENT)))
    labelled = LabelledData(
        name="items", sha256=SHA, items=10, metric=Metric.TOP1, parent=parent
    )
    return replace(plan, labelled={"kws": labelled})


def counted(target: object, plan: Plan) -> list[str]:
    (trial,) = plan.trials
    found = parent_counts(trial, target, plan, PATHS, SAMPLES)  # type: ignore[arg-type]
    return [e.model for e in found if isinstance(e, InstructionsCounted)]


def test_the_parent_is_counted_with_its_own_file_and_items() -> None:
    target = Counter()

    assert isinstance(target, CountingTarget)
    assert counted(target, a_counted_plan()) == [PARENT]
    assert [(on.path, on.samples) for on in target.deployed] == [
        (PATHS[PARENT], SAMPLES[PARENT])
    ]
    assert not target.is_open


@pytest.mark.parametrize(
    "plan",
    [
        a_counted_plan(parent=""),
        a_counted_plan(is_scored=False),
        replace(a_counted_plan(), labelled={}),
        replace(
            a_counted_plan(),
            trials=tuple(
                replace(t, arm=Arm.HOST, target="local@")
                for t in a_counted_plan().trials
            ),
        ),
    ],
    ids=["no parent", "not scored", "no items", "host"],
)
def test_elsewhere_nothing_is_counted(plan: Plan) -> None:
    assert counted(Counter(), plan) == []


def test_a_target_that_does_not_count_is_left_alone() -> None:
    assert counted(object(), a_counted_plan()) == []

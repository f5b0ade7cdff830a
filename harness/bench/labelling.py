"""Which workloads of a plan have labelled items, and where these lie."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from harness import shipped
from harness.bench.asking import ask, question
from harness.catalogue.bindings import InputBindings
from harness.catalogue.build import shipped_file
from harness.catalogue.datasets import OwnData
from harness.catalogue.describe import describe
from harness.catalogue.index import load_index
from harness.domain.labelled import LabelledData
from harness.domain.plan import Plan
from harness.domain.query import Noted
from harness.domain.workload import ModelArtifact, Suite
from harness.errors import UsageError
from harness.loadgen.wire import Task
from harness.scoring.scorers import NOT_FINITE


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Labelled items by workload id, the parents that they name, and the files."""

    data: dict[str, LabelledData] = field(default_factory=dict)
    parents: tuple[ModelArtifact, ...] = ()
    paths: dict[str, Path] = field(default_factory=dict)
    """Parent's name → its file."""
    files: dict[str, Path] = field(default_factory=dict)
    """Workload id → file of the items."""

    def samples_of(self, plan: Plan, given: Path | None) -> dict[str, Path]:
        """Give model name → file of its samples: labelled items, or those given."""
        found = {model.name: given for model in plan.models} if given else {}
        for trial in plan.trials:
            if trial.workload in self.files:
                found[trial.model] = self.files[trial.workload]
        for workload, data in plan.labelled.items():
            if data.parent:
                found[data.parent] = self.files[workload]
        return found

    def require_same(self, plan: Plan, where: str) -> None:
        """Raise UsageError unless these are the items that the plan names."""
        for workload, data in plan.labelled.items():
            mine = self.data.get(workload)
            if mine is None or mine.sha256 != data.sha256:
                raise UsageError(
                    f"The labelled items of '{workload}' are not those that this run "
                    "was begun with",
                    where=where,
                    remedy="Give the same: --dataset FILE, and --parent FILE if there "
                    "was one.",
                )


def shipped_items(suite: Suite) -> Labelled:
    """Find the items of a suite's trained models, each file's digest checked.

    Raises UnknownName for a model that the index lacks, DigestMismatch for a file that
    is not the one that it names.
    """
    index, folder = load_index(), shipped.folder("models")
    found = Labelled()
    parents: dict[str, ModelArtifact] = {}
    for workload in suite.workloads:
        if workload.stages:
            continue  # what a pipeline answers has no labels
        entry = index.entry(workload.model)
        labelled = entry.labelled()
        if labelled is None:
            continue
        file = shipped_file(folder, labelled.name, labelled.sha256)
        found.data[workload.id] = replace(labelled, classes=_classes_in(file))
        found.files[workload.id] = file
        if entry.parent is not None:
            path = shipped_file(folder, entry.parent.file, entry.parent.sha256)
            parents[labelled.parent] = entry.parent_artifact(path)
            found.paths[labelled.parent] = path
    return replace(found, parents=tuple(parents.values()))


def _classes_in(file: Path) -> tuple[str, ...]:
    with np.load(file, allow_pickle=False) as archive:
        names = archive["classes"] if "classes" in archive.files else ()
    return tuple(str(name) for name in names)


def require_scorable(own: OwnData, model: ModelArtifact, path: Path) -> None:
    """Have the first item answered and scored, before anything is measured.

    Raises UsageError where outputs and labels do not fit. A model that cannot be
    loaded, or gives no finite outputs, is left to the run, which says so.
    """
    order = replace(
        question(Task.ANSWER, model, path),
        samples_path=str(own.file),
        labelled=own.labelled(""),
        items=(0,),
    )
    for event in ask(order):
        if not isinstance(event, Noted) or not event.key.startswith("not_scored"):
            continue
        if NOT_FINITE not in event.value:
            raise UsageError(
                f"Outputs and labels do not fit the metric {own.metric}: {event.value}",
                where=own.name,
                remedy="See docs/reference/labelled-data.md, or give another --metric.",
            )


def own_items(own: OwnData | None, bindings: InputBindings, suite: Suite) -> Labelled:
    """Give a user's items to the workloads that his model stands for."""
    if own is None:
        return Labelled()
    parents: tuple[ModelArtifact, ...] = ()
    paths: dict[str, Path] = {}
    if own.parent is not None:
        described = describe(own.parent, bindings)
        parents = (replace(described, name=f"{described.name}-parent"),)
        paths = {parents[0].name: own.parent}
    data = own.labelled(parents[0].name if parents else "")
    return Labelled(
        data={workload.id: data for workload in suite.workloads},
        parents=parents,
        paths=paths,
        files={workload.id: own.file for workload in suite.workloads},
    )

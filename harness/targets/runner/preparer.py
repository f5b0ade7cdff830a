"""What makes an order fit for a runner; what it cannot do is refused here."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.domain.plan import Trial
from harness.domain.workload import ModelArtifact
from harness.errors import Unsupported
from harness.loadgen.prepared import Prepared
from harness.loadgen.wire import Task
from harness.targets.base import Deployment
from harness.targets.runner.preparing import Wanted, prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparer:
    """Prepares orders; files are made in `folder` on the host."""

    folder: Path
    place: Callable[[Path], str]
    """Has a file on the device and gives its path there."""

    def __call__(self, task: Task, trial: Trial, on: Deployment) -> Prepared | None:
        """Draw what the task takes; None for one that takes nothing."""
        if task is Task.INSPECT:
            return None
        wanted = Wanted(
            trial=trial,
            inputs=on.model.inputs,
            samples=on.samples,
            labelled=on.labelled,
            is_all_answered=task is Task.ANSWER,
        )
        written = prepare(wanted, self.folder)
        return replace(written.prepared, tensors_path=self.place(written.file))


def why_not(model: ModelArtifact) -> str:
    """Say why a runner cannot measure a model; empty where it can."""
    if model.decoder is not None:
        return "The C runner knows no language models"
    if model.stages:
        return "The C runner knows no pipelines"
    texts = [spec.name for spec in model.inputs if spec.dtype == "str"]
    if texts:
        return f"The C runner knows no inputs of text, as '{texts[0]}' is"
    return ""


def require_known(model: ModelArtifact, where: str) -> None:
    """Raise Unsupported for a model that a runner cannot measure."""
    reason = why_not(model)
    if reason:
        raise Unsupported(
            reason,
            where=where,
            remedy="Measure it on a board with Python 3.11 and onnxruntime.",
        )

"""Answers that a device is held against, given by this machine's own runtime.

In a process of its own, with the device's model file and with that file's float32
parent.

For an emulated device, which computes nothing, the file's answers here stand in: what
an int8 file answers is a property of the file, up to roundings of its kernels.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.domain.labelled import LabelledData, Source
from harness.domain.plan import Arm, Plan, Trial
from harness.domain.query import ItemsScored, Noted
from harness.domain.scenario import SingleStream
from harness.planning import EMULATED
from harness.targets.base import Deployment

Answer = Callable[[Trial, Deployment, Source], Iterator[ItemsScored | Noted]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Has this machine answer what a trial's device answered, or should have."""

    plan: Plan
    paths: Mapping[str, Path]
    """Model name → file on this host."""
    samples: Mapping[str, Path]
    """Model name → file of samples."""
    answer: Answer

    def events(self, trial: Trial) -> Iterator[ItemsScored | Noted]:
        """Give the answers that belong beside a trial; none beside most trials."""
        labelled = self.plan.labelled.get(trial.workload)
        if not self._is_compared(trial):
            return
        yield from self.answer(
            trial, self._put(trial.model, labelled), Source.REFERENCE
        )
        if trial.is_scored and labelled is not None and labelled.parent:
            parent = self._put(labelled.parent, labelled)
            yield from self.answer(trial, parent, Source.PARENT)

    def _is_compared(self, trial: Trial) -> bool:
        """Say whether it is: once a workload, where there is something to compare."""
        if trial.arm is not Arm.DEVICE:
            return False
        if trial.is_scored:
            return True
        is_first = isinstance(trial.scenario, SingleStream) and trial.run == 1
        return is_first and not trial.target.startswith(EMULATED)

    def _put(self, model: str, labelled: LabelledData | None) -> Deployment:
        path = self.paths[model].absolute()
        given = self.samples.get(model)
        return Deployment(
            model=self.plan.model(model),
            path=path,
            samples=given.absolute() if given else None,
            labelled=labelled,
        )


def labelled_as_planned(on: Deployment, plan: Plan, trial: Trial) -> Deployment:
    """Give a deployment with what its samples' labels are for in that trial."""
    return replace(on, labelled=plan.labelled.get(trial.workload))

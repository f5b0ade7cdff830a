"""The float32 parent of a counted model, counted beside it.

Instructions mean little alone; over those of the parent they say what quantising saves
on a processor.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.domain.counting import InstructionsCounted, KernelsCompared
from harness.domain.plan import Arm, Plan, Trial
from harness.domain.query import Noted
from harness.targets.base import CountingTarget, Target


def parent_counts(
    trial: Trial,
    target: Target,
    plan: Plan,
    paths: Mapping[str, Path],
    samples: Mapping[str, Path],
) -> Iterator[InstructionsCounted | KernelsCompared | Noted]:
    """Give counts of the parent, once a workload; none where the target counts none.

    `paths` and `samples` are files on this host, by the name of their model.
    """
    labelled = plan.labelled.get(trial.workload)
    if labelled is None or not labelled.parent or not trial.is_scored:
        return
    if trial.arm is not Arm.DEVICE or not isinstance(target, CountingTarget):
        return
    parent = plan.model(labelled.parent)
    given = samples.get(parent.name)
    with target.deploy(parent, paths[parent.name], given) as on:
        yield from target.count(trial, on)

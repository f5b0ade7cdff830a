"""Pipelines: several reference models and the steps between them, as one artifact.

Its digest is of all model files one after the other, in the order of the stages, so
that whatever deploys and verifies a model with external data does so for a pipeline.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.catalogue.index import Index
from harness.domain.profile import Scheme
from harness.domain.workload import BuiltStage, InputSpec, ModelArtifact, Workload
from harness.errors import UsageError
from harness.links.filedigest import digest_of


def pipeline_artifact(
    workload: Workload, scheme: Scheme, index: Index, built: Mapping[str, Path]
) -> ModelArtifact:
    """Describe a pipeline of built models, all of whose files lie in one folder.

    Raises UsageError for a stage that takes a tensor which nothing before it gives.
    """
    stages = tuple(
        BuiltStage(
            stage=stage,
            file=built[stage.model].name if stage.model else "",
            inputs=_fixed(index.entry(stage.model).inputs, stage.samples)
            if stage.model
            else (),
            outputs=index.entry(stage.model).outputs if stage.model else (),
        )
        for stage in workload.stages
    )
    entries = [index.entry(model) for model in workload.models]
    files = [built[model] for model in workload.models]
    return ModelArtifact(
        name=f"{workload.model}-{scheme}",
        sha256=digest_of(files),
        size_bytes=sum(file.stat().st_size for file in files),
        external=tuple(file.name for file in files[1:]),
        inputs=_given(workload, stages),
        task="pipeline",
        quantisation="; ".join(dict.fromkeys(one.quantisation for one in entries)),
        opset=max(one.opset for one in entries),
        macs=sum(
            stage.samples * index.entry(stage.model).macs
            for stage in workload.stages
            if stage.model
        ),
        parameters=sum(one.parameters for one in entries),
        licence=", ".join(dict.fromkeys(one.licence for one in entries)),
        is_trained=all(one.is_trained for one in entries),
        stages=stages,
    )


def _fixed(inputs: tuple[InputSpec, ...], samples: int) -> tuple[InputSpec, ...]:
    """Fix the sample axis: the steps between models fill as many as a stage takes.

    Raises UsageError for several samples of a model that takes them one by one.
    """
    if samples > 1 and not all(one.has_batch_axis for one in inputs):
        raise UsageError(
            f"A stage takes {samples} samples of '{inputs[0].name}', which has no "
            "axis for them",
            remedy="Leave out samples, or name a model with a sample axis.",
        )
    return tuple(
        replace(
            one,
            has_batch_axis=False,
            shape=(samples, *one.shape[1:]) if one.has_batch_axis else one.shape,
        )
        for one in inputs
    )


def _given(workload: Workload, stages: tuple[BuiltStage, ...]) -> tuple[InputSpec, ...]:
    """List what a query brings: declared inputs, and those that no stage gives.

    A model's input that nothing gives is filled as the model's own entry says: the
    state of a recurrent network, a frame.
    """
    known = {one.name for one in workload.inputs}
    given = list(workload.inputs)
    for built in stages:
        stage = built.stage
        for one in built.inputs:
            if one.name not in known:
                given.append(one)
                known.add(one.name)
        missing = [name for name in stage.takes if name not in known]
        if missing:
            raise UsageError(
                f"Stage '{stage.name}' takes '{missing[0]}', which nothing gives",
                where=f"workload '{workload.id}'",
                remedy=f"Known there: {', '.join(sorted(known))}.",
            )
        if stage.step:
            known.add(stage.gives)
        else:
            known |= set(built.outputs)
    return tuple(given)

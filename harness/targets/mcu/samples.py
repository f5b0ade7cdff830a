"""One sample as firmware takes it: a byte an element."""

from math import prod
from pathlib import Path

import numpy as np

from harness.domain.plan import Trial
from harness.domain.workload import ModelArtifact
from harness.errors import SchemaError, Unsupported


def sample_bytes(model: ModelArtifact, trial: Trial, samples: Path | None) -> bytes:
    """Give one sample as the firmware takes it: a byte an element.

    Drawn from the trial's sample seed where the user gave none: the time of a network
    of fixed shape does not depend on it. Raises SchemaError for samples that are no
    bytes, Unsupported for a model with more than one input.
    """
    if len(model.inputs) != 1:
        raise Unsupported(
            "The MLPerf Tiny protocol has one input, the model has "
            f"{len(model.inputs)}",
            remedy="Measure it on another target.",
        )
    spec = model.inputs[0]
    count = prod(spec.shape)
    if samples is None:
        drawn = np.random.default_rng(trial.seeds.sample).integers(0, 256, count)
        return drawn.astype(np.uint8).tobytes()
    with np.load(samples, allow_pickle=False) as archive:
        given = archive[spec.name] if spec.name in archive else np.zeros(0)
    if given.dtype.itemsize != 1 or given.size < count:
        raise SchemaError(
            f"A microcontroller takes samples as bytes, {count} each",
            where=f"{samples}: {spec.name}",
            remedy="Give them quantised, as int8 or uint8.",
        )
    return given.reshape(-1)[:count].tobytes()

"""What a device model predicted of each stage of a pipeline, as a trial notes it."""

from dataclasses import dataclass

PREDICTED_STAGES = "emulation.stages"
"""Key of the note that holds what a device model predicted of each stage of a pipeline:
name, latency in s, both ends of its 90 % interval, relative standard uncertainty; the
name alone of a step, which is not modelled; ``;`` between stages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedStage:
    """A stage as `PREDICTED_STAGES` tells of it."""

    name: str
    latency_s: float | None = None
    """None: a step, of which the device model says nothing; so are the others."""
    low_s: float | None = None
    high_s: float | None = None
    relative_uncertainty: float | None = None


def predicted_stages(note: str) -> tuple[PredictedStage, ...]:
    """Read the note of that key; nothing of an empty one."""
    found = []
    for part in filter(None, note.split("; ")):
        name, *figures = part.split()
        if not figures:
            found.append(PredictedStage(name=name))
            continue
        latency_s, low_s, high_s, relative = map(float, figures)
        found.append(
            PredictedStage(
                name=name,
                latency_s=latency_s,
                low_s=low_s,
                high_s=high_s,
                relative_uncertainty=relative,
            )
        )
    return tuple(found)

"""What a device model predicted of each workload, as the page shows it.

Read from the notes that an emulated trial leaves, so that the page is made from the
record alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.domain.plan import Arm
from harness.domain.predictedstage import (
    PREDICTED_STAGES,
    PredictedStage,
    predicted_stages,
)
from harness.domain.record import RunRecord

_PREFIX = "emulation."
_SHARES_SHOWN = 4
_LEAST_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionView:
    """One workload: median with its 90 % interval, energy, and what takes the time."""

    workload: str
    latency_s: float
    low_s: float
    high_s: float
    energy_j: float
    shares: tuple[tuple[str, float], ...]
    """Largest first: what, and its share of the latency."""
    limited_by: str
    standing: str
    stages: tuple[PredictedStage, ...] = ()
    """Of a pipeline, in order; empty: it is one model."""


def prediction_views(record: RunRecord) -> tuple[PredictionView, ...]:
    """Give one view a workload, in the record's order; none of what is not emulated."""
    found: dict[str, PredictionView] = {}
    for trial in record.trials:
        notes = trial.notes
        is_ours = trial.trial.arm is Arm.DEVICE and _PREFIX + "interval_90_s" in notes
        if is_ours and trial.trial.workload not in found:
            found[trial.trial.workload] = _view(trial.trial.workload, notes)
    return tuple(found.values())


def _view(workload: str, notes: Mapping[str, str]) -> PredictionView:
    low, high = notes[_PREFIX + "interval_90_s"].split()
    shares = _shares(notes.get(_PREFIX + "shares", ""))
    return PredictionView(
        workload=workload,
        latency_s=float(notes[_PREFIX + "latency_s"]),
        low_s=float(low),
        high_s=float(high),
        energy_j=float(notes.get(_PREFIX + "energy_j", "0")),
        shares=tuple(shares)[:_SHARES_SHOWN],
        limited_by=notes.get(_PREFIX + "limited_by", ""),
        standing=notes.get(_PREFIX + "standing", ""),
        stages=predicted_stages(notes.get(PREDICTED_STAGES, "")),
    )


def _shares(text: str) -> Iterator[tuple[str, float]]:
    for part in text.split():
        name, _, share = part.partition("=")
        if float(share) >= _LEAST_SHARE:
            yield name, float(share)

"""Findings about a run, and whether the run may be believed at all."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """What a finding does to the validity of the run that it is about."""

    NOTE = "note"
    CONDITIONAL = "conditional"
    INVALIDATING = "invalidating"


class Validity(StrEnum):
    """May the figures of a run be believed? Invalid means no answer, never failed."""

    VALID = "VALID"
    CONDITIONAL = "CONDITIONAL"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something noticed about a run: a code and the values that show it.

    `code` is a stable word such as ``window-too-short`` (list: `CODES`); words for
    people are made from it, and from `values`, in the report. `subject` says what
    it is about: a trial id, a workload id, or "run".
    """

    code: str
    severity: Severity
    subject: str = "run"
    values: dict[str, str | int | float | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown finding code {self.code!r}")


CODES: frozenset[str] = frozenset(
    {
        # whether a figure may be believed (method, section 7)
        "window-too-short",
        "too-few-queries",
        "readings-lost",
        "meter-saturated",
        "meter-lost",
        "meter-silent",
        "meter-failed",
        "readings-repaired",
        "readings-stuck",
        "power-unit-changed",
        "below-threshold",
        "range-changes",
        "meter-clock-off",
        "condition-not-reached",
        "condition-not-put-back",
        "run-aborted",
        "throttled-at-start",
        "throttled",
        "temperature-missing",
        "power-state-changed",
        "fallback",
        "provider-unused",
        "placement-not-read",
        "accuracy-below-target",
        "outputs-differ",
        "outputs-not-finite",
        "output-length-off",
        "repeated-input-faster",
        "answers-not-the-models",
        "answers-differ-when-timed",
        "items-not-scored",
        "model-digest-changed",
        "firmware-model",
        "baseline-drifted",
        "alignment-refused",
        "edges-not-seen",
        "energy-not-linear",
        "boundary-not-stated",
        "background-load",
        "spread-above-limit",
        "overhead-above-limit",
        # what happened to a trial
        "trial-crashed",
        "trial-out-of-memory",
        "trial-hung",
        "trial-interrupted",
        "trial-failed",
        "trial-not-executed",
        # what the stream of latencies looks like
        "drift-in-window",
        "step-in-window",
        "period-in-window",
        "outliers-present",
        # what the model is
        "seeded-weights",
        "simulated-items",
        "half-fused",
        "not-quantised",
        # what the device model says of itself
        "emulated",
        "instruction-time",
        "emulated-processor",
        "kernels-disagree",
        "emulation-not-validated",
        "outside-emulation-domain",
        "operator-unknown",
        "operator-refused",
        "emulated-fallback",
        "borrowed-from-family",
        "does-not-fit-memory",
        # what the preset allows
        "accuracy-of-some-only",
        # whether data stay on the device, model by model
        "privacy-passed",
        "privacy-failed",
        "privacy-unchecked",
        # whether a workload goes on where the network fails, network by network
        "network-kept",
        "network-broken",
        "network-unsettled",
        "network-unchecked",
        "service-fell-back",
        "preset-not-evidential",
        "fewer-specimens-than-asked",
        "specimens-not-recorded",
    }
)


def validity_of(findings: Iterable[Finding]) -> Validity:
    """Fold findings into one answer: the worst severity decides."""
    severities = {finding.severity for finding in findings}
    if Severity.INVALIDATING in severities:
        return Validity.INVALID
    if Severity.CONDITIONAL in severities:
        return Validity.CONDITIONAL
    return Validity.VALID

"""What each finding does to the validity of a run: one table, with its reasons.

*Invalidating* is what makes every figure of the run an answer to another question:
another model than planned, outputs that are no numbers, a window shorter than the
plan's. *Conditional* is what may have moved figures, or left some out, by an amount
that the record cannot tell. A *note* is what a reader should know and no more.

What is found about the host arm is always a note: it is a reference beside an
emulated device, and the device's figures do not rest on it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from harness.domain.finding import Finding, Severity
from harness.domain.plan import Arm

_INVALIDATING = (
    "window-too-short",
    "too-few-queries",
    "outputs-not-finite",
    "output-length-off",
    "model-digest-changed",
    "answers-not-the-models",
    "answers-differ-when-timed",
    "provider-unused",
)
_CONDITIONAL = (
    "readings-lost",
    "meter-saturated",
    "meter-lost",
    "meter-silent",
    "meter-failed",
    "readings-stuck",
    "power-unit-changed",
    "below-threshold",
    "power-state-changed",
    "baseline-drifted",
    "alignment-refused",
    "edges-not-seen",
    "energy-not-linear",
    "boundary-not-stated",
    "condition-not-reached",
    "firmware-model",
    "throttled-at-start",
    "throttled",
    "fallback",
    "placement-not-read",
    "outputs-differ",
    "kernels-disagree",
    "repeated-input-faster",
    "accuracy-below-target",
    "items-not-scored",
    "background-load",
    "spread-above-limit",
    "overhead-above-limit",
    "temperature-missing",
    "trial-crashed",
    "trial-out-of-memory",
    "trial-hung",
    "trial-interrupted",
    "trial-failed",
    "trial-not-executed",
    "fewer-specimens-than-asked",
    "specimens-not-recorded",
)
_NOTES = (
    "readings-repaired",
    "range-changes",
    "meter-clock-off",
    "drift-in-window",
    "step-in-window",
    "period-in-window",
    "outliers-present",
    "seeded-weights",
    "simulated-items",
    "half-fused",
    "not-quantised",
    "emulated",
    "instruction-time",
    "emulated-processor",
    "emulation-not-validated",
    "outside-emulation-domain",
    "operator-unknown",
    "operator-refused",
    "emulated-fallback",
    "borrowed-from-family",
    "does-not-fit-memory",
    "accuracy-of-some-only",
    "preset-not-evidential",
    "network-kept",
    "network-broken",
    "network-unsettled",
    "network-unchecked",
    "service-fell-back",
)

SEVERITIES: Mapping[str, Severity] = MappingProxyType(
    {
        **dict.fromkeys(_INVALIDATING, Severity.INVALIDATING),
        **dict.fromkeys(_CONDITIONAL, Severity.CONDITIONAL),
        **dict.fromkeys(_NOTES, Severity.NOTE),
    }
)
"""Code → severity on the device arm, for every code that is derived here."""


def finding(
    code: str,
    subject: str,
    on: Arm = Arm.DEVICE,
    **values: str | float,
) -> Finding:
    """Make a finding with the severity that its code has on that arm."""
    severity = Severity.NOTE if on is Arm.HOST else SEVERITIES[code]
    return Finding(code=code, severity=severity, subject=subject, values=dict(values))

"""Whether a model is of the kind that a device model was fitted to.

A sum of terms can be trusted where each of its terms was seen. Outside, it still
gives a number; that number is a guess, is said to be one, and its interval widens.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.domain.profile import Covered
from harness.emulation.amounts import Amounts

NOTABLE_SHARE = 0.10
"""Of the time: above it, what was never seen is said."""
_SLACK = 2.0
"""Amounts up to this factor beyond those seen still count as inside."""
WIDENED_BY = 2.0
"""Outside, the logarithmic half-width of the interval is this many times as wide:
an unseen class of operators went wrong by a factor of 3 to 4 where residuals inside
were within a factor of 1.5 to 2 (a vision transformer predicted from convolutions)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """One way in which a model lies outside: which amount, its value, the bounds."""

    what: str
    value: float
    least: float
    greatest: float


def beyond(
    covered: Covered, amounts: Amounts, shares: Mapping[str, float]
) -> tuple[Beyond, ...]:
    """List the ways in which a model lies outside; `shares` are of time, by class."""
    found = [
        Beyond(what=what, value=value, least=least, greatest=greatest)
        for what, value, (least, greatest) in _stretches(covered, amounts)
        if not least / _SLACK <= value <= greatest * _SLACK
    ]
    unseen = [
        Beyond(what=f"class {name}", value=share, least=0.0, greatest=0.0)
        for name, share in shares.items()
        if share > NOTABLE_SHARE and name not in covered.classes
    ]
    return (*found, *unseen)


def covered_by(
    amounts: Iterable[Amounts], classes: Iterable[str], models: int
) -> Covered:
    """Tell what models have in common: the stretch of each amount."""
    seen = list(amounts)
    return Covered(
        macs=_stretch(one.all_macs for one in seen),
        kernels=_stretch(one.kernels for one in seen),
        weights_bytes=_stretch(one.weight_bytes for one in seen),
        activations_bytes=_stretch(one.activation_bytes for one in seen),
        classes=tuple(sorted(set(classes))),
        models=models,
    )


def _stretches(
    covered: Covered, amounts: Amounts
) -> tuple[tuple[str, float, tuple[float, float]], ...]:
    return (
        ("macs", amounts.all_macs, covered.macs),
        ("kernels", amounts.kernels, covered.kernels),
        ("weights", amounts.weight_bytes, covered.weights_bytes),
        ("activations", amounts.activation_bytes, covered.activations_bytes),
    )


def _stretch(values: Iterable[float]) -> tuple[float, float]:
    listed = list(values)
    return min(listed), max(listed)

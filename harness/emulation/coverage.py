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
_UNSEEN = "class "
_SLACK = 2.0
"""Amounts up to this factor beyond those seen still count as inside."""
_WIDENED_BY = 2.0
"""Outside, the logarithmic half-width of the interval is this many times as wide."""
_LEAST_OUTSIDE = 1.5
"""Outside, the factor is at least this, however well the fit did inside."""
_LEAST_UNSEEN = 3.0
"""The same for an unseen class of operators: a vision transformer that was predicted
from convolutions alone went wrong by a factor of 3.7."""


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
        Beyond(what=f"{_UNSEEN}{name}", value=share, least=0.0, greatest=0.0)
        for name, share in shares.items()
        if share > NOTABLE_SHARE and name not in covered.classes
    ]
    return (*found, *unseen)


def widened(factor_90: float, outside: Iterable[Beyond]) -> float:
    """Widen the factor that holds 90 % for a model that lies outside."""
    names = [one.what for one in outside]
    if not names:
        return factor_90
    is_unseen = any(name.startswith(_UNSEEN) for name in names)
    least = _LEAST_UNSEEN if is_unseen else _LEAST_OUTSIDE
    return max(float(factor_90**_WIDENED_BY), least)


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

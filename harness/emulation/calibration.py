"""Measurements of one device → the numbers of its profile, with their error.

Latency, energy and memory are fitted apart, each as far as the measurements go. What
they cannot say stays as the family says it, and is said to be borrowed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, log

import numpy as np
from scipy.optimize import nnls

from harness.domain.profile import Covered, LeftOut, Parameter
from harness.emulation.amounts import Amounts
from harness.emulation.conformal import factor_90
from harness.emulation.coverage import NOTABLE_SHARE, covered_by
from harness.emulation.device_model import WANTED, Z90
from harness.emulation.fit import (
    FIT_FORMS,
    PRODUCT,
    Anchor,
    FitForm,
    Fitted,
    Reals,
    fit,
    gain,
    information,
    left_out,
    outliers,
    share_vector,
)
from harness.emulation.operators import OperatorClass

MISFIT = 0.35
"""Standard deviation of ln(measured/predicted) by the family's shape alone, above
which the device is not of that family (met on a chip that was not: 0.38)."""
_NEAR = 5.0
"""Products up to this factor beyond those measured are near enough to propose."""
_ENERGY_TERMS_FROM = 8
"""Models with energy from which on products and bytes have an energy of their own."""
_MEMORY_FROM = 3
_KNOWN_RESIDUAL = 0.17
"""Standard residual of networks that a sibling NPU knows, after the correction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to fit: of which unit, borrowing which ratios, from which source."""

    unit: str
    prior: Mapping[str, float]
    onchip_bytes: float
    source: str
    """What is written behind each number, such as ``fit:my-board``."""
    idle_w: float | None = None
    known: Mapping[str, float] = field(default_factory=dict)
    """ln(predicted/measured) of models on a device of the family, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """Numbers for a profile, and what is known of their error."""

    parameters: Mapping[str, Parameter]
    covered: Covered
    latency_left_out: tuple[LeftOut, ...]
    known: tuple[LeftOut, ...]
    """The measured models, by the fit that saw them all."""
    fitted: Fitted
    factor_90: float
    energy_left_out: tuple[LeftOut, ...] = ()
    memory_left_out: tuple[LeftOut, ...] = ()
    outliers: tuple[tuple[str, float], ...] = ()
    unseen: tuple[str, ...] = ()
    """Classes of operators that no model held; their rates are the family's."""
    class_residuals: Mapping[str, float] = field(default_factory=dict)
    """Mean log residual of left-out models, weighted by a class's share of time."""

    @property
    def is_of_another_family(self) -> bool:
        """Say whether the family's ratios do not fit this device."""
        return self.fitted.prior_misfit > MISFIT


def calibrate(anchors: Sequence[Anchor], request: Request) -> Calibrated:
    """Fit all that the measurements can tell.

    Models that the family knows are fitted as if the sum of terms missed nothing in
    them, so that their own ways do not bend the rates.
    """
    form = FIT_FORMS[request.unit]
    onchip = request.onchip_bytes
    typical = [_corrected(one, request.known) for one in anchors]
    fitted = fit(typical, form, request.prior, onchip_bytes=onchip)
    of_typical = left_out(typical, form, request.prior, onchip_bytes=onchip)
    residuals = {n: r + request.known.get(n, 0.0) for n, r in of_typical.items()}
    shares = [share_vector(fitted, one.amounts, onchip) for one in anchors]
    factor = factor_90(list(residuals.values()), form.residual)
    energy, energy_residuals = _energy(anchors, request)
    memory, memory_residuals = _memory(anchors, request)
    latency = _rates(fitted, request.source) | _widths(factor, request.source)
    latency |= _known_width(of_typical, request)
    seen, unseen = _classes(anchors, shares, form)
    return Calibrated(
        parameters={**latency, **energy, **memory},
        covered=covered_by(
            [one.amounts for one in anchors], seen, len({o.model for o in anchors})
        ),
        latency_left_out=_listed(residuals),
        known=_listed(_in_sample(anchors, fitted, onchip)),
        fitted=fitted,
        factor_90=factor,
        energy_left_out=_listed(energy_residuals),
        memory_left_out=_listed(memory_residuals),
        outliers=tuple(outliers(typical, fitted, onchip)),
        unseen=unseen,
        class_residuals=_by_class(anchors, shares, residuals, form),
    )


def _corrected(one: Anchor, known: Mapping[str, float]) -> Anchor:
    return replace(one, seconds=one.seconds * exp(known.get(one.model, 0.0)))


def _known_width(
    of_typical: Mapping[str, float], request: Request
) -> dict[str, Parameter]:
    """Give the factor for models that the family knows, from those measured here."""
    ours = [r for name, r in of_typical.items() if name in request.known]
    if not request.known:
        return {}
    factor = factor_90(ours, _KNOWN_RESIDUAL)
    one = Parameter(value=factor, unit="ratio", source=request.source)
    return {"interval_known_90": one}


def _in_sample(
    anchors: Sequence[Anchor], fitted: Fitted, onchip: float
) -> dict[str, float]:
    """Give ln(predicted/measured) of each model by the fit that saw it."""
    found: dict[str, list[float]] = {}
    for one in anchors:
        ratio = log(fitted.seconds(one.amounts, onchip) / one.seconds)
        found.setdefault(one.model, []).append(ratio)
    return {model: float(np.median(ratios)) for model, ratios in found.items()}


def suggestions(
    anchors: Sequence[Anchor],
    calibrated: Calibrated,
    candidates: Mapping[str, Amounts],
    request: Request,
    count: int,
) -> list[tuple[str, float]]:
    """Choose further models that teach most of the rates, each given those before.

    Only models of a size that the device was seen with, or near to it, are proposed.
    """
    onchip = request.onchip_bytes
    known = information(anchors, calibrated.fitted, onchip)
    have = {one.model for one in anchors}
    left = {
        name: share_vector(calibrated.fitted, amounts, onchip)
        for name, amounts in candidates.items()
        if name not in have and _is_near(amounts, calibrated.covered)
    }
    chosen: list[tuple[str, float]] = []
    while left and len(chosen) < count:
        name = max(left, key=lambda one: gain(known, left[one]))
        shares = left.pop(name)
        chosen.append((name, gain(known, shares)))
        known = known + np.outer(shares, shares)
    return chosen


def _is_near(amounts: Amounts, covered: Covered) -> bool:
    least, greatest = covered.macs
    return least / _NEAR <= amounts.all_macs <= greatest * _NEAR


def prior_from(parameters: Mapping[str, Parameter], form: FitForm) -> dict[str, float]:
    """Read the costs of a family member off its profile, as far as it has them."""
    found = {}
    for column in form.columns:
        one = parameters.get(column[0])
        if one is not None and one.value > 0:
            found[column[0]] = _cost(one)
    return found


def completed(
    prior: Mapping[str, float], usual: Mapping[str, float]
) -> dict[str, float]:
    """Fill what a family member does not tell by what is usual of its kind."""
    shared = [log(cost / usual[name]) for name, cost in prior.items() if name in usual]
    speed = exp(float(np.median(shared))) if shared else 1.0
    return {name: prior.get(name, cost * speed) for name, cost in usual.items()}


def _cost(parameter: Parameter) -> float:
    is_rate = parameter.unit in {"MAC/s", "B/s"}
    return 1.0 / parameter.value if is_rate else parameter.value


def _rates(fitted: Fitted, source: str) -> dict[str, Parameter]:
    """Turn costs into the rates that a profile is written in."""
    found = {}
    for name, cost in fitted.costs.items():
        unit = WANTED[name].unit
        value = 1.0 / cost if unit in {"MAC/s", "B/s"} else cost
        found[name] = Parameter(value=value, unit=unit, source=source)
    if "fixed" not in found:
        within = "assumed: within per_kernel"
        found["fixed"] = Parameter(value=0.0, unit="s", source=within)
    return found


def _widths(factor: float, source: str) -> dict[str, Parameter]:
    relative = log(factor) / Z90
    return {
        "interval_90": Parameter(value=factor, unit="ratio", source=source),
        "uncertainty": Parameter(value=relative, unit="ratio", source=source),
    }


def _classes(
    anchors: Sequence[Anchor], shares: Sequence[Reals], form: FitForm
) -> tuple[list[str], tuple[str, ...]]:
    """Tell the classes that took a notable part of some model's time, and the rest."""
    seen: list[str] = []
    unseen: list[str] = []
    for place, column in enumerate(form.columns):
        kinds = [
            OperatorClass(name.removeprefix(PRODUCT))
            for name in column
            if name.startswith(PRODUCT)
        ]
        for kind in kinds:
            greatest = max(
                float(share[place]) * _part(one.amounts, kind, kinds)
                for one, share in zip(anchors, shares, strict=True)
            )
            (seen if greatest > NOTABLE_SHARE / 2 else unseen).append(str(kind))
    return seen, tuple(unseen)


def _part(
    amounts: Amounts, kind: OperatorClass, kinds: Sequence[OperatorClass]
) -> float:
    """Give a class's part of the products of a column."""
    whole = sum(amounts.macs.get(one, 0.0) for one in kinds)
    return amounts.macs.get(kind, 0.0) / whole if whole else 0.0


def _by_class(
    anchors: Sequence[Anchor],
    shares: Sequence[Reals],
    residuals: Mapping[str, float],
    form: FitForm,
) -> dict[str, float]:
    if not residuals:
        return {}
    errors = np.array([residuals[one.model] for one in anchors])
    weights = np.array(shares)
    sums = weights.sum(axis=0)
    means = (weights * errors[:, None]).sum(axis=0) / np.where(sums > 0, sums, 1.0)
    return {
        column[0]: float(mean) for column, mean in zip(form.columns, means, strict=True)
    }


Solve = Callable[[Sequence[Anchor]], Callable[[Anchor], float]]


def _without_each(
    anchors: Sequence[Anchor], solve: Solve, measured: Callable[[Anchor], float]
) -> dict[str, float]:
    """Predict each model by a fit without it: ln(predicted/measured)."""
    found = {}
    for model in sorted({one.model for one in anchors}):
        rest = [one for one in anchors if one.model != model]
        if not rest:
            return {}
        give = solve(rest)
        own = [one for one in anchors if one.model == model]
        logs = [log(give(one) / measured(one)) for one in own]
        found[model] = sum(logs) / len(logs)
    return found


def _energy(
    anchors: Sequence[Anchor], request: Request
) -> tuple[dict[str, Parameter], dict[str, float]]:
    """Fit mean power, and with many models the energy of a product and of a byte."""
    having = [one for one in anchors if one.energy_j]
    if not having:
        return {}, {}

    def solve(some: Sequence[Anchor]) -> Callable[[Anchor], float]:
        coefficients = _energy_coefficients(some)
        return lambda one: float(_energy_row(one) @ coefficients)

    active, per_mac, per_byte = _energy_coefficients(having)
    residuals = _without_each(having, solve, lambda one: one.energy_j or 1.0)
    spread = float(np.std(list(residuals.values()))) if residuals else 0.1
    source = request.source
    found = {
        "power.active": Parameter(value=float(active), unit="W", source=source),
        "energy.per_mac": Parameter(value=float(per_mac), unit="J/MAC", source=source),
        "energy.per_byte": Parameter(value=float(per_byte), unit="J/B", source=source),
        "energy.uncertainty": Parameter(
            value=max(spread, 0.01), unit="ratio", source=source
        ),
    }
    if request.idle_w is not None:
        found["power.idle"] = Parameter(
            value=min(request.idle_w, float(active)), unit="W", source=source
        )
    return found, residuals


def _energy_row(one: Anchor) -> Reals:
    moved = one.amounts.activation_bytes + one.amounts.weight_bytes
    return np.array([one.seconds, one.amounts.all_macs, moved])


def _energy_coefficients(anchors: Sequence[Anchor]) -> Reals:
    measured = np.array([one.energy_j or 0.0 for one in anchors])
    rows = np.array([_energy_row(one) for one in anchors]) / measured[:, None]
    if len({one.model for one in anchors}) < _ENERGY_TERMS_FROM:
        return np.array([1.0 / float(np.median(rows[:, 0])), 0.0, 0.0])
    scale = rows.max(axis=0)
    solution, _ = nnls(rows / scale, np.ones(len(rows)))
    if solution[0] == 0:
        return np.array([1.0 / float(np.median(rows[:, 0])), 0.0, 0.0])
    return np.asarray(solution / scale)


def _memory(
    anchors: Sequence[Anchor], request: Request
) -> tuple[dict[str, Parameter], dict[str, float]]:
    """Fit what is held for a byte of live activations and of weights.

    Of a microcontroller the peak is that of its activations; of other devices it is
    the resident set above a process without a model.
    """
    having = [one for one in anchors if one.peak_bytes]
    if len({one.model for one in having}) < _MEMORY_FROM:
        return {}, {}
    is_mcu = request.unit == "mcu"

    def coefficients(some: Sequence[Anchor]) -> Reals:
        measured = np.array([one.peak_bytes or 0.0 for one in some])
        rows = np.array([_memory_row(one, is_mcu=is_mcu) for one in some])
        rows = rows / measured[:, None]
        scale = np.maximum(rows.max(axis=0), 1e-30)
        solution, _ = nnls(rows / scale, np.ones(len(rows)))
        return np.asarray(solution / scale)

    def solve(some: Sequence[Anchor]) -> Callable[[Anchor], float]:
        found = coefficients(some)
        return lambda one: max(float(_memory_row(one, is_mcu=is_mcu) @ found), 1.0)

    arena, weights, base = coefficients(having)
    source = request.source
    found = {
        "memory.arena_factor": Parameter(
            value=float(arena), unit="ratio", source=source
        ),
        "memory.session": Parameter(value=float(base), unit="B", source=source),
    }
    if not is_mcu:
        found["memory.weight_factor"] = Parameter(
            value=float(weights), unit="ratio", source=source
        )
    return found, _without_each(having, solve, lambda one: one.peak_bytes or 1.0)


def _memory_row(one: Anchor, *, is_mcu: bool) -> Reals:
    weights = 0.0 if is_mcu else one.amounts.weight_bytes
    return np.array([one.amounts.live_bytes, weights, 1.0])


def _listed(residuals: Mapping[str, float]) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(model=model, log_ratio=ratio) for model, ratio in residuals.items()
    )

"""Measured latencies → the few rates of a device, never negative, and their error.

The sum of `terms` is fitted to ln(predicted/measured) with a Cauchy loss, so that a
wild row pulls little, by scipy's trust-region least squares over the logarithms of
the costs. Ratios between costs are drawn towards those of a family (`prior`); how
fast the device is as a whole is free. With few models the family's shape is kept and
only the speed is fitted. Known method: nn-Meter (MobiSys 2021) adds times per kernel
too; the shrinkage is a ridge on log ratios.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from harness.emulation.amounts import Amounts
from harness.emulation.operators import OperatorClass

Reals = NDArray[np.float64]

SCALE = 0.15
"""Of the Cauchy loss: residuals beyond 15 % begin to lose their pull."""
OUTLYING = 3.0
"""A row this many scales away from the fit is named as an outlier."""
SHAPE_FROM = 3
"""Models from which on ratios are fitted too; with fewer, only the speed is."""
_TINY = 1e-30

PRODUCT = "mac_rate."
"""How the rates of products begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """One measured model: its amounts, and the median time of one inference in s."""

    model: str
    amounts: Amounts
    seconds: float
    energy_j: float | None = None
    """Of one inference, gross."""
    peak_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitForm:
    """Which costs a fit tells apart. Parameters of one column share their cost.

    `pull` is the strength of the prior: the weight of one squared log ratio, in
    squared `SCALE`s.
    """

    unit: str
    columns: tuple[tuple[str, ...], ...]
    pull: float
    residual: float
    """Typical standard residual of such devices: a prior for the interval."""


FIT_FORMS: Mapping[str, FitForm] = {
    "mcu": FitForm(
        unit="mcu",
        columns=(
            ("mac_rate.dense", "mac_rate.pointwise"),
            ("mac_rate.depthwise",),
            ("mac_rate.matmul", "mac_rate.attention"),
            ("bandwidth.activation",),
            ("per_kernel",),
        ),
        pull=3.0,
        residual=0.15,
    ),
    "cpu": FitForm(
        unit="cpu",
        columns=(
            ("mac_rate.dense",),
            ("mac_rate.pointwise", "mac_rate.matmul", "mac_rate.attention"),
            ("mac_rate.depthwise",),
            ("bandwidth.weight",),
            ("bandwidth.activation",),
            ("per_kernel",),
        ),
        pull=0.2,
        residual=0.12,
    ),
    "npu": FitForm(
        unit="npu",
        columns=(
            ("mac_rate.dense", "mac_rate.pointwise", "mac_rate.matmul"),
            ("mac_rate.depthwise",),
            ("mac_rate.attention",),
            ("bandwidth.weight",),
            ("bandwidth.activation",),
            ("bandwidth.spill",),
            ("per_kernel",),
            ("fixed",),
        ),
        pull=2.0,
        residual=0.35,
    ),
}
"""Forms by what computes; see docs/adr/0011."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Costs by parameter: s a MAC, s a byte, s a kernel, s an inference."""

    form: FitForm
    costs: Mapping[str, float]
    is_scale_only: bool
    prior_misfit: float
    """Spread of ln(measured/predicted) with the family's shape alone (robust)."""

    def seconds(self, amounts: Amounts, onchip_bytes: float = 0.0) -> float:
        """Predict a time."""
        row = _row(self.form, amounts, onchip_bytes)
        costs = np.array([self.costs[column[0]] for column in self.form.columns])
        return float(row @ costs)


def fit(
    anchors: Sequence[Anchor],
    form: FitForm,
    prior: Mapping[str, float],
    *,
    onchip_bytes: float = 0.0,
) -> Fitted:
    """Fit the costs of a device to measured models.

    `prior` gives a cost for each first parameter of a column; only ratios count.
    """
    rows = np.array([_row(form, one.amounts, onchip_bytes) for one in anchors])
    measured = np.array([one.seconds for one in anchors])
    shape = np.array([max(prior[column[0]], _TINY) for column in form.columns])
    offsets = np.log(measured / (rows @ shape))
    speed = float(np.exp(np.median(offsets)))
    start = np.log(shape * speed)
    models = len({one.model for one in anchors})
    is_scale_only = models < SHAPE_FROM
    found = start if is_scale_only else _solved(rows, measured, start, form.pull)
    named = zip(form.columns, np.exp(found), strict=True)
    return Fitted(
        form=form,
        costs={name: float(cost) for column, cost in named for name in column},
        is_scale_only=is_scale_only,
        prior_misfit=_spread(offsets),
    )


def _spread(offsets: Reals) -> float:
    """Give a standard deviation that a lone wild row does not move (from the MAD)."""
    centre = np.median(offsets)
    return float(1.4826 * np.median(np.abs(offsets - centre)))


def _solved(rows: Reals, measured: Reals, start: Reals, pull: float) -> Reals:
    """Minimise the Cauchy loss of log residuals, log ratios pulled to `start`'s.

    The mean of the log costs is free, so that the prior says nothing of the speed.
    """
    count = len(start)
    centred = np.eye(count) - 1.0 / count
    weight = sqrt(pull) * SCALE

    def residuals(logs: Reals) -> Reals:
        predicted = rows @ np.exp(logs)
        return np.concatenate(
            (np.log(predicted / measured), weight * (centred @ (logs - start)))
        )

    def slopes(logs: Reals) -> Reals:
        costs = np.exp(logs)
        return np.vstack((rows * costs / (rows @ costs)[:, None], weight * centred))

    solution = least_squares(
        residuals, start, jac=slopes, loss="cauchy", f_scale=SCALE, max_nfev=100
    )
    found: Reals = solution.x
    return found


def left_out(
    anchors: Sequence[Anchor],
    form: FitForm,
    prior: Mapping[str, float],
    *,
    onchip_bytes: float = 0.0,
) -> dict[str, float]:
    """Predict each model by a fit without it: ln(predicted/measured), by model.

    Rows of one model are left out together, and their mean is given. Empty for one
    model alone.
    """
    models = sorted({one.model for one in anchors})
    found = {}
    for model in models if len(models) > 1 else ():
        rest = [one for one in anchors if one.model != model]
        fitted = fit(rest, form, prior, onchip_bytes=onchip_bytes)
        own = [
            log(fitted.seconds(one.amounts, onchip_bytes) / one.seconds)
            for one in anchors
            if one.model == model
        ]
        found[model] = sum(own) / len(own)
    return found


def information(
    anchors: Sequence[Anchor], fitted: Fitted, onchip_bytes: float = 0.0
) -> Reals:
    """Give the information on log costs that the anchors and the prior hold."""
    form = fitted.form
    shares = np.array(
        [share_vector(fitted, one.amounts, onchip_bytes) for one in anchors]
    )
    count = len(form.columns)
    centred = np.eye(count) - 1.0 / count
    found: Reals = shares.T @ shares + form.pull * SCALE**2 * centred
    return found


def share_vector(fitted: Fitted, amounts: Amounts, onchip_bytes: float = 0.0) -> Reals:
    """Give each column's share of a predicted time: d ln t / d ln cost."""
    row = _row(fitted.form, amounts, onchip_bytes)
    costs = np.array([fitted.costs[column[0]] for column in fitted.form.columns])
    parts: Reals = row * costs / float(row @ costs)
    return parts


def gain(known: Reals, shares: Reals) -> float:
    """Tell what a further model would teach: ln(1 + jᵀM⁻¹j), D-optimality."""
    regular = known + 1e-9 * np.eye(len(known))
    return float(np.log1p(shares @ np.linalg.solve(regular, shares)))


def outliers(
    anchors: Iterable[Anchor], fitted: Fitted, onchip_bytes: float = 0.0
) -> list[tuple[str, float]]:
    """Name the rows that lie far from the fit, with predicted over measured."""
    limit = OUTLYING * SCALE
    found = []
    for one in anchors:
        ratio = fitted.seconds(one.amounts, onchip_bytes) / one.seconds
        if abs(log(ratio)) > limit:
            found.append((one.model, ratio))
    return found


def _row(form: FitForm, amounts: Amounts, onchip_bytes: float) -> Reals:
    return np.array(
        [
            sum(_amount(name, amounts, onchip_bytes) for name in column)
            for column in form.columns
        ]
    )


def _amount(name: str, amounts: Amounts, onchip_bytes: float) -> float:
    if name.startswith(PRODUCT):
        kind = OperatorClass(name.removeprefix(PRODUCT))
        return amounts.macs.get(kind, 0.0)
    match name:
        case "bandwidth.weight":
            return amounts.weight_bytes
        case "bandwidth.activation":
            return amounts.activation_bytes
        case "bandwidth.spill":
            return amounts.beyond(onchip_bytes)
        case "per_kernel":
            return amounts.kernels
        case "fixed":
            return 1.0
        case _:
            raise ValueError(f"no amount goes with {name!r}")

"""Writes the table of prediction errors: python docs/prediction/make_errors.py DATA.

DATA is the folder of the published tables. Every cell that can be fitted is in the
table, bad ones included; a row of each table says what was left out when.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from pathlib import Path
from statistics import median

from figures import WITHIN, figures, line, mean, middle, share
from tables import Cell, all_cells, rows_of

from harness.emulation.calibration import Request, calibrate
from harness.emulation.conformal import factor_90
from harness.emulation.fit import FIT_FORMS, Anchor, fit, left_out
from harness.emulation.networks import Network, standard_networks
from harness.emulation.priors import prior_of

PAGE = Path(__file__).resolve().parents[1] / "reference" / "prediction-errors.md"

_NO_DEVICE_OF_THE_KIND = (
    "ZedBoard",
    "arty",
    "pynq",
    "Next Generation",
    "Snapdragon 8 Gen 3 Mobile HDK",
    "K1_BOARD",
    "raspberry_pi_4_leip",
)
"""Of MLPerf Tiny, but no microcontroller: FPGAs, phones, a Linux board."""
_FEW = 5
_ENOUGH_FOR_FEW = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Residuals of one cell: ln(predicted/measured), and what the intervals held."""

    cell: Cell
    by_model: Mapping[str, float]
    by_family: Sequence[float]
    macs_only: Sequence[float]
    held: Sequence[bool]
    factor: float
    few: Sequence[float] = ()
    few_held: Sequence[bool] = ()


def main(folder: Path) -> None:
    """Fit every cell, leave models out in turn, and write the page."""
    measured = [errors_of(cell) for cell in all_cells(folder)]
    usual = [one for one in measured if not _is_odd(one.cell)]
    odd = [one for one in measured if _is_odd(one.cell)]
    text = "\n".join(
        [
            *_head(),
            *_groups(usual),
            *_devices("Every device and stack", usual),
            *_devices("What is no device of its kind", odd),
            *_siblings(usual),
            *_energy(usual),
            *_memory(usual, folder),
        ]
    )
    PAGE.write_text(text.rstrip() + "\n", encoding="utf-8")
    print(text)


def errors_of(cell: Cell) -> Errors:
    """Leave each model, and each family, of a cell out in turn."""
    form, prior = FIT_FORMS[cell.unit], prior_of(cell.unit, cell.precision)
    onchip = cell.onchip_bytes
    residuals = left_out(cell.anchors, form, prior, onchip_bytes=onchip)
    grouped = tuple(
        replace(one, model=cell.families[one.model]) for one in cell.anchors
    )
    families = left_out(grouped, form, prior, onchip_bytes=onchip)
    few, few_held = _few_shot(cell)
    return Errors(
        cell=cell,
        by_model=residuals,
        by_family=list(families.values()),
        macs_only=_by_macs(cell.anchors),
        held=_held(residuals, form.residual),
        factor=factor_90(list(residuals.values()), form.residual),
        few=few,
        few_held=few_held,
    )


def _held(residuals: Mapping[str, float], usual: float) -> list[bool]:
    """Say of each model whether an interval made without it holds it."""
    return [
        abs(own)
        <= log(factor_90([r for n, r in residuals.items() if n != name], usual))
        for name, own in residuals.items()
    ]


def _few_shot(cell: Cell) -> tuple[list[float], list[bool]]:
    """Calibrate on five models, spread over sizes, and predict all others."""
    if len(cell.families) < _ENOUGH_FOR_FEW:
        return [], []
    chosen, rest = _five(cell)
    form, prior = FIT_FORMS[cell.unit], prior_of(cell.unit, cell.precision)
    onchip = cell.onchip_bytes
    fitted = fit(chosen, form, prior, onchip_bytes=onchip)
    own = left_out(chosen, form, prior, onchip_bytes=onchip)
    bound = log(factor_90(list(own.values()), form.residual))
    found = [log(fitted.seconds(one.amounts, onchip) / one.seconds) for one in rest]
    return found, [abs(one) <= bound for one in found]


def _by_macs(anchors: Sequence[Anchor]) -> list[float]:
    """Predict each model by its products alone, at the median rate of the others."""
    rates = [(a.model, log(a.seconds / max(a.amounts.all_macs, 1.0))) for a in anchors]
    found = []
    for model, own in rates:
        others = [rate for name, rate in rates if name != model]
        if others:
            found.append(median(others) - own)
    return found


def _is_odd(cell: Cell) -> bool:
    return cell.device.startswith(_NO_DEVICE_OF_THE_KIND)


def _head() -> list[str]:
    return [
        "# Prediction errors",
        "",
        "How far the device models are from published measurements that a fit had not",
        "seen. Written by `docs/prediction/make_errors.py` from the published tables;",
        "no figure here was put in by hand. What the columns mean, and what the tables",
        "can bear, is in [prediction](../explanation/prediction.md).",
        "",
        "Error is |predicted/measured − 1|; *model out*: fitted without that model;",
        "*family out*: without any network of its family; *by MACs*: products at one",
        "rate. *Held*: share of models inside a 90 % interval that was made without",
        "them. None of these figures is a result of MLPerf or of Qualcomm AI Hub.",
        "",
    ]


_HEADS = (
    "device or group",
    "n",
    "mean",
    "median",
    "≤ 10 %",
    "≤ 25 %",
    "family out, median",
    "by MACs, median",
    "held",
)

_GROUPS = {
    ("mlperf_edge", "cpu", "int8"): "CPU boards, TFLite and ArmNN, int8",
    ("mlperf_edge", "cpu", "fp32"): "CPU boards, TFLite and ArmNN, fp32",
    ("nxp_eiq", "cpu", "int8"): "NXP i.MX, CPU, int8, 7 models",
    ("stm32_zoo", "cpu", "int8"): "STM32MP1, CPU, int8, 8 models",
    ("mlperf_tiny", "mcu", "int8"): "Microcontrollers, MLPerf Tiny, 3-4 models",
    ("stm32_zoo", "mcu", "int8"): "Microcontroller STM32H747, 10 models",
    ("ai_hub", "npu", "w8a8"): "Snapdragon NPU, w8a8",
    ("ai_hub", "npu", "float"): "Snapdragon NPU, float",
    ("nxp_eiq", "npu", "int8"): "NXP NPUs (no shipped profile)",
    ("stm32_zoo", "npu", "int8"): "STM32MP2 NPU (no shipped profile)",
}


def _groups(measured: Sequence[Errors]) -> list[str]:
    lines = [
        "## By group",
        "",
        line(*_HEADS, "5 anchors, median", "5 anchors, held"),
        "|---" * (len(_HEADS) + 2) + "|",
    ]
    grouped: dict[tuple[str, str, str], list[Errors]] = defaultdict(list)
    for one in measured:
        grouped[(one.cell.table, one.cell.unit, one.cell.precision)].append(one)
    for key, title in _GROUPS.items():
        some = grouped.get(key, [])
        model_out = [r for one in some for r in one.by_model.values()]
        held = [h for one in some for h in one.held]
        few = [r for one in some for r in one.few]
        few_held = [h for one in some for h in one.few_held]
        lines.append(
            f"| {title} | {len(model_out)} | {figures(model_out)} |"
            f" {middle(r for one in some for r in one.by_family)} |"
            f" {middle(r for one in some for r in one.macs_only)} |"
            f" {share(held)} | {middle(few)} | {share(few_held)} |"
        )
    everything = [h for one in measured for h in one.held]
    said = (
        f"Over all {len(everything)} left-out predictions the 90 % intervals held "
        f"{share(everything)}."
    )
    return [*lines, "", said, ""]


def _devices(title: str, measured: Sequence[Errors]) -> list[str]:
    lines = [
        f"## {title}",
        "",
        line(*_HEADS, "90 % within ×/÷"),
        "|---" * (len(_HEADS) + 1) + "|",
    ]
    ordered = sorted(measured, key=lambda one: (one.cell.table, one.cell.key))
    lines += [
        line(
            one.cell.key.replace(" | ", " · "),
            str(len(one.by_model)),
            figures(one.by_model.values()),
            middle(one.by_family),
            middle(one.macs_only),
            share(one.held),
            f"{one.factor:.2f}",
        )
        for one in ordered
    ]
    return [*lines, ""]


_SIBLINGS = ("Samsung Galaxy S24", "Samsung Galaxy S25")
"""Devices whose figures a new NPU borrows from: the first that is another one."""


def _siblings(measured: Sequence[Errors]) -> list[str]:
    """Calibrate each NPU on five networks, with all figures of a sibling chip."""
    lines = [
        "## A new NPU from five networks and a sibling chip",
        "",
        "Rates and residuals of a sibling (Galaxy S24; S25 for the S24 itself), then",
        "five networks of the new device, spread over sizes; the rest is predicted.",
        "",
        line("device · stack · precision", "predicted", *_HEADS[2:6], "held"),
        "|---|---|---|---|---|---|---|",
    ]
    cells = {one.cell.key: one.cell for one in measured if one.cell.table == "ai_hub"}
    everything: list[float] = []
    all_held: list[bool] = []
    for cell in cells.values():
        sibling = _sibling_of(cell, cells.values())
        if sibling is None:
            continue
        residuals, held = _from_sibling(cell, sibling)
        everything += residuals
        all_held += held
        name = cell.key.replace(" | ", " · ")
        lines.append(line(name, str(len(held)), figures(residuals), share(held)))
    total = line("**all**", str(len(all_held)), figures(everything), share(all_held))
    return [*lines, total, ""]


def _sibling_of(cell: Cell, cells: Iterable[Cell]) -> Cell | None:
    wanted = next(name for name in _SIBLINGS if name != cell.device)
    alike = (
        one
        for one in cells
        if (one.device, one.stack, one.precision)
        == (wanted, cell.stack, cell.precision)
    )
    return next(alike, None)


def _from_sibling(cell: Cell, sibling: Cell) -> tuple[list[float], list[bool]]:
    form, onchip = FIT_FORMS[cell.unit], cell.onchip_bytes
    prior = prior_of(cell.unit, cell.precision)
    theirs = fit(sibling.anchors, form, prior, onchip_bytes=onchip)
    known = {
        one.model: log(theirs.seconds(one.amounts, onchip) / one.seconds)
        for one in sibling.anchors
    }
    chosen, rest = _five(cell)
    made = calibrate(
        chosen,
        Request(
            unit=cell.unit,
            prior=theirs.costs,
            onchip_bytes=onchip,
            source="fit:here",
            known=known,
        ),
    )
    bound = log(made.parameters["interval_known_90"].value)
    residuals = [
        log(made.fitted.seconds(one.amounts, onchip) / one.seconds) - known[one.model]
        for one in rest
        if one.model in known
    ]
    return residuals, [abs(one) <= bound for one in residuals]


def _five(cell: Cell) -> tuple[list[Anchor], list[Anchor]]:
    """Part the networks of a cell into five, spread over sizes, and the rest."""
    one_each = {anchor.model: anchor for anchor in cell.anchors}
    ordered = sorted(one_each.values(), key=lambda one: one.amounts.all_macs)
    step = (len(ordered) - 1) / (_FEW - 1)
    chosen = [ordered[round(place * step)] for place in range(_FEW)]
    return chosen, [one for one in ordered if one not in chosen]


def _energy(measured: Sequence[Errors]) -> list[str]:
    lines = [
        "## Energy",
        "",
        "Each model left out, energy fitted as mean power times time, from 8 models on",
        "with terms for products and bytes. *Given time*: with the measured time.",
        "*End to end*: with the predicted one.",
        "",
        "| device · stack · precision | models | given time, mean | end to end, mean |",
        "|---|---|---|---|",
    ]
    pooled: dict[str, list[float]] = defaultdict(list)
    for one in measured:
        having = [anchor for anchor in one.cell.anchors if anchor.energy_j]
        if len({anchor.model for anchor in having}) <= 1:
            continue
        given = _calibrated(one.cell, having)
        whole = {n: r + one.by_model[n] for n, r in given.items()}
        pooled[one.cell.unit] += given.values()
        lines.append(
            f"| {one.cell.key.replace(' | ', ' · ')} | {len(given)} |"
            f" {mean(given.values())} | {mean(whole.values())} |"
        )
    lines += [
        f"| **all of {unit}** | {len(some)} | {mean(some)} | |"
        for unit, some in sorted(pooled.items())
    ]
    lines += [
        "",
        "No energy per inference is published for the phones, headsets and laptops:",
        "their profiles print *not validated* beside every energy.",
        "",
    ]
    return lines


def _calibrated(cell: Cell, anchors: Sequence[Anchor]) -> dict[str, float]:
    made = calibrate(anchors, _request(cell.unit, cell.precision))
    return {one.model: one.log_ratio for one in made.energy_left_out}


def _request(unit: str, precision: str) -> Request:
    return Request(
        unit=unit, prior=prior_of(unit, precision), onchip_bytes=0.0, source="fit:here"
    )


def _memory(measured: Sequence[Errors], folder: Path) -> list[str]:
    lines = [
        "## Memory",
        "",
        "*Alive at once*: the liveness of the graph alone, nothing fitted. *Fitted*:",
        "factors for live activations and weights and a constant, each model left out.",
        "",
        "| what | models | alive at once, mean | bias | fitted, mean | ≤ 25 % |",
        "|---|---|---|---|---|---|",
    ]
    for one in measured:
        having = [anchor for anchor in one.cell.anchors if anchor.peak_bytes]
        if having:
            name = f"activation RAM, {one.cell.key.replace(' | ', ' · ')}"
            lines.append(_memory_row(name, having, one.cell.unit))
    for precision in ("fp32", "int8"):
        having = list(_runtime_anchors(folder, precision))
        lines.append(_memory_row(f"onnxruntime on x86, {precision}", having, "cpu"))
    lines += [
        "",
        "The onnxruntime rows are its own highest resident set over that of a bare",
        "import, on an x86 host; liveness alone says nothing of the packed copy of",
        "weights. The tables of TinyEngine are of MCUNet, whose graphs cannot be drawn",
        "from its paper alone, so they are not used.",
    ]
    return lines


def _memory_row(name: str, anchors: Sequence[Anchor], unit: str) -> str:
    raw = [log(one.amounts.live_bytes / (one.peak_bytes or 1.0)) for one in anchors]
    made = calibrate(anchors, _request(unit, "int8"))
    fitted = [one.log_ratio for one in made.memory_left_out]
    within = [abs(exp(one) - 1) <= WITHIN[1] for one in fitted]
    bias = exp(sum(raw) / len(raw))
    alone = mean(raw) if unit == "mcu" else "–"
    shown = f"×{bias:.2f}" if unit == "mcu" else "–"
    return (
        f"| {name} | {len(anchors)} | {alone} | {shown} |"
        f" {mean(fitted)} | {share(within)} |"
    )


def _runtime_anchors(folder: Path, precision: str) -> Iterable[Anchor]:
    known: Mapping[str, Network] = standard_networks()
    for row in rows_of(folder, "host_ort_x86.csv"):
        name = row["path"].removesuffix(".onnx").removeprefix("tiny_")
        if row["q"] != precision or name not in known:
            continue
        peak_mb = float(row["hwm"]) - float(row["rss_base"])
        yield Anchor(
            model=name,
            amounts=known[name].amounts(precision),
            seconds=float(row["med"]) / 1e3,
            peak_bytes=peak_mb * (1 << 20),
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

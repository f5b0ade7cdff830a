"""``duanping calibrate-profile``: measurements of one's own board → its profile."""

from collections.abc import Mapping
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.cli._anchors import Anchors, anchors_from
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.clock import SystemClock
from harness.domain.profile import DeviceProfile, EmulationModel, LeftOut, Source
from harness.emulation.calibration import (
    Calibrated,
    Request,
    calibrate,
    completed,
    prior_from,
    suggestions,
)
from harness.emulation.fit import FIT_FORMS, SHAPE_FROM
from harness.emulation.networks import recognised, standard_networks
from harness.emulation.predict import check, emulation_of
from harness.emulation.priors import prior_of
from harness.errors import StorageError, UnknownName, UsageError
from harness.report.forecast import quantity
from harness.schema.profile import load_profile, profile_path
from harness.schema.profile_text import profile_text
from harness.units import parse_quantity

app = typer.Typer(add_completion=False)

_SUGGESTED = 3
_BORROWS_BELOW = 5
"""Models below which ratios are said to be borrowed from the family."""


@app.command()
def calibrate_profile(
    *,
    source: Annotated[
        Path,
        typer.Option(
            "--from", help="A CSV (model, latency_ms, …), a bundle, or their folder."
        ),
    ],
    device: Annotated[
        Path, typer.Option(help="The profile to calibrate; made if it is not there.")
    ],
    like: Annotated[
        str | None,
        typer.Option(help="A profile of the same family, to borrow ratios from."),
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="What computes: mcu, cpu or npu.")
    ] = None,
    idle: Annotated[
        str | None, typer.Option(help='Idle power, such as "4.7 mW".')
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write here instead of over --device.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON.")
    ] = False,
) -> None:
    """Fit a device profile, with its leave-one-out error, and write it.

    Says what the measurements can and cannot fit, which rows lie far from the fit,
    and which further model would teach most.
    """
    base = _base(device, like)
    model = emulation_of(base)
    computes = _unit(unit, model, base)
    prunes = _prunes(model)
    precision = model.stack.get("precision", "int8")
    measured = anchors_from(source, precision=precision, prunes=prunes)
    idle_w = measured.idle_w if idle is None else parse_quantity(idle, "W")
    request = _request(base, computes, source, idle_w)
    if like is None:
        # its own earlier figures are no family's
        own = emulation_of(base).family_known
        request = replace(request, known={one.model: one.log_ratio for one in own})
    names = _names(measured)
    request = replace(request, known=_by_anchor(request.known, names))
    made = calibrate(measured.anchors, request)
    profile = _merged(base, made, source, request=request, names=names)
    check(profile)
    written = out or device
    _write(profile, written, made)
    facts = _facts(made, measured, request, written)
    if as_json:
        print_json(facts)
    else:
        _print(made, measured, facts)


def _base(device: Path, like: str | None) -> DeviceProfile:
    """Give the profile to start from: the file itself, or one that it is like."""
    if device.is_file() and like is None:
        return load_profile(device)
    if like is None:
        raise UsageError(
            "There is no such profile yet, and no family to borrow from",
            where=str(device),
            remedy="Name a device of its kind: --like wearable (see duanping devices).",
        )
    family = load_profile(profile_path(like))
    if device.is_file():
        own = load_profile(device)
        return replace(own, emulation=emulation_of(family))
    name = device.stem
    return replace(family, name=name, title_zh=name, title_en=name)


def _unit(asked: str | None, model: EmulationModel, base: DeviceProfile) -> str:
    unit = asked or model.unit or ("cpu" if base.is_os_class else "mcu")
    if unit not in FIT_FORMS:
        raise UnknownName("unit that computes", unit, FIT_FORMS, where="--unit")
    return unit


def _prunes(model: EmulationModel) -> bool:
    one = model.parameters.get("prunes_dead_channels")
    return one is not None and one.value > 0


def _onchip(model: EmulationModel, unit: str) -> float:
    one = model.parameters.get("memory.onchip")
    return one.value if one is not None and unit == "npu" else 0.0


def _request(
    base: DeviceProfile, unit: str, source: Path, idle_w: float | None
) -> Request:
    model = emulation_of(base)
    usual = prior_of(unit, model.stack.get("precision", "int8"))
    own = prior_from(model.parameters, FIT_FORMS[unit])
    return Request(
        unit=unit,
        prior=completed(own, usual),
        onchip_bytes=_onchip(model, unit),
        source=f"fit:{source.name}",
        idle_w=idle_w,
        known=_known_to(model),
    )


def _known_to(model: EmulationModel) -> dict[str, float]:
    """Give the residuals of the networks that the family knows, own ones first."""
    known = (*model.family_known, *model.known)
    return {one.model: one.log_ratio for one in known}


def _names(measured: Anchors) -> dict[str, str]:
    """Give the standard network that each measured model is, where it is one."""
    networks = standard_networks()
    found = {}
    for one in measured.anchors:
        names = (one.model,) if one.model in networks else recognised(one.amounts)
        if names:
            found[one.model] = names[0]
    return found


def _by_anchor(
    known: Mapping[str, float], names: Mapping[str, str]
) -> dict[str, float]:
    """Name what the family knows as the measurements name it, too."""
    ours = {model: known[name] for model, name in names.items() if name in known}
    return {**known, **ours}


def _merged(
    base: DeviceProfile,
    made: Calibrated,
    source: Path,
    *,
    request: Request,
    names: Mapping[str, str],
) -> DeviceProfile:
    """Put the fitted numbers into the profile, with where they are from."""
    model = emulation_of(base)
    ours = Source(
        id=source.name,
        title=f"Own measurements of {made.covered.models} models",
        licence="own measurements",
        date=SystemClock().utc_now().date().isoformat(),
        place=source.name,
    )
    borrows = made.covered.models < _BORROWS_BELOW
    kept = tuple(one for one in model.sources if one.id != ours.id)
    return replace(
        base,
        emulation=replace(
            model,
            unit=request.unit,
            parameters=dict(sorted({**model.parameters, **made.parameters}.items())),
            covered=made.covered,
            left_out=made.latency_left_out,
            known=tuple(
                replace(one, model=names.get(one.model, one.model))
                for one in made.known
            ),
            family_known=tuple(
                LeftOut(model=name, log_ratio=ratio)
                for name, ratio in request.known.items()
                if name not in names or names[name] == name
            ),
            family=(model.family or model.stands_for) if borrows else "",
            sources=(ours, *kept),
        ),
    )


def _write(profile: DeviceProfile, path: Path, made: Calibrated) -> None:
    remark = (
        f"{profile.title_en}: calibrated on {made.covered.models} measured models.\n"
        "Written by duanping calibrate-profile; may be read and edited."
    )
    try:
        if path.is_file():
            path.with_name(f"{path.name}.bak").write_bytes(path.read_bytes())
        path.write_text(profile_text(profile, remark=remark), encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"The profile cannot be written: {error.strerror}",
            where=str(path),
            remedy="Name another place with --out.",
        ) from error


def _facts(
    made: Calibrated, measured: Anchors, request: Request, written: Path
) -> dict[str, object]:
    networks = {n: one.amounts("int8") for n, one in standard_networks().items()}
    further = suggestions(measured.anchors, made, networks, request, _SUGGESTED)
    return {
        "profile": str(written),
        "models": made.covered.models,
        "interval_90": made.factor_90,
        "left_out": {one.model: exp(one.log_ratio) for one in made.latency_left_out},
        "energy_left_out": {
            one.model: exp(one.log_ratio) for one in made.energy_left_out
        },
        "memory_left_out": {
            one.model: exp(one.log_ratio) for one in made.memory_left_out
        },
        "class_residuals": {n: exp(r) for n, r in made.class_residuals.items()},
        "parameters": {n: one.value for n, one in made.parameters.items()},
        "outliers": dict(made.outliers),
        "classes_not_seen": list(made.unseen),
        "family_misfit": made.fitted.prior_misfit,
        "is_of_another_family": made.is_of_another_family,
        "measure_next": dict(further),
        "remarks": [*measured.remarks, *_remarks(made)],
    }


def _remarks(made: Calibrated) -> list[str]:
    """Say what the measurements cannot tell."""
    said = []
    models = made.covered.models
    if models == 1:
        said.append(
            "One model tells how fast the device is as a whole, nothing of its ratios "
            "and nothing of the error: the interval is that which is usual."
        )
    elif models < SHAPE_FROM:
        said.append(
            f"{models} models tell the speed; the ratios are the family's. "
            f"From {SHAPE_FROM} models on, ratios are fitted too."
        )
    if made.unseen:
        said.append(
            f"No model held {', '.join(made.unseen)}: these rates are the family's, "
            "and a model that needs them is outside."
        )
    if made.is_of_another_family:
        said.append(
            "The family's ratios do not fit this device (standard deviation "
            f"{made.fitted.prior_misfit:.2f} of logarithms): choose another --like, "
            "or measure more models."
        )
    if made.outliers:
        names = ", ".join(f"{name} (×{ratio:.2f})" for name, ratio in made.outliers)
        said.append(f"Far from the fit, so look at these again: {names}.")
    return said


def _print(made: Calibrated, measured: Anchors, facts: dict[str, object]) -> None:
    ratios = {one.model: exp(one.log_ratio) for one in made.latency_left_out}
    table = Table(title="Latency, each model predicted by a fit without it")
    for column in ("model", "measured", "predicted / measured"):
        table.add_column(column)
    for one in measured.anchors:
        ratio = ratios.get(one.model)
        table.add_row(
            one.model,
            quantity(one.seconds, "s"),
            "–" if ratio is None else f"{ratio:.3f}",
        )
    out = console()
    out.print(table)
    if ratios:
        errors = sorted(abs(ratio - 1) for ratio in ratios.values())
        mean = sum(errors) / len(errors)
        out.print(
            f"Leave-one-out error: {mean:.1%} mean, {errors[len(errors) // 2]:.1%} "
            f"median; 90 % of new models within ×/÷ {made.factor_90:.2f}."
        )
    for what, left in (
        ("energy", made.energy_left_out),
        ("memory", made.memory_left_out),
    ):
        if left:
            mean = sum(abs(exp(one.log_ratio) - 1) for one in left) / len(left)
            out.print(f"Leave-one-out error of {what}: {mean:.1%} mean.")
    classes = Table(title="Mean residual by what takes the time")
    for column in ("rate", "predicted / measured"):
        classes.add_column(column)
    for name, residual in made.class_residuals.items():
        classes.add_row(name, f"{exp(residual):.3f}")
    if made.class_residuals:
        out.print(classes)
    remarks = facts["remarks"]
    for remark in remarks if isinstance(remarks, list) else ():
        out.print(str(remark), markup=False)
    further = facts["measure_next"]
    names = ", ".join(further) if isinstance(further, dict) else ""
    out.print(f"What would teach most, next: {names}.", markup=False)
    Console(stderr=True).print(f"Profile: {facts['profile']}", highlight=False)

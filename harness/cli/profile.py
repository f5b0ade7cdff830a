"""``duanping profile check``: how well a profile predicts, and what it covers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from scipy.special import bdtr

from harness.catalogue.bindings import parse_bindings
from harness.cli._anchors import anchors_from
from harness.cli._forecast import costed, facts_of, forecast, notes_of
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.domain.profile import DeviceProfile
from harness.emulation.coverage import beyond, widened
from harness.emulation.fit import Anchor
from harness.emulation.known import family_correction
from harness.emulation.networks import recognised
from harness.emulation.predict import emulation_of, rates_of
from harness.emulation.terms import terms_of
from harness.errors import ExitCode, UsageError
from harness.report.forecast import quantity
from harness.schema.profile import load_profile, profile_path

app = typer.Typer(add_completion=False)

_COVERAGE = 0.90
_SIGNIFICANT = 0.05


@app.callback()
def profile() -> None:
    """Look at device profiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """One measured model beside its prediction."""

    model: str
    measured_s: float
    predicted_s: float
    factor_90: float
    outside: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted_s / self.measured_s

    @property
    def is_held(self) -> bool:
        """Say whether the 90 % interval holds the measured latency."""
        return 1 / self.factor_90 <= self.ratio <= self.factor_90


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A profile by name or path.")],
    *,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A CSV of measurements, a bundle, or a folder."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A model: is it inside what is covered?")
    ] = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="input=1,3,224,224 or symbol=224.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the facts as JSON.")
    ] = False,
) -> int:
    """Compare a profile with measurements, or a model with what the profile covers.

    Exit code 1 where the 90 % intervals held too few of the measurements to be
    believed, or where the model lies outside.
    """
    device = load_profile(profile_path(name))
    if source is not None:
        return _against(device, source, as_json=as_json)
    if model is not None:
        return _inside(device, model, shape or [], as_json=as_json)
    raise UsageError(
        "There is nothing to check against",
        where=device.name,
        remedy="Give --from measurements.csv, or --model file.onnx.",
    )


def _against(device: DeviceProfile, source: Path, *, as_json: bool) -> int:
    emulation = emulation_of(device)
    precision = emulation.stack.get("precision", "int8")
    measured = anchors_from(source, precision=precision, prunes=False)
    rows = [_compared(device, one) for one in measured.anchors]
    held = sum(row.is_held for row in rows)
    errors = sorted(abs(row.ratio - 1) for row in rows)
    # fewer than so many are held by chance, if each is with a chance of 90 %
    is_believable = float(bdtr(held, len(rows), _COVERAGE)) >= _SIGNIFICANT
    facts = {
        "profile": device.name,
        "measurements": len(rows),
        "mean_error": sum(errors) / len(errors),
        "median_error": errors[len(errors) // 2],
        "held_by_interval_90": held,
        "is_believable": is_believable,
        "models": [
            {
                "model": row.model,
                "measured_s": row.measured_s,
                "predicted_s": row.predicted_s,
                "is_held": row.is_held,
                "outside": list(row.outside),
            }
            for row in rows
        ],
        "remarks": list(measured.remarks),
    }
    if as_json:
        print_json(facts)
    else:
        _print(rows, facts)
    return ExitCode.OK if is_believable else ExitCode.NO


def _compared(device: DeviceProfile, one: Anchor) -> _Compared:
    rates = rates_of(device)
    emulation = emulation_of(device)
    terms = terms_of(rates, one.amounts)
    seconds = sum(term.seconds for term in terms)
    shares = {
        term.name: term.seconds / seconds
        for term in terms
        if term.parameter.startswith("mac_rate.")
    }
    # a model that the profile was fitted to is predicted by its rates alone
    known = family_correction(emulation, [one.model, *recognised(one.amounts)], rates)
    outside = (
        ()
        if emulation.covered is None or known is not None
        else beyond(emulation.covered, one.amounts, shares)
    )
    return _Compared(
        model=one.model,
        measured_s=one.seconds,
        predicted_s=seconds * (known.factor if known else 1.0),
        factor_90=known.factor_90 if known else widened(rates.factor_90, outside),
        outside=tuple(found.what for found in outside),
    )


def _print(rows: list[_Compared], facts: dict[str, object]) -> None:
    table = Table()
    for column in ("model", "measured", "predicted", "ratio", "in 90 %", "outside by"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            row.model,
            quantity(row.measured_s, "s"),
            quantity(row.predicted_s, "s"),
            f"{row.ratio:.3f}",
            "yes" if row.is_held else "no",
            ", ".join(row.outside),
        )
    out = console()
    out.print(table)
    out.print(
        f"Error {facts['mean_error']:.1%} mean, {facts['median_error']:.1%} median; "
        f"{facts['held_by_interval_90']} of {facts['measurements']} within their 90 % "
        "interval."
    )
    if not facts["is_believable"]:
        out.print("The intervals hold too few: calibrate the profile anew.")


def _inside(
    device: DeviceProfile, model: Path, shape: list[str], *, as_json: bool
) -> int:
    counted = costed(model, parse_bindings(shape, (), None).shapes)
    one = forecast(device, counted)
    is_outside = any(
        found.code == "outside-emulation-domain" for found in one.prediction.findings
    )
    if as_json:
        print_json({**facts_of(one), "is_inside": not is_outside})
    else:
        out = console()
        where = "outside" if is_outside else "inside"
        out.print(f"{model.name} is {where} what {device.name} covers.", markup=False)
        for note in notes_of(one):
            out.print(note, markup=False)
    return ExitCode.NO if is_outside else ExitCode.OK

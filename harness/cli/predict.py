"""``duanping predict``: what a model would take on devices that are not here."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.catalogue.bindings import parse_bindings
from harness.cli._forecast import (
    HEADS,
    Costed,
    costed,
    facts_of,
    forecast,
    graph_facts,
    limits_of,
    notes_of,
    profiles_of,
    row_of,
    told,
)
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.errors import ExitCode, StorageError, UsageError
from harness.report.forecast import STAMP, Forecast, Limits, quantity

app = typer.Typer(add_completion=False)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="The model, an .onnx file.")],
    *,
    device: Annotated[
        str,
        typer.Option(
            help="Devices by name or path, with commas between: wearable,galaxy-s24."
        ),
    ] = "wearable",
    shape: Annotated[
        list[str] | None,
        typer.Option(help="input=1,3,224,224 or symbol=224; may be repeated."),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            "--as", help="Workload whose tiers are drawn, such as kws or det."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write a page (.html) or the picture alone (.svg)."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the predictions as JSON.")
    ] = False,
) -> int:
    """Predict latency, energy and memory of a model on devices, with 90 % intervals.

    Nothing is executed. Exit code 1 where a device cannot run the model at all.
    """
    bound = parse_bindings(shape or (), (), None).shapes
    profiles = profiles_of(device)
    counted = costed(model, bound)
    limits = limits_of(profiles[0], role)
    forecasts = [forecast(profile, counted) for profile in profiles]
    if out is not None:
        _write(out, counted, forecasts, limits)
    if as_json:
        print_json(
            {
                "origin": "emulated",
                "model": graph_facts(counted),
                "predictions": [facts_of(one) for one in forecasts],
            }
        )
    else:
        _print(counted, forecasts)
    is_refused = any(one.prediction.refusal for one in forecasts)
    return ExitCode.NO if is_refused else ExitCode.OK


def _print(model: Costed, forecasts: list[Forecast]) -> None:
    out = console()
    cost = model.cost
    out.print(
        f"{model.path.name}: {cost.macs / 1e6:.4g} MMAC, {cost.kernels} kernels, "
        f"{quantity(cost.weight_bytes, 'B')} of weights, "
        f"{quantity(cost.arena_bytes, 'B')} of activations alive at once.",
        markup=False,
    )
    table = Table(caption=STAMP)
    for head in HEADS:
        table.add_column(head, overflow="fold")
    for one in forecasts:
        table.add_row(*row_of(one).cells)
    out.print(table)
    for one in forecasts:
        if one.prediction.refusal:
            out.print(f"{one.device}: {one.prediction.refusal}.", markup=False)
        for note in notes_of(one):
            out.print(f"{one.device}: {note}", markup=False)


def _write(out: Path, model: Costed, forecasts: list[Forecast], limits: Limits) -> None:
    # matplotlib takes half a second to load; a table alone does without it
    from harness.report.forecast_page import page, picture, svg_bytes  # noqa: PLC0415

    figure = picture(forecasts, limits)
    match out.suffix:
        case ".svg":
            content = svg_bytes(figure)
        case ".html":
            rows = [row_of(one) for one in forecasts]
            content = page(model.path.name, told(model), HEADS, rows, figure)
        case _:
            raise UsageError(
                f"'{out.suffix}' is no kind of page",
                where="--out",
                remedy="Name a file that ends in .html or .svg.",
            )
    try:
        out.write_bytes(content)
    except OSError as error:
        raise StorageError(
            f"The page cannot be written: {error.strerror}",
            where=str(out),
            remedy="Make room or name another place.",
        ) from error

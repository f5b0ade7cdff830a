"""``duanping models``: the reference models, and a look at a model of one's own."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness import shipped
from harness.bench.intake import host_scheme
from harness.catalogue.bindings import parse_bindings
from harness.catalogue.build import ensure_built
from harness.catalogue.describe import describe
from harness.catalogue.index import TRAINED, Index, load_index
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.cli._progress import announced
from harness.domain.workload import ModelArtifact
from harness.schema.codec import to_plain

app = typer.Typer(add_completion=False)
_COLUMNS = ("model", "task", "MMAC", "parameters", "int8 kB", "weights", "licence")


@app.command()
def models(
    file: Annotated[
        Path | None, typer.Argument(help="A model of your own to look at.")
    ] = None,
    *,
    build: Annotated[
        bool, typer.Option("--build", help="Build all reference models now.")
    ] = False,
    shape: Annotated[
        list[str] | None, typer.Option(help="input=1,3,224,224 or symbol=224.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the facts as JSON.")
    ] = False,
) -> None:
    """List the reference models, build them, or describe a model file."""
    if file is not None:
        artifact = describe(file, parse_bindings(shape or (), (), None))
        _print_artifact(artifact, as_json=as_json)
        return
    index = load_index()
    if build:
        names = [entry.name for entry in index.entries]
        with announced(Console(stderr=True), f"Building {len(names)} models …"):
            ensure_built(names, host_scheme(), lambda _: None)
    if as_json:
        print_json({"models": to_plain(list(index.entries), list)})
    else:
        _print_index(index)


def _print_artifact(artifact: ModelArtifact, *, as_json: bool) -> None:
    if as_json:
        print_json(to_plain(artifact))
        return
    table = Table(show_header=False)
    for key, value in to_plain(artifact).items():
        if key != "inputs":
            table.add_row(key, str(value))
    for spec in artifact.inputs:
        shape = "×".join(str(size) for size in spec.shape)
        fill = f"{spec.fill} {spec.low:g} … {spec.high:g}"
        table.add_row(f"input {spec.name}", f"{spec.dtype} [{shape}] {fill}")
    console().print(table)


def _print_index(index: Index) -> None:
    table = Table()
    for column in _COLUMNS:
        table.add_column(column)
    for entry in index.entries:
        table.add_row(
            entry.name,
            entry.task,
            f"{entry.macs / 1e6:.3g}",
            f"{entry.parameters:,}",
            f"{entry.size_bytes(host_scheme()) / 1e3:.0f}",
            "trained" if entry.is_trained else "seeded",
            entry.licence,
        )
    out = console()
    out.print(table)
    out.print("Seeded weights measure speed, memory and energy, not accuracy.")
    cards = shipped.folder("models") / TRAINED
    out.print(f"What a trained model is good for stands on its card: {cards}/*.md")

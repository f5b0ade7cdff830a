"""``duanping sync-models``: the models of a run on its board, before the run."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness.bench.boards import sync_models as send
from harness.bench.intake import Request, gather
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.cli._progress import announced
from harness.schema.lab import find_lab

app = typer.Typer(add_completion=False)


@app.command()
def sync_models(
    device: Annotated[
        str, typer.Option(help="A device class or a path to a profile.")
    ] = "wearable",
    *,
    target: Annotated[
        str | None, typer.Option(help="The board; that of lab.toml where not given.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="Another suite than the profile's.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A model of your own.")] = None,
    lab: Annotated[
        Path | None, typer.Option(help="lab.toml; found in this folder if there.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the names as JSON.")
    ] = False,
) -> None:
    """Send models to a board; one that is there already is not sent again."""
    progress = Console(stderr=True)
    request = Request(
        device=device,
        target=target,
        suite=suite,
        model=model,
        lab=lab or find_lab(Path.cwd()),
    )
    with announced(progress, "Preparing models …"):
        intake = gather(request, lambda _: None)
    names = send(
        intake.plan,
        intake.paths,
        intake.lab.boards,
        lambda name: progress.print(f"{name} …", highlight=False),
    )
    where = next(iter(intake.plan.trials)).target
    if as_json:
        print_json({"target": where, "models": list(names)})
        return
    console().print(f"On {where}: {', '.join(names)}")

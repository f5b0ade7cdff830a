"""``duanping report``: the page and the tables again, from a bundle's evidence."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli._derive import derive
from harness.cli._frame import print_json
from harness.report.page import Language

app = typer.Typer(add_completion=False)


@app.command()
def report(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    *,
    lang: Annotated[
        Language, typer.Option(help="Language of the report.")
    ] = Language.BOTH,
    tiers: Annotated[
        Path | None, typer.Option(help="Another tier file than the run's.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print where the files are as JSON.")
    ] = False,
) -> None:
    """Write `derived/report.html` and the CSV tables. Works on a partial bundle."""
    derived = derive(bundle, language=lang, tiers=tiers)
    if as_json:
        print_json({"bundle": str(bundle), "report": str(derived.report)})
    else:
        print(derived.report)

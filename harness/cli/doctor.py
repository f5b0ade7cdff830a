"""``duanping doctor``: what on this machine would disturb a measurement."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.bench.doctor import State, examine
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.errors import ExitCode
from harness.schema.codec import to_plain

app = typer.Typer(add_completion=False)

_STYLES = {State.GOOD: "green", State.WORTH_A_LOOK: "yellow", State.BAD: "bold red"}


@app.command()
def doctor(
    *,
    folder: Annotated[
        Path, typer.Option("--out", help="Folder in which bundles are to be made.")
    ] = Path("reports"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the checks as JSON.")
    ] = False,
) -> int:
    """Look at this machine. Reads only; each remedy is for you to carry out."""
    checks = examine(folder)
    if as_json:
        print_json({"checks": to_plain(list(checks), list)})
    else:
        table = Table()
        for column in ("check", "state", "found", "why it matters", "how to change it"):
            table.add_column(column, overflow="fold")
        for check in checks:
            table.add_row(
                check.name,
                f"[{_STYLES.get(check.state, 'dim')}]{check.state}[/]",
                check.found,
                check.why,
                check.remedy,
            )
        console().print(table)
    is_bad = any(check.state is State.BAD for check in checks)
    return ExitCode.EQUIPMENT if is_bad else ExitCode.OK

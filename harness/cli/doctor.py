"""``duanping doctor``: what on this machine would disturb a measurement."""

from pathlib import Path
from typing import Annotated

import serial.tools.list_ports
import typer
from rich.table import Table

from harness.bench.arm64check import examine_arm64
from harness.bench.doctor import State, examine
from harness.bench.portcheck import Port, examine_ports, named_ports
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.errors import ExitCode
from harness.schema.codec import to_plain
from harness.schema.lab import find_lab, load_lab

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
    """Look at this machine and its ports. Each remedy is for you to carry out.

    Reads only; no port is opened.
    """
    checks = (*examine(folder), examine_arm64(), *examine_ports(_ports()))
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


def _ports() -> tuple[Port, ...]:
    """Give the ports that the lab file of this folder names, and those there are."""
    lab = find_lab(Path.cwd())
    named = named_ports(load_lab(lab).meters) if lab else ()
    found = (
        Port(
            path=port.device,
            description=port.description or "",
            device=f"{port.vid}:{port.pid}:{port.serial_number}" if port.vid else "",
            place=port.location or "",
        )
        for port in serial.tools.list_ports.comports()
    )
    return (*found, *named)

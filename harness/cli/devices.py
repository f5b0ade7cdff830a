"""``duanping devices``: the profiles that are shipped, and what this desk has."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.cli._frame import print_json
from harness.cli._output import console
from harness.emulation.predict import rates_of
from harness.schema.codec import to_plain
from harness.schema.lab import find_lab, load_lab
from harness.schema.profile import load_profile, profile_names, profile_path

app = typer.Typer(add_completion=False)


@app.command()
def devices(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the profiles as JSON.")
    ] = False,
) -> None:
    """List device profiles; a name of this list goes to --device."""
    profiles = [load_profile(profile_path(name)) for name in profile_names()]
    found = find_lab(Path.cwd())
    targets = load_lab(found).targets if found else {}
    if as_json:
        print_json({"profiles": to_plain(profiles, list), "targets": dict(targets)})
        return
    table = Table()
    for column in ("profile", "设备", "device", "suite", "emulation", "90 % within"):
        table.add_column(column)
    for profile in profiles:
        table.add_row(
            profile.name,
            profile.title_zh,
            profile.title_en,
            profile.suite,
            profile.emulation.form if profile.emulation else "none",
            f"×/÷ {rates_of(profile).factor_90:.2f}" if profile.emulation else "",
        )
    out = console()
    out.print(table)
    for name, address in targets.items():
        out.print(f"lab.toml: {name} is at {address}")

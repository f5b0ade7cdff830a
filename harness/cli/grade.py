"""``duanping grade``: estimates and grade again, from the evidence of a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli._derive import derive, gate_code, print_result
from harness.domain.requirement import Tier
from harness.record.verify import require_sound

app = typer.Typer(add_completion=False)


@app.command()
def grade(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    *,
    tiers: Annotated[
        Path | None, typer.Option(help="Another tier file than the run's.")
    ] = None,
    gate: Annotated[
        Tier | None,
        typer.Option(help="Exit 0 if this tier is met, 1 if missed, 5 if unknown."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON.")
    ] = False,
) -> int:
    """Grade a bundle from its evidence; the evidence is checked first."""
    require_sound(bundle)
    derived = derive(bundle, language=None, tiers=tiers)
    print_result(derived, as_json=as_json)
    return gate_code(derived.assessment.grade, gate)

"""``duanping verify``: a bundle still says what it said when it was written."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli._frame import print_json
from harness.cli._output import console
from harness.record.verify import require_sound
from harness.record.verify import verify as verify_bundle
from harness.schema.codec import to_plain

app = typer.Typer(add_completion=False)


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything found as JSON.")
    ] = False,
) -> None:
    """Check digests, hash chain, order and plausibility; name the first fault."""
    found = verify_bundle(bundle)
    if as_json:
        print_json(to_plain(found))
    require_sound(bundle)
    if not as_json:
        console().print(
            f"Sound: {found.trials_done} trials, every file as it was written.",
        )

"""``duanping verify``: a bundle still says what it said when it was written."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.bench.rereading import reread
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.record.verify import problem_of, require_sound
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
    """Check digests, hash chain, order, plausibility, and raw captures of meters.

    Names the first fault. The power traces are decoded once more from their captures.
    """
    found = verify_bundle(bundle)
    # what a capture gives is of interest only where the bytes are those written
    faults = tuple(reread(bundle)) if found.is_sound else ()
    if faults:
        found = replace(found, problems=tuple(problem_of(f) for f in faults))
    if as_json:
        print_json(to_plain(found))
    require_sound(bundle)
    for fault in faults:
        raise fault
    if not as_json:
        console().print(
            f"Sound: {found.trials_done} trials, every file as it was written.",
        )

"""``duanping power``: lay a recording of another machine beside a finished run."""

from pathlib import Path
from typing import Annotated

import typer

from harness import __version__
from harness.bench.powertrace import Laid, lay
from harness.cli._derive import derive, print_result
from harness.cli._output import console
from harness.clock import SystemClock
from harness.meters.exports.reading import TraceFile, decode
from harness.record.additions import write_addition
from harness.record.reader import read_record
from harness.record.verify import require_intact
from harness.report.page import Language

app = typer.Typer(add_completion=False)


@app.command()
def power(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    *,
    trace: Annotated[
        str,
        typer.Option(
            help="Export of the recorder, with options: FILE, FILE?meter=ppk2, "
            "FILE?voltage=3.0V&within=30mV where it holds current only, "
            "FILE?by=host-stamps for what this machine captured beside a board."
        ),
    ],
    lang: Annotated[
        Language, typer.Option(help="Language of the report.")
    ] = Language.BOTH,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON.")
    ] = False,
) -> None:
    """Add a power trace that was recorded elsewhere, and assess the run again.

    Reads exports of nRF Connect Power Profiler, Joulescope, Otii, Monsoon and
    EnergyRunner, and files of duanping meters capture. The evidence stays as it is:
    the trace is put beside it, dated and with its digest.
    """
    laid = add_recording(bundle, TraceFile.parse(trace))
    derived = derive(bundle, language=lang, tiers=None)
    if not as_json:
        console().print(placed(laid), markup=False)
    print_result(derived, as_json=as_json)


def add_recording(bundle: Path, file: TraceFile) -> Laid:
    """Decode a recording, lay it beside the record, and add it to the bundle.

    Raises UsageError, MeterError or EvidenceError; then the bundle is as it was.
    """
    where = str(file.path)
    original = file.read()
    recording = decode(original, file.options, where)
    require_intact(bundle)
    laid = lay(read_record(bundle), recording, name=file.path.name, original=original)
    write_addition(
        bundle, laid.addition, utc=SystemClock().utc_now, harness_version=__version__
    )
    return laid


def placed(laid: Laid) -> str:
    """Say what was found, in two lines."""
    facts = laid.addition.facts
    how = "by this machine's stamps"
    if laid.placement is not None:
        how = f"correlation {laid.placement.correlation:.2f}"
    told = (
        f"{laid.addition.source_name}: {facts['program']}, "
        f"{len(laid.addition.trials)} trials found in it ({how})."
    )
    missing, expected = facts["readings_missing"], facts["readings_expected"]
    if missing != "0":
        told += f"\n{missing} of {expected} readings are missing in it."
    return told

"""``duanping calibrate``: a meter against another one, or against a resistor."""

from contextlib import ExitStack
from math import isinf
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness import plugins
from harness.bench.calibrate import (
    Circumstances,
    Resistor,
    against_meter,
    against_resistor,
)
from harness.cli._frame import print_json
from harness.cli._meter_address import meter_address
from harness.cli._output import console
from harness.clock import SystemClock
from harness.domain.calibration import CalibratedRange, Calibration
from harness.errors import StorageError, UsageError
from harness.meters.base import Meter
from harness.schema.calibration import calibration_toml
from harness.schema.codec import to_plain
from harness.stats.uncertainty import student
from harness.units import parse_quantity

app = typer.Typer(add_completion=False)


@app.command()
def calibrate(
    meter: Annotated[str, typer.Argument(help="driver@link, or a name in lab.toml.")],
    *,
    against: Annotated[
        str | None,
        typer.Option(help="The reference, in the same circuit: another meter."),
    ] = None,
    load: Annotated[
        str | None, typer.Option(help="The reference: a resistor, such as 100Ohm.")
    ] = None,
    tolerance: Annotated[
        str | None, typer.Option(help="The resistor lies within ±, such as 0.1%.")
    ] = None,
    voltage: Annotated[
        str | None, typer.Option(help="Voltage on the resistor, such as 3.0V.")
    ] = None,
    within: Annotated[
        str | None, typer.Option(help="The voltage lies within ±, such as 5mV.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long.", min=2.0)] = 30.0,
    valid_days: Annotated[
        int, typer.Option(help="For how many days it may be used.", min=1)
    ] = 365,
    ambient: Annotated[
        str | None, typer.Option(help="Temperature of the room, such as 23degC.")
    ] = None,
    remarks: Annotated[
        str, typer.Option(help="Anything else about the set-up, for the file.")
    ] = "",
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path(
        "calibration.toml"
    ),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the calibration as JSON.")
    ] = False,
) -> None:
    """Fit gain and offset of each range that was used, and write a dated file.

    Let the load go through idle and busy, so that a range sees more than one level;
    a steady load gives a gain only. Name the file in lab.toml: then the meter's
    readings are corrected, and its uncertainty is that of the calibration.
    """
    resistor = _resistor(load, tolerance, voltage, within)
    if (resistor is None) == (against is None):
        raise UsageError(
            "A calibration needs one reference",
            where="duanping calibrate",
            remedy="Say --against METER2, or --load 100Ohm.",
        )
    _require_new(out)
    clock = SystemClock()
    around = Circumstances(
        today=clock.utc_now().date(),
        valid_days=valid_days,
        ambient_degc=None if ambient is None else parse_quantity(ambient, "degC"),
        remarks=remarks,
    )
    with ExitStack() as stack:
        own = _opened(meter, clock, stack)
        if against is not None:
            other = _opened(against, clock, stack)
            found = against_meter(own, other, clock, seconds, around)
        elif resistor is not None:
            found = against_resistor(own, resistor, clock, seconds, around)
    _write(out, calibration_toml(found))
    if as_json:
        print_json({"file": str(out), "calibration": _facts(found)})
        return
    console().print(_table(found))
    console().print(f"{out}: valid until {found.valid_until}", markup=False)


def _resistor(
    load: str | None, tolerance: str | None, voltage: str | None, within: str | None
) -> Resistor | None:
    given = (load, tolerance, voltage, within)
    if load is None and not any(given):
        return None
    if load is None or tolerance is None or voltage is None or within is None:
        raise UsageError(
            "A resistor is a reference only with its tolerance, and a voltage with its",
            where="duanping calibrate",
            remedy="Say --load 100Ohm --tolerance 0.1% --voltage 3.0V --within 5mV",
        )
    ohm, volts = parse_quantity(load, "Ohm"), parse_quantity(voltage, "V")
    if ohm <= 0 or volts <= 0:
        raise UsageError(
            "A resistance and a voltage are above zero", where="duanping calibrate"
        )
    return Resistor(
        ohm=ohm,
        ohm_within_ratio=parse_quantity(tolerance, "ratio"),
        volts=volts,
        volts_within_ratio=parse_quantity(within, "V") / volts,
    )


def _opened(text: str, clock: SystemClock, stack: ExitStack) -> Meter:
    address = meter_address(text)
    opener = plugins.find(plugins.METERS, address.driver)
    opened: Meter = stack.enter_context(opener(address, clock))
    return opened


def _table(found: Calibration) -> Table:
    """Show each range: what it was wrong by, and how well that is known now."""
    table = Table(title=found.title, title_justify="left")
    for column in ("range", "pairs", "gain − 1", "U", "offset", "U"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found.ranges:
        coverage = student(one.freedom)
        table.add_row(
            f"{one.channel} {one.least:g} … {one.most:g} {one.unit}",
            str(one.pairs),
            f"{100 * (one.gain - 1):+.3f} %",
            f"{100 * coverage * one.u_gain_ratio:.2g} %",
            f"{one.offset:+.3g} {one.unit}",
            f"{coverage * one.u_offset:.2g} {one.unit}",
        )
    return table


def _facts(found: Calibration) -> dict[str, object]:
    plain: dict[str, object] = to_plain(found)
    return {**plain, "ranges": [_range_facts(one) for one in found.ranges]}


def _range_facts(one: CalibratedRange) -> dict[str, object]:
    facts = {name: getattr(one, name) for name in CalibratedRange.__slots__}
    if isinf(one.freedom):
        facts["freedom"] = None  # JSON knows no infinity
    return {**facts, "coverage_factor": student(one.freedom)}


def _require_new(path: Path) -> None:
    if path.exists():
        raise StorageError(
            "There is such a file already",
            where=str(path),
            remedy="Name another with --out; a calibration is never written over.",
        )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"The calibration cannot be written: {error.strerror}",
            where=str(path),
            remedy="Look at the folder, its rights and its space.",
        ) from error

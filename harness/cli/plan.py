"""``duanping plan``: what `run` would do and how long it takes; touches nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.bench.intake import Request, gather
from harness.bench.meteruse import reach_of
from harness.catalogue.bindings import parse_bindings
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.domain.plan import Arm, Plan
from harness.errors import NotCalibrated, SchemaError
from harness.planning import expected_seconds
from harness.report.quantities import quantity
from harness.schema.codec import to_plain
from harness.schema.lab import find_lab
from harness.units import parse_quantity

app = typer.Typer(add_completion=False)


@app.command()
def plan(
    device: Annotated[
        str, typer.Option(help="A device class or a path to a profile.")
    ] = "wearable",
    *,
    preset: Annotated[
        str, typer.Option(help="How much: rapid, quick, standard, official.")
    ] = "quick",
    target: Annotated[
        str | None, typer.Option(help="Where the model runs, such as local@.")
    ] = None,
    meter: Annotated[
        str | None,
        typer.Option(help="What reads the device's power; says what it can claim."),
    ] = None,
    power: Annotated[
        str | None,
        typer.Option(help="Power that the device is expected to draw, such as 20mW."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A model of your own.")] = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="input=1,3,224,224 or symbol=224.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole plan as JSON.")
    ] = False,
) -> None:
    """Show the trials of a run, in groups, and about how long they take."""
    powers = (_expected_w(power),) if power else ()
    request = Request(
        device=device,
        preset=preset,
        target=target,
        meter=meter,
        model=model,
        bindings=parse_bindings(shape or (), (), None),
        lab=find_lab(Path.cwd()),
    )
    made = gather(request, lambda _: None).plan
    if as_json:
        print_json(to_plain(made))
        return
    out = console()
    out.print(_table(made))
    seconds = sum(expected_seconds(trial) for trial in made.trials)
    energy = "Energy is measured only with a meter; without one it is modelled."
    if not made.is_timed:
        energy = "Instructions are counted; there is no time and no energy."
    out.print(
        f"{len(made.trials)} trials, about {seconds:.0f} s on this machine. {energy}"
    )
    if made.meter:
        out.print(_reach(made.meter, powers or _POWERS_W))


_POWERS_W = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)
"""Powers at which a meter is asked what it can claim, where none is expected."""
_CLAIMS = (0.01, 0.05)


def _expected_w(text: str) -> float:
    """Read the power that is expected. Raises SchemaError for none above zero."""
    power_w = parse_quantity(text, "W")
    if power_w <= 0:
        raise SchemaError(
            f"'{text}' is no power that a device draws",
            where="--power",
            remedy="Write a power above zero, such as 20mW.",
        )
    return power_w


def _reach(meter: str, powers_w: Sequence[float]) -> Table:
    """Show the floor of a meter, and the windows that it needs for 1 % and 5 %."""
    table = Table(
        title=f"What {meter} can claim of gross energy (k = 2), by its data sheet",
        caption="floor: what no longer window makes smaller; a claim below it is "
        "refused. Windows are for readings stamped by this machine.",
    )
    for column in ("power", "floor", *(f"window for {one:.0%}" for one in _CLAIMS)):
        table.add_column(column, justify="right")
    found = reach_of(meter, powers_w, _CLAIMS)
    if not found:
        asked = ", ".join(quantity(power_w, "W") for power_w in powers_w)
        raise NotCalibrated(
            f"The data sheet of this meter gives no limits of error at {asked}",
            where=meter,
            remedy="Ask for a power within its ranges, or take another meter.",
        )
    for reach in found:
        windows = (reach.windows_s[one] for one in _CLAIMS)
        table.add_row(
            quantity(reach.power_w, "W"),
            f"±{reach.floor_ratio:.2%}",
            *("never" if one is None else quantity(one, "s") for one in windows),
        )
    return table


def _table(made: Plan) -> Table:
    groups: dict[tuple[str, str, Arm], list[float]] = {}
    for trial in made.trials:
        key = (trial.workload, trial.scenario.kind, trial.arm)
        groups.setdefault(key, []).append(expected_seconds(trial))
    table = Table(title=f"{made.profile.title_en} · {made.preset.name}")
    for column in ("workload", "scenario", "on", "runs", "seconds"):
        table.add_column(column)
    for (workload, scenario, arm), seconds in groups.items():
        target = next(t.target for t in made.trials if t.arm is arm)
        table.add_row(
            workload,
            scenario,
            f"{target} ({'reference' if arm is Arm.HOST else 'graded'})",
            str(len(seconds)),
            f"{sum(seconds):.0f}",
        )
    return table

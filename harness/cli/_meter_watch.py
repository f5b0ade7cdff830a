"""``duanping meters watch``: what a meter reads, live."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from harness.cli._meter_address import opened_meter
from harness.cli._output import console
from harness.clock import Clock, Deadline, SystemClock
from harness.domain.reading import Loss
from harness.meters.base import Acquisition, InstrumentDescription

_TURN_S = 1.0
_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 60
_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One line of what is shown: a second of readings."""

    readings: int
    mean: float
    least: float
    most: float
    loss: Loss


def watch(
    meter: Annotated[str, typer.Argument(help="driver@link, or a name in lab.toml.")],
    *,
    seconds: Annotated[float, typer.Option(help="How long.", min=1.0)] = 60.0,
    channel: Annotated[str, typer.Option(help="Which quantity.")] = "power",
) -> None:
    """Show live readings, a line a second: mean, least, most, lost."""
    clock = SystemClock()
    with opened_meter(meter, clock) as opened:
        units = {one.name: one.unit for one in opened.channels()}
        out = console()
        out.print(headline(opened.identify()), markup=False)
        with opened.acquire([channel]) as acquisition:
            until = Deadline.after(seconds, clock)
            turns = turns_of(acquisition, clock, until)
            _show(turns, units[channel], out)


def headline(who: InstrumentDescription) -> str:
    """Say which meter this is, and first of all whether it is one."""
    told = " ".join(filter(None, (who.maker, who.model, who.serial_number)))
    line = f"{who.origin.value.upper()}  {told or who.driver}  ({who.address})"
    # "factory" and "user gain" are what the meter says of itself
    is_file = " against " in who.calibration
    return f"{line}\n{who.calibration}" if is_file else line


def turns_of(acquisition: Acquisition, clock: Clock, until: Deadline) -> Iterator[Turn]:
    """Give one turn a second; a second without any reading gives none."""
    while not until.is_over():
        turn = Deadline.after(min(_TURN_S, until.remaining_s()), clock)
        pieces = [np.asarray(block.values) for block in acquisition.blocks(turn)]
        values = np.concatenate(pieces) if pieces else np.zeros(0)
        if len(values):
            yield Turn(
                readings=len(values),
                mean=float(values.mean()),
                least=float(values.min()),
                most=float(values.max()),
                loss=acquisition.loss(),
            )


def _show(turns: Iterator[Turn], unit: str, out: Console) -> None:
    if not out.is_terminal:
        for turn in turns:
            out.print(line(turn, unit), markup=False)
        return
    means: list[float] = []
    with Live(console=out, auto_refresh=False) as live:
        for turn in turns:
            means = [*means, turn.mean][-_WIDTH:]
            shown = f"{line(turn, unit)}\n{_bars(means)}"
            live.update(Text(shown), refresh=True)


def line(turn: Turn, unit: str) -> str:
    """Write one turn for people."""
    mean, least, most = (scaled(v, unit) for v in (turn.mean, turn.least, turn.most))
    lost = f"  {turn.loss.missing} lost" if turn.loss.missing else ""
    over = f"  {turn.loss.over_range} over range" if turn.loss.over_range else ""
    return f"{mean:>12}  ({least} … {most})  {turn.readings} readings{lost}{over}"


def scaled(value: float, unit: str) -> str:
    """Write a value with the prefix that leaves one to three digits before the point.

    >>> scaled(0.0123, "W")
    '12.3 mW'
    """
    if unit not in {"W", "A", "V", "J"}:
        return f"{value:.4g} {unit}"
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor:
            return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def _bars(values: list[float]) -> str:
    most = max(values) or 1.0
    steps = len(_BARS) - 1
    return "".join(_BARS[round(max(0.0, value / most) * steps)] for value in values)

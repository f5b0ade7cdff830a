"""Charts of power and energy: zooms into a trace, and energies of single queries."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.report.charts import (
    AMBER,
    BLUE,
    PALE,
    SOFT,
    data_uri,
    drawing,
    plain,
)
from harness.report.quantities import number, printed_unit, unit_for
from harness.report.series import Reals
from harness.units import from_si

_BINS = 48
_SHADE = "#f5e6c8"
_SLOW_S = 0.5
"""Zooms shorter than this are labelled in ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoom:
    """A stretch of a trace, reading by reading, and when the device was at work.

    `edges_s` are the edges of the readings in s from its start: one more than there
    are readings in W.
    """

    kind: str
    edges_s: Reals
    power_w: Reals
    busy_s: tuple[tuple[float, float], ...]


def zooms(found: Sequence[Zoom], idle_w: float | None) -> str:
    """Draw stretches of a trace side by side, work shaded, idle as a dashed line."""
    peak = max(float(zoom.power_w.max()) for zoom in found)
    unit = unit_for("W", peak)
    with drawing() as figure:
        row = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for axes, zoom in zip(row, found, strict=True):
            _draw(axes, zoom, unit)
            if idle_w is not None:
                height = from_si(idle_w, unit)
                axes.axhline(height, color=AMBER, linewidth=0.9, linestyle=(0, (4, 2)))
        row[0].set_ylabel(printed_unit(unit))
        row[0].yaxis.set_major_locator(MaxNLocator(5))
        row[0].yaxis.set_major_formatter(FuncFormatter(plain))
        row[0].set_ylim(0, 1.1 * from_si(peak, unit) or 1.0)
        return data_uri(figure)


def energies(net_j: Reals) -> str:
    """Draw how net energies of single queries in J are spread, and their median."""
    median = float(np.median(net_j))
    unit = unit_for("J", median)
    values = np.asarray([from_si(value, unit) for value in net_j])
    with drawing() as figure:
        axes = figure.add_subplot()
        counts, edges = np.histogram(values, bins=_BINS)
        axes.stairs(counts, edges, fill=True, facecolor=PALE)
        axes.stairs(counts, edges, color=BLUE, linewidth=0.7)
        middle = from_si(median, unit)
        axes.axvline(middle, color=AMBER, linewidth=1.0)
        axes.set_title(
            f"p50 {number(middle)} {printed_unit(unit)}, n = {len(values)}",
            fontsize=8,
            color=SOFT,
            pad=4,
        )
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(FuncFormatter(plain))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel(printed_unit(unit))
        axes.set_ylabel("n")
        return data_uri(figure)


def _draw(axes: Axes, zoom: Zoom, unit: str) -> None:
    is_short = zoom.edges_s[-1] < _SLOW_S
    scale = 1e3 if is_short else 1.0
    for start, end in zoom.busy_s:
        axes.axvspan(start * scale, end * scale, color=_SHADE, linewidth=0, zorder=0)
    watts = [from_si(float(value), unit) for value in zoom.power_w]
    axes.stairs(watts, zoom.edges_s * scale, color=BLUE, linewidth=0.7, baseline=None)
    axes.set_xlim(0, float(zoom.edges_s[-1]) * scale)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_xlabel("ms" if is_short else "s")
    axes.set_axisbelow(True)

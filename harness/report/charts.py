"""Charts: curves in, SVG out, the same bytes for the same curves.

Only figures, Latin letters and units are written inside a chart; all sentences
stand beside it in HTML, where they can be of either language and of readable size.
The text stays text (``svg.fonttype: none``) and names a list of common fonts. It is
laid out with DejaVu Sans, which comes with matplotlib and is wider than all of
them, so nothing overlaps where a reader's machine has another font.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullLocator,
)

from harness.domain.query import Phase
from harness.report.quantities import (
    distinct,
    printed_unit,
    unit_for,
)
from harness.report.series import Panel, Probe, Reals
from harness.units import from_si

BINS = 180
"""Points of a time chart, over all its panels."""

_WIDTH_IN = 4.6
_HEIGHT_IN = 2.25
_HISTOGRAM_BINS = 56
_LOG_FROM = 4.0
"""A distribution whose largest value is this many times its least is drawn on a
logarithmic axis; below that a logarithmic axis has no ticks worth reading."""

_SHARE_OF_COUNTS = 0.64
"""Share of the height that the tallest bar of a histogram takes."""

_LABEL_TURNS_AT = 0.6
"""Share of the width beyond which a label stands on the left of its mark."""
_FEW_TICKS, _MANY_TICKS = 3, 7

INK = "#1f2a37"
SOFT = "#64707d"
GRID = "#e4e8ec"
BLUE = "#1f5f99"
PALE = "#b9d2e8"
AMBER = "#b3541e"
SHADES: Mapping[str, str] = {
    Phase.BASELINE_BEFORE.value: "#eef1f4",
    Phase.PREAMBLE.value: "#d8ebe4",
    Phase.LOAD.value: "#e3d9ee",
    Phase.WARM_UP.value: "#f5e6c8",
    Phase.MEASURED.value: "#ffffff",
    Phase.POSTAMBLE.value: "#d8ebe4",
    Phase.BASELINE_AFTER.value: "#eef1f4",
    Phase.AFTERWARDS.value: "#eef1f4",
}
_FONTS = "-apple-system,'Segoe UI','Helvetica Neue',Arial,'Noto Sans',sans-serif"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "duanping",
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 8.0,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "path.simplify": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """A percentile to be marked in a distribution: name, value and bounds in s."""

    name: str
    value_s: float
    lower_s: float | None = None
    upper_s: float | None = None


def distribution(latencies: Sequence[Reals], percentiles: Sequence[Percentile]) -> str:
    """Draw latencies in s, all runs together, with percentiles and their bounds.

    Where the longest latency is many times the shortest, both axes are logarithmic:
    one query in thousands then still shows.
    """
    pooled = np.concatenate(list(latencies))
    unit = unit_for("s", float(np.median(pooled)))
    values = np.asarray([from_si(value, unit) for value in pooled])
    is_log = bool(values.min() > 0 and values.max() / values.min() > _LOG_FROM)
    edges = _edges(values, is_log=is_log)
    counts, _ = np.histogram(values, bins=edges)
    with drawing() as figure:
        axes = figure.add_subplot()
        base = 0.7 if is_log else 0.0
        axes.stairs(counts, edges, baseline=base, fill=True, facecolor=PALE)
        axes.stairs(counts, edges, baseline=base, color=BLUE, linewidth=0.7)
        _scale_counts(axes, float(counts.max()), is_log=is_log)
        axes.set_xlim(float(edges[0]), float(edges[-1]))
        texts = distinct([from_si(mark.value_s, unit) for mark in percentiles])
        for place, (one, text) in enumerate(zip(percentiles, texts, strict=True)):
            label = f"{one.name} {text} {printed_unit(unit)}"
            _mark_percentile(axes, one, label, unit=unit, place=place)
        _tick_values(axes, *axes.get_xlim(), is_log=is_log)
        axes.set_xlabel(printed_unit(unit))
        axes.set_ylabel("n")
        return data_uri(figure)


def over_time(panels: Sequence[Panel], unit: str, *, limit: float | None = None) -> str:
    """Draw one curve a run, side by side on one scale; `limit` is a dashed line.

    `unit` is the unit inside. The band is from the least to the greatest value of
    each bin, the line the median.
    """
    peak = max(float(panel.curve.high.max()) for panel in panels)
    shown = unit_for(unit, max(peak, limit or 0.0))
    with drawing() as figure:
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            _draw_panel(axes, panel, shown, is_alone=len(panels) == 1)
            if limit is not None:
                height = from_si(limit, shown)
                axes.axhline(height, color=AMBER, linewidth=1.0, linestyle=(0, (4, 2)))
        row[0].set_ylabel(printed_unit(shown))
        row[0].yaxis.set_major_locator(MaxNLocator(5))
        row[0].yaxis.set_major_formatter(FuncFormatter(plain))
        row[0].set_ylim(0, 1.1 * from_si(max(peak, limit or 0.0), shown) or 1.0)
        for axes in row[1:]:
            axes.spines["left"].set_visible(False)
            axes.tick_params(left=False)
        figure.supxlabel("s", fontsize=8, color=SOFT)
        return data_uri(figure)


def rate_search(found: Sequence[Probe], bound_s: float) -> str:
    """Draw each probe of a search for a rate: latency over rate, and the bound."""
    unit = unit_for("s", bound_s)
    bound = from_si(bound_s, unit)
    rates = [probe.rate_hz for probe in found]
    latencies = [from_si(probe.latency_s, unit) for probe in found]
    colours = [BLUE if latency <= bound else AMBER for latency in latencies]
    with drawing() as figure:
        axes = figure.add_subplot()
        axes.axhline(bound, color=AMBER, linewidth=1.0, linestyle=(0, (4, 2)))
        axes.scatter(rates, latencies, c=colours, s=22, zorder=3)
        axes.set_xscale("log")
        axes.set_yscale("log")
        _tick_values(axes, min(rates) / 1.2, max(rates) * 1.2, is_log=True)
        low, high = min([*latencies, bound]) / 1.5, max([*latencies, bound]) * 1.5
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(FixedLocator(_round_values(low, high)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(plain))
        axes.set_xlim(min(rates) / 1.2, max(rates) * 1.2)
        axes.grid(visible=True)
        axes.set_xlabel("1/s")
        axes.set_ylabel(printed_unit(unit))
        return data_uri(figure)


@contextmanager
def drawing() -> Iterator[Figure]:
    """Give an empty figure under our own style, whatever the user's settings say."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained")


def _edges(values: Reals, *, is_log: bool) -> Reals:
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low * 0.95, high * 1.05
    if low == high:
        low, high = -0.5, 0.5
    if is_log:
        return np.geomspace(low, high, _HISTOGRAM_BINS + 1)
    return np.linspace(low, high, _HISTOGRAM_BINS + 1)


def _scale_counts(axes: Axes, top: float, *, is_log: bool) -> None:
    """Give the histogram the lower part of the axes; the marks stand above it."""
    if is_log:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(0.7, 0.7 * (top / 0.7) ** (1 / _SHARE_OF_COUNTS))
        decades = range(int(np.log10(max(top, 1.0))) + 1)
        axes.yaxis.set_major_locator(FixedLocator([10.0**n for n in decades]))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, top / _SHARE_OF_COUNTS)
        ticks = MaxNLocator(3, integer=True).tick_values(0, top)
        axes.yaxis.set_major_locator(FixedLocator([t for t in ticks if t <= top]))
    axes.yaxis.set_major_formatter(FuncFormatter(plain))


def _mark_percentile(
    axes: Axes, percentile: Percentile, label: str, *, unit: str, place: int
) -> None:
    value = from_si(percentile.value_s, unit)
    lower = value if percentile.lower_s is None else from_si(percentile.lower_s, unit)
    upper = value if percentile.upper_s is None else from_si(percentile.upper_s, unit)
    left, right = axes.get_xlim()
    axes.set_xlim(min(left, lower), max(right, upper))
    height = 0.96 - 0.1 * place
    above = axes.get_xaxis_transform()
    if upper > lower:
        axes.plot(
            [lower, upper],
            [height, height],
            color=AMBER,
            linewidth=3.0,
            alpha=0.45,
            transform=above,
        )
    axes.plot([value, value], [0, height], color=AMBER, linewidth=1, transform=above)
    axes.plot([value], [height], "o", markersize=3, color=AMBER, transform=above)
    is_right = _share_of_width(axes, value) > _LABEL_TURNS_AT
    axes.annotate(
        label,
        (lower if is_right else upper, height),
        xycoords=above,
        xytext=(-5 if is_right else 5, 0),
        textcoords="offset points",
        ha="right" if is_right else "left",
        va="center",
        color=INK,
    )


def _share_of_width(axes: Axes, value: float) -> float:
    place = axes.transData.transform((value, 1.0))
    return float(axes.transAxes.inverted().transform(place)[0])


def _draw_panel(axes: Axes, panel: Panel, unit: str, *, is_alone: bool) -> None:
    curve = panel.curve
    low, middle, high = (
        [from_si(float(value), unit) for value in column]
        for column in (curve.low, curve.middle, curve.high)
    )
    for kind, start, end in panel.shaded:
        axes.axvspan(start, end, color=SHADES[kind], linewidth=0, zorder=0)
    if high != low:
        axes.fill_between(curve.times_s, low, high, color=PALE, linewidth=0)
    axes.plot(curve.times_s, middle, color=BLUE, linewidth=0.8)
    end_s = max(float(curve.times_s[-1]), *(end for *_, end in panel.shaded), 1e-9)
    axes.set_xlim(0, end_s)
    axes.xaxis.set_major_locator(MaxNLocator(6 if is_alone else 3))
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
    axes.set_title(panel.label, fontsize=8, color=SOFT, pad=4)


def _tick_values(axes: Axes, low: float, high: float, *, is_log: bool) -> None:
    ticks = (
        _round_values(low, high) if is_log else MaxNLocator(6).tick_values(low, high)
    )
    inside = [float(tick) for tick in ticks if low <= tick <= high]
    axes.xaxis.set_major_locator(FixedLocator(inside))
    axes.xaxis.set_major_formatter(FixedFormatter(distinct(inside)))
    axes.xaxis.set_minor_locator(NullLocator())


def _round_values(low: float, high: float) -> list[float]:
    """Give 1, 2, 5 · 10^n inside a range, or evenly spaced ticks where too few."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [m * 10.0**n for n in decades for m in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    if len(inside) >= _FEW_TICKS:
        return (
            inside
            if len(inside) <= _MANY_TICKS
            else [t for t in inside if _is_decade(t)]
        )
    return [t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high]


def _is_decade(value: float) -> bool:
    return f"{value:e}".startswith("1.0")


def plain(value: float, _position: int) -> str:
    """Write the number at a tick."""
    return f"{value:.4g}"


_LONG_DECIMAL = re.compile(r"(\d+\.\d)\d+")
_FONT_FAMILY = re.compile(r"font-family: [^;]*; ?")
_UNUSED_ID = re.compile(r' id="[\w.]*_\d+"')
_TAG = re.compile(r"<[^>]*>")
_SPACE = re.compile(r"\s+")


def _shortened(tag: re.Match[str]) -> str:
    text = _UNUSED_ID.sub("", _FONT_FAMILY.sub("", tag[0]))
    return _LONG_DECIMAL.sub(r"\1", text)


def data_uri(figure: Figure) -> str:
    """Write a figure as a ``data:`` URI of SVG, as small as keeps it sharp.

    Coordinates are cut to 0.1 pt; the font is named once; identifiers that nothing
    refers to are left out.
    """
    buffer = BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    text = _SPACE.sub(" ", _TAG.sub(_shortened, text))
    text = text.replace("</style>", f"text{{font-family:{_FONTS}}}</style>", 1)
    return "data:image/svg+xml;base64," + b64encode(text.encode()).decode()

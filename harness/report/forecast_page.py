"""Predictions of one model on several devices as one picture and one page.

Left a roofline with the model's operators, right the plane of latency and energy
with 90 % intervals and, where a workload is named, its tiers. Every page and every
picture says that all of it is emulated; there is no argument that leaves it out.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from harness.report.charts import SOFT, STYLE, data_uri
from harness.report.forecast import STAMP, Forecast, Limits, Row
from harness.units import from_si

_COLOURS = ("#1f5f99", "#b3541e", "#3d7d3f", "#7a4b94", "#8a6d1d", "#456b78")
_SPOT_AREA = 220.0
"""Of an operator that takes all of the time, in square points."""


def picture(forecasts: Sequence[Forecast], limits: Limits) -> Figure:
    """Draw the roofline and the plane of latency and energy side by side."""
    with _styled():
        figure = Figure(figsize=(9.2, 3.7), layout="constrained")
        left, right = figure.subplots(1, 2)
        for place, one in enumerate(forecasts):
            colour = _COLOURS[place % len(_COLOURS)]
            _draw_roof(left, one, colour)
            _draw_point(right, one, colour)
        _finish_roof(left)
        _finish_plane(right, limits)
        for axes in (left, right):
            _stamp(axes)
        return figure


def svg_bytes(figure: Figure) -> bytes:
    """Write a picture as an SVG file."""
    with _styled():
        buffer = BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
        return buffer.getvalue()


def page(
    model: str,
    facts: Sequence[tuple[str, str]],
    heads: Sequence[str],
    rows: Sequence[Row],
    figure: Figure,
) -> bytes:
    """Make one HTML page without script: facts, table, picture."""
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    with _styled():
        uri = data_uri(figure)
    text = environment.get_template("forecast.html.j2").render(
        model=model,
        facts=facts,
        heads=heads,
        rows=rows,
        picture=uri,
        stamp=STAMP,
    )
    return text.encode()


@contextmanager
def _styled() -> Iterator[None]:
    """Draw and write under our own style, whatever the user's settings say."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def _draw_roof(axes: Axes, one: Forecast, colour: str) -> None:
    roof = one.roofline
    spots = roof.spots
    places = [spot.macs_a_byte for spot in spots] + [roof.ridge]
    low, high = min(places) / 3, max(places) * 3
    line = [(low, low * roof.bytes_a_second), (roof.ridge, roof.peak_macs_a_second)]
    line.append((high, roof.peak_macs_a_second))
    axes.plot(*zip(*line, strict=True), color=colour, linewidth=1.0, label=one.device)
    axes.scatter(
        [spot.macs_a_byte for spot in spots],
        [spot.macs_a_second for spot in spots],
        s=[6.0 + _SPOT_AREA * spot.share for spot in spots],
        color=colour,
        alpha=0.45,
        linewidths=0,
    )


def _finish_roof(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("MAC / B")
    axes.set_ylabel("MAC / s")
    axes.set_title("roofline · operators", fontsize=8, color=SOFT)
    axes.grid(visible=True, which="major")
    axes.set_axisbelow(True)
    axes.legend(fontsize=7, frameon=False, loc="lower right")


def _draw_point(axes: Axes, one: Forecast, colour: str) -> None:
    guess = one.prediction
    at = (from_si(guess.latency_s, "ms"), from_si(guess.energy_j, "mJ"))
    if min(at) <= 0:
        return
    low_s, high_s = (from_si(v, "ms") for v in guess.interval_90_s)
    low_j, high_j = (from_si(v, "mJ") for v in guess.interval_90_j)
    axes.errorbar(
        [at[0]],
        [at[1]],
        xerr=[[at[0] - low_s], [high_s - at[0]]],
        yerr=[[at[1] - low_j], [high_j - at[1]]],
        fmt="o" if not guess.refusal else "x",
        markersize=5,
        color=colour,
        elinewidth=1.0,
        capsize=2.0,
    )
    axes.annotate(
        one.device,
        at,
        xytext=(5, 5),
        textcoords="offset points",
        color=colour,
        fontsize=7,
    )


def _finish_plane(axes: Axes, limits: Limits) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for tier, value in limits.latency_s.items():
        axes.axvline(from_si(value, "ms"), color=SOFT, linewidth=0.7, linestyle="--")
        axes.annotate(
            tier,
            (from_si(value, "ms"), 0.97),
            xycoords=axes.get_xaxis_transform(),
            color=SOFT,
            fontsize=7,
        )
    for tier, value in limits.energy_j.items():
        axes.axhline(from_si(value, "mJ"), color=SOFT, linewidth=0.7, linestyle=":")
        axes.annotate(
            tier,
            (0.01, from_si(value, "mJ")),
            xycoords=axes.get_yaxis_transform(),
            color=SOFT,
            fontsize=7,
        )
    axes.set_xlabel("ms")
    axes.set_ylabel("mJ")
    axes.set_title("latency · energy, 90 % intervals", fontsize=8, color=SOFT)
    axes.grid(visible=True, which="major")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_axisbelow(True)


def _stamp(axes: Axes) -> None:
    axes.text(
        0.5,
        0.5,
        "EMULATED",
        transform=axes.transAxes,
        fontsize=26,
        color="#b3541e",
        alpha=0.13,
        ha="center",
        va="center",
        rotation=20,
    )

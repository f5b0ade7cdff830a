"""The chart of instructions per inference: a bar a model and processor."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.report.charts import BLUE, INK, PALE, data_uri, drawing, plain
from harness.report.quantities import number

_PER_BAR_IN = 0.2
_FRAME_IN = 0.6
_MEGA = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Instructions of one model on one processor."""

    label: str
    value: float
    is_parent: bool


def instructions(bars: Sequence[Bar]) -> str:
    """Draw counts as bars from the top down, a float32 parent below its child.

    The axis is in 10⁶ instructions: a unit that cannot be taken for a time.
    """
    places = range(len(bars))
    millions = [bar.value / _MEGA for bar in bars]
    with drawing() as figure:
        width, _ = figure.get_size_inches()
        figure.set_size_inches(width, _FRAME_IN + _PER_BAR_IN * len(bars))
        axes = figure.add_subplot()
        axes.barh(
            places,
            millions,
            height=0.72,
            color=[PALE if bar.is_parent else BLUE for bar in bars],
        )
        for place, value in zip(places, millions, strict=True):
            axes.annotate(
                number(value),
                (value, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color=INK,
            )
        axes.set_yticks(places, [bar.label for bar in bars])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.18 * max(millions))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(plain))
        axes.grid(visible=True, axis="x")
        axes.set_axisbelow(True)
        axes.set_xlabel("10⁶ instructions")
        return data_uri(figure)

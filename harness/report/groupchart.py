"""Figures of several groups of items side by side, each with its bounds."""

from collections.abc import Mapping

from harness.domain.estimate import Estimate
from harness.report.charts import AMBER, BLUE, data_uri, drawing

_ROW_IN = 0.22
_LEAST_IN = 0.7


def side_by_side(figures: Mapping[str, Estimate]) -> str:
    """Draw one line a group: its value as a point, its one-sided bounds as a bar."""
    with drawing() as figure:
        figure.set_figheight(_LEAST_IN + _ROW_IN * len(figures))
        axes = figure.add_subplot()
        for place, one in enumerate(figures.values()):
            low = one.value if one.lower_bound is None else one.lower_bound
            high = one.value if one.upper_bound is None else one.upper_bound
            axes.plot([low, high], [place, place], color=AMBER, linewidth=2.0)
            axes.plot([one.value], [place], "o", color=BLUE, markersize=4.0)
        axes.set_yticks(range(len(figures)), list(figures))
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.margins(y=0.5 / len(figures))
        return data_uri(figure)

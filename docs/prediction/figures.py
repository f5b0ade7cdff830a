"""Residuals ln(predicted/measured) as cells of a table."""

from collections.abc import Iterable, Sequence
from math import exp
from statistics import median

WITHIN = (0.10, 0.25)


def figures(residuals: Iterable[float]) -> str:
    """Give mean, median and shares within 10 and 25 % as cells of a table."""
    errors = sorted(abs(exp(one) - 1) for one in residuals)
    if not errors:
        return "– | – | – | –"
    within = [sum(e <= limit for e in errors) / len(errors) for limit in WITHIN]
    mean = sum(errors) / len(errors)
    middle = median(errors)
    return f"{mean:.1%} | {middle:.1%} | {within[0]:.0%} | {within[1]:.0%}"


def share(held: Sequence[bool]) -> str:
    """Give the share of what is true."""
    return f"{sum(held) / len(held):.0%}" if held else "–"


def middle(residuals: Iterable[float]) -> str:
    """Give the median error."""
    errors = [abs(exp(one) - 1) for one in residuals]
    return f"{median(errors):.1%}" if errors else "–"


def mean(residuals: Iterable[float]) -> str:
    """Give the mean error."""
    errors = [abs(exp(one) - 1) for one in residuals]
    return f"{sum(errors) / len(errors):.1%}" if errors else "–"


def line(*cells: str) -> str:
    """Give a line of a table."""
    return f"| {' | '.join(cells)} |"

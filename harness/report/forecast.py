"""Predictions of one model on several devices, as they are told: nouns and numbers.

Loads nothing heavy; the picture and the page are drawn by `forecast_page`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.emulation.prediction import Prediction
from harness.emulation.roofline import Roofline
from harness.report.quantities import unit_for
from harness.units import from_si

STAMP = "EMULATED · not measured · 仿真，非实测"
"""Stands across every picture and page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One device of a comparison."""

    device: str
    title: str
    prediction: Prediction
    roofline: Roofline


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of tiers to draw: latency in s and net energy in J, by tier."""

    latency_s: Mapping[str, float] = field(default_factory=dict)
    energy_j: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the page's table, as text."""

    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()


def quantity(value: float, unit: str) -> str:
    """Write a predicted value with three digits: its error is larger than that."""
    if not value:
        return f"0 {unit}"
    shown = unit_for(unit, value)
    return f"{from_si(value, shown):.3g} {shown}"

"""The uncertainty budget of an energy figure: what it is made of, and its floor.

Each term is a standard uncertainty in J with its degrees of freedom, and says what
would make it smaller. Terms are put together by root sum of squares with the effective
degrees of freedom of Welch and Satterthwaite (JCGM 100:2008, 5.1.2 and G.4.1). A bound
from a data sheet is taken as a rectangle, ±a → a/√3 (4.3.7); a digital step q as a
rectangle of that full width, q/√12 (F.2.2.1); the difference of two readings of a
counter as a triangle, Q/√6.

Gain and time base grow with the energy itself. What is left of the relative
uncertainty in an endless window is the *floor* of the meter: a claim below it is
refused, for no window can bear it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import hypot, inf, isinf, sqrt
from types import MappingProxyType

from harness.domain.estimate import BudgetRow
from harness.stats.relation import Reason, Refused
from harness.stats.uncertainty import Term, combine

PLANNED_COVERAGE = 2.0
"""k before a measurement, when degrees of freedom are not known yet."""

_LEAST_READINGS = 10
_FINE_RATIO, _FINE_WINDOW_S = 0.01, 10.0


class Source(StrEnum):
    """Where a term of the budget comes from."""

    GAIN = "gain"
    OFFSET = "offset"
    RESOLUTION = "resolution"
    COUNTER = "counter"
    EDGES = "edges"
    TIME_BASE = "time-base"
    IDLE_DRIFT = "idle-drift"
    IDLE_NOISE = "idle-noise"
    NOISE = "noise"
    PLACEMENT = "placement"
    """Where a short window lies in what the device does over minutes."""
    MODEL = "model"
    """How far a model of a device may be from the device."""
    VOLTAGE = "voltage"
    REPEATABILITY = "repeatability"


class Remedy(StrEnum):
    """What makes a term smaller."""

    CALIBRATION = "calibration"
    """Nothing in the run; only a calibration of the meter, or another meter."""
    SAME_RANGE = "same-range"
    """Idle and load on one range of the meter, and net energy."""
    LONGER_WINDOW = "longer-window"
    INTERLEAVED_IDLE = "interleaved-idle"
    MORE_RUNS = "more-runs"
    LONGER_IDLE = "longer-idle"
    VOLTAGE_MEASURED = "voltage-measured"
    DEVICE = "device"
    """The device itself in place of a model of it."""


REMEDIES: Mapping[Source, Remedy] = MappingProxyType(
    {
        Source.GAIN: Remedy.CALIBRATION,
        Source.OFFSET: Remedy.SAME_RANGE,
        Source.RESOLUTION: Remedy.LONGER_WINDOW,
        Source.COUNTER: Remedy.LONGER_WINDOW,
        Source.EDGES: Remedy.LONGER_WINDOW,
        Source.TIME_BASE: Remedy.CALIBRATION,
        Source.IDLE_DRIFT: Remedy.INTERLEAVED_IDLE,
        Source.IDLE_NOISE: Remedy.LONGER_IDLE,
        Source.NOISE: Remedy.MORE_RUNS,
        Source.PLACEMENT: Remedy.LONGER_WINDOW,
        Source.MODEL: Remedy.DEVICE,
        Source.VOLTAGE: Remedy.VOLTAGE_MEASURED,
        Source.REPEATABILITY: Remedy.MORE_RUNS,
    }
)
"""What makes the term of each source smaller."""

ENDLESS = frozenset(
    {Source.GAIN, Source.OFFSET, Source.RESOLUTION, Source.TIME_BASE, Source.VOLTAGE}
)
"""Sources that no longer window makes smaller: the meter's floor."""


class Energy(StrEnum):
    """What is integrated."""

    GROSS = "gross"
    NET = "net"
    """Less idle, both read on the same range: the meter's offset cancels."""
    NET_TWO_RANGES = "net-two-ranges"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """What a meter's data sheet or calibration says, as limits ±a. W, J, s, ratios."""

    gain_ratio: float
    offset_w: float = 0.0
    resolution_w: float = 0.0
    is_dithered: bool = False
    """True where noise spreads readings over more than one step of the display."""
    counter_j: float = 0.0
    """Step of an energy counter, for a meter that is read by one."""
    time_base_ratio: float = 100e-6
    voltage_ratio: float = 0.0
    """Standard uncertainty of a voltage that is stated, not measured; relative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a meter is used on one window: powers in W, times in s."""

    energy: Energy
    duration_s: float
    step_s: float
    """Interval between readings."""
    active_w: float
    idle_w: float = 0.0
    u_edge_s: float = 0.0
    """Standard uncertainty of each edge on the meter's clock; 0 where guarded."""
    idle_drift_w: float = 0.0
    """Idle after less idle before."""
    guard_s: float = 0.0
    """Idle integrated on each side beyond the window."""

    @property
    def integrated_s(self) -> float:
        """Time from the first to the last reading that counts."""
        return self.duration_s + 2 * self.guard_s

    @property
    def energy_j(self) -> float:
        """What is to be expected of such a window."""
        taken = 0.0 if self.energy is Energy.GROSS else self.idle_w
        return (self.active_w - taken) * self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTerm:
    """One row: source, u in the unit of the figure, and its degrees of freedom."""

    source: Source
    u: float
    freedom: float = inf

    @property
    def remedy(self) -> Remedy:
        """What makes it smaller."""
        return REMEDIES[self.source]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The table of one figure: its value, and the terms of its uncertainty."""

    value: float
    terms: tuple[BudgetTerm, ...]

    @property
    def u(self) -> float:
        """Combined standard uncertainty."""
        return self._combined()[0]

    @property
    def coverage(self) -> float:
        """Factor k for 95 %, with the effective degrees of freedom."""
        return self._combined()[1]

    @property
    def expanded(self) -> float:
        """U = k·u."""
        u, coverage = self._combined()
        return u * coverage

    def per(self, divisor: float) -> "Budget":
        """Give the budget of the figure divided by an exact number, as inferences."""
        terms = tuple(
            BudgetTerm(source=term.source, u=term.u / divisor, freedom=term.freedom)
            for term in self.terms
        )
        return Budget(value=self.value / divisor, terms=terms)

    def with_terms(self, more: Sequence[BudgetTerm]) -> "Budget":
        """Give the budget with further terms."""
        return Budget(value=self.value, terms=(*self.terms, *more))

    def _combined(self) -> tuple[float, float]:
        return combine([Term(u=term.u, freedom=term.freedom) for term in self.terms])


def meter_budget(meter: Accuracy, use: Use, energy_j: float | None = None) -> Budget:
    """Give the budget that meter, timing and idle cause on one window.

    `energy_j` is the figure measured, else what the powers let expect. For net energy
    gain acts on the difference alone, the offset cancels on one range and counts √2
    times over two. What the data themselves scatter is added with `with_terms`.
    """
    energy = use.energy_j if energy_j is None else energy_j
    length = use.integrated_s
    swing_w = abs(use.active_w - use.idle_w)
    drift_j = abs(use.idle_drift_w) * length / sqrt(12)
    is_net = use.energy is not Energy.GROSS
    rows = (
        (Source.GAIN, meter.gain_ratio * abs(energy) / sqrt(3)),
        (Source.OFFSET, _offset_j(meter, use)),
        (Source.RESOLUTION, _resolution_j(meter, use)),
        (Source.COUNTER, meter.counter_j / sqrt(6)),
        (Source.EDGES, sqrt(2) * use.u_edge_s * swing_w),
        (Source.TIME_BASE, meter.time_base_ratio * abs(energy) / sqrt(3)),
        (Source.IDLE_DRIFT, drift_j if is_net else 0.0),
        (Source.VOLTAGE, meter.voltage_ratio * abs(energy)),
    )
    return Budget(value=energy, terms=tuple(BudgetTerm(source=s, u=u) for s, u in rows))


def budget_rows(terms: Sequence[Term]) -> tuple[BudgetRow, ...]:
    """Give the rows of a figure's budget, largest first; terms without a source: none.

    Rows of nothing are left out.
    """
    named = [term for term in terms if term.source and term.u > 0]
    return tuple(
        BudgetRow(
            source=term.source,
            u=term.u,
            freedom=None if isinf(term.freedom) else term.freedom,
        )
        for term in sorted(named, key=lambda term: -term.u)
    )


def floor_of(terms: Sequence[Term], value: float) -> float | None:
    """Give the expanded relative uncertainty (k = 2) that no longer window lowers.

    None where no meter stands behind the figure, or where it is zero.
    """
    endless = [term.u for term in terms if term.source in ENDLESS]
    if not endless or not value:
        return None
    return PLANNED_COVERAGE * hypot(*endless) / abs(value)


def floor_ratio(meter: Accuracy, power_w: float) -> float:
    """Give the expanded relative uncertainty (k = 2) of gross energy without end.

    Gain, time base, offset, a stated voltage, and a display that does not dither.
    """
    return PLANNED_COVERAGE * _endless_ratio(meter, power_w)


def minimum_window_s(meter: Accuracy, use: Use, target_ratio: float) -> float | Refused:
    """Give the shortest window that reaches a relative U (k = 2) of gross energy.

    u²(T)/E² = a² + c/T + b²/T² with a the floor, c of a dithered display and b of
    edges and counter, solved for 1/T. `use.duration_s` plays no part. Refused where
    the target is at or below the floor.

    Raises ValueError for a target or a power that is not positive.
    """
    if target_ratio <= 0 or use.active_w <= 0:
        raise ValueError("a window needs a target and a power above zero")
    room = (target_ratio / PLANNED_COVERAGE) ** 2 - _endless_ratio(
        meter, use.active_w
    ) ** 2
    if room <= 0:
        return _below_floor(meter, use.active_w, target_ratio)
    swing = abs(use.active_w - use.idle_w) / use.active_w
    edges_s = sqrt(2) * use.u_edge_s * swing
    squared = edges_s**2 + (meter.counter_j / use.active_w) ** 2 / 6
    linear = 0.0
    if meter.is_dithered:
        linear = (meter.resolution_w / use.active_w) ** 2 / 12 * use.step_s
    # from room·T² - linear·T - squared = 0
    return (linear + sqrt(linear**2 + 4 * room * squared)) / (2 * room)


def planned_window_s(meter: Accuracy, use: Use, target_ratio: float) -> float | Refused:
    """Give the window to plan: `minimum_window_s`, but never too short to be seen.

    Ten readings at least; and 10 s where 1 % or better is claimed, as MLPerf Tiny
    asks of its windows (benchmark rules, energy mode).
    """
    shortest = minimum_window_s(meter, use, target_ratio)
    if isinstance(shortest, Refused):
        return shortest
    fine_s = _FINE_WINDOW_S if target_ratio <= _FINE_RATIO else 0.0
    return max(shortest, _LEAST_READINGS * use.step_s, fine_s)


def _below_floor(meter: Accuracy, power_w: float, claimed_ratio: float) -> Refused:
    floor = floor_ratio(meter, power_w)
    return Refused(
        reason=Reason.BELOW_FLOOR,
        values={"claimed": claimed_ratio, "floor": floor, "power_w": power_w},
    )


def _endless_ratio(meter: Accuracy, power_w: float) -> float:
    """Relative standard uncertainty that no window makes smaller."""
    is_stepped = not meter.is_dithered
    return hypot(
        meter.gain_ratio / sqrt(3),
        meter.time_base_ratio / sqrt(3),
        meter.voltage_ratio,
        meter.offset_w / power_w / sqrt(3),
        meter.resolution_w / power_w / sqrt(12) if is_stepped else 0.0,
    )


def _offset_j(meter: Accuracy, use: Use) -> float:
    if use.energy is Energy.NET:
        return 0.0
    twice = sqrt(2) if use.energy is Energy.NET_TWO_RANGES else 1.0
    return twice * meter.offset_w * use.duration_s / sqrt(3)


def _resolution_j(meter: Accuracy, use: Use) -> float:
    """q·T/√12, over √n where readings dither; net energy has it of idle as well."""
    single = meter.resolution_w * use.duration_s / sqrt(12)
    if meter.is_dithered:
        single /= sqrt(max(use.duration_s / use.step_s, 1.0))
    return single if use.energy is Energy.GROSS else sqrt(2) * single

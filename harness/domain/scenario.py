"""Scenarios: in what pattern queries reach the model. One class each (MLPerf terms).

A scenario holds only what is its own. How many queries and how many seconds are
enough is the preset's business and stands in `harness.domain.plan.Minimum`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.units import NS_PER_S


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be above zero, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleStream:
    """The next query is issued when the last one is done."""

    kind: Literal["SingleStream"] = "SingleStream"


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiStream:
    """Each query holds several samples; the next is issued when the last is done."""

    samples_per_query: int = 8
    kind: Literal["MultiStream"] = "MultiStream"

    def __post_init__(self) -> None:
        _require_positive(samples_per_query=self.samples_per_query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """All samples are there at once; only the rate counts."""

    samples_per_query: int = 32
    kind: Literal["Offline"] = "Offline"

    def __post_init__(self) -> None:
        _require_positive(samples_per_query=self.samples_per_query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Poisson arrivals; the highest rate whose latency percentile keeps the bound.

    `latency_bound_ns` holds at `percentile` (0-1) of queries, each counted from its
    scheduled arrival. The search is a bisection that ends when the bracket of
    rates is narrower than `rate_tolerance` (a ratio).
    """

    latency_bound_ns: int
    percentile: float = 0.99
    rate_tolerance: float = 0.05
    kind: Literal["Server"] = "Server"

    def __post_init__(self) -> None:
        _require_positive(
            latency_bound_ns=self.latency_bound_ns, rate_tolerance=self.rate_tolerance
        )
        if not 0 < self.percentile < 1:
            raise ValueError(f"percentile must lie in (0, 1), not {self.percentile}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic:
    """A query every `period_ns`, due `deadline_ns` after its scheduled start.

    The duty-cycled always-on load of a wearable, a frame loop, a control cycle.
    """

    period_ns: int
    deadline_ns: int
    kind: Literal["Periodic"] = "Periodic"

    def __post_init__(self) -> None:
        _require_positive(period_ns=self.period_ns, deadline_ns=self.deadline_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained:
    """Back-to-back queries for `duration_ns`: what heat and throttling leave."""

    duration_ns: int = 600 * NS_PER_S
    kind: Literal["Sustained"] = "Sustained"

    def __post_init__(self) -> None:
        _require_positive(duration_ns=self.duration_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """A fresh process each time, from its start to the first valid output."""

    kind: Literal["ColdStart"] = "ColdStart"


Scenario = (
    SingleStream | MultiStream | Offline | Server | Periodic | Sustained | ColdStart
)

SCENARIOS: dict[str, type[Scenario]] = {
    "SingleStream": SingleStream,
    "MultiStream": MultiStream,
    "Offline": Offline,
    "Server": Server,
    "Periodic": Periodic,
    "Sustained": Sustained,
    "ColdStart": ColdStart,
}


def to_plain(scenario: Scenario) -> dict[str, Any]:
    """Give the scenario as a plain mapping, for a wire that knows only JSON."""
    return asdict(scenario)


def from_plain(plain: dict[str, Any]) -> Scenario:
    """Read what `to_plain` wrote. Raises ValueError for an unknown kind."""
    kind = plain["kind"]
    if kind not in SCENARIOS:
        raise ValueError(f"unknown scenario {kind!r}")
    return SCENARIOS[kind](**plain)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One load of an LlmDecode trial: users at once, each with a prompt this long."""

    prompt_tokens: int
    output_tokens: int
    users: int

    @property
    def condition(self) -> str:
        """Name the load, as estimates taken under it do."""
        tokens = f"prompt={self.prompt_tokens}, output={self.output_tokens}"
        return f"{tokens}, users={self.users}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmDecode:
    """A prompt in, tokens out one by one: the likeliest each, from an empty cache.

    The levels are measured one after the other: each prompt length for one user, then
    the first of them for each larger number of `users`, who all ask again as soon as
    they are answered. Prompts are token ids, so that no tokeniser is timed; where the
    model `tokenises` they are text, and both encoding and decoding are in the times.

    A generation ends after `output_tokens`; with `stops_at_end` also at an end token,
    and then `expected_tokens` (0: not stated) is the mean that the model is known to
    give. A number of users is served where TTFT keeps `ttft_bounds_ns` at p99 and
    the mean TPOT keeps `tpot_bounds_ns`, pair by pair.
    """

    prompt_tokens: tuple[int, ...] = (1024,)
    output_tokens: int = 128
    users: tuple[int, ...] = (1,)
    stops_at_end: bool = False
    expected_tokens: float = 0.0
    ttft_bounds_ns: tuple[int, ...] = ()
    tpot_bounds_ns: tuple[int, ...] = ()
    tokenises: bool = False
    kind: Literal["LlmDecode"] = "LlmDecode"

    def __post_init__(self) -> None:
        for name in ("prompt_tokens", "users", "ttft_bounds_ns", "tpot_bounds_ns"):
            for value in getattr(self, name):
                _require_positive(**{name: value})
        _require_positive(output_tokens=self.output_tokens)
        if not self.prompt_tokens or len(set(self.prompt_tokens)) != len(
            self.prompt_tokens
        ):
            raise ValueError("prompt_tokens needs one length or several different ones")
        if 1 not in self.users or len(set(self.users)) != len(self.users):
            raise ValueError("users counts from 1, each number once")
        if len(self.ttft_bounds_ns) != len(self.tpot_bounds_ns):
            raise ValueError("each bound of TTFT has one of TPOT beside it")
        if self.expected_tokens < 0:
            raise ValueError("expected_tokens is never negative")

    @property
    def levels(self) -> tuple[Level, ...]:
        """List the loads in the order in which they are measured."""
        first = self.prompt_tokens[0]
        loads = [(length, 1) for length in self.prompt_tokens]
        loads += [(first, users) for users in sorted(self.users) if users > 1]
        return tuple(
            Level(prompt_tokens=length, output_tokens=self.output_tokens, users=users)
            for length, users in loads
        )

    @property
    def longest(self) -> int:
        """Give the largest number of tokens that a generation holds, prompt and all."""
        return max(self.prompt_tokens) + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmSustained:
    """One user asks a language model again and again for `duration_ns`.

    What heat and throttling leave of the speed at which tokens come.
    """

    duration_ns: int = 600 * NS_PER_S
    prompt_tokens: int = 1024
    output_tokens: int = 128
    kind: Literal["LlmSustained"] = "LlmSustained"

    def __post_init__(self) -> None:
        _require_positive(
            duration_ns=self.duration_ns,
            prompt_tokens=self.prompt_tokens,
            output_tokens=self.output_tokens,
        )

    @property
    def asked(self) -> LlmDecode:
        """Give the load as that of an LlmDecode trial with one level."""
        return LlmDecode(
            prompt_tokens=(self.prompt_tokens,), output_tokens=self.output_tokens
        )


Talking = LlmDecode | LlmSustained
"""Scenarios of a language model."""


def talk_of(scenario: Talking) -> LlmDecode:
    """Give what a language model is asked, level by level."""
    return scenario if isinstance(scenario, LlmDecode) else scenario.asked


Scenario = (
    SingleStream
    | MultiStream
    | Offline
    | Server
    | Periodic
    | Sustained
    | ColdStart
    | LlmDecode
    | LlmSustained
)

SCENARIOS: dict[str, type[Scenario]] = {
    "SingleStream": SingleStream,
    "MultiStream": MultiStream,
    "Offline": Offline,
    "Server": Server,
    "Periodic": Periodic,
    "Sustained": Sustained,
    "ColdStart": ColdStart,
    "LlmDecode": LlmDecode,
    "LlmSustained": LlmSustained,
}


def to_plain(scenario: Scenario) -> dict[str, Any]:
    """Give the scenario as a plain mapping, for a wire that knows only JSON."""
    return asdict(scenario)


def from_plain(plain: dict[str, Any]) -> Scenario:
    """Read what `to_plain` wrote. Raises ValueError for an unknown kind."""
    kind = plain["kind"]
    if kind not in SCENARIOS:
        raise ValueError(f"unknown scenario {kind!r}")
    return SCENARIOS[kind](**{name: _as_held(plain[name]) for name in plain})


def _as_held(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """Give a list of JSON as the tuple that a scenario holds."""
    return tuple(value) if isinstance(value, list) else value

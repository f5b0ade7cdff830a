"""Estimates: a value, how well it is known, and where it comes from (GUM)."""

from dataclasses import dataclass
from math import isfinite

from harness.domain.origin import EvidenceClass, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurand:
    """The quantity to be measured, and its unit inside (`harness.units`).

    The full list, with definitions, is `MEASURANDS`.
    """

    name: str
    unit: str


def _all(*measurands: Measurand) -> dict[str, Measurand]:
    return {measurand.name: measurand for measurand in measurands}


MEASURANDS: dict[str, Measurand] = _all(
    Measurand(name="latency_mean", unit="s"),
    Measurand(name="latency_p50", unit="s"),
    Measurand(name="latency_p90", unit="s"),
    Measurand(name="latency_p99", unit="s"),
    Measurand(name="latency_p999", unit="s"),
    # p99 - p50, and the tails as a share of the frame or of the median
    Measurand(name="jitter", unit="s"),
    Measurand(name="jitter_frame_ratio", unit="ratio"),
    Measurand(name="jitter_median_ratio", unit="ratio"),
    Measurand(name="deadline_miss_ratio", unit="ratio"),
    Measurand(name="throughput", unit="Hz"),
    Measurand(name="server_rate", unit="Hz"),
    Measurand(name="cold_start_p90", unit="s"),
    Measurand(name="sustained_ratio", unit="ratio"),
    Measurand(name="rss_growth", unit="ratio"),
    Measurand(name="repeat_cv", unit="ratio"),
    # the stages of a pipeline
    Measurand(name="stage_p50", unit="s"),
    Measurand(name="stage_p90", unit="s"),
    Measurand(name="stage_share", unit="ratio"),
    # a device that listens for a wake word (MLPerf Tiny, streaming)
    Measurand(name="true_positives", unit="1"),
    Measurand(name="false_negatives", unit="1"),
    Measurand(name="false_positives", unit="1"),
    Measurand(name="duty_cycle", unit="ratio"),
    Measurand(name="frame_period", unit="s"),
    Measurand(name="estimated_throughput", unit="Hz"),
    # answers of a language model, token by token
    Measurand(name="ttft_mean", unit="s"),
    Measurand(name="ttft_p50", unit="s"),
    Measurand(name="ttft_p90", unit="s"),
    Measurand(name="ttft_p99", unit="s"),
    Measurand(name="tpot_mean", unit="s"),
    Measurand(name="inter_token_p50", unit="s"),
    Measurand(name="inter_token_p99", unit="s"),
    Measurand(name="output_rate", unit="tok/s"),
    Measurand(name="prompt_rate", unit="tok/s"),
    Measurand(name="output_tokens_mean", unit="1"),
    Measurand(name="users_served", unit="users"),
    Measurand(name="context_memory_per_token", unit="B"),
    Measurand(name="energy_per_token", unit="J"),
    Measurand(name="energy_per_token_per_billion", unit="J"),
    Measurand(name="tokens_per_joule", unit="tok/J"),
    # on networks that fail, held against a good one
    Measurand(name="network_success", unit="ratio"),
    Measurand(name="network_p90_ratio", unit="ratio"),
    Measurand(name="local_fallback_p90", unit="s"),
    Measurand(name="local_share", unit="ratio"),
    # memory
    Measurand(name="peak_rss", unit="B"),
    Measurand(name="model_memory", unit="B"),
    Measurand(name="retained_memory", unit="B"),
    Measurand(name="model_file_size", unit="B"),
    Measurand(name="weights_and_arena", unit="B"),
    Measurand(name="memory_share", unit="ratio"),
    # power and energy
    Measurand(name="energy_per_inference_net", unit="J"),
    Measurand(name="energy_per_inference_gross", unit="J"),
    Measurand(name="average_power", unit="W"),
    Measurand(name="idle_power", unit="W"),
    Measurand(name="always_on_power", unit="W"),
    Measurand(name="battery_life", unit="s"),
    Measurand(name="battery_drain", unit="ratio/h"),
    # accuracy
    Measurand(name="accuracy_retention", unit="ratio"),
    # the task's metric itself, of the device's model and of its float32 parent
    Measurand(name="task_metric", unit="1"),
    Measurand(name="task_metric_parent", unit="1"),
    Measurand(name="decision_agreement", unit="ratio"),
    # of the items of one language or other group; over Chinese; the least of them
    Measurand(name="group_metric", unit="1"),
    Measurand(name="language_ratio", unit="ratio"),
    Measurand(name="language_ratio_min", unit="ratio"),
    # work of an emulated processor, of the device's model and of its float32 parent
    Measurand(name="instructions_per_inference", unit="instructions"),
    Measurand(name="instructions_per_inference_parent", unit="instructions"),
)
"""Every measurand that statistics may estimate, by name."""

COUNTED: frozenset[str] = frozenset(
    {"instructions_per_inference", "instructions_per_inference_parent"}
)
"""What an emulated processor counts: no row of a tier set may ask for it, since a limit
on instructions would be read as one on time."""

NEEDS_NO_TIME: frozenset[str] = COUNTED | {
    "peak_rss",
    "model_memory",
    "retained_memory",
    "model_file_size",
    "weights_and_arena",
    "memory_share",
    "accuracy_retention",
    "task_metric",
    "task_metric_parent",
    "decision_agreement",
    "group_metric",
    "language_ratio",
    "language_ratio_min",
}
"""The measurands that a target without time can answer; no other ever has a figure
there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """One source of a figure's uncertainty: a row of its budget (JCGM 100, 5.1.2)."""

    source: str
    """``gain``, ``offset``, ``resolution``, ``edges`` … (`harness.stats.budget`)."""
    u: float
    """Standard uncertainty, in the unit of the figure."""
    freedom: float | None = None
    """Degrees of freedom; None: infinite, a bound taken from knowledge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its uncertainty. An estimate that exists is finite.

    `expanded_uncertainty` U = k·u covers about 95 %. `lower_bound` and
    `upper_bound` are one-sided 95 % bounds (distribution-free for percentiles);
    None where there are too few data for the bound to exist.
    """

    measurand: Measurand
    workload: str
    scenario: str
    origin: Origin
    value: float
    standard_uncertainty: float
    coverage_factor: float = 2.0
    lower_bound: float | None = None
    upper_bound: float | None = None
    instrument_uncertainty: float = 0.0
    """Standard uncertainty of clock or instrument alone; the bounds leave it out."""
    runs: int = 1
    """Independent runs that stand behind the value."""
    queries: int = 0
    method: str = ""
    evidence_class: EvidenceClass | None = None
    condition: str = ""
    """Under which of a scenario's loads, ``prompt=1024, output=128, users=1``; empty
    where it has one only."""
    budget: tuple[BudgetRow, ...] = ()
    """What u is made of, largest first; only for figures of power and energy."""
    floor_ratio: float | None = None
    """Expanded uncertainty over the value that no longer window would make smaller;
    None where no meter stands behind the figure."""

    def __post_init__(self) -> None:
        numbers = (self.value, self.standard_uncertainty, self.coverage_factor)
        if not all(isfinite(number) for number in numbers):
            raise ValueError(f"an estimate of {self.measurand.name} must be finite")
        uncertainties = (self.standard_uncertainty, self.instrument_uncertainty)
        if min(uncertainties) < 0 or self.coverage_factor <= 0:
            raise ValueError("an uncertainty is never negative")

    @property
    def expanded_uncertainty(self) -> float:
        """U = k·u, in the unit of the measurand."""
        return self.coverage_factor * self.standard_uncertainty


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A figure that is not given, and why: said instead of a number.

    `needed_queries` is how many queries in one window would settle it, where that
    is the reason.
    """

    measurand: Measurand
    workload: str
    scenario: str
    origin: Origin
    reason: str
    """``too-few-queries``, ``no-power-readings``, ``not-readable``, ``trial-failed``,
    ``no-rate-kept-the-bound``, ``too-little-idle``, ``readings-lost``,
    ``readings-incomplete``, ``readings-not-believed``, ``clocks-not-related``,
    ``edges-not-seen``, ``no-time-stamps``, ``no-start-mark``"""
    needed_queries: int | None = None
    observed_queries: int = 0
    condition: str = ""

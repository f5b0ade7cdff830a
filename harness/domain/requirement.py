"""Tiers, requirements, verdicts and grades."""

from dataclasses import dataclass, field
from enum import StrEnum

from harness.domain.estimate import COUNTED, Estimate, Withheld
from harness.domain.finding import Validity
from harness.domain.origin import Origin
from harness.domain.profile import DeviceClass


class Tier(StrEnum):
    """Quality tiers, best first. D is what misses C."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class Sense(StrEnum):
    """On which side of the limit a good value lies."""

    AT_MOST = "<="
    AT_LEAST = ">="


class Verdict(StrEnum):
    """The four answers of ILAC-G8:09/2019, 4.2.3."""

    PASS = "pass"
    CONDITIONAL_PASS = "conditional pass"
    CONDITIONAL_FAIL = "conditional fail"
    FAIL = "fail"


class Kind(StrEnum):
    """Deadline rows hold for any model; relative rows for the named workload only."""

    DEADLINE = "deadline"
    RELATIVE = "relative"


NEEDS: frozenset[str] = frozenset(
    {
        "authority-report",
        "climatic-chamber",
        "end-to-end-chain",
        "event-store",
        "generator",
        "labelled-data",
        "optical-rig",
        "speech-recogniser",
        "standby-test",
        "thermometer",
        "whole-device-power",
    }
)
"""What would answer a row that nothing here measures."""

WHOLE_DEVICE_POWER = "whole-device-power"
CIRCUMSTANCES: frozenset[str] = frozenset({WHOLE_DEVICE_POWER})
"""Those that a measured row may need besides its figure: how it was taken."""

REASONS: frozenset[str] = frozenset(
    {
        # not measured
        "workload-not-in-suite",
        "scenario-not-run",
        "window-shorter-than-row",
        "not-the-reference-model",
        "os-class-only",
        "seeded-weights",
        "model-too-small",
        "no-labelled-items",
        "needs-meter",
        "no-estimate",
        "not-timed",
        # not measured, as the withheld figure says
        "too-few-queries",
        "no-power-readings",
        "not-readable",
        "trial-failed",
        "no-parent",
        "items-not-scored",
        "metric-undefined",
        "network-not-tried",
        "service-not-there",
        "no-languages",
        "too-few-items",
        "no-chinese-items",
        "all-on-the-device",
        "asks-a-service",
        "readings-lost",
        "readings-incomplete",
        "readings-not-believed",
        "too-little-idle",
        "clocks-not-related",
        "edges-not-seen",
        "no-time-stamps",
        "no-start-mark",
        # not determined
        "uncertainty-too-large",
        "spread-above-limit",
        "evidence-class-too-low",
        "run-invalid",
    }
    | {f"needs-{what}" for what in NEEDS}
)
"""Why a row has no answer. Statistics may withhold a figure for further reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One row of a tier set: a measurand, where it is taken, and three limits.

    `limits` are in the unit inside; `unit` is the unit that people see.
    `workloads` lists the workload ids that the row holds for (empty: all), and
    `scenario` the scenario ("" : any that gives the measurand). `measurand` is ""
    where nothing that this harness measures answers the row (an optical rig, a
    form from an authority): such a row can only be declared, and `needs` says what
    would answer it. `minimum_s` is the least duration of the scenario in seconds.
    """

    id: str
    measurand: str
    workloads: tuple[str, ...]
    scenario: str
    statement: str
    """Workload and statistic as the tier set states them, for print."""
    sense: Sense
    limits: dict[Tier, float]
    unit: str
    is_core: bool
    kind: Kind
    family: str
    """Metric family for the score: latency, energy, memory, accuracy, sustained;
    ``unscored`` for what says nothing about the product's quality by degrees."""
    evidence: str
    source: str
    uses_bound: bool = False
    """True for percentile, miss-rate and sensitivity rows: a one-sided 95 % bound
    takes the place of y + w."""
    needs: str = ""
    """One of `NEEDS` where `measurand` is empty; else "" or one of `CIRCUMSTANCES`."""
    minimum_s: float = 0.0
    excludes: tuple[str, ...] = ()
    """Workloads that a row for all does not hold for, since another one does."""
    least_parameters: float = 0.0
    """Of the model that answers the row; a smaller one says nothing about it."""
    condition: str = ""
    """Load of the scenario that the row holds for, as estimates name it; empty: any."""

    def __post_init__(self) -> None:
        a, b, c = (self.limits[tier] for tier in (Tier.A, Tier.B, Tier.C))
        ordered = a <= b <= c if self.sense is Sense.AT_MOST else a >= b >= c
        if not ordered:
            raise ValueError(f"the limits of row {self.id!r} are not in order")
        if min(a, b, c) < 0:
            raise ValueError(f"row {self.id!r} has a negative limit")
        if self.measurand in COUNTED:
            raise ValueError(f"row {self.id!r} limits instructions, which are no time")
        known = CIRCUMSTANCES if self.measurand else NEEDS
        if self.needs and self.needs not in known:
            raise ValueError(f"row {self.id!r} has an unknown need {self.needs!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTiers:
    """The rows of one device class, with the common rows already among them.

    `applies` names, for each sub-type, the rows that are core for it.
    """

    device_class: DeviceClass
    title_zh: str
    rows: tuple[Requirement, ...]
    applies: dict[str, tuple[str, ...]]
    weights: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What every device must meet before any tier; a failed gate means D."""

    id: str
    rule: str
    source: str
    title_zh: str = ""
    title_en: str = ""
    targets: dict[str, float] = field(default_factory=dict)
    """Workload → least value of its task metric, where the gate is about that."""


class GateStatus(StrEnum):
    """How a gate was decided."""

    MET = "met"
    MISSED = "missed"
    OPEN = "open"
    """Looked at, but too uncertain for an answer."""
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The answer to one gate; `subjects` names the trials or workloads that miss it."""

    gate: Gate
    status: GateStatus
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TierSet:
    """A versioned set of tiers: data, never code."""

    version: str
    status: str
    """``proposal`` until an authority prescribes the limits."""
    tier_titles_zh: dict[Tier, str]
    classes: dict[DeviceClass, ClassTiers]
    gates: tuple[Gate, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    """Key of a source, as rows name it → citation."""
    statement_zh: str = ""
    """The fixed sentence that no authority prescribes these limits."""
    statement_en: str = ""


class RowStatus(StrEnum):
    """Whether a row could be answered."""

    JUDGED = "judged"
    NOT_MEASURED = "not measured"
    NOT_DETERMINED = "not determined"
    """Measured, but too uncertain for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """The answer to one row.

    `guarded` is the best tier whose limit holds with the guard band (D where none
    does), `simple` the best tier whose limit the bare value meets. Both are None
    where the row was not judged; `reason` then says why.
    """

    requirement: Requirement
    is_core: bool
    """Core for the declared sub-types; may differ from the row's default."""
    status: RowStatus
    estimate: Estimate | None = None
    verdicts: dict[Tier, Verdict] = field(default_factory=dict)
    conformance: dict[Tier, float] = field(default_factory=dict)
    """p_c, the probability that the true value meets the limit (JCGM 106)."""
    guarded: Tier | None = None
    simple: Tier | None = None
    score: float | None = None
    """0-100; orders products of one grade and says nothing else."""
    reason: str = ""
    """One of `REASONS`, or what statistics withheld the figure for."""
    withheld: Withheld | None = None
    """The figure that is not given, with the number of queries that it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What a device reached. `tier` is None where it is not determined.

    `partial` is the worst tier of those core rows that were judged: what is known
    so far, never a grade. `missing` names the core rows without an answer.
    """

    tier: Tier | None
    partial: Tier | None
    missing: tuple[str, ...]
    worst_row: str | None
    rows: tuple[RowResult, ...]
    score: float | None
    validity: Validity
    origin: Origin
    unscored_families: tuple[str, ...] = ()
    """Families that the class weighs and that no judged row stands for; the score's
    other weights were scaled up to 1."""
    gates: tuple[GateResult, ...] = ()
    """A missed one makes the tier D, whatever the rows say."""

    @property
    def missed_gates(self) -> tuple[str, ...]:
        """Name the gates that were missed."""
        return tuple(
            one.gate.id for one in self.gates if one.status is GateStatus.MISSED
        )

    @property
    def is_evidence(self) -> bool:
        """Say whether the grade may support an application."""
        return self.origin.is_evidence and self.validity is not Validity.INVALID

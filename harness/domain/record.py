"""The record of a run as it is read back: everything downstream starts from it."""

from array import array
from dataclasses import dataclass, field

from harness.domain.counting import InstructionsCounted, KernelsCompared
from harness.domain.finding import Finding
from harness.domain.plan import Plan, Trial
from harness.domain.query import (
    ItemsScored,
    MemoryMeasured,
    ModelLoaded,
    NetworkTried,
    Outcome,
    OutputsChecked,
    OverheadMeasured,
    Phase,
    PulsesMade,
    RepeatsProbed,
    ServiceAsked,
    WindowsMarked,
)
from harness.domain.reading import ReadingBlock
from harness.domain.sut import ConditionsReached, SutDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """All queries of one trial as columns, array('q') each; phases by name per row."""

    scheduled_ns: "array[int]"
    issued_ns: "array[int]"
    completed_ns: "array[int]"
    is_measured: "array[int]"
    """array('b'): 1 in the measured window, 0 in warm-up."""
    segment: "array[int]"
    """array('q'): probe of a search, from 0."""
    samples_per_query: int = 1
    segment_rates_hz: dict[int, float] = field(default_factory=dict)
    inner_counts: "array[int]" = field(default_factory=lambda: array("q"))
    """array('q'): stages or tokens of each query; empty where it has none."""
    inner_ns: "array[int]" = field(default_factory=lambda: array("q"))
    """array('q'): when each of them was done or there, query after query."""

    def __len__(self) -> int:
        return len(self.completed_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """What one trial left. `outcome` is None where the record ends inside it."""

    trial: Trial
    outcome: Outcome | None
    reason: str = ""
    clock: str = ""
    phases: tuple[tuple[Phase, int], ...] = ()
    """Phases in order, each with the time in ns at which it began."""
    pulses: tuple[PulsesMade, ...] = ()
    """Marks of load before and after, for a meter with a clock of its own."""
    marked: WindowsMarked | None = None
    """Windows that are in the trace of a meter only: the device told no time."""
    queries: Queries | None = None
    readings: tuple[ReadingBlock, ...] = ()
    loaded: ModelLoaded | None = None
    overhead: OverheadMeasured | None = None
    memory: MemoryMeasured | None = None
    outputs: OutputsChecked | None = None
    scored: tuple[ItemsScored, ...] = ()
    """Answers to items, of each source at most once."""
    repeats: RepeatsProbed | None = None
    services: tuple[ServiceAsked, ...] = ()
    """Of a pipeline that asks services, each stage of them once."""
    networks: tuple[NetworkTried, ...] = ()
    """Networks that the workload was tried on after this trial."""
    counted: tuple[InstructionsCounted, ...] = ()
    """Of an emulated processor: each model that was counted on each of them."""
    compared: tuple[KernelsCompared, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
    started_at: str = ""
    """Wall-clock UTC, ISO 8601, for people."""
    ended_at: str = ""
    conditions: ConditionsReached | None = None
    """Conditions read just before the trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a bundle: digest and size."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Name → file, for every file under `evidence/` but the manifest itself."""

    files: dict[str, FileEntry]
    format: str = "duanping/manifest/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabInfo:
    """What a report under ISO/IEC 17025 7.8 says of lab, customer and item.

    Keys as in the method's table: ``lab.name``, ``customer.name``, ``item.brand`` …
    What was not given is not here; the report says "not given".
    """

    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """The evidence of one run, whole or as far as it got."""

    name: str
    """Name of the bundle's folder."""
    plan: Plan
    plan_id: str
    """sha256 of the bytes of plan.json."""
    suts: dict[str, SutDescription]
    """Target address → what answered there."""
    trials: tuple[TrialRecord, ...]
    """In the order of the plan; trials that were never started are not here."""
    findings: tuple[Finding, ...] = ()
    """Found while the run was carried out; more are derived from the record."""
    lab: LabInfo = field(default_factory=LabInfo)
    started_at: str = ""
    ended_at: str = ""
    is_complete: bool = True
    """False where the run was killed or interrupted and not resumed."""
    harness_version: str = ""

"""Queries and everything else that a trial reports while it is executed."""

import base64
import zlib
from array import array
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from harness.domain.counting import InstructionsCounted, KernelsCompared
from harness.domain.labelled import Metric, Source
from harness.domain.network import Network
from harness.domain.reading import ReadingBlock


class Phase(StrEnum):
    """The parts of a trial, in order (method, section 1)."""

    BASELINE_BEFORE = "baseline_before"
    PREAMBLE = "preamble"
    """Pulses of load that relate a meter's clock to the trial's; only with a meter."""
    LOAD = "load"
    WARM_UP = "warm_up"
    MEASURED = "measured"
    POSTAMBLE = "postamble"
    """The pulses again, backwards: they tell how the clocks drifted apart."""
    BASELINE_AFTER = "baseline_after"
    AFTERWARDS = "afterwards"
    """Answers are scored and repeats probed: in no window and in no baseline."""


class Outcome(StrEnum):
    """How a trial ended."""

    DONE = "done"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    HUNG = "hung"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"
    """The model or the plan was refused before anything was executed."""
    FAILED = "failed"
    """The runtime reported an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """The target took the trial; all times of the trial are of this clock."""

    trial: str
    clock: str
    kind: Literal["TrialStarted"] = "TrialStarted"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEntered:
    """A phase of the trial began."""

    trial: str
    phase: Phase
    at_ns: int
    kind: Literal["PhaseEntered"] = "PhaseEntered"


@dataclass(frozen=True, slots=True, kw_only=True)
class PulsesMade:
    """The device worked from rise k to fall k and rested in between (trial's clock).

    The times are those at which it really began and ceased, not those planned.
    """

    trial: str
    phase: Phase
    """`PREAMBLE` or `POSTAMBLE`."""
    rises_ns: tuple[int, ...]
    falls_ns: tuple[int, ...]
    kind: Literal["PulsesMade"] = "PulsesMade"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsMarked:
    """Windows of many inferences each, which the device marked for a meter alone.

    A pin of the device fell at the begin and at the end of each, at the meter's input
    `input`; it told no time. `begun_ns` and `ended_ns` are when the host heard of them
    (trial's clock): they say where in the trace to look, not how long a window was.
    """

    trial: str
    input: str
    inferences: tuple[int, ...]
    begun_ns: tuple[int, ...]
    ended_ns: tuple[int, ...]
    kind: Literal["WindowsMarked"] = "WindowsMarked"

    def __post_init__(self) -> None:
        if not self.inferences or not (
            len(self.inferences) == len(self.begun_ns) == len(self.ended_ns)
        ):
            raise ValueError("each window has inferences, a begin and an end")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoaded:
    """The model is ready; digest as read on the device, and what the runtime did.

    `quantised_nodes` of `quantisable_nodes` (convolutions, matrix products) run as
    fused integer kernels after the runtime's own optimisation; None: not read.
    `placement` counts nodes per execution provider. `load_ns` is None where the
    trial's clock is `UNTIMED`.
    """

    trial: str
    sha256: str
    load_ns: int | None
    quantised_nodes: int | None = None
    quantisable_nodes: int | None = None
    placement: dict[str, int] = field(default_factory=dict)
    kind: Literal["ModelLoaded"] = "ModelLoaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverheadMeasured:
    """The harness's own cost: an identity model of the same input shape.

    `latency_*` is what the loop records for a query that does nothing; `gap_p50_ns`
    is the time from one completion to the next issue. None where virtual.
    """

    trial: str
    queries: int
    latency_p50_ns: int
    latency_p90_ns: int
    gap_p50_ns: int
    kind: Literal["OverheadMeasured"] = "OverheadMeasured"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryBlock:
    """Completed queries in order of issue; array('q') each, in ns of the trial's clock.

    Latency is completed - scheduled. Back-to-back scenarios are scheduled when they
    are issued. `segment` counts the probes of a search (Server) from 0, each at
    `rate_hz`. In ColdStart a query is scheduled at the start of its process.

    `inner_ns` holds instants inside of queries, query after query, and `inner_counts`
    how many each has: when the stages of a pipeline were done, or when the tokens of
    an answer were there. Both are empty elsewhere. In LlmDecode a query is an answer
    and `segment` its level.
    """

    trial: str
    phase: Phase
    samples_per_query: int
    scheduled_ns: "array[int]"
    issued_ns: "array[int]"
    completed_ns: "array[int]"
    segment: int = 0
    rate_hz: float | None = None
    inner_counts: "array[int]" = field(default_factory=lambda: array("q"))
    inner_ns: "array[int]" = field(default_factory=lambda: array("q"))
    kind: Literal["QueryBlock"] = "QueryBlock"

    def __post_init__(self) -> None:
        if not (
            len(self.scheduled_ns) == len(self.issued_ns) == len(self.completed_ns)
        ):
            raise ValueError("a query needs three times")
        if len(self.inner_counts) not in {0, len(self.issued_ns)}:
            raise ValueError("each query has a number of inner instants")
        if sum(self.inner_counts) != len(self.inner_ns):
            raise ValueError("the inner instants do not add up")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingsTaken:
    """Readings of one channel during the trial."""

    trial: str
    block: ReadingBlock
    kind: Literal["ReadingsTaken"] = "ReadingsTaken"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryMeasured:
    """Memory of the process beside the model, in bytes; None: not readable here.

    `peak_bytes` is the kernel's high-water mark since before the load, over the
    whole trial; `baseline_bytes` the resident set before the model was loaded;
    `retained_bytes` after it was let go. `arena_bytes` (activations) and
    `weights_bytes` are for microcontrollers. `method` names the source
    (``VmHWM``, ``ru_maxrss``, ``psutil``, ``model``; ``smaps``: the peak is the largest
    of samples of an emulated program's own pages).
    """

    trial: str
    method: str
    baseline_bytes: int | None = None
    loaded_bytes: int | None = None
    peak_bytes: int | None = None
    retained_bytes: int | None = None
    pss_bytes: int | None = None
    weights_bytes: int | None = None
    arena_bytes: int | None = None
    kind: Literal["MemoryMeasured"] = "MemoryMeasured"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsChecked:
    """What came out of the model: sampled timed queries against untimed ones.

    `compared` samples were computed again outside the timed window;
    `differing` of them did not agree; `non_finite` hold NaN or infinity.
    """

    trial: str
    compared: int
    differing: int
    non_finite: int
    sha256: str
    """Digest of the first sample's outputs, tensor bytes in order."""
    kind: Literal["OutputsChecked"] = "OutputsChecked"


HOST_CLOCK = "monotonic"
"""Name of the host's own clock, which also stamps readings as they arrive."""
UNTIMED = "untimed"
"""Name of the clock of a trial that has none: its target computes what a device would
compute, and not in the time that the device takes. Such a trial has no queries, no
phases, no power and no load: whatever says when or how long."""
CLOCK_PAIRS = "clock.pairs"
"""Key of the note that holds pairs of readings of a board's and the host's clock:
``host_ns board_ns u_ns`` a pair, in order of time, ``;`` between them."""
HOST_BOOT = "clock.host_boot"
"""Key of the note that names the start of the host whose clock these pairs are of."""
FIRMWARE_MODEL = "firmware_model"
"""Key of the note that names a model which is in the firmware, not the plan's file."""
TOKENISATION = "decode.tokenisation"
"""Key of the note that says whether tokenisation is ``in`` or ``out`` of the times."""
SERVED = "decode.users"
"""Key of the note that says how several users of a language model were served."""


class Serving(StrEnum):
    """How several users of a language model are served."""

    ALONE = "one user"
    IN_TURN = "in turn"
    """Their steps one after the other."""
    FIXED = "fixed batch"
    """As one batch, which begins and ends for all at once."""
    CONTINUOUS = "continuous batch"
    """Steps together, prompts as they come."""


OUTPUTS = "outputs"
"""In place of a metric: values of the outputs of items that have no label."""
_LARGEST_BYTES = 1 << 28
"""Rows that unpack to more are taken for damage."""


def _unpacked_size(packed: str) -> int:
    """Count the bytes in packed rows. Raises ValueError for anything else."""
    unpacking = zlib.decompressobj()
    try:
        data = base64.b64decode(packed, validate=True)
        size = len(unpacking.decompress(data, _LARGEST_BYTES))
    except zlib.error as error:
        raise ValueError(f"these are no packed rows: {error}") from error
    if not unpacking.eof:
        raise ValueError("these packed rows are cut, or far too many")
    return size


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsScored:
    """Answers to numbered items: scored against labels, or values of the outputs.

    `packed` holds a row or more an item (`harness.scoring.rows`): the item's number
    and `width` reals. `metric` is a `Metric`, or ``outputs`` where the items have no
    label and values of the outputs themselves are kept. `data_sha256` names the
    labelled data; empty: items drawn from the sample seed.
    """

    trial: str
    model: str
    """Name of the model that answered, among the plan's."""
    source: Source
    metric: str
    items: int
    width: int
    packed: str
    data_sha256: str = ""
    kind: Literal["ItemsScored"] = "ItemsScored"

    def __post_init__(self) -> None:
        least = 1 if self.metric == OUTPUTS else Metric(self.metric).columns
        if self.width < least:
            raise ValueError(f"{self.metric} has {least} columns, not {self.width}")
        if self.metric == Metric.MIOU and self.width % 2:
            raise ValueError("a class has an intersection and a union")
        size = _unpacked_size(self.packed)
        if not size or size % (8 * (1 + self.width)):
            raise ValueError("these are no whole rows of scores")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTensor:
    """One output as its bytes: little-endian, in C order."""

    dtype: str
    shape: tuple[int, ...]
    base64: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersGiven:
    """The outputs of one call, from an agent that cannot score them; never recorded.

    The host makes them into `ItemsScored` as they come.
    """

    trial: str
    source: Source
    numbers: tuple[int, ...]
    """Samples in the call."""
    outputs: tuple[GivenTensor, ...]
    kind: Literal["AnswersGiven"] = "AnswersGiven"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatsProbed:
    """Latencies in ns of one input again and again, and of inputs never seen before.

    Taken after the window, by turns; `rotated_ns` are of the window's own inputs.
    """

    trial: str
    rounds: int
    """Each of the three has as many latencies in every round."""
    repeated_ns: tuple[int, ...]
    rotated_ns: tuple[int, ...]
    fresh_ns: tuple[int, ...]
    kind: Literal["RepeatsProbed"] = "RepeatsProbed"

    def __post_init__(self) -> None:
        for latencies in (self.repeated_ns, self.rotated_ns, self.fresh_ns):
            if self.rounds < 1 or not latencies or len(latencies) % self.rounds:
                raise ValueError("every round has as many latencies, and at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAsked:
    """When a stage's service gave no answer in time, and the stage was executed here.

    Instants in ns of the trial's clock, in order, warm-up and trials of the binding
    among them; `faults` counts why.
    """

    trial: str
    stage: str
    fell_back_ns: tuple[int, ...]
    faults: dict[str, int]
    kind: Literal["ServiceAsked"] = "ServiceAsked"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTried:
    """Queries of the trial's workload on one network, in a namespace made for it.

    `latencies_ns` are of the queries that were answered, in order; `fell_back` holds
    the places of those that a service was asked for in vain. `outcome` and `reason`
    say how the process ended.
    """

    trial: str
    network: Network
    round: int
    """Number of the round, from 1: in each all networks come once."""
    method: str
    """What treated the packets so."""
    seed: int
    latencies_ns: tuple[int, ...]
    outcome: Outcome
    reason: str = ""
    fell_back: tuple[int, ...] = ()
    outputs_sha256: str = ""
    """Digest of the first sample's outputs; empty where a service may give others,
    and of a language model, whose answers are to ever new prompts."""
    differing: int = 0
    """Timed outputs that did not agree with untimed ones, or are no numbers."""
    kind: Literal["NetworkTried"] = "NetworkTried"

    def __post_init__(self) -> None:
        if self.round < 1 or any(latency < 0 for latency in self.latencies_ns):
            raise ValueError("rounds count from 1, and no latency is negative")
        if self.fell_back and max(self.fell_back) >= len(self.latencies_ns):
            raise ValueError("only a query that was answered can have fallen back")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A fact that belongs in the record and has no noun of its own."""

    trial: str
    key: str
    value: str
    kind: Literal["Noted"] = "Noted"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """Always the last event of a trial, also after a failure."""

    trial: str
    outcome: Outcome
    queries: int
    reason: str = ""
    kind: Literal["TrialEnded"] = "TrialEnded"


TrialEvent = (
    TrialStarted
    | PhaseEntered
    | PulsesMade
    | WindowsMarked
    | ModelLoaded
    | OverheadMeasured
    | QueryBlock
    | ReadingsTaken
    | MemoryMeasured
    | InstructionsCounted
    | KernelsCompared
    | OutputsChecked
    | ItemsScored
    | RepeatsProbed
    | ServiceAsked
    | NetworkTried
    | Noted
    | TrialEnded
)
"""What a record holds."""
LinkEvent = TrialEvent | AnswersGiven
"""What an agent says over its link."""


def says_a_time(event: TrialEvent) -> bool:
    """Say whether an event tells when, how long or at what power something happened.

    Readings are stamped, so any of them does.
    """
    match event:
        case ModelLoaded():
            return event.load_ns is not None
        case (
            PhaseEntered()
            | PulsesMade()
            | OverheadMeasured()
            | QueryBlock()
            | ReadingsTaken()
            | RepeatsProbed()
        ):
            return True
        case _:
            return False

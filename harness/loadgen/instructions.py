"""What the state machine of a trial asks for, and what it is told came of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.domain.query import Phase
from harness.loadgen.pulses import Burst as PulseBurst


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Do nothing until the instant: a baseline."""

    phase: Phase
    until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Work and rest in turn, at these instants, then rest until the last one."""

    phase: Phase
    pulses: PulseBurst
    until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Make the model ready."""

    phase: Phase = Phase.LOAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Queries back to back until there are enough of them *and* the instant is past."""

    phase: Phase
    samples_per_query: int
    queries: int
    until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Queries at scheduled instants, each as soon as it is due and the last is done.

    Query i is due `offsets_ns[i]` after `origin_ns`; None: an instant that the pump
    chooses once all is ready, so that the first query is on time. The replay is given
    up when more than `allowed_late` queries took longer than `bound_ns` from their
    scheduled instant; both None: never.
    """

    phase: Phase
    samples_per_query: int
    offsets_ns: NDArray[np.int64]
    origin_ns: int | None = None
    segment: int = 0
    rate_hz: float | None = None
    bound_ns: int | None = None
    allowed_late: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Converse:
    """Generations until there are enough of them *and* `duration_ns` has passed.

    `users` ask at once, each again as soon as it is answered; time counts from the
    first prompt, since room for the answers is made before it.
    """

    phase: Phase
    segment: int
    users: int
    prompt_tokens: int
    output_tokens: int
    stops_at_end: bool
    generations: int
    duration_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The trial is over."""


Instruction = Idle | Mark | Load | Burst | Replay | Converse | Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The trial begins, a baseline or a mark is over, or the model is ready."""

    now_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstDone:
    """A burst is over: so many queries in so many ns, gaps included."""

    now_ns: int
    queries: int
    elapsed_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayDone:
    """A replay is over: `late` of its queries missed the bound, or it was given up."""

    now_ns: int
    late: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConverseDone:
    """Enough was generated."""

    now_ns: int
    generations: int


Event = Reached | BurstDone | ReplayDone | ConverseDone

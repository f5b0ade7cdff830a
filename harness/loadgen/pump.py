"""The only loop that waits: carries out the machine's instructions and keeps time.

Between the two clock readings of a query there is the call itself and nothing else:
no allocation, no logging, no wait. Buffers are made before a window; what they hold
is handed on between queries, so that a crash loses half a second at most.
"""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, assert_never, runtime_checkable

import numpy as np

from harness.clock import Clock
from harness.domain.plan import Trial
from harness.domain.query import (
    ModelLoaded,
    Phase,
    PhaseEntered,
    PulsesMade,
    QueryBlock,
    TrialEvent,
)
from harness.loadgen.converse import Decoder, Talk
from harness.loadgen.instructions import (
    Burst,
    BurstDone,
    Converse,
    ConverseDone,
    Event,
    Finish,
    Idle,
    Instruction,
    Load,
    Mark,
    Reached,
    Replay,
    ReplayDone,
)
from harness.loadgen.machine import begin, step

BLOCK_NS = 500_000_000
"""Queries are handed on at least this often where the pattern of arrivals allows."""
BLOCK_ROWS = 8192
"""A block is never larger; its three columns and their text stay below 1 MB."""
SLACK_NS = 10_000_000
"""Scheduled queries are handed on only in a pause at least this long."""
LEAD_NS = 10_000_000
"""A schedule begins this long after it is ready, so that its first query is on time."""
_NEVER_LATE_NS = 2**63 - 1

Query = Callable[[], object]
Emit = Callable[[TrialEvent], None]


class Executor(Protocol):
    """What executes queries: a runtime's session, or a model of a device."""

    def load(self) -> ModelLoaded:
        """Make the model ready; the load begins when this is called."""
        ...

    def queries(self, phase: Phase, samples_per_query: int) -> Iterator[Query]:
        """Give query after query, without end; calling one executes it and blocks.

        Asked for anew when a phase begins. Between two queries the iterator may
        look at what came out: that time lies in the gap, never in a latency.
        """
        ...

    def work_until(self, instant_ns: int) -> None:
        """Keep the device at work until the instant; the model may not be there yet."""
        ...


@runtime_checkable
class StagedExecutor(Executor, Protocol):
    """An executor whose queries may have stages, each with an instant of its own."""

    def take_inner(self) -> "array[int]":
        """Give the instants inside of queries since the last time, and forget them.

        Each query has as many; none at all where queries have no stages.
        """
        ...


@runtime_checkable
class DecodingExecutor(Executor, Protocol):
    """An executor of a language model, which answers token by token."""

    def decoder(self) -> Decoder:
        """Give what answers, once the model is loaded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One process of a ColdStart trial: when it was started, in ns of the clock."""

    begun_ns: int


def run_trial(
    trial: Trial,
    executor: Executor,
    clock: Clock,
    emit: Emit,
    *,
    launch: Launch | None = None,
) -> int:
    """Carry a trial out and give its number of queries, warm-up included.

    Emits PhaseEntered, PulsesMade, ModelLoaded (once) and QueryBlock; TrialStarted
    and TrialEnded are the caller's. A ColdStart trial is carried out whole, each load
    as one start of a process, unless `launch` is given: then this process is one of
    them, and its query counts from the launch. With a virtual clock it is the
    executor whose loads and queries let time pass.
    """
    pump = _Pump(trial, executor, clock, emit)
    state = begin(trial, starts=None if launch is None else 1)
    now = clock.now_ns() if launch is None else launch.begun_ns
    event: Event | None = Reached(now_ns=now)
    while event is not None:
        state, instruction = step(state, event)
        event = pump.carry_out(instruction)
    return pump.queries


def time_back_to_back(
    calls: Iterator[Query], clock: Clock, *, rows: int, until_ns: int
) -> "Times":
    """Time queries by the very loop of a burst.

    It ends after `rows` queries or with the first that completes at `until_ns` or
    later.
    """
    times = Times(rows)
    count = _back_to_back(calls, clock.now_ns, until_ns, rows, times)
    return times.part(0, count)


class Times:
    """When queries were issued and completed: two columns of array('q'), in ns."""

    def __init__(self, rows: int) -> None:
        self.issued_ns = array("q", bytes(8 * rows))
        self.completed_ns = array("q", bytes(8 * rows))

    def part(self, first: int, end: int) -> "Times":
        """Give a copy of the rows from `first` to before `end`."""
        times = Times(0)
        times.issued_ns = self.issued_ns[first:end]
        times.completed_ns = self.completed_ns[first:end]
        return times


class _Pump:
    """One trial in progress."""

    def __init__(
        self, trial: Trial, executor: Executor, clock: Clock, emit: Emit
    ) -> None:
        self.queries = 0
        self._trial = trial
        self._executor = executor
        self._clock = clock
        self._emit = emit
        self._phase: Phase | None = None
        self._calls: Iterator[Query] | None = None
        self._has_loaded = False
        self._times = Times(BLOCK_ROWS)

    def carry_out(  # noqa: PLR0911 - one line an instruction
        self, instruction: Instruction
    ) -> Event | None:
        """Do what the machine says; gives what came of it, None at the end."""
        match instruction:
            case Idle(phase=phase, until_ns=until_ns):
                self._enter(phase)
                self._clock.wait_until(until_ns)
                return Reached(now_ns=self._clock.now_ns())
            case Mark():
                self._enter(instruction.phase)
                return self._mark(instruction)
            case Load(phase=phase):
                self._enter(phase)
                return self._load()
            case Burst():
                return self._burst(instruction)
            case Replay():
                return self._replay(instruction)
            case Converse():
                return self._converse(instruction)
            case Finish():
                return None
            case _:
                assert_never(instruction)

    def _enter(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase, self._calls = phase, None
            now = self._clock.now_ns()
            self._emit(PhaseEntered(trial=self._trial.id, phase=phase, at_ns=now))

    def _calls_in(self, phase: Phase, samples_per_query: int) -> Iterator[Query]:
        self._enter(phase)
        if self._calls is None:
            self._calls = self._executor.queries(phase, samples_per_query)
        return self._calls

    def _load(self) -> Reached:
        loaded = self._executor.load()
        now = self._clock.now_ns()
        if not self._has_loaded:
            self._emit(loaded)
            self._has_loaded = True
        return Reached(now_ns=now)

    def _mark(self, do: Mark) -> Reached:
        """Work and rest as scheduled, and say when that really was."""
        clock, rises, falls = self._clock, [], []
        pulses = zip(do.pulses.rises_ns, do.pulses.falls_ns, strict=True)
        for rise_ns, fall_ns in pulses:
            clock.wait_until(rise_ns)
            rises.append(clock.now_ns())
            self._executor.work_until(fall_ns)
            falls.append(clock.now_ns())
        clock.wait_until(do.until_ns)
        self._emit(
            PulsesMade(
                trial=self._trial.id,
                phase=do.phase,
                rises_ns=tuple(rises),
                falls_ns=tuple(falls),
            )
        )
        return Reached(now_ns=clock.now_ns())

    def _burst(self, do: Burst) -> BurstDone:
        calls = self._calls_in(do.phase, do.samples_per_query)
        now_ns, times = self._clock.now_ns, self._times
        begun_ns = last_ns = now_ns()
        done = 0
        while done < do.queries or last_ns < do.until_ns:
            stop_ns, rows = last_ns + BLOCK_NS, BLOCK_ROWS
            if done >= do.queries:
                stop_ns = min(stop_ns, do.until_ns)
            elif last_ns >= do.until_ns:
                rows = min(rows, do.queries - done)
            count = _back_to_back(calls, now_ns, stop_ns, rows, times)
            done += count
            last_ns = times.completed_ns[count - 1]
            head = times.part(0, count)
            self._hand_on(do, head.issued_ns, head)
        return BurstDone(now_ns=now_ns(), queries=done, elapsed_ns=last_ns - begun_ns)

    def _replay(self, do: Replay) -> ReplayDone:
        calls = self._calls_in(do.phase, do.samples_per_query)
        schedule = _Schedule(do, self._clock)
        while not schedule.is_over:
            first = schedule.row
            schedule.run_to_pause(calls, self._clock)
            due_ns = schedule.due_ns[first : schedule.row]
            times = schedule.times.part(first, schedule.row)
            self._hand_on(do, due_ns, times)
        return ReplayDone(now_ns=self._clock.now_ns(), late=schedule.late)

    def _converse(self, do: Converse) -> ConverseDone:
        if not isinstance(self._executor, DecodingExecutor):
            raise TypeError(f"trial {self._trial.id} has nothing that generates")
        self._enter(do.phase)
        draws = np.random.default_rng((self._trial.seeds.arrival, do.segment))
        talk = Talk(do, self._executor.decoder(), self._clock, draws)
        for block in talk.blocks(self._trial.id, BLOCK_NS):
            self.queries += len(block.completed_ns)
            self._emit(block)
        return ConverseDone(now_ns=self._clock.now_ns(), generations=talk.done)

    def _hand_on(
        self, do: Burst | Replay, scheduled_ns: "array[int]", times: Times
    ) -> None:
        self.queries += len(scheduled_ns)
        inner_ns = array("q")
        if isinstance(self._executor, StagedExecutor):
            inner_ns = self._executor.take_inner()
        each = len(inner_ns) // max(len(scheduled_ns), 1)
        self._emit(
            QueryBlock(
                trial=self._trial.id,
                phase=do.phase,
                samples_per_query=do.samples_per_query,
                scheduled_ns=scheduled_ns,
                issued_ns=times.issued_ns,
                completed_ns=times.completed_ns,
                segment=do.segment if isinstance(do, Replay) else 0,
                rate_hz=do.rate_hz if isinstance(do, Replay) else None,
                inner_counts=array("q", [each] * len(scheduled_ns) if each else []),
                inner_ns=inner_ns,
            )
        )


class _Schedule:
    """A replay in progress: which query is next, and how many came too late."""

    def __init__(self, do: Replay, clock: Clock) -> None:
        self.times = Times(len(do.offsets_ns))
        origin_ns = do.origin_ns
        if origin_ns is None:
            origin_ns = clock.now_ns() + LEAD_NS
        self.due_ns = array("q", (do.offsets_ns + origin_ns).tobytes())
        self.row = 0
        self.late = 0
        self._bound_ns = _NEVER_LATE_NS if do.bound_ns is None else do.bound_ns
        self._allowed_late = (
            len(self.due_ns) if do.allowed_late is None else do.allowed_late
        )

    @property
    def is_over(self) -> bool:
        """Say whether no query is left, or too many were late."""
        return self.row == len(self.due_ns) or self.late > self._allowed_late

    def run_to_pause(self, calls: Iterator[Query], clock: Clock) -> None:
        """Execute queries up to a pause in which they can be handed on, or the end."""
        due_ns, row, last = self.due_ns, self.row, len(self.due_ns) - 1
        issued, completed = self.times.issued_ns, self.times.completed_ns
        now_ns, wait_until = clock.now_ns, clock.wait_until
        bound_ns, spare = self._bound_ns, self._allowed_late - self.late
        pause_from_ns = now_ns() + BLOCK_NS
        for call in calls:
            due = due_ns[row]
            wait_until(due)
            start = now_ns()
            call()
            end = now_ns()
            issued[row] = start
            completed[row] = end
            row += 1
            spare -= end - due > bound_ns
            if row > last or spare < 0:
                break
            if end >= pause_from_ns and due_ns[row] - end >= SLACK_NS:
                break
        self.row, self.late = row, self._allowed_late - spare


def _back_to_back(
    calls: Iterator[Query],
    now_ns: Callable[[], int],
    stop_ns: int,
    rows: int,
    times: Times,
) -> int:
    """Fill `times` until it holds `rows` or a query completes at `stop_ns` or later."""
    issued, completed = times.issued_ns, times.completed_ns
    row = 0
    for call in calls:
        start = now_ns()
        call()
        end = now_ns()
        issued[row] = start
        completed[row] = end
        row += 1
        if end >= stop_ns or row == rows:
            break
    return row

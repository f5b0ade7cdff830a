"""Scenarios as a pure state machine: events in, instructions out.

It has no clock and never waits; every event says when it happened. Instructions are
coarse (thousands of queries each), so nothing of this runs inside a timed window.
The order of phases is that of the method, section 1: idle baseline, load, warm-up,
measured window or windows, idle baseline. ColdStart has none but load and query.
Where a meter needs marks, pulses follow the first baseline and precede the last.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

import numpy as np

from harness.domain.plan import Minimum, Trial
from harness.domain.query import Phase
from harness.domain.scenario import (
    ColdStart,
    LlmDecode,
    LlmSustained,
    MultiStream,
    Offline,
    Periodic,
    Server,
    SingleStream,
    Sustained,
    Talking,
    talk_of,
)
from harness.loadgen.arrivals import periodic, poisson
from harness.loadgen.earlystop import allowed_late, needed_queries
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
from harness.loadgen.pulses import PulsePlan
from harness.loadgen.search import Search
from harness.units import NS_PER_S

COLD_STARTS_AT_MOST = 30
"""More fresh processes than this add time and no knowledge (p90 needs 29)."""


class Stage(Enum):
    """What the last instruction was for."""

    OUTSET = "outset"
    BASELINE = "baseline"
    MARKING = "marking"
    LOADING = "loading"
    WARMING = "warming"
    MEASURING = "measuring"
    MARKING_AGAIN = "marking again"
    SETTLING = "settling"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a trial stands. Made by `begin`, moved by `step`."""

    trial: Trial
    starts_left: int
    stage: Stage = Stage.OUTSET
    loading_ns: int = 0
    """When the load began; in ColdStart the query counts from here."""
    search: Search | None = None
    allowed_late: int = 0
    level: int = 0
    """Load of an LlmDecode trial that is warmed up or measured."""


def cold_starts(trial: Trial) -> int:
    """Say how many fresh processes a ColdStart trial takes: its minimum, capped."""
    return min(trial.minimum.queries, COLD_STARTS_AT_MOST)


def samples_per_query(trial: Trial) -> int:
    """Say how many samples each query of the trial holds."""
    match trial.scenario:
        case (
            MultiStream(samples_per_query=samples) | Offline(samples_per_query=samples)
        ):
            return samples
        case (
            SingleStream()
            | Server()
            | Periodic()
            | Sustained()
            | ColdStart()
            | LlmDecode()
            | LlmSustained()
        ):
            return 1
        case _:
            assert_never(trial.scenario)


def begin(trial: Trial, *, starts: int | None = None) -> State:
    """Make the state before the first event.

    `starts` is for ColdStart only: how many of its loads this machine carries out;
    by default all. A target with real processes asks for one in each.
    """
    return State(
        trial=trial, starts_left=cold_starts(trial) if starts is None else starts
    )


def step(  # noqa: C901, PLR0911 - one line a stage
    state: State, event: Event
) -> tuple[State, Instruction]:
    """Take an event; give the state after it and what to do next.

    Raises ValueError for an event that cannot follow what was asked for.
    """
    match state.stage, event:
        case Stage.OUTSET, Reached(now_ns=now):
            return _baseline_or_load(state, now)
        case Stage.BASELINE, Reached(now_ns=now):
            return _mark_or_load(state, now)
        case Stage.MARKING, Reached(now_ns=now):
            return _load(state, now)
        case Stage.LOADING, Reached(now_ns=now):
            return _first_queries(state, now)
        case Stage.WARMING, BurstDone():
            return _measure(state, event)
        case Stage.MEASURING, BurstDone(now_ns=now):
            return _mark_or_settle(state, now)
        case Stage.WARMING | Stage.MEASURING, ConverseDone(now_ns=now):
            return _after_level(state, now)
        case Stage.MEASURING, ReplayDone():
            return _after_replay(state, event)
        case Stage.MARKING_AGAIN, Reached(now_ns=now):
            return _settle(state, now)
        case Stage.SETTLING, Reached():
            return _over(state)
        case _:
            raise ValueError(f"{event} cannot come in stage {state.stage.value}")


def _baseline_or_load(state: State, now: int) -> tuple[State, Instruction]:
    if not state.trial.baseline_ns or isinstance(state.trial.scenario, ColdStart):
        return _mark_or_load(state, now)
    until = now + state.trial.baseline_ns
    idle = Idle(phase=Phase.BASELINE_BEFORE, until_ns=until)
    return replace(state, stage=Stage.BASELINE), idle


def _mark_or_load(state: State, now: int) -> tuple[State, Instruction]:
    plan = _pulses(state.trial)
    if plan is None:
        return _load(state, now)
    mark = Mark(
        phase=Phase.PREAMBLE,
        pulses=plan.preamble(now),
        until_ns=now + plan.duration_ns,
    )
    return replace(state, stage=Stage.MARKING), mark


def _mark_or_settle(state: State, now: int) -> tuple[State, Instruction]:
    plan = _pulses(state.trial)
    if plan is None:
        return _settle(state, now)
    start = now + _rest_of_period_ns(state.trial)
    mark = Mark(
        phase=Phase.POSTAMBLE,
        pulses=plan.postamble(start),
        until_ns=start + plan.duration_ns,
    )
    return replace(state, stage=Stage.MARKING_AGAIN), mark


def _rest_of_period_ns(trial: Trial) -> int:
    """Give a rest after which the last period, which is in the window, is over."""
    match trial.scenario:
        case Periodic(period_ns=period_ns):
            return period_ns
        case _:
            return 0


def _pulses(trial: Trial) -> PulsePlan | None:
    """Give the marks of a trial; a cold start has no window to be laid over."""
    if trial.pulses is None or isinstance(trial.scenario, ColdStart):
        return None
    return PulsePlan.of(trial.pulses)


def _load(state: State, now: int) -> tuple[State, Instruction]:
    return replace(state, stage=Stage.LOADING, loading_ns=now), Load()


def _first_queries(state: State, now: int) -> tuple[State, Instruction]:
    if isinstance(state.trial.scenario, ColdStart):
        return replace(state, stage=Stage.MEASURING), Replay(
            phase=Phase.MEASURED,
            samples_per_query=1,
            offsets_ns=np.zeros(1, dtype=np.int64),
            origin_ns=state.loading_ns,
        )
    state = replace(state, stage=Stage.WARMING)
    if isinstance(state.trial.scenario, Talking):
        return _at_level(state, state.trial.scenario)
    return state, _burst(state.trial, Phase.WARM_UP, state.trial.warm_up, now)


def _at_level(state: State, scenario: Talking) -> tuple[State, Converse]:
    """Warm up or measure at the level that the state is at."""
    is_warm = state.stage is Stage.MEASURING
    talk = talk_of(scenario)
    level = talk.levels[state.level]
    enough = state.trial.minimum if is_warm else state.trial.warm_up
    duration_ns = enough.duration_ns
    if is_warm and isinstance(scenario, LlmSustained):
        duration_ns = max(duration_ns, scenario.duration_ns)
    return state, Converse(
        phase=Phase.MEASURED if is_warm else Phase.WARM_UP,
        segment=state.level,
        users=level.users,
        prompt_tokens=level.prompt_tokens,
        output_tokens=talk.output_tokens,
        stops_at_end=talk.stops_at_end,
        generations=max(enough.queries, level.users),
        duration_ns=duration_ns,
    )


def _after_level(state: State, now: int) -> tuple[State, Instruction]:
    """Go on to the next level; all are warmed up before the first is measured."""
    scenario = state.trial.scenario
    if not isinstance(scenario, Talking):
        raise TypeError("a generation in a scenario that has none")
    if state.level + 1 < len(talk_of(scenario).levels):
        return _at_level(replace(state, level=state.level + 1), scenario)
    if state.stage is Stage.WARMING:
        return _at_level(replace(state, stage=Stage.MEASURING, level=0), scenario)
    return _mark_or_settle(state, now)


def _measure(state: State, warmed: BurstDone) -> tuple[State, Instruction]:
    state = replace(state, stage=Stage.MEASURING)
    trial, now = state.trial, warmed.now_ns
    match trial.scenario:
        case SingleStream() | MultiStream() | Offline() | ColdStart():
            return state, _burst(trial, Phase.MEASURED, trial.minimum, now)
        case Sustained(duration_ns=duration_ns):
            longer = Minimum(
                queries=trial.minimum.queries,
                duration_ns=max(duration_ns, trial.minimum.duration_ns),
            )
            return state, _burst(trial, Phase.MEASURED, longer, now)
        case Periodic(period_ns=period_ns):
            return state, Replay(
                phase=Phase.MEASURED,
                samples_per_query=1,
                offsets_ns=periodic(period_ns, trial.minimum),
            )
        case Server() as server:
            back_to_back_hz = warmed.queries * NS_PER_S / max(1, warmed.elapsed_ns)
            search = Search.begin(back_to_back_hz, server.rate_tolerance)
            return _probe(replace(state, search=search), server)
        case LlmDecode() | LlmSustained():
            raise ValueError("a language model is not warmed up by single queries")
        case _:
            assert_never(trial.scenario)


def _burst(trial: Trial, phase: Phase, minimum: Minimum, now: int) -> Burst:
    return Burst(
        phase=phase,
        samples_per_query=samples_per_query(trial),
        queries=minimum.queries,
        until_ns=now + minimum.duration_ns,
    )


def _after_replay(state: State, done: ReplayDone) -> tuple[State, Instruction]:
    match state.trial.scenario:
        case Server() as server:
            return _after_probe(state, server, done)
        case ColdStart() if state.starts_left > 1:
            again = replace(state, starts_left=state.starts_left - 1)
            return _load(again, done.now_ns)
        case _:
            return _mark_or_settle(state, done.now_ns)


def _after_probe(
    state: State, server: Server, done: ReplayDone
) -> tuple[State, Instruction]:
    if state.search is None:
        raise ValueError("a probe of a server without a search")
    search = state.search.after(is_kept=done.late <= state.allowed_late)
    state = replace(state, search=search)
    if search.is_over:
        return _mark_or_settle(state, done.now_ns)
    return _probe(state, server)


def _probe(state: State, server: Server) -> tuple[State, Instruction]:
    if state.search is None:
        raise ValueError("a probe of a server without a search")
    search, trial = state.search, state.trial
    enough = Minimum(
        queries=max(trial.minimum.queries, needed_queries(1, server.percentile)),
        duration_ns=trial.minimum.duration_ns,
    )
    generator = np.random.default_rng((trial.seeds.arrival, search.probe))
    offsets = poisson(search.rate_hz, enough, generator)
    tolerated = allowed_late(len(offsets), server.percentile)
    return replace(state, allowed_late=tolerated), Replay(
        phase=Phase.MEASURED,
        samples_per_query=1,
        offsets_ns=offsets,
        segment=search.probe,
        rate_hz=search.rate_hz,
        bound_ns=server.latency_bound_ns,
        allowed_late=tolerated,
    )


def _settle(state: State, now: int) -> tuple[State, Instruction]:
    if not state.trial.baseline_ns or isinstance(state.trial.scenario, ColdStart):
        return _over(state)
    until = now + state.trial.baseline_ns
    idle = Idle(phase=Phase.BASELINE_AFTER, until_ns=until)
    return replace(state, stage=Stage.SETTLING), idle


def _over(state: State) -> tuple[State, Instruction]:
    return replace(state, stage=Stage.OVER), Finish()

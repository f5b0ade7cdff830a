"""One order, carried out: every failure ends as an event, never as silence."""

import gc
import os
import platform
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import assert_never

import numpy as np

from harness.agent.overhead import measure_overhead
from harness.agent.repeats import probe_repeats
from harness.agent.talk import TalkBench
from harness.agent.workbench import Workbench, read_model
from harness.clock import Clock
from harness.domain.labelled import Source
from harness.domain.query import (
    SERVED,
    TOKENISATION,
    ModelLoaded,
    Noted,
    Outcome,
    Phase,
    PhaseEntered,
    QueryBlock,
    TrialEnded,
    TrialEvent,
)
from harness.domain.scenario import Talking, talk_of
from harness.errors import DeployMismatch, HarnessError, UsageError
from harness.loadgen import wire
from harness.loadgen.machine import samples_per_query
from harness.loadgen.pump import BLOCK_ROWS, Launch, run_trial
from harness.loadgen.transcript import Speaker
from harness.loadgen.wire import Order, Task
from harness.runtimes.base import Inspection, ModelFile, Runtime, Session
from harness.runtimes.feeds import SampleLibrary, open_library
from harness.runtimes.queries import (
    QueryInputs,
    answered_samples,
    is_probed,
    prepare_inputs,
)
from harness.scoring.answers import Answers, Scoring, score_answers


def serve(order_line: bytes, write: Callable[[bytes], object], clock: Clock) -> None:
    """Carry out the order on that line, and say everything by `write`, line by line.

    The last event is always TrialEnded, and ``done`` follows it. Raises LinkError for
    a line that is no order: then there is no trial to speak of.
    """
    order = wire.decode_order(order_line)
    voice = _Voice(Speaker(write))
    voice.speaker.hello(
        {
            "pid": str(os.getpid()),
            "clock": clock.name,
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
    )
    outcome, reason = _outcome(order, voice, clock)
    voice.say(
        TrialEnded(
            trial=order.trial.id, outcome=outcome, queries=voice.queries, reason=reason
        )
    )
    voice.speaker.done()


class _Voice:
    """Says events and counts the queries in them."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.queries = 0

    def say(self, event: TrialEvent) -> None:
        if isinstance(event, QueryBlock):
            self.queries += len(event.completed_ns)
        self.speaker.event(event)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What carrying out an order takes."""

    order: Order
    voice: _Voice
    clock: Clock
    runtime: Runtime

    def note(self, key: str, value: str) -> None:
        self.voice.say(Noted(trial=self.order.trial.id, key=key, value=value))


def _outcome(order: Order, voice: _Voice, clock: Clock) -> tuple[Outcome, str]:
    try:
        with _opened(order.runtime) as runtime:
            _carry_out(_Desk(order=order, voice=voice, clock=clock, runtime=runtime))
    except (UsageError, DeployMismatch) as error:
        return Outcome.REFUSED, str(error)
    except MemoryError as error:
        return Outcome.OUT_OF_MEMORY, str(error) or "Python ran out of memory"
    except HarnessError as error:
        return Outcome.FAILED, str(error)
    except Exception as error:  # noqa: BLE001 - the agent's outermost frame
        return Outcome.FAILED, f"{type(error).__name__}: {error}"
    return Outcome.DONE, ""


@contextmanager
def _opened(runtime: str) -> Iterator[Runtime]:
    module, _, name = runtime.partition(":")
    with getattr(import_module(module), name)() as opened:
        yield opened


def _carry_out(desk: _Desk) -> None:
    match desk.order.task:
        case Task.MEASURE:
            _measure(desk)
        case Task.START:
            _start(desk)
        case Task.ANSWER:
            _answer(desk)
        case Task.COUNT:
            _count(desk)
        case Task.INSPECT:
            _inspect(desk)
        case _:
            assert_never(desk.order.task)


def _measure(desk: _Desk) -> None:
    """Carry out a whole trial: overhead, then the scenario, then memory and outputs."""
    trial = desk.order.trial
    for key, value in desk.runtime.identify().items():
        desk.note(key, value)
    if isinstance(trial.scenario, Talking):
        _talk(desk, None)
        return
    library = _library(desk.order)
    per_query = samples_per_query(trial)
    inputs = prepare_inputs(library, per_query, library.sets_for(per_query))
    desk.note("samples", f"{len(inputs)} x {per_query}")
    with _collector_at_rest():
        overhead = measure_overhead(trial, desk.runtime, inputs, desk.clock)
        desk.voice.say(overhead)
        _rehearse(trial.id)
        _execute(desk, library, inputs, None)


def _start(desk: _Desk) -> None:
    """Carry out one cold start: nothing comes before its query that need not."""
    launch = Launch(begun_ns=desk.order.spawned_ns)
    if desk.order.decoder is not None:
        _talk(desk, launch)
        return
    library = _library(desk.order)
    inputs = prepare_inputs(library, 1, 1)
    _execute(desk, library, inputs, launch)


def _execute(
    desk: _Desk,
    library: SampleLibrary,
    inputs: tuple[QueryInputs, ...],
    launch: Launch | None,
) -> None:
    trial = desk.order.trial
    with ExitStack() as stack, desk.runtime.explained(trial.model):
        enter = stack.enter_context
        bench = Workbench(desk.order, desk.runtime, inputs, desk.clock, enter)
        run_trial(trial, bench, desk.clock, desk.voice.say, launch=launch)
        bench.memory.after_queries()
        for asked in bench.services():
            desk.voice.say(asked)
        if launch is None:
            _afterwards(desk, library, inputs, bench)
        first = library.sample(0) if launch is None else inputs[0].last
        checked = bench.check_outputs(first)
        bench.dispose()
        stack.close()
        bench.memory.after_dispose()
    desk.voice.say(bench.memory.report(trial.id))
    if not bench.memory.is_reset:
        desk.note("memory_mark", "not reset")
    if checked is not None:
        desk.voice.say(checked)


def _talk(desk: _Desk, launch: Launch | None) -> None:
    """Carry out a trial of a language model, or one cold start of it."""
    trial = desk.order.trial
    with (
        ExitStack() as stack,
        desk.runtime.explained(trial.model),
        _collector_at_rest(),
    ):
        enter = stack.enter_context
        bench = TalkBench(desk.order, desk.runtime, desk.clock, enter)
        run_trial(trial, bench, desk.clock, desk.voice.say, launch=launch)
        bench.memory.after_queries()
        checked = bench.check_outputs()
        _note_context(desk, bench)
        bench.dispose()
        stack.close()
        bench.memory.after_dispose()
    desk.voice.say(bench.memory.report(trial.id))
    if not bench.memory.is_reset:
        desk.note("memory_mark", "not reset")
    if checked is not None:
        desk.voice.say(checked)


def _note_context(desk: _Desk, bench: TalkBench) -> None:
    scenario = desk.order.trial.scenario
    is_timed = isinstance(scenario, Talking) and talk_of(scenario).tokenises
    desk.note(TOKENISATION, "in" if is_timed else "out")
    desk.note(SERVED, bench.users)
    if bench.cache_bytes_per_token is not None:
        desk.note("decode.cache_bytes_per_token", str(bench.cache_bytes_per_token))
    if bench.context:
        pairs = (f"{at.tokens}:{at.resident_bytes}" for at in bench.context)
        desk.note("decode.context_memory", " ".join(pairs))


def _afterwards(
    desk: _Desk,
    library: SampleLibrary,
    inputs: tuple[QueryInputs, ...],
    bench: Workbench,
) -> None:
    """Score what was kept of the window, then all items, then look for a memory."""
    order, trial, session = desk.order, desk.order.trial, bench.session
    scoring = _scoring(order)
    at_ns = desk.clock.now_ns()
    desk.voice.say(PhaseEntered(trial=trial.id, phase=Phase.AFTERWARDS, at_ns=at_ns))
    bench.settle()
    if bench.states.is_empty:
        for event in score_answers(scoring, library, Source.WINDOW, bench.kept):
            desk.voice.say(event)
    if not bench.states.is_empty or (trial.is_scored and library.items):
        # answers in the window went on from a state; these start at zero
        answers = _answers(order, library, session)
        for event in score_answers(scoring, library, Source.SESSION, answers):
            desk.voice.say(event)
    if is_probed(trial) and not bench.asks_services:
        probed = probe_repeats(trial, session, library, inputs, desk.clock)
        if probed is not None:
            desk.voice.say(probed)


def _answer(desk: _Desk) -> None:
    """Answer the items of an order, and say the scores."""
    order, library = desk.order, _library(desk.order)
    model, settings = read_model(order), order.trial.settings
    with (
        desk.runtime.explained(order.model_name or order.trial.model),
        desk.runtime.load(model, settings) as session,
    ):
        answers = _answers(order, library, session)
        for event in score_answers(_scoring(order), library, order.source, answers):
            desk.voice.say(event)


def _answers(order: Order, library: SampleLibrary, session: Session) -> Answers:
    """Answer samples by number, one after the other, untimed."""
    for number in answered_samples(library, order.items):
        yield (number,), session.compute(library.sample(number))


def _scoring(order: Order) -> Scoring:
    return Scoring(
        trial=order.trial.id,
        model=order.model_name or order.trial.model,
        labelled=order.labelled,
    )


def _library(order: Order) -> SampleLibrary:
    samples = Path(order.samples_path) if order.samples_path else None
    return open_library(
        order.inputs,
        order.trial.seeds.sample,
        samples,
        is_labelled=order.labelled is not None,
    )


def _count(desk: _Desk) -> None:
    """Compute inferences, and nothing more where there are more of them."""
    trial, library = desk.order.trial, _library(desk.order)
    per_query = samples_per_query(trial)
    inputs = prepare_inputs(library, per_query, library.sets_for(per_query))
    with ExitStack() as stack, desk.runtime.explained(trial.model):
        enter = stack.enter_context
        bench = Workbench(desk.order, desk.runtime, inputs, desk.clock, enter)
        bench.load()
        queries = bench.queries(Phase.WARM_UP, per_query)
        for query in islice(queries, trial.minimum.queries):
            query()
            desk.voice.queries += 1


def _inspect(desk: _Desk) -> None:
    for key, value in desk.runtime.identify().items():
        desk.note(key, value)
    order, begun_ns = desk.order, desk.clock.now_ns()
    found = _inspected(desk.runtime, order)
    desk.voice.say(
        ModelLoaded(
            trial=order.trial.id,
            sha256=order.sha256,
            load_ns=desk.clock.now_ns() - begun_ns,
            quantised_nodes=found.quantised_nodes,
            quantisable_nodes=found.quantisable_nodes,
            placement=found.placement,
        )
    )


def _inspected(runtime: Runtime, order: Order) -> Inspection:
    """Inspect a model, or every model of a pipeline, and add up."""
    model, settings = read_model(order), order.trial.settings
    files = dict.fromkeys(built.file for built in order.stages if built.file)
    if not files:
        return runtime.inspect(model, settings)
    placement: Counter[str] = Counter()
    quantised = quantisable = 0
    for name in files:
        data = (model.folder / name).read_bytes()
        found = runtime.inspect(ModelFile(data=data, folder=model.folder), settings)
        placement.update(found.placement)
        quantised += found.quantised_nodes or 0
        quantisable += found.quantisable_nodes or 0
    return Inspection(
        quantised_nodes=quantised,
        quantisable_nodes=quantisable,
        placement=dict(placement),
    )


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep the garbage collector out of every timed window."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _rehearse(trial: str) -> None:
    """Write the largest block there is to nowhere.

    The memory that this takes then belongs to the baseline and not to the model.
    """
    column = array("q", bytes(8 * BLOCK_ROWS))
    block = QueryBlock(
        trial=trial,
        phase=Phase.WARM_UP,
        samples_per_query=1,
        scheduled_ns=column,
        issued_ns=column,
        completed_ns=column,
    )
    wire.line(wire.encode_event(block))

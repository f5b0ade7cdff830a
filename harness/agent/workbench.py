"""Queries for the pump out of a runtime's session: bound once, gone round in turn."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import cycle
from pathlib import Path

from harness.agent.outputs import OutputCheck
from harness.agent.pin import Pin
from harness.agent.pipeline import PipelineSession, open_stages
from harness.agent.states import States, states_of
from harness.agent.telemetry import MemoryWatch
from harness.clock import Clock
from harness.domain.query import ModelLoaded, OutputsChecked, Phase
from harness.errors import DeployMismatch
from harness.links.filedigest import digest_of, model_files
from harness.loadgen.draws import chosen, seeded_order
from harness.loadgen.pump import Query
from harness.loadgen.wire import Order
from harness.runtimes.base import (
    BoundQuery,
    Feeds,
    ModelFile,
    Runtime,
    Session,
    Tensor,
)
from harness.runtimes.queries import QueryInputs

STATELESS = states_of(())


def bind(
    session: Session, inputs: QueryInputs, states: States = STATELESS
) -> tuple[Query, BoundQuery]:
    """Bind one prepared query; gives what executes it and what holds its outputs."""
    bound = [session.bind(states.bound_into(feeds)) for feeds in inputs.calls]
    if len(bound) == 1:
        return bound[0].call, bound[0]
    return _in_turn([query.call for query in bound]), bound[-1]


def burn_until(instant_ns: int, clock: Clock, pin: Pin) -> None:
    """Keep a core busy until the instant, and the pin high meanwhile.

    Raises TargetError where the pin cannot be moved.
    """
    now_ns = clock.now_ns
    pin.move(b"1")
    while now_ns() < instant_ns:
        pass
    pin.move(b"0")


def read_model(order: Order) -> ModelFile:
    """Read the model once. Raises DeployMismatch where it is not the one ordered."""
    path = Path(order.model_path)
    data = path.read_bytes()
    found = digest_of(model_files(path, order.external))
    if found != order.sha256:
        raise DeployMismatch(
            f"The model that was read has sha256 {found[:12]}…, "
            f"not {order.sha256[:12]}…",
            where=str(path),
            remedy="The file changed since the plan was made; plan again.",
        )
    return ModelFile(data=data, folder=path.parent)


class Workbench:
    """The executor of a trial. An `Executor` of `harness.loadgen.pump`."""

    def __init__(
        self,
        order: Order,
        runtime: Runtime,
        inputs: Sequence[QueryInputs],
        clock: Clock,
        enter: Callable[[AbstractContextManager[Session]], Session],
    ) -> None:
        self.memory = MemoryWatch()
        self._order = order
        self._runtime = runtime
        self._inputs = inputs
        self._clock = clock
        self._enter = enter
        self._session: Session | None = None
        self._inner_ns = array("q")
        self._queries: list[tuple[Query, BoundQuery]] = []
        pulses = order.trial.pulses
        self._pin = Pin(pulses.pin if pulses else "")
        self._check: OutputCheck | None = None
        self._watch: Iterator[Query] | None = None
        is_single = all(len(one.calls) == 1 for one in inputs) and not any(
            spec.has_batch_axis and len(inputs[0].last_samples) > 1
            for spec in order.inputs
        )
        self.states = states_of(order.inputs) if is_single else STATELESS
        """Fed back between queries of one sample; batches start at zero each."""

    def load(self) -> ModelLoaded:
        """Read the model, hold it against its digest, and have it ready."""
        self.memory.before_load()
        begun_ns = self._clock.now_ns()
        model = read_model(self._order)
        self._session = self._opened(model)
        load_ns = self._clock.now_ns() - begun_ns
        self.memory.after_load()
        return ModelLoaded(
            trial=self._order.trial.id, sha256=self._order.sha256, load_ns=load_ns
        )

    def _opened(self, model: ModelFile) -> Session:
        if self._order.stages:
            stages = open_stages(self._order, self._runtime, self._enter)
            return PipelineSession(stages, self._clock, self._inner_ns)
        settings = self._order.trial.settings
        return self._enter(self._runtime.load(model, settings))

    def take_inner(self) -> "array[int]":
        """Give when the stages of queries were done since the last time, and forget."""
        taken = self._inner_ns[:]
        del self._inner_ns[:]
        return taken

    def queries(self, phase: Phase, samples_per_query: int) -> Iterator[Query]:
        """Give queries in a seeded order; in the measured window some are looked at."""
        if not self._queries:
            session, states = self._loaded(), self.states
            self._queries = [bind(session, one, states) for one in self._inputs]
        order = seeded_order(self._order.trial.seeds.order, len(self._queries))
        if phase is not Phase.MEASURED:
            return self._warm(order)
        is_batch = len(self._inputs[0].calls) == 1
        self._check = OutputCheck(
            samples_per_call=samples_per_query if is_batch else 1,
            has_states=not self.states.is_empty,
        )
        self._watch = self._watched(order, self._check)
        return self._watch

    def work_until(self, instant_ns: int) -> None:
        """Keep a core busy until the instant: a load whose edges are sharp.

        A pin that a meter watches is high meanwhile. Raises TargetError where the pin
        cannot be moved.
        """
        burn_until(instant_ns, self._clock, self._pin)

    def check_outputs(self, first: Feeds) -> OutputsChecked | None:
        """Compute again what was looked at; None where no query was measured.

        `first` is the first sample of the library, whose outputs are digested.
        """
        if self._check is None:
            return None
        self.settle()
        again = [inputs.last for inputs in self._inputs]
        trial = self._order.trial.id
        return self._check.conclude(trial, self._loaded(), again, first)

    def settle(self) -> None:
        """Look at the last query, where that is due; no query comes after this."""
        if self._watch is not None:
            next(self._watch)
            self._watch = None

    @property
    def kept(self) -> Iterator[tuple[tuple[int, ...], tuple[Tensor, ...]]]:
        """Outputs that were kept of timed queries, with the samples they are for."""
        if self._check is not None:
            for number, outputs in self._check.outputs():
                yield self._inputs[number].last_samples, outputs

    @property
    def session(self) -> Session:
        """The model, loaded. Raises ValueError before and after."""
        return self._loaded()

    def dispose(self) -> None:
        """Let go of every binding, so that the session can be freed."""
        self._queries.clear()
        self._watch = None
        self._session = None

    def _watched(self, order: Sequence[int], check: OutputCheck) -> Iterator[Query]:
        looks = chosen(self._order.trial.seeds.order)
        states = self.states
        for number, is_due in zip(cycle(order), cycle(looks), strict=False):
            call, bound = self._queries[number]
            if is_due:
                check.due()
            fed = states.copies() if check.owed else {}
            yield call
            if check.owed:
                check.look(number, bound.outputs(), fed)
            if not states.is_empty:
                states.follow(bound.outputs())

    def _warm(self, order: Sequence[int]) -> Iterator[Query]:
        if self.states.is_empty:
            return cycle([self._queries[number][0] for number in order])
        return self._fed_back(order)

    def _fed_back(self, order: Sequence[int]) -> Iterator[Query]:
        for number in cycle(order):
            call, bound = self._queries[number]
            yield call
            self.states.follow(bound.outputs())

    def _loaded(self) -> Session:
        if self._session is None:
            raise ValueError("queries before the model was loaded")
        return self._session


def _in_turn(calls: Sequence[Query]) -> Query:
    def query() -> None:
        for call in calls:
            call()

    return query

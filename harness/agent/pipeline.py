"""Several models and the steps between them, as one session.

Every tensor has its place before a query is timed: what a stage gives is copied into
the buffer that the next one is bound to, as a device without shared memory must.
The instant at which each stage is done goes to `inner_ns`. A stage with a service
asks it first and is executed here where no answer comes in time.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.agent.remote import Service
from harness.clock import Clock
from harness.domain.query import ServiceAsked
from harness.domain.workload import BuiltStage, InputSpec
from harness.errors import Unsupported
from harness.loadgen.wire import Order
from harness.runtimes.base import BoundQuery, Feeds, ModelFile, Runtime, Session, Tensor
from harness.runtimes.steps import FUNCTIONS, room_for

Operation = Callable[[], object]
Enter = Callable[[AbstractContextManager[Session]], Session]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStage:
    """A stage, with the session of its model; None of a step."""

    built: BuiltStage
    session: Session | None


def open_stages(order: Order, runtime: Runtime, enter: Enter) -> tuple[OpenStage, ...]:
    """Load every model of a pipeline once; raises as `Runtime.load` does."""
    folder = Path(order.model_path).parent
    sessions: dict[str, Session] = {}
    for built in order.stages:
        if built.file and built.file not in sessions:
            data = (folder / built.file).read_bytes()
            model = ModelFile(data=data, folder=folder)
            sessions[built.file] = enter(runtime.load(model, order.trial.settings))
    return tuple(
        OpenStage(built=built, session=sessions.get(built.file))
        for built in order.stages
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A stage's service, and when it was asked in vain."""

    service: Service
    fell_back_ns: "array[int]" = field(default_factory=lambda: array("q"))


class PipelineSession:
    """A pipeline that is ready. A `Session`."""

    def __init__(
        self, stages: Sequence[OpenStage], clock: Clock, inner_ns: "array[int]"
    ) -> None:
        self._stages = tuple(stages)
        self._now_ns = clock.now_ns
        self._inner_ns = inner_ns
        self._asked = {
            one.built.stage.name: _Asked(service=Service(remote, clock))
            for one in stages
            if (remote := one.built.stage.remote) is not None
        }

    def services(self, trial: str) -> Iterator[ServiceAsked]:
        """Say of each service when it was asked in vain."""
        for stage, asked in self._asked.items():
            yield ServiceAsked(
                trial=trial,
                stage=stage,
                fell_back_ns=tuple(asked.fell_back_ns),
                faults=dict(asked.service.faults),
            )

    def close(self) -> None:
        """Let the connections to services go."""
        for asked in self._asked.values():
            asked.service.close()

    def bind(self, feeds: Feeds) -> "BoundPipeline":
        """Make room for every tensor between the stages, and try it once, untimed.

        Services are not tried: warm-up is for that.
        """
        values: dict[str, Tensor] = dict(feeds)
        operations: list[Operation] = []
        last: Callable[[], tuple[Tensor, ...]] = tuple
        for number, one in enumerate(self._stages):
            operation, last = self._bound(one, number, values)
            if one.built.stage.remote is None:
                operation()
            operations.append(operation)
        return BoundPipeline(operations, last, self._now_ns, self._inner_ns)

    def compute(self, feeds: Feeds) -> tuple[Tensor, ...]:
        """Give the outputs of the last stage by plain calls, all tensors anew.

        No service is asked: what the device answers by itself.
        """
        values: dict[str, Tensor] = dict(feeds)
        given: tuple[Tensor, ...] = ()
        for number, one in enumerate(self._stages):
            stage = one.built.stage
            if one.session is None:
                taken_by = [values[name] for name in stage.takes]
                into = self._room(one, number, taken_by)
                FUNCTIONS[stage.step](taken_by, into)
                given = (into,)
                values[stage.gives] = into
                continue
            taken = {spec.name: values[spec.name] for spec in one.built.inputs}
            given = one.session.compute(taken)
            values.update(zip(one.built.outputs, given, strict=True))
        return given

    def _bound(
        self, one: OpenStage, number: int, values: dict[str, Tensor]
    ) -> tuple[Operation, Callable[[], tuple[Tensor, ...]]]:
        stage = one.built.stage
        if one.session is None:
            taken = [values[name] for name in stage.takes]
            into = self._room(one, number, taken)
            values[stage.gives] = into
            function = FUNCTIONS[stage.step]
            given = dict(zip(stage.takes, taken, strict=True))
            return self._asking(
                one, lambda: function(taken, into), given, {stage.gives: into}
            )
        buffers = {spec.name: _buffer(spec, values) for spec in one.built.inputs}
        query = one.session.bind(buffers)
        copies = [(buffer, values[name]) for name, buffer in buffers.items()]
        # a first call, so that outputs of whatever shape have their place
        query.call()
        held = _held(one.built, query)
        values.update(held)
        call = _model_call(copies, query, held, one.built.outputs)
        if stage.remote is None:
            return call, query.outputs
        given = {name: values[name] for name in buffers}
        return self._asking(one, call, given, held)

    def _asking(
        self,
        one: OpenStage,
        here: Operation,
        given: Mapping[str, Tensor],
        places: Mapping[str, Tensor],
    ) -> tuple[Operation, Callable[[], tuple[Tensor, ...]]]:
        """Put a stage's service, if it has one, before what is executed here."""

        def outputs() -> tuple[Tensor, ...]:
            return tuple(places.values())

        asked = self._asked.get(one.built.stage.name)
        if asked is None:
            return here, outputs
        here()  # so that no fallback is a first call
        ask, fell_back = asked.service.ask, asked.fell_back_ns.append
        now_ns, copy = self._now_ns, np.copyto

        def operation() -> None:
            found = ask(given, places)
            if found is None:
                fell_back(now_ns())
                here()
                return
            for name, tensor in found.items():
                copy(places[name], tensor)

        return operation, outputs

    def _room(self, one: OpenStage, number: int, taken: Sequence[Tensor]) -> Tensor:
        """Make what a step fills: as the first model behind it asks, or its own."""
        stage = one.built.stage
        for later in self._stages[number + 1 :]:
            for spec in later.built.inputs:
                if spec.name == stage.gives:
                    return np.zeros(spec.shape, spec.dtype)
        return room_for(stage.step, taken)


class BoundPipeline:
    """A query of a pipeline. A `BoundQuery`."""

    def __init__(
        self,
        operations: Sequence[Operation],
        last: Callable[[], tuple[Tensor, ...]],
        now_ns: Callable[[], int],
        inner_ns: "array[int]",
    ) -> None:
        self._operations = tuple(operations)
        self._last = last
        self._now_ns = now_ns
        self._done = inner_ns.append

    def call(self) -> None:
        """Carry out stage after stage, and note when each is done."""
        now_ns, done = self._now_ns, self._done
        for operation in self._operations:
            operation()
            done(now_ns())

    def outputs(self) -> tuple[Tensor, ...]:
        """Give what the last stage gave."""
        return self._last()


def _buffer(spec: InputSpec, values: Mapping[str, Tensor]) -> Tensor:
    """Make the buffer that a model is bound to; raises Unsupported for a misfit."""
    found = values[spec.name]
    buffer = np.zeros(spec.shape, spec.dtype)
    if found.shape != buffer.shape or found.dtype != buffer.dtype:
        raise Unsupported(
            f"A model takes '{spec.name}' as {spec.dtype} {list(spec.shape)}, but what "
            f"comes before gives {found.dtype} {list(found.shape)}",
            remedy="Put a step between the two stages.",
        )
    return buffer


def _held(built: BuiltStage, query: BoundQuery) -> dict[str, Tensor]:
    """Copy a model's outputs to places of their own, which later stages read."""
    given = query.outputs()
    return {
        name: np.copy(tensor) for name, tensor in zip(built.outputs, given, strict=True)
    }


def _model_call(
    copies: Sequence[tuple[Tensor, Tensor]],
    query: BoundQuery,
    held: Mapping[str, Tensor],
    outputs: Sequence[str],
) -> Operation:
    places = [held[name] for name in outputs]
    call, copy = query.call, np.copyto

    def operation() -> None:
        for buffer, value in copies:
            copy(buffer, value)
        call()
        for place, tensor in zip(places, query.outputs(), strict=True):
            copy(place, tensor)

    return operation

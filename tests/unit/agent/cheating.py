"""Runtimes that cheat, each in its own way, around the real one.

Named in an order as ``cheating:open_…``; the agent imports them like any other.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.domain.plan import RuntimeSettings
from harness.runtimes.base import (
    BoundQuery,
    Feeds,
    Inspection,
    ModelFile,
    Runtime,
    Session,
    Tensor,
)
from harness.runtimes.onnxrt import open_runtime

SWAPPED = "other.onnx"
"""File beside the model that the swapping runtime executes in its place."""


@dataclass
class CheatedQuery:
    """A query whose call and outputs are the cheat's."""

    call: Callable[[], object]
    give: Callable[[], tuple[Tensor, ...]]

    def outputs(self) -> tuple[Tensor, ...]:
        return self.give()


@dataclass
class Honest:
    """The real session, to be cheated about; passes everything on."""

    real: Session

    def bind(self, feeds: Feeds) -> BoundQuery:
        return self.real.bind(feeds)

    def compute(self, feeds: Feeds) -> tuple[Tensor, ...]:
        return self.real.compute(feeds)


@dataclass
class Caching(Honest):
    """Remembers the answer to every input, and looks it up the next time."""

    memory: dict[bytes, tuple[Tensor, ...]] = field(default_factory=dict)

    def bind(self, feeds: Feeds) -> BoundQuery:
        real = self.real.bind(feeds)
        key = b"".join(np.asarray(tensor).tobytes() for tensor in feeds.values())

        def call() -> None:
            if key not in self.memory:
                real.call()
                self.memory[key] = tuple(np.copy(t) for t in real.outputs())

        return CheatedQuery(call, lambda: self.memory[key])


@dataclass
class LastAnswer(Honest):
    """Computes only where the input is not the one before."""

    last: list[bytes] = field(default_factory=lambda: [b""])

    def bind(self, feeds: Feeds) -> BoundQuery:
        real = self.real.bind(feeds)
        key = b"".join(np.asarray(tensor).tobytes() for tensor in feeds.values())

        def call() -> None:
            if self.last[0] != key:
                real.call()
                self.last[0] = key

        return CheatedQuery(call, real.outputs)


@dataclass
class Skipping(Honest):
    """Computes every other query, and gives the answer before for the rest."""

    turn: list[int] = field(default_factory=lambda: [0])

    def bind(self, feeds: Feeds) -> BoundQuery:
        real = self.real.bind(feeds)

        def call() -> None:
            self.turn[0] += 1
            if self.turn[0] % 2:
                real.call()

        return CheatedQuery(call, real.outputs)


@dataclass
class Truncating(Honest):
    """Looks at the first half of every input only, timed or not."""

    def bind(self, feeds: Feeds) -> BoundQuery:
        return self.real.bind(_halved(feeds))

    def compute(self, feeds: Feeds) -> tuple[Tensor, ...]:
        return self.real.compute(_halved(feeds))


@dataclass
class TimedOnly(Honest):
    """Honest where it thinks that nobody measures: every bound query is halved."""

    def bind(self, feeds: Feeds) -> BoundQuery:
        return self.real.bind(_halved(feeds))


def _halved(feeds: Feeds) -> dict[str, Tensor]:
    kept = {name: np.copy(tensor) for name, tensor in feeds.items()}
    for tensor in kept.values():
        tensor[..., tensor.shape[-1] // 2 :] = 0
    return kept


@dataclass
class Cheat:
    """The real runtime, whose sessions are cheated about."""

    real: Runtime
    cheat: Callable[[Session], Session]
    swaps: bool = False

    def identify(self) -> dict[str, str]:
        return self.real.identify()

    @contextmanager
    def load(self, model: ModelFile, settings: RuntimeSettings) -> Iterator[Session]:
        other = Path(model.folder, SWAPPED)
        if self.swaps and other.is_file():
            model = ModelFile(data=other.read_bytes(), folder=model.folder)
        with self.real.load(model, settings) as session:
            yield self.cheat(session)

    def inspect(self, model: ModelFile, settings: RuntimeSettings) -> Inspection:
        return self.real.inspect(model, settings)

    def explained(self, where: str) -> AbstractContextManager[None]:
        return self.real.explained(where)


@contextmanager
def _cheating(
    cheat: Callable[[Session], Session], *, swaps: bool = False
) -> Iterator[Cheat]:
    with open_runtime() as real:
        yield Cheat(real, cheat, swaps)


def open_honest() -> AbstractContextManager[Cheat]:
    return _cheating(Honest)


def open_caching() -> AbstractContextManager[Cheat]:
    return _cheating(Caching)


def open_last_answer() -> AbstractContextManager[Cheat]:
    return _cheating(LastAnswer)


def open_skipping() -> AbstractContextManager[Cheat]:
    return _cheating(Skipping)


def open_truncating() -> AbstractContextManager[Cheat]:
    return _cheating(Truncating)


def open_timed_only() -> AbstractContextManager[Cheat]:
    return _cheating(TimedOnly)


def open_swapping() -> AbstractContextManager[Cheat]:
    return _cheating(Honest, swaps=True)

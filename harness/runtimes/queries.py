"""Which samples the queries of a trial hold, and which no query ever holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import inf

from harness.domain.plan import Trial
from harness.domain.scenario import SingleStream
from harness.runtimes.base import Feeds, Tensor
from harness.runtimes.feeds import SampleLibrary
from harness.runtimes.onnxbytes import identity_model

ROUNDS = 8
"""Rounds of a probe for a memory; in each, all kinds of inputs take their turns."""
PROBES_AT_LEAST, PROBES_AT_MOST = 2, 16
"""Timed calls of a kind in each round, beside one that is not timed."""
FIRST_UNSEEN = 1_000_003
"""Samples from this number on are drawn by nothing but the probe."""
SKETCHED_ITEMS = 16
"""Items without a label that are answered: as many as a window goes round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryInputs:
    """What one prepared query takes: a batch, or samples that are executed in turn."""

    calls: tuple[Feeds, ...]
    last_samples: tuple[int, ...] = ()
    """Numbers of the samples in the last call."""

    @property
    def last(self) -> Feeds:
        """Inputs of the last call, whose outputs are there when the query is done."""
        return self.calls[-1]


def prepare_inputs(
    library: SampleLibrary, samples_per_query: int, sets: int
) -> tuple[QueryInputs, ...]:
    """Make the inputs of `sets` distinct queries of that many samples."""
    numbers = range(0, sets * samples_per_query, samples_per_query)
    if library.is_batched:
        return tuple(
            QueryInputs(
                calls=(library.batch(n, samples_per_query),),
                last_samples=tuple(range(n, n + samples_per_query)),
            )
            for n in numbers
        )
    return tuple(
        QueryInputs(
            calls=tuple(library.sample(n + i) for i in range(samples_per_query)),
            last_samples=(n + samples_per_query - 1,),
        )
        for n in numbers
    )


def is_probed(trial: Trial) -> bool:
    """Say whether this trial looks for a memory: one a workload is enough."""
    return isinstance(trial.scenario, SingleStream) and trial.run == 1


def unseen_samples(library: SampleLibrary, sets: int) -> float:
    """Say how many samples there are that no query of `sets` has had."""
    return inf if library.distinct is None else library.distinct - sets


def unseen(library: SampleLibrary, sets: int) -> Iterator[Feeds]:
    """Give inputs that no query has had: drawn anew, or further items of the file."""
    first = FIRST_UNSEEN if library.distinct is None else sets
    for number in count(first):
        yield library.sample(number)


def answered_samples(library: SampleLibrary, asked: Sequence[int]) -> Sequence[int]:
    """List the samples to answer: those asked for, else all labelled ones or a few."""
    return asked or range(library.items or min(SKETCHED_ITEMS, library.sets_for(1)))


def identity_of(inputs: QueryInputs) -> bytes:
    """Give a model that copies inputs of the shapes of a query's last call."""
    shapes = [(name, _type_of(t), tuple(t.shape)) for name, t in inputs.last.items()]
    return identity_model(shapes)


def _type_of(tensor: Tensor) -> str:
    return "str" if tensor.dtype.kind == "U" else str(tensor.dtype)

"""Everything that numpy draws for a trial, drawn on the host and written down."""

import base64
import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from harness.domain.labelled import LabelledData
from harness.domain.plan import Trial
from harness.domain.scenario import ColdStart, Server
from harness.domain.workload import InputSpec
from harness.loadgen.draws import chosen, seeded_order
from harness.loadgen.earlystop import needed_queries
from harness.loadgen.machine import samples_per_query
from harness.loadgen.prepared import Arrivals, Marks, Prepared, PreparedInput
from harness.loadgen.pulses import Burst, PulsePlan
from harness.loadgen.search import PROBES_AT_MOST as SEARCH_PROBES
from harness.loadgen.ziggurat import exponential_ziggurat
from harness.runtimes.base import Feeds
from harness.runtimes.feeds import SampleLibrary, open_library
from harness.runtimes.queries import (
    PROBES_AT_LEAST,
    PROBES_AT_MOST,
    ROUNDS,
    QueryInputs,
    answered_samples,
    identity_of,
    is_probed,
    prepare_inputs,
    unseen,
    unseen_samples,
)

_FRESH_BYTES = 64 * 1024**2
"""More is not sent for a probe, where the least number of its samples allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be prepared."""

    trial: Trial
    inputs: tuple[InputSpec, ...]
    samples: Path | None
    """The user's file, on the host."""
    labelled: LabelledData | None
    is_all_answered: bool = False
    """Whether the task is to answer and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was prepared, and the file of its tensors on the host."""

    prepared: Prepared
    file: Path


def prepare(wanted: Wanted, folder: Path) -> Written:
    """Draw what the trial takes; the tensors go to a file in `folder`, by digest.

    Raises SchemaError where the user's file of samples is missing or broken.
    """
    trial = wanted.trial
    library = open_library(
        wanted.inputs,
        trial.seeds.sample,
        wanted.samples,
        is_labelled=wanted.labelled is not None,
    )
    is_cold = isinstance(trial.scenario, ColdStart)
    per_query = samples_per_query(trial)
    sets = 1 if is_cold else library.sets_for(per_query)
    queries = prepare_inputs(library, per_query, sets)
    first = library.sample(0)
    fresh = _fresh(trial, library, sets, first)
    answers = [] if is_cold else _answers(wanted, library, per_query)
    samples = chain((first, *fresh), (library.sample(n) for n in answers))
    file = _written(queries, samples, folder)
    plan = PulsePlan.of(trial.pulses) if trial.pulses and not is_cold else None
    prepared = Prepared(
        tensors_path=str(file),
        inputs=_described(wanted.inputs, queries[0].last, first),
        samples_per_query=per_query,
        queries=len(queries),
        calls=len(queries[0].calls),
        samples=tuple(query.last_samples for query in queries),
        order=array("q", seeded_order(trial.seeds.order, len(queries))),
        looks="".join("01"[is_due] for is_due in chosen(trial.seeds.order)),
        fresh=len(fresh),
        answers=array("q", answers),
        identity=base64.b64encode(identity_of(queries[0])).decode(),
        preamble=_marks(plan.preamble(0), plan) if plan else None,
        postamble=_marks(plan.postamble(0), plan) if plan else None,
        arrivals=_arrivals(trial, trial.scenario)
        if isinstance(trial.scenario, Server)
        else None,
    )
    return Written(prepared=prepared, file=file)


def _fresh(
    trial: Trial, library: SampleLibrary, sets: int, first: Feeds
) -> list[Feeds]:
    """Draw samples that no query has, as many as the probe for a memory may take."""
    least, most = (ROUNDS * (n + 1) for n in (PROBES_AT_LEAST, PROBES_AT_MOST))
    affordable = _FRESH_BYTES // max(1, sum(t.nbytes for t in first.values()))
    count = min(most, max(least, affordable), unseen_samples(library, sets))
    if not is_probed(trial) or count < least:
        return []
    return list(islice(unseen(library, sets), int(count)))


def _answers(wanted: Wanted, library: SampleLibrary, per_query: int) -> list[int]:
    """List the samples that are answered after the window, as the agent does."""
    has_states = per_query == 1 and any(i.follows is not None for i in wanted.inputs)
    is_scored = wanted.trial.is_scored and library.items > 0
    if not (has_states or is_scored or wanted.is_all_answered):
        return []
    return list(answered_samples(library, ()))


def _described(
    inputs: Sequence[InputSpec], call: Feeds, sample: Feeds
) -> tuple[PreparedInput, ...]:
    return tuple(
        PreparedInput(
            name=spec.name,
            dtype=spec.dtype,
            shape=call[spec.name].shape,
            sample_shape=sample[spec.name].shape,
            follows=spec.follows,
        )
        for spec in inputs
    )


def _written(
    queries: Sequence[QueryInputs], samples: Iterable[Feeds], folder: Path
) -> Path:
    """Write tensors in order; gives a file that is called by its digest."""
    part = folder / "tensors.part"
    digest = hashlib.sha256()
    with part.open("wb") as file:
        for data in _raw(queries, samples):
            digest.update(data)
            file.write(data)
    return part.rename(folder / f"{digest.hexdigest()}.tensors")


def _raw(queries: Sequence[QueryInputs], samples: Iterable[Feeds]) -> Iterator[bytes]:
    for feeds in chain((call for one in queries for call in one.calls), samples):
        for tensor in feeds.values():
            little = tensor.astype(tensor.dtype.newbyteorder("<"), copy=False)
            yield little.tobytes()


def _marks(burst: Burst, plan: PulsePlan) -> Marks:
    return Marks(
        rises_ns=array("q", burst.rises_ns),
        falls_ns=array("q", burst.falls_ns),
        until_ns=plan.duration_ns,
    )


def _arrivals(trial: Trial, server: Server) -> Arrivals:
    tables = exponential_ziggurat()
    return Arrivals(
        generators=tuple(
            _state_of(np.random.default_rng((trial.seeds.arrival, probe)))
            for probe in range(SEARCH_PROBES)
        ),
        needed_queries=needed_queries(1, server.percentile),
        bounds=tables.bounds,
        widths=tables.widths,
        heights=tables.heights,
    )


def _state_of(generator: np.random.Generator) -> tuple[str, str]:
    found = generator.bit_generator.state["state"]
    return f"{found['state']:032x}", f"{found['inc']:032x}"

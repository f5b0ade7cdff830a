"""One input again and again, against the window's own, against some never seen.

A device that remembers answers is faster where it has answered before (method,
section 6). The three kinds take turns, so that a drift falls on all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle, islice

from harness.agent.workbench import QueryInputs
from harness.clock import Clock
from harness.domain.plan import Trial
from harness.domain.query import RepeatsProbed
from harness.domain.scenario import SingleStream
from harness.runtimes.base import Feeds, Session
from harness.runtimes.feeds import SampleLibrary

ROUNDS = 8
_BUDGET_NS = 2_000_000_000
"""About how long the probe may take; slow models take at least two a kind and round."""
_AT_LEAST, _AT_MOST = 2, 16
_UNSEEN = 1_000_003
"""Samples from this number on are drawn by nothing else."""

Call = Callable[[], object]


def is_probed(trial: Trial) -> bool:
    """Say whether this trial looks for a memory: one a workload is enough."""
    return isinstance(trial.scenario, SingleStream) and trial.run == 1


def probe_repeats(
    trial: Trial,
    session: Session,
    library: SampleLibrary,
    inputs: Sequence[QueryInputs],
    clock: Clock,
) -> RepeatsProbed | None:
    """Time the three kinds; None where no unseen input can be had from the file."""
    unseen = _unseen(library, len(inputs))
    own = cycle([session.bind(one.last).call for one in inputs])
    again = cycle([session.bind(inputs[0].last).call])
    each = _queries_each(next(own), clock)
    needed = len(inputs) + ROUNDS * (each + 1)
    if library.distinct is not None and library.distinct < needed:
        return None
    taken: tuple[list[int], list[int], list[int]] = ([], [], [])
    for _ in range(ROUNDS):
        new = (session.bind(f).call for f in list(islice(unseen, each + 1)))
        for calls, into in zip((again, own, new), taken, strict=True):
            into.extend(_timed(list(islice(calls, each + 1)), clock))
    return RepeatsProbed(
        trial=trial.id,
        rounds=ROUNDS,
        repeated_ns=tuple(taken[0]),
        rotated_ns=tuple(taken[1]),
        fresh_ns=tuple(taken[2]),
    )


def _timed(calls: Sequence[Call], clock: Clock) -> Iterator[int]:
    """Time all but the first, which finds the caches as another input left them."""
    calls[0]()
    for call in calls[1:]:
        begun_ns = clock.now_ns()
        call()
        yield clock.now_ns() - begun_ns


def _queries_each(call: Call, clock: Clock) -> int:
    begun_ns = clock.now_ns()
    call()
    took_ns = max(1, clock.now_ns() - begun_ns)
    return max(_AT_LEAST, min(_AT_MOST, _BUDGET_NS // (3 * ROUNDS * took_ns)))


def _unseen(library: SampleLibrary, sets: int) -> Iterator[Feeds]:
    """Give inputs that no query has had: drawn anew, or further items of the file."""
    first = _UNSEEN if library.distinct is None else sets
    for number in count(first):
        yield library.sample(number)

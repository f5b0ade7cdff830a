"""One input again and again, against the window's own, against some never seen.

A device that remembers answers is faster where it has answered before (method,
section 6). The three kinds take turns, so that a drift falls on all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice

from harness.clock import Clock
from harness.domain.plan import Trial
from harness.domain.query import RepeatsProbed
from harness.runtimes.base import Session
from harness.runtimes.feeds import SampleLibrary
from harness.runtimes.queries import (
    PROBES_AT_LEAST,
    PROBES_AT_MOST,
    ROUNDS,
    QueryInputs,
    unseen,
    unseen_samples,
)

_BUDGET_NS = 2_000_000_000
"""About how long the probe may take; slow models take at least two a kind and round."""

Call = Callable[[], object]


def probe_repeats(
    trial: Trial,
    session: Session,
    library: SampleLibrary,
    inputs: Sequence[QueryInputs],
    clock: Clock,
) -> RepeatsProbed | None:
    """Time the three kinds; None where no unseen input can be had from the file."""
    drawn = unseen(library, len(inputs))
    own = cycle([session.bind(one.last).call for one in inputs])
    again = cycle([session.bind(inputs[0].last).call])
    each = _queries_each(next(own), clock)
    if unseen_samples(library, len(inputs)) < ROUNDS * (each + 1):
        return None
    taken: tuple[list[int], list[int], list[int]] = ([], [], [])
    for _ in range(ROUNDS):
        new = (session.bind(f).call for f in list(islice(drawn, each + 1)))
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
    return max(
        PROBES_AT_LEAST, min(PROBES_AT_MOST, _BUDGET_NS // (3 * ROUNDS * took_ns))
    )

"""A trial in performance mode: one ``infer 1 0`` a query, timed by the board.

No serial line enters a latency: it lies between queries. Time stamps have a resolution
of one microsecond.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from harness.clock import Clock
from harness.domain.plan import Minimum, Trial
from harness.domain.query import (
    OverheadMeasured,
    Phase,
    PhaseEntered,
    QueryBlock,
    TrialEvent,
)
from harness.targets.mcu.driver import Dut, Inference
from harness.targets.mcu.outputs import Repeats

BLOCK_NS = 500_000_000
_REPEATS, _MANY = 5, 11
"""Runs of one and of eleven inferences, to tell what does not belong to one."""
INFER_S = 60.0
"""No model for a microcontroller takes longer."""


@dataclass(slots=True, kw_only=True)
class LatencyRun:
    """One trial in progress."""

    dut: Dut
    trial: Trial
    clock: Clock
    queries: int = 0
    repeats: Repeats = field(default_factory=Repeats)

    def events(self, sample: bytes) -> Iterator[TrialEvent]:
        """Yield everything between the start and the end of the trial."""
        trial = self.trial
        yield self._enter(Phase.BASELINE_BEFORE)
        self._rest(trial.baseline_ns)
        yield self._enter(Phase.LOAD)
        self.dut.load(sample)
        yield self._enter(Phase.WARM_UP)
        yield from self._queries(Phase.WARM_UP, trial.warm_up)
        yield self._overhead()
        yield self._enter(Phase.MEASURED)
        yield from self._queries(Phase.MEASURED, trial.minimum)
        yield self._enter(Phase.BASELINE_AFTER)
        self._rest(trial.baseline_ns)
        yield self.repeats.report(trial.id)

    def _overhead(self) -> OverheadMeasured:
        """Find what a query holds beside its inference: the first time stamp's writing.

        From T(1) = o + t and T(n) = o + n·t, each the median of some.
        """
        ones = [self.dut.infer(1, 0, INFER_S) for _ in range(_REPEATS)]
        many = [self.dut.infer(_MANY, 0, INFER_S * _MANY) for _ in range(_REPEATS)]
        each_ns = (_median(many) - _median(ones)) / (_MANY - 1)
        beside_ns = [max(0, round(one.took_ns - each_ns)) for one in ones]
        gaps = [later.begun_ns - one.ended_ns for one, later in pairwise(ones)]
        return OverheadMeasured(
            trial=self.trial.id,
            queries=_REPEATS * (1 + _MANY),
            latency_p50_ns=round(median(beside_ns)),
            latency_p90_ns=max(beside_ns),
            gap_p50_ns=round(median(gaps)),
        )

    def _queries(self, phase: Phase, minimum: Minimum) -> Iterator[QueryBlock]:
        """Execute until there are enough queries in a window that is long enough."""
        first_ns: int | None = None
        done = 0
        rows: list[Inference] = []
        while True:
            one = self.dut.infer(1, 0, INFER_S)
            self.repeats.take(one.results)
            first_ns = one.begun_ns if first_ns is None else first_ns
            rows.append(one)
            done += 1
            is_over = (
                done >= minimum.queries
                and one.ended_ns - first_ns >= minimum.duration_ns
            )
            if is_over or one.ended_ns - rows[0].begun_ns >= BLOCK_NS:
                yield self._block(phase, rows)
                rows = []
            if is_over:
                return

    def _block(self, phase: Phase, rows: list[Inference]) -> QueryBlock:
        self.queries += len(rows)
        begun = array("q", (row.begun_ns for row in rows))
        return QueryBlock(
            trial=self.trial.id,
            phase=phase,
            samples_per_query=1,
            scheduled_ns=begun,
            issued_ns=begun[:],
            completed_ns=array("q", (row.ended_ns for row in rows)),
        )

    def _enter(self, phase: Phase) -> PhaseEntered:
        return PhaseEntered(trial=self.trial.id, phase=phase, at_ns=self.dut.now_ns())

    def _rest(self, duration_ns: int) -> None:
        self.clock.wait_until(self.clock.now_ns() + duration_ns)


def _median(runs: list[Inference]) -> float:
    return median(run.took_ns for run in runs)

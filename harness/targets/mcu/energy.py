"""A trial in energy mode: windows of many inferences, marked for a meter alone.

The board's time stamps are falls of a pin, which the meter sees; the line has none. So
no latency is measured. The host hears of a window's begin and end tens of milliseconds
late, which says where in the trace to look and no more. As in MLPerf Tiny, five
windows of ten seconds at least are executed, and their median counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil

from harness.clock import Clock
from harness.domain.plan import Trial
from harness.domain.query import (
    Phase,
    PhaseEntered,
    TrialEvent,
    WindowsMarked,
)
from harness.planning import MARKED_WINDOW_NS, MARKED_WINDOWS
from harness.targets.mcu.driver import Batch, Dut
from harness.targets.mcu.outputs import Repeats
from harness.units import NS_PER_S

_REST_NS = NS_PER_S
"""Between windows: nobody takes the edge of one for that of another."""
_LONGER = 1.05
"""A window is planned longer by this, since how long one inference takes was found
with the line's delays in it."""
_PROBE_NS = 2 * NS_PER_S
"""So long a batch tells the time of one inference to a few per cent."""
_MOST_PROBE = 1 << 20
_SLACK_S = 60.0


@dataclass(slots=True, kw_only=True)
class EnergyRun:
    """One trial in progress."""

    dut: Dut
    trial: Trial
    clock: Clock
    queries: int = 0
    """Always none: a query is what was timed."""
    repeats: Repeats = field(default_factory=Repeats)

    def events(self, sample: bytes) -> Iterator[TrialEvent]:
        """Yield everything between the start and the end of the trial."""
        trial = self.trial
        yield self._enter(Phase.BASELINE_BEFORE)
        self._rest(trial.baseline_ns)
        yield self._enter(Phase.LOAD)
        self.dut.load(sample)
        yield self._enter(Phase.WARM_UP)
        each_ns = self._probe()
        planned_ns = max(MARKED_WINDOW_NS, trial.minimum.duration_ns // MARKED_WINDOWS)
        count = max(
            ceil(planned_ns * _LONGER / each_ns),
            ceil(trial.minimum.queries / MARKED_WINDOWS),
        )
        yield self._enter(Phase.MEASURED)
        windows = [self._window(count, each_ns) for _ in range(MARKED_WINDOWS)]
        yield WindowsMarked(
            trial=trial.id,
            input=trial.edges,
            inferences=tuple(one.count for one in windows),
            begun_ns=tuple(one.begun_ns for one in windows),
            ended_ns=tuple(one.ended_ns for one in windows),
        )
        # stamps of readings come late: the last window must not fall into the baseline
        self._rest(_REST_NS)
        yield self._enter(Phase.BASELINE_AFTER)
        self._rest(trial.baseline_ns)
        yield self.repeats.report(trial.id)

    def _probe(self) -> float:
        """Find about how long one inference takes, in ns; this warms up as well."""
        count = 1
        while True:
            batch = self._batch(count, _SLACK_S)
            took_ns = max(1, batch.ended_ns - batch.begun_ns)
            if took_ns >= _PROBE_NS or count >= _MOST_PROBE:
                return took_ns / count
            count *= 2

    def _window(self, count: int, each_ns: float) -> Batch:
        self._rest(_REST_NS)
        return self._batch(count, 2 * count * each_ns / NS_PER_S + _SLACK_S)

    def _batch(self, count: int, seconds: float) -> Batch:
        batch = self.dut.run_batch(count, seconds)
        self.repeats.take(batch.results)
        return batch

    def _enter(self, phase: Phase) -> PhaseEntered:
        return PhaseEntered(trial=self.trial.id, phase=phase, at_ns=self.clock.now_ns())

    def _rest(self, duration_ns: int) -> None:
        self.clock.wait_until(self.clock.now_ns() + duration_ns)

"""Whole trials in virtual time: what is asked for, when, and what is handed on."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from harness.clock import VirtualClock
from harness.domain.plan import Minimum, Trial
from harness.domain.query import (
    ModelLoaded,
    Phase,
    PhaseEntered,
    PulsesMade,
    QueryBlock,
    TrialEvent,
)
from harness.domain.scenario import (
    ColdStart,
    MultiStream,
    Offline,
    Periodic,
    Scenario,
    Server,
    Sustained,
)
from harness.loadgen import machine
from harness.loadgen.pulses import plan_pulses
from harness.loadgen.pump import Launch, run_trial, time_back_to_back
from harness.testing.builders import a_trial
from harness.units import NS_PER_S

MS = 1_000_000


class Bench:
    """An executor in virtual time whose queries take `service_ns` each."""

    def __init__(self, service_ns: int = MS, load_ns: int = 40 * MS) -> None:
        self.clock = VirtualClock()
        self.events: list[TrialEvent] = []
        self.asked: list[tuple[Phase, int]] = []
        self._service_ns = service_ns
        self._load_ns = load_ns

    def load(self) -> ModelLoaded:
        self.clock.advance(self._load_ns)
        return ModelLoaded(trial="t", sha256="0" * 64, load_ns=self._load_ns)

    def queries(
        self, phase: Phase, samples_per_query: int
    ) -> Iterator[Callable[[], object]]:
        self.asked.append((phase, samples_per_query))
        while True:
            yield lambda: self.clock.advance(self._service_ns * samples_per_query)

    def work_until(self, instant_ns: int) -> None:
        self.clock.wait_until(instant_ns)

    def run(self, trial: Trial, launch: Launch | None = None) -> int:
        return run_trial(trial, self, self.clock, self.events.append, launch=launch)

    def blocks(self, phase: Phase) -> list[QueryBlock]:
        return [
            event
            for event in self.events
            if isinstance(event, QueryBlock) and event.phase is phase
        ]

    def column(self, phase: Phase, name: str) -> list[int]:
        return [time for block in self.blocks(phase) for time in getattr(block, name)]

    def phases(self) -> list[Phase]:
        return [e.phase for e in self.events if isinstance(e, PhaseEntered)]


def test_phases_come_in_the_order_of_the_method() -> None:
    bench = Bench()

    bench.run(a_trial())

    assert bench.phases() == [
        Phase.BASELINE_BEFORE,
        Phase.LOAD,
        Phase.WARM_UP,
        Phase.MEASURED,
        Phase.BASELINE_AFTER,
    ]


def test_each_idle_baseline_lasts_as_long_as_the_trial_says() -> None:
    bench = Bench()
    trial = a_trial()

    bench.run(trial)

    at = {e.phase: e.at_ns for e in bench.events if isinstance(e, PhaseEntered)}
    assert at[Phase.LOAD] - at[Phase.BASELINE_BEFORE] == trial.baseline_ns
    assert bench.clock.now_ns() - at[Phase.BASELINE_AFTER] == trial.baseline_ns


def test_a_trial_without_baselines_enters_none() -> None:
    bench = Bench()

    bench.run(_with(a_trial(), baseline_ns=0))

    assert bench.phases() == [Phase.LOAD, Phase.WARM_UP, Phase.MEASURED]


@pytest.mark.parametrize(("service_ns", "queries"), [(MS, 10_000), (200 * MS, 128)])
def test_a_window_is_stretched_until_both_minima_are_met(
    service_ns: int, queries: int
) -> None:
    bench = Bench(service_ns)

    bench.run(a_trial())

    assert len(bench.column(Phase.MEASURED, "completed_ns")) == queries


def test_warm_up_queries_are_handed_on_as_warm_up() -> None:
    bench = Bench()

    count = bench.run(a_trial())

    assert len(bench.column(Phase.WARM_UP, "issued_ns")) == 8
    assert count == 10_008


def test_back_to_back_queries_are_scheduled_when_they_are_issued() -> None:
    bench = Bench()

    bench.run(a_trial())

    issued = bench.column(Phase.MEASURED, "issued_ns")
    assert bench.column(Phase.MEASURED, "scheduled_ns") == issued
    assert bench.column(Phase.MEASURED, "completed_ns")[:-1] == issued[1:]


def test_queries_are_handed_on_every_half_second() -> None:
    bench = Bench(20 * MS)

    bench.run(a_trial())

    spans = [
        block.completed_ns[-1] - block.issued_ns[0]
        for block in bench.blocks(Phase.MEASURED)
    ]
    assert max(spans) == 500 * MS


@pytest.mark.parametrize(
    "scenario", [MultiStream(samples_per_query=8), Offline(samples_per_query=8)]
)
def test_a_query_of_many_samples_says_so(scenario: Scenario) -> None:
    bench = Bench()

    bench.run(a_trial(scenario=scenario))

    assert bench.asked == [(Phase.WARM_UP, 8), (Phase.MEASURED, 8)]
    assert {b.samples_per_query for b in bench.blocks(Phase.MEASURED)} == {8}


def test_ten_minutes_of_sustained_load_pass_in_virtual_time() -> None:
    bench = Bench(100 * MS)

    bench.run(a_trial(scenario=Sustained(duration_ns=600 * NS_PER_S)))

    assert len(bench.column(Phase.MEASURED, "completed_ns")) == 6000


def test_periodic_queries_start_on_the_beat_and_late_ones_at_once() -> None:
    bench = Bench(3 * MS)
    scenario = Periodic(period_ns=2 * MS, deadline_ns=2 * MS)
    trial = _with(a_trial(scenario=scenario), minimum=Minimum(queries=4, duration_ns=0))

    bench.run(trial)

    scheduled = bench.column(Phase.MEASURED, "scheduled_ns")
    issued = bench.column(Phase.MEASURED, "issued_ns")
    assert set(np.diff(scheduled)) == {2 * MS}
    assert [i - s for i, s in zip(issued, scheduled, strict=True)] == [
        0,
        MS,
        2 * MS,
        3 * MS,
    ]


def test_scheduled_queries_are_handed_on_in_the_pauses_between_them() -> None:
    bench = Bench(MS)
    scenario = Periodic(period_ns=100 * MS, deadline_ns=100 * MS)

    bench.run(a_trial(scenario=scenario))

    assert len(bench.blocks(Phase.MEASURED)) > 10
    assert len(bench.column(Phase.MEASURED, "issued_ns")) == 128


def test_a_server_search_ends_at_a_rate_whose_neighbour_misses_the_bound() -> None:
    bench = Bench(MS)
    trial = a_trial(scenario=Server(latency_bound_ns=5 * MS, rate_tolerance=0.1))

    bench.run(trial)

    late = _late_by_rate(bench, bound_ns=5 * MS)
    kept = [rate for rate, (n, missed) in late.items() if missed < 0.01 * n]
    lost = [rate for rate, (n, missed) in late.items() if missed >= 0.01 * n]
    assert max(kept) < min(lost) <= max(kept) * 1.1 * 1.001
    assert max(kept) < 1000.0


def test_every_probe_of_a_server_has_its_number_and_enough_queries() -> None:
    bench = Bench(MS)

    bench.run(a_trial(scenario=Server(latency_bound_ns=5 * MS)))

    segments = sorted({b.segment for b in bench.blocks(Phase.MEASURED)})
    counts = {
        s: sum(len(b.issued_ns) for b in bench.blocks(Phase.MEASURED) if b.segment == s)
        for s in segments
    }
    assert segments == list(range(len(segments)))
    assert counts[0] >= 662


def test_a_hopeless_probe_is_given_up_early() -> None:
    bench = Bench(MS)

    bench.run(a_trial(scenario=Server(latency_bound_ns=MS // 2)))

    counts = [len(b.issued_ns) for b in bench.blocks(Phase.MEASURED)]
    assert max(counts) < 150


def test_the_same_seeds_give_the_same_trial() -> None:
    first, again = Bench(), Bench()
    trial = a_trial(scenario=Server(latency_bound_ns=5 * MS))

    first.run(trial)
    again.run(trial)

    assert first.events == again.events


def test_a_cold_start_counts_from_the_start_of_its_process() -> None:
    bench = Bench(service_ns=2 * MS, load_ns=40 * MS)
    trial = _with(
        a_trial(scenario=ColdStart()), minimum=Minimum(queries=5, duration_ns=0)
    )

    bench.run(trial)

    scheduled = bench.column(Phase.MEASURED, "scheduled_ns")
    completed = bench.column(Phase.MEASURED, "completed_ns")
    assert [c - s for c, s in zip(completed, scheduled, strict=True)] == [42 * MS] * 5
    assert sum(isinstance(e, ModelLoaded) for e in bench.events) == 1
    assert bench.asked == [(Phase.MEASURED, 1)] * 5


def test_one_launch_is_one_cold_start() -> None:
    bench = Bench()
    bench.clock.advance(300 * MS)

    bench.run(a_trial(scenario=ColdStart()), Launch(begun_ns=100 * MS))

    assert bench.column(Phase.MEASURED, "scheduled_ns") == [100 * MS]
    assert bench.phases() == [Phase.LOAD, Phase.MEASURED]


def test_no_trial_starts_more_than_thirty_processes() -> None:
    many = _with(a_trial(), minimum=Minimum(queries=1024, duration_ns=0))
    few = _with(a_trial(), minimum=Minimum(queries=5, duration_ns=0))

    assert machine.cold_starts(many) == 30
    assert machine.cold_starts(few) == 5


def test_an_event_out_of_place_is_an_error() -> None:
    state = machine.begin(a_trial())

    with pytest.raises(ValueError, match="cannot come in stage outset"):
        machine.step(state, machine.ReplayDone(now_ns=0, late=0))


def test_timing_back_to_back_ends_by_count_or_by_time() -> None:
    bench = Bench(MS)
    calls = bench.queries(Phase.WARM_UP, 1)

    by_count = time_back_to_back(calls, bench.clock, rows=5, until_ns=NS_PER_S)
    by_time = time_back_to_back(
        calls, bench.clock, rows=500, until_ns=bench.clock.now_ns() + 3 * MS
    )

    assert len(by_count.issued_ns) == 5
    assert len(by_time.completed_ns) == 3


def _with(trial: Trial, **changes: object) -> Trial:
    return replace(trial, **changes)  # type: ignore[arg-type]


def _late_by_rate(bench: Bench, bound_ns: int) -> dict[float, tuple[int, int]]:
    found: dict[float, tuple[int, int]] = {}
    for block in bench.blocks(Phase.MEASURED):
        assert block.rate_hz is not None
        latencies = np.array(block.completed_ns) - np.array(block.scheduled_ns)
        n, missed = found.get(block.rate_hz, (0, 0))
        found[block.rate_hz] = (
            n + len(latencies),
            missed + int(np.sum(latencies > bound_ns)),
        )
    return found


def test_marks_come_after_the_first_baseline_and_before_the_last() -> None:
    bench = Bench()
    marked = plan_pulses(MS, seed=7)

    bench.run(replace(a_trial(), pulses=marked.planned()))

    assert bench.phases() == [one for one in Phase if one is not Phase.AFTERWARDS]
    made = [event for event in bench.events if isinstance(event, PulsesMade)]
    assert [event.phase for event in made] == [Phase.PREAMBLE, Phase.POSTAMBLE]
    starts = {e.phase: e.at_ns for e in bench.events if isinstance(e, PhaseEntered)}
    for event, planned in zip(made, (marked.preamble, marked.postamble), strict=True):
        expected = planned(starts[event.phase])
        assert (event.rises_ns, event.falls_ns) == (
            expected.rises_ns,
            expected.falls_ns,
        )
    assert starts[Phase.LOAD] - starts[Phase.PREAMBLE] == marked.duration_ns


def test_marks_wait_until_the_last_period_is_over() -> None:
    bench = Bench()
    period = Periodic(period_ns=200 * MS, deadline_ns=200 * MS)
    pulses = plan_pulses(MS, seed=7).planned()

    bench.run(replace(a_trial(scenario=period), pulses=pulses))

    last_due = max(bench.column(Phase.MEASURED, "scheduled_ns"))
    after = [e for e in bench.events if isinstance(e, PulsesMade)][-1]
    assert after.rises_ns[0] >= last_due + period.period_ns


def test_a_cold_start_makes_no_marks() -> None:
    bench = Bench()
    pulses = plan_pulses(MS, seed=7).planned()

    bench.run(replace(a_trial(scenario=ColdStart()), pulses=pulses))

    assert not {Phase.PREAMBLE, Phase.POSTAMBLE} & set(bench.phases())

"""Trials that a simulated meter read, with marks, whose truth is known."""

from array import array
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.query import Phase, PulsesMade
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import Queries, RunRecord, TrialRecord
from harness.loadgen.pulses import Burst, plan_pulses
from harness.testing.builders import a_record, a_trial, a_trial_record, some_queries
from harness.units import NS_PER_S

Reals = NDArray[np.float64]
IDLE_W, ACTIVE_W, LATENCY_S = 0.5, 2.0, 0.02
QUERIES = 500
STEP_S = 1e-3


def a_metered_trial(  # noqa: PLR0913 - each argument is one property of the bench
    *,
    offset_s: float = 0.0,
    skew: float = 0.0,
    seed: int = 0,
    clock: str = "virtual",
    noise_w: float = 0.02,
    run: int = 1,
    is_marked: bool = True,
) -> TrialRecord:
    """Make a trial of 500 queries of 20 ms with marks, read at 1 kHz by a meter.

    A time t of the meter is the trial's t·(1 + skew) + offset.
    """
    plan = plan_pulses(round(STEP_S * NS_PER_S), seed)
    before = plan.preamble(2 * NS_PER_S)
    begin = 2 * NS_PER_S + plan.duration_ns
    end = begin + round(QUERIES * LATENCY_S * NS_PER_S)
    after = plan.postamble(end)
    last = end + plan.duration_ns
    base = a_trial_record(a_trial(run=run))
    latencies = np.full(QUERIES, round(LATENCY_S * NS_PER_S), dtype=np.int64)
    queries = _shifted(latencies, begin)
    generator = np.random.default_rng(seed)
    ticks_s = np.arange(0.0, last / NS_PER_S + 2, STEP_S)
    true_s = ticks_s * (1 + skew) + offset_s
    busy = [*_pairs(before), (begin, end), *_pairs(after)]
    power = np.diff(_energy(true_s, busy)) / np.diff(true_s)
    power += generator.normal(0, noise_w, len(power))
    block = ReadingBlock(
        channel=Channel(name="power", unit="W", source="ppk2@sim:", rate_hz=1e3),
        clock=clock,
        origin=Origin.SIMULATED,
        times_ns=_ns(ticks_s[1:]),
        values=array("d", power.tobytes()),
    )
    marks = tuple(
        PulsesMade(
            trial=base.trial.id,
            phase=phase,
            rises_ns=burst.rises_ns,
            falls_ns=burst.falls_ns,
        )
        for phase, burst in ((Phase.PREAMBLE, before), (Phase.POSTAMBLE, after))
    )
    return replace(
        base,
        phases=(
            (Phase.BASELINE_BEFORE, 0),
            (Phase.PREAMBLE, 2 * NS_PER_S),
            (Phase.LOAD, begin),
            (Phase.WARM_UP, begin),
            (Phase.MEASURED, queries.issued_ns[8]),
            (Phase.POSTAMBLE, end),
            (Phase.BASELINE_AFTER, last),
        ),
        queries=queries,
        pulses=marks if is_marked else (),
        readings=(block,),
        notes={"meter.gain_ratio": "0.001", "meter.latency_s": "0"},
    )


def _shifted(latencies: NDArray[np.int64], begin: int) -> Queries:
    queries = some_queries(latencies)

    def later(column: "array[int]") -> "array[int]":
        return array("q", (np.asarray(column) + begin).tobytes())

    return replace(
        queries,
        scheduled_ns=later(queries.scheduled_ns),
        issued_ns=later(queries.issued_ns),
        completed_ns=later(queries.completed_ns),
    )


def _pairs(burst: Burst) -> list[tuple[int, int]]:
    return list(zip(burst.rises_ns, burst.falls_ns, strict=True))


def _energy(at_s: Reals, busy: list[tuple[int, int]]) -> Reals:
    energy = IDLE_W * at_s
    for rise, fall in busy:
        length = (fall - rise) / NS_PER_S
        inside = np.clip(at_s - rise / NS_PER_S, 0.0, length)
        energy = energy + (ACTIVE_W - IDLE_W) * inside
    return energy


def _ns(seconds: Reals) -> "array[int]":
    return array("q", np.rint(seconds * NS_PER_S).astype(np.int64).tobytes())


def a_metered_record(*trials: TrialRecord) -> RunRecord:
    """Make a record of one workload whose device trials are those given."""
    record = a_record(["kws"], runs=len(trials))
    host = [t for t in record.trials if t.trial.arm is Arm.HOST]
    return replace(record, trials=(*trials, *host))

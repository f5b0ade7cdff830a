"""Readings of a meter laid over the queries of their trial, or left where they are."""

from array import array
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.assessment import assess
from harness.domain.estimate import Estimate
from harness.domain.finding import Severity
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.plan import Pulses
from harness.domain.query import Phase, PulsesMade
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import Queries, RunRecord, TrialRecord
from harness.loadgen.pulses import Burst, PulsePlan, plan_pulses
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.stats.laying import MEANS, REFUSED, laid_over, lay_over
from harness.stats.metered import u_clock_s
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
    record = a_record(["kws"], runs=len(trials))
    host = [t for t in record.trials if t.trial.arm.value == "host"]
    return replace(record, trials=(*trials, *host))


def net_of(record: RunRecord) -> Estimate:
    estimates, _ = estimate(lay_over(record))
    name = "energy_per_inference_net"
    return next(one for one in estimates if one.measurand.name == name)


def test_marks_bring_readings_of_another_clock_to_the_queries() -> None:
    trial = a_metered_trial(offset_s=0.7, skew=-130e-6, clock="the meter's")

    found = laid_over(trial)

    assert found.notes[MEANS] == "pulses"
    assert {block.clock for block in found.readings} == {"virtual"}
    assert float(found.notes["alignment.offset_s"]) == pytest.approx(0.7, abs=0.01)
    assert float(found.notes["alignment.skew"]) == pytest.approx(-130e-6, abs=2e-5)
    assert 0 < u_clock_s(found) < 1e-3


def test_energy_is_right_only_once_the_clocks_are_related() -> None:
    truth = (ACTIVE_W - IDLE_W) * LATENCY_S
    shift = {"offset_s": -1.3, "skew": 140e-6}
    runs = [a_metered_trial(**shift, run=run, seed=run) for run in (1, 2, 3)]

    related = net_of(a_metered_record(*runs))
    left = [replace(run, pulses=()) for run in runs]
    stamped = net_of(a_metered_record(*left))

    assert related.value == pytest.approx(truth, rel=1e-3)
    assert abs(related.value - truth) <= related.expanded_uncertainty
    assert abs(stamped.value / truth - 1) > 0.02


def test_where_marks_cannot_be_seen_the_stamps_of_the_host_are_used() -> None:
    loud = a_metered_trial(noise_w=40.0)

    found = laid_over(loud)
    findings = find(a_metered_record(found), ())

    assert found.notes[MEANS] == "host-stamps"
    assert REFUSED in found.notes
    assert found.readings[0].clock == "virtual"
    said = next(one for one in findings if one.code == "alignment-refused")
    assert said.severity is Severity.CONDITIONAL
    assert said.values["used"] == "host-stamps"


def test_another_clock_without_a_relation_supports_no_energy() -> None:
    lost = a_metered_trial(noise_w=40.0, clock="the meter's")

    estimates, withheld = estimate(lay_over(a_metered_record(lost)))

    assert not [e for e in estimates if e.evidence_class is not None]
    reasons = {w.reason for w in withheld if "energy" in w.measurand.name}
    assert reasons == {"clocks-not-related"}


def test_a_trial_without_a_meter_stays_as_it_is() -> None:
    record = a_record(["kws"])

    assert lay_over(record) == record


def test_laying_over_twice_changes_nothing() -> None:
    once = lay_over(a_metered_record(a_metered_trial(offset_s=0.4)))

    assert lay_over(once) == once


def test_a_record_laid_over_before_is_assessed_alike() -> None:
    record = a_metered_record(a_metered_trial(offset_s=0.4))
    tiers = load_tier_set(tier_set_path("2026.1"))

    assert assess(lay_over(record), tiers) == assess(record, tiers)


def test_a_simulated_meter_is_class_d_however_well_it_is_aligned() -> None:
    found = net_of(a_metered_record(a_metered_trial()))

    assert found.evidence_class is EvidenceClass.D


def test_what_a_trial_asks_for_can_be_written_and_read() -> None:
    plan = plan_pulses(10_000_000, seed=5)

    assert PulsePlan.of(plan.planned()) == plan
    with pytest.raises(ValueError, match="no sequence of 16"):
        PulsePlan.of(Pulses(chips=16, chip_ns=1, seed=0))

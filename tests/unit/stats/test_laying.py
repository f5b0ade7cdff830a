"""Readings of a meter laid over the queries of their trial, or left where they are."""

import json
from array import array
from dataclasses import replace
from math import ceil, floor, inf

import numpy as np
import pytest

from harness.assessment import assess
from harness.domain.calibration import CalibratedRange
from harness.domain.estimate import Estimate
from harness.domain.finding import Severity
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.plan import Pulses
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import RunRecord, TrialRecord
from harness.loadgen.pulses import PulsePlan, plan_pulses
from harness.schema.codec import to_plain
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.stats.laying import (
    CALIBRATION_LINES,
    MEANS,
    REFUSED,
    laid_over,
    lay_over,
)
from harness.stats.metered import u_clock_s
from harness.testing.builders import a_record
from harness.testing.metered import (
    ACTIVE_W,
    IDLE_W,
    LATENCY_S,
    a_metered_record,
    a_metered_trial,
)
from harness.units import NS_PER_S


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


def test_readings_are_corrected_by_the_lines_of_their_calibration_once() -> None:
    line = CalibratedRange(
        channel="power",
        unit="W",
        least=0.0,
        most=10.0,
        gain=1.1,
        offset=0.01,
        u_gain_ratio=0.003,
        u_offset=0.001,
        freedom=inf,
        pairs=40,
    )
    lines = json.dumps(to_plain((line,), tuple[CalibratedRange, ...]))
    raw = a_metered_trial(noise_w=0.0)
    noted = replace(raw, notes={**raw.notes, CALIBRATION_LINES: lines})

    found = laid_over(noted)

    before = np.asarray(raw.readings[0].values)
    assert np.asarray(found.readings[0].values) == pytest.approx(0.01 + 1.1 * before)
    assert laid_over(found) == found


def pinned(trial: TrialRecord, *extra: ReadingBlock) -> TrialRecord:
    planned = Pulses(chips=31, chip_ns=20_000_000, seed=0, pin="/pin")
    asked = replace(trial.trial, pulses=planned)
    return replace(trial, trial=asked, readings=(*trial.readings, *extra))


def an_input(
    trial: TrialRecord, offset_s: float, skew: float, bit: int
) -> ReadingBlock:
    """What a meter's inputs see of a pin that is high in each pulse, at 100 kHz."""
    edges = sorted(
        (at, level)
        for made in trial.pulses
        for level, column in ((1 << bit, made.rises_ns), (0, made.falls_ns))
        for at in column
    )
    meter_s = [(at / NS_PER_S - offset_s) / (1 + skew) for at, _ in edges]
    ticks = [ceil(at * 1e5) * 10_000 for at in meter_s]
    return ReadingBlock(
        channel=Channel(name="logic", unit="1", source="ppk2@sim:", rate_hz=1e5),
        clock="the meter's",
        origin=Origin.SIMULATED,
        times_ns=array("q", [0, *ticks]),
        values=array("d", [0.0, *(float(level) for _, level in edges)]),
    )


def test_a_pin_that_the_meter_watches_is_the_best_means() -> None:
    shift = {"offset_s": 0.7, "skew": -130e-6}
    raw = a_metered_trial(**shift, clock="the meter's", noise_w=40.0)

    found = laid_over(pinned(raw, an_input(raw, **shift, bit=3)))

    # the power shows nothing of the marks
    assert found.notes[MEANS] == "edges"
    assert float(found.notes["alignment.skew"]) == pytest.approx(-130e-6, abs=1e-6)
    assert u_clock_s(found) < 2e-4


def test_an_input_that_moved_otherwise_is_not_the_pin() -> None:
    raw = a_metered_trial(offset_s=0.3)
    whole = an_input(raw, 0.3, 0.0, bit=0)
    fewer = replace(whole, times_ns=whole.times_ns[:-2], values=whole.values[:-2])

    assert laid_over(pinned(raw, fewer)).notes[MEANS] == "pulses"


def test_instants_at_which_an_input_fell_do_as_well() -> None:
    shift = {"offset_s": 0.7, "skew": 100e-6}
    raw = a_metered_trial(**shift, clock="the meter's", noise_w=40.0)
    falls = [at for made in raw.pulses for at in made.falls_ns]
    meter_s = [(at / NS_PER_S - 0.7) / (1 + 100e-6) for at in falls]
    event = ReadingBlock(
        channel=Channel(name="event", unit="1", source="ppk2@sim:"),
        clock="the meter's",
        origin=Origin.SIMULATED,
        times_ns=array("q", [floor(at * 1e3) * 1_000_000 for at in meter_s]),
        values=array("d", [1.0] * len(falls)),
    )

    found = laid_over(pinned(raw, event))

    assert found.notes[MEANS] == "edges"
    assert float(found.notes["alignment.offset_s"]) == pytest.approx(0.7007, abs=2e-3)


def test_an_external_meter_with_an_edge_in_its_trace_is_class_a() -> None:
    shift = {"offset_s": 0.0, "skew": 0.0}
    raw = a_metered_trial()
    seen = pinned(raw, an_input(raw, **shift, bit=0))
    real = replace(
        seen,
        readings=tuple(replace(b, origin=Origin.MEASURED) for b in seen.readings),
    )

    assert net_of(a_metered_record(real)).evidence_class is EvidenceClass.A

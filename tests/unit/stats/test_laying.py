"""Readings of a meter laid over the queries of their trial, or left where they are."""

import json
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from harness.assessment import assess
from harness.domain.calibration import CalibratedRange
from harness.domain.estimate import Estimate
from harness.domain.finding import Severity
from harness.domain.origin import EvidenceClass
from harness.domain.plan import Pulses
from harness.domain.record import RunRecord
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

"""A power figure carries what its meter's data sheet promises."""

from dataclasses import replace
from math import hypot, sqrt

import pytest

from harness.domain.estimate import Estimate
from harness.stats.budget import Source
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.testing.builders import a_record


def figure(name: str, **notes: str) -> Estimate:
    record = a_record(["kws"])
    keyed = {f"meter.{key}": value for key, value in notes.items()}
    trials = tuple(replace(trial, notes=keyed) for trial in record.trials)
    estimates, _ = estimate(replace(record, trials=trials))
    return next(one for one in estimates if one.measurand.name == name)


def sources(one: Estimate) -> set[str]:
    return {row.source for row in one.budget}


def test_the_gain_is_in_every_power_figure() -> None:
    for name in ("energy_per_inference_net", "average_power", "idle_power"):
        one = figure(name, gain_ratio="0.1")

        assert one.standard_uncertainty >= 0.1 / sqrt(3) * one.value


def test_an_offset_is_gone_from_net_energy_and_stays_in_gross() -> None:
    terms = {"gain_ratio": "0.01", "offset_w": "0.003"}
    net = figure("energy_per_inference_net", **terms)
    gross = figure("energy_per_inference_gross", **terms)
    power = figure("average_power", **terms)

    assert Source.OFFSET not in sources(net)
    assert Source.OFFSET in sources(gross)
    assert power.standard_uncertainty >= 0.003 / sqrt(3)


def test_an_offset_in_watts_weighs_on_idle_power() -> None:
    one = figure("idle_power", gain_ratio="0", offset_w="0.001")

    assert one.standard_uncertainty >= 0.001 / sqrt(3)


def test_a_display_that_does_not_dither_hides_a_share_of_a_step() -> None:
    one = figure("average_power", gain_ratio="0", resolution_w="0.01")
    row = next(row for row in one.budget if row.source == Source.RESOLUTION)

    assert row.u == pytest.approx(0.01 / sqrt(12))


def test_a_voltage_that_is_stated_and_not_measured_is_a_row() -> None:
    one = figure("average_power", gain_ratio="0", voltage_ratio="0.02")
    row = next(row for row in one.budget if row.source == Source.VOLTAGE)

    assert row.u == pytest.approx(0.02 * one.value)


def test_a_latency_knows_no_meter() -> None:
    assert figure("latency_p50", gain_ratio="0.1") == figure("latency_p50")
    assert figure("latency_p50", gain_ratio="0.1").budget == ()


def test_the_rows_of_a_budget_add_up_to_its_uncertainty() -> None:
    for name in ("energy_per_inference_net", "energy_per_inference_gross"):
        one = figure(
            name,
            gain_ratio="0.01",
            offset_w="0.001",
            resolution_w="0.0005",
            timebase_ratio="1e-4",
        )

        together = hypot(*(row.u for row in one.budget))
        assert together == pytest.approx(one.standard_uncertainty)
        weights = [row.u for row in one.budget]
        assert weights == sorted(weights, reverse=True)


def test_the_floor_is_what_no_longer_window_makes_smaller() -> None:
    one = figure("average_power", gain_ratio="0.1", offset_w="0")

    assert one.floor_ratio == pytest.approx(2 * 0.1 / sqrt(3))
    assert one.expanded_uncertainty / one.value >= one.floor_ratio * 0.97
    assert figure("average_power").floor_ratio is None


def test_a_meter_that_failed_is_found() -> None:
    record = a_record(["kws"])
    trials = tuple(
        replace(trial, notes={"meter.failure": "The device went away."})
        for trial in record.trials
    )

    found = find(replace(record, trials=trials), ())

    lost = [one for one in found if one.code == "readings-lost"]
    assert lost
    assert lost[0].values["reason"] == "The device went away."

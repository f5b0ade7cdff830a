"""A power figure carries what its meter's data sheet promises."""

from dataclasses import replace
from math import sqrt

import pytest

from harness.domain.estimate import Estimate
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.testing.builders import a_record


def figure(name: str, **notes: str) -> Estimate:
    record = a_record(["kws"])
    keyed = {f"meter.{key}": value for key, value in notes.items()}
    trials = tuple(replace(trial, notes=keyed) for trial in record.trials)
    estimates, _ = estimate(replace(record, trials=trials))
    return next(one for one in estimates if one.measurand.name == name)


def test_the_gain_is_in_every_power_figure() -> None:
    for name in ("energy_per_inference_net", "average_power", "idle_power"):
        one = figure(name, gain_ratio="0.1")

        assert one.standard_uncertainty >= 0.1 / sqrt(3) * one.value


def test_an_offset_is_gone_from_net_energy_and_stays_in_gross() -> None:
    without = figure("energy_per_inference_net", gain_ratio="0.01")
    net = figure("energy_per_inference_net", gain_ratio="0.01", offset_ratio="0.5")
    gross = figure("energy_per_inference_gross", gain_ratio="0.01", offset_ratio="0.5")

    assert net.standard_uncertainty == without.standard_uncertainty
    assert gross.standard_uncertainty >= 0.5 / sqrt(3) * gross.value


def test_an_offset_in_watts_weighs_on_idle_power() -> None:
    one = figure("idle_power", gain_ratio="0", offset_ratio="0.01", offset_w="0.001")

    assert one.standard_uncertainty >= 0.001 / sqrt(3)


def test_a_latency_knows_no_meter() -> None:
    assert figure("latency_p50", gain_ratio="0.1") == figure("latency_p50")


def test_the_method_says_what_the_meter_promises() -> None:
    one = figure("energy_per_inference_net", gain_ratio="0.1")

    assert one.method.endswith("meter within ±10.00%")


@pytest.mark.parametrize("name", ["average_power", "energy_per_inference_gross"])
def test_without_notes_nothing_is_added(name: str) -> None:
    assert "meter within" not in figure(name).method


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

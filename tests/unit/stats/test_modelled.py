"""An emulated figure carries the error of the device model, not only its spread."""

from dataclasses import replace

import pytest

from harness.domain.estimate import Estimate
from harness.domain.origin import Origin
from harness.domain.record import RunRecord
from harness.stats.estimating import estimate
from harness.testing.builders import a_record

NOTE = "emulation.relative_uncertainty"


def noting(relative: str) -> RunRecord:
    record = a_record(["kws"])
    trials = tuple(replace(trial, notes={NOTE: relative}) for trial in record.trials)
    return replace(record, trials=trials)


def figure(record: RunRecord, name: str, origin: str) -> Estimate:
    estimates, _ = estimate(record)
    return next(
        one
        for one in estimates
        if one.measurand.name == name and one.origin.value == origin
    )


@pytest.mark.parametrize("name", ["latency_p50", "throughput", "average_power"])
def test_times_rates_and_powers_carry_the_error_of_the_model(name: str) -> None:
    one = figure(noting("0.2"), name, "emulated")

    assert one.standard_uncertainty >= 0.2 * one.value
    assert one.expanded_uncertainty >= 1.95 * 0.2 * one.value
    assert one.instrument_uncertainty >= 0.2 * one.value


def test_the_value_and_the_bounds_stay_as_they_were() -> None:
    with_error = figure(noting("0.2"), "latency_p90", "emulated")
    without = figure(noting("0"), "latency_p90", "emulated")

    assert with_error.value == without.value
    assert with_error.upper_bound == without.upper_bound


def test_counts_of_bytes_are_left_alone() -> None:
    with_error = figure(noting("0.2"), "weights_and_arena", "emulated")
    without = figure(noting("0"), "weights_and_arena", "emulated")

    assert with_error == without


def test_figures_of_the_host_are_left_alone() -> None:
    with_error = figure(noting("0.2"), "latency_p50", "host")
    without = figure(noting("0"), "latency_p50", "host")

    assert with_error == without


def test_the_method_says_how_sure_the_model_is() -> None:
    one = figure(noting("0.2"), "latency_p50", "emulated")

    assert one.method.endswith("device model u = 20%")


def test_power_read_by_a_simulated_meter_never_passes_for_measured() -> None:
    record = a_record(["kws"])
    suts = {
        address: replace(sut, origin=Origin.MEASURED)
        for address, sut in record.suts.items()
    }
    trials = tuple(
        replace(
            trial,
            readings=tuple(
                replace(block, origin=Origin.SIMULATED) for block in trial.readings
            ),
        )
        for trial in record.trials
    )

    measured = replace(record, suts=suts, trials=trials)

    assert figure(measured, "latency_p50", "measured").value > 0
    assert figure(measured, "average_power", "simulated").value > 0

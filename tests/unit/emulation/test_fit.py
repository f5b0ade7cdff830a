"""Rates found again from times that were made with them; intervals that hold."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest

from harness.emulation.amounts import Amounts
from harness.emulation.calibration import (
    Request,
    calibrate,
    completed,
    prior_from,
    suggestions,
)
from harness.emulation.conformal import factor_90
from harness.emulation.coverage import beyond, covered_by, widened
from harness.emulation.fit import FIT_FORMS, Anchor, fit, left_out
from harness.emulation.networks import standard_networks
from harness.emulation.operators import OperatorClass
from harness.emulation.priors import prior_of

CPU = FIT_FORMS["cpu"]
PRIOR = prior_of("cpu", "int8")
TRUE = {
    "mac_rate.dense": 1 / 12e9,
    "mac_rate.pointwise": 1 / 30e9,
    "mac_rate.depthwise": 1 / 2.3e9,
    "bandwidth.weight": 1 / 7e9,
    "bandwidth.activation": 1 / 2.6e9,
    "per_kernel": 30e-6,
}
"""Near what was found on a Raspberry Pi 4; far from the prior's ratios."""
NAMES = tuple(
    name
    for name in standard_networks()
    if name.startswith(("mbv1", "mbv2", "efflite", "resnet", "squeeze", "mnas"))
    and "3d" not in name
)


def amounts_of(name: str) -> Amounts:
    return standard_networks()[name].amounts("int8")


def true_seconds(amounts: Amounts, costs: Mapping[str, float]) -> float:
    dense = costs["mac_rate.dense"] * amounts.macs[OperatorClass.DENSE]
    pointwise = amounts.macs[OperatorClass.POINTWISE]
    pointwise += amounts.macs[OperatorClass.MATMUL]
    pointwise += amounts.macs[OperatorClass.ATTENTION]
    depthwise = costs["mac_rate.depthwise"] * amounts.macs[OperatorClass.DEPTHWISE]
    return (
        dense
        + costs["mac_rate.pointwise"] * pointwise
        + depthwise
        + costs["bandwidth.weight"] * amounts.weight_bytes
        + costs["bandwidth.activation"] * amounts.activation_bytes
        + costs["per_kernel"] * amounts.kernels
    )


def anchors_of(
    names: Sequence[str], *, noise: float = 0.0, seed: int = 1
) -> list[Anchor]:
    generator = np.random.default_rng(seed)
    return [
        Anchor(
            model=name,
            amounts=amounts_of(name),
            seconds=true_seconds(amounts_of(name), TRUE)
            * exp(noise * generator.standard_normal()),
        )
        for name in names
    ]


def request(unit: str = "cpu") -> Request:
    return Request(
        unit=unit, prior=prior_of(unit, "int8"), onchip_bytes=0.0, source="fit:here"
    )


def test_times_are_predicted_as_they_were_made_though_the_prior_is_another() -> None:
    anchors = anchors_of(NAMES)

    fitted = fit(anchors, CPU, PRIOR)

    for one in anchors:
        assert fitted.seconds(one.amounts) == pytest.approx(one.seconds, rel=0.05)
    assert all(cost > 0 for cost in fitted.costs.values())


def test_a_device_twice_as_slow_has_costs_twice_as_high() -> None:
    anchors = anchors_of(NAMES, noise=0.05)
    slower = [replace(one, seconds=2 * one.seconds) for one in anchors]

    costs, doubled = (fit(some, CPU, PRIOR).costs for some in (anchors, slower))

    for name, cost in costs.items():
        assert doubled[name] == pytest.approx(2 * cost, rel=1e-4)


def test_one_wild_row_does_not_move_the_others() -> None:
    anchors = anchors_of(NAMES, noise=0.01)
    wild = replace(anchors[3], model="wild", seconds=30 * anchors[3].seconds)

    made = calibrate([*anchors, wild], request())

    assert [name for name, _ in made.outliers] == ["wild"]
    for one in anchors:
        ratio = made.fitted.seconds(one.amounts) / one.seconds
        assert ratio == pytest.approx(1.0, abs=0.1)


def test_two_models_keep_the_shape_of_the_family_and_one_tells_no_error() -> None:
    two = fit(anchors_of(NAMES[:2]), CPU, PRIOR)
    alone = calibrate(anchors_of(NAMES[:1]), request())

    assert two.is_scale_only
    ratio = two.costs["mac_rate.depthwise"] / two.costs["mac_rate.dense"]
    assert ratio == pytest.approx(12.0)
    assert alone.latency_left_out == ()
    assert alone.factor_90 > 1.2


def test_rows_of_one_model_are_left_out_together() -> None:
    anchors = anchors_of(NAMES[:6], noise=0.02)
    repeated = [*anchors, replace(anchors[0], seconds=1.5 * anchors[0].seconds)]

    found = left_out(repeated, CPU, PRIOR)

    assert set(found) == {one.model for one in anchors}


def test_ninety_percent_of_new_models_are_within_the_factor() -> None:
    """Seeded: calibrate on 24 networks with 8 % scatter, predict the rest."""
    generator = np.random.default_rng(7)
    held = []
    for seed in range(12):
        shuffled = list(generator.permutation(NAMES))
        known = anchors_of(shuffled[:24], noise=0.08, seed=seed)
        new = anchors_of(shuffled[24:], noise=0.08, seed=100 + seed)
        made = calibrate(known, request())
        bound = log(made.factor_90)
        held += [
            abs(log(made.fitted.seconds(one.amounts) / one.seconds)) <= bound
            for one in new
        ]

    assert len(held) > 150
    assert 0.85 <= np.mean(held) <= 0.96


@pytest.mark.parametrize("count", [4, 8, 30])
def test_the_factor_holds_ninety_percent_of_what_is_drawn_alike(count: int) -> None:
    generator = np.random.default_rng(count)
    held = []
    for _ in range(1500):
        residuals = 0.15 * generator.standard_normal(count + 1)
        bound = log(factor_90(list(residuals[:-1]), 0.15))
        held.append(abs(residuals[-1]) <= bound)

    assert 0.88 <= np.mean(held) <= 0.94


def test_heavy_tails_are_held_too_where_there_are_enough_residuals() -> None:
    generator = np.random.default_rng(3)
    held = []
    for _ in range(1500):
        residuals = 0.1 * generator.standard_t(2, 41)
        bound = log(factor_90(list(residuals[:-1]), 0.1))
        held.append(abs(residuals[-1]) <= bound)

    assert 0.88 <= np.mean(held) <= 0.93


def test_energy_of_few_models_is_power_times_time() -> None:
    anchors = [
        replace(one, energy_j=0.5 * one.seconds) for one in anchors_of(NAMES[:5])
    ]

    made = calibrate(anchors, replace(request(), idle_w=0.1))

    assert made.parameters["power.active"].value == pytest.approx(0.5)
    assert made.parameters["power.idle"].value == 0.1
    assert made.parameters["energy.per_mac"].value == 0.0
    assert all(abs(one.log_ratio) < 1e-6 for one in made.energy_left_out)


def test_energy_of_many_models_is_told_apart_into_time_and_products() -> None:
    anchors = [
        replace(one, energy_j=0.5 * one.seconds + 20e-12 * one.amounts.all_macs)
        for one in anchors_of(NAMES)
    ]

    made = calibrate(anchors, request())

    assert made.parameters["power.active"].value == pytest.approx(0.5, rel=0.02)
    assert made.parameters["energy.per_mac"].value == pytest.approx(20e-12, rel=0.05)


def test_memory_is_factors_for_weights_and_activations_and_a_constant() -> None:
    anchors = [
        replace(
            one,
            peak_bytes=1.9 * one.amounts.weight_bytes
            + 6 * one.amounts.live_bytes
            + 19e6,
        )
        for one in anchors_of(NAMES)
    ]

    found = calibrate(anchors, request()).parameters

    assert found["memory.weight_factor"].value == pytest.approx(1.9, rel=0.01)
    assert found["memory.arena_factor"].value == pytest.approx(6, rel=0.01)
    assert found["memory.session"].value == pytest.approx(19e6, rel=0.01)


def test_a_class_that_no_model_held_is_named_and_lies_outside() -> None:
    anchors = anchors_of([name for name in NAMES if name.startswith("mbv1")])

    made = calibrate(anchors, request())
    outside = beyond(made.covered, amounts_of("vit"), {"matmul": 0.9})

    assert {"matmul", "attention"} <= set(made.unseen)
    assert "pointwise" in made.covered.classes
    assert "class matmul" in {one.what for one in outside}
    assert widened(1.1, outside) >= 3.0


def test_a_model_like_those_seen_is_inside_and_keeps_its_interval() -> None:
    covered = covered_by(map(amounts_of, NAMES), ["pointwise"], len(NAMES))

    outside = beyond(covered, amounts_of("mbv2_1.0_160"), {"pointwise": 0.8})

    assert outside == ()
    assert widened(1.1, outside) == 1.1


def test_what_is_far_larger_than_all_seen_widens_the_interval() -> None:
    covered = covered_by(map(amounts_of, ["kws", "ad"]), ["pointwise", "dense"], 2)

    outside = beyond(covered, amounts_of("mbv2_1.0_224"), {})

    assert {"macs", "kernels", "weights", "activations"} == {o.what for o in outside}
    assert widened(1.3, outside) == pytest.approx(1.69)
    assert widened(1.01, outside) == 1.5


def test_the_next_model_to_measure_holds_what_the_others_lack() -> None:
    anchors = anchors_of([n for n in NAMES if n.startswith("mbv1_1.0")])
    made = calibrate(anchors, request())
    candidates = {n: amounts_of(n) for n in ("mbv1_0.75_224", "resnet18")}

    chosen = suggestions(anchors, made, candidates, request(), 2)

    assert [name for name, _ in chosen] == ["resnet18", "mbv1_0.75_224"]
    assert chosen[0][1] > chosen[1][1]


def test_a_device_that_its_family_misfits_is_said_to_be_of_another() -> None:
    odd = [
        replace(one, seconds=1e-9 * one.amounts.weight_bytes**1.5)
        for one in anchors_of(NAMES)
    ]

    assert calibrate(odd, request()).is_of_another_family
    assert not calibrate(anchors_of(NAMES), request()).is_of_another_family


def test_ratios_of_a_family_member_are_read_off_its_profile() -> None:
    made = calibrate(anchors_of(NAMES), request())

    prior = prior_from(made.parameters, CPU)
    partial = completed({"mac_rate.dense": 2e-9}, PRIOR)

    assert prior["per_kernel"] == pytest.approx(made.fitted.costs["per_kernel"])
    assert partial["mac_rate.depthwise"] / partial["mac_rate.dense"] == (
        pytest.approx(12.0)
    )


@pytest.mark.parametrize("unit", ["mcu", "cpu", "npu"])
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_each_unit_has_a_prior_for_each_of_its_columns(
    unit: str, precision: str
) -> None:
    prior = prior_of(unit, precision)

    assert [column[0] for column in FIT_FORMS[unit].columns] == list(prior)
    with pytest.raises(ValueError, match="quantum"):
        prior_of("quantum", precision)

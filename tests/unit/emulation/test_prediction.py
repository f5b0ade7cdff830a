"""What a prediction says of itself: interval, standing, limit, fallback, refusal."""

from dataclasses import replace
from math import exp

import pytest
from test_predict import COST, a_profile

from harness.domain.profile import Covered, DeviceProfile
from harness.emulation.device_model import Z90
from harness.emulation.graph_cost import GraphCost
from harness.emulation.kernels import NodeCost
from harness.emulation.operators import OperatorClass
from harness.emulation.predict import predict, rates_of
from harness.emulation.prediction import Bound, Standing
from harness.emulation.roofline import roofline, seconds_of

COVERED = Covered(
    macs=(1e6, 2e6),
    kernels=(4, 8),
    weights_bytes=(1e3, 1e4),
    activations_bytes=(1e3, 1e4),
    classes=("dense", "pointwise", "depthwise", "matmul"),
    models=9,
)


def with_model(profile: DeviceProfile, **changes: object) -> DeviceProfile:
    assert profile.emulation is not None
    return replace(profile, emulation=replace(profile.emulation, **changes))  # type: ignore[arg-type]


def test_ninety_percent_are_within_the_factor_of_the_profile() -> None:
    prediction = predict(a_profile({"interval_90": 1.5}), COST)

    low, high = prediction.interval_90_s
    assert prediction.latency_s / low == pytest.approx(1.5)
    assert high / prediction.latency_s == pytest.approx(1.5)
    assert prediction.relative_uncertainty == pytest.approx(0.2465, rel=1e-3)


def test_without_a_factor_the_interval_is_that_of_the_uncertainty() -> None:
    assert predict(a_profile(), COST).factor_90 == pytest.approx(exp(Z90 * 0.2))


def test_energy_is_less_sure_than_latency() -> None:
    prediction = predict(a_profile({"energy.uncertainty": 0.1}), COST)

    low, high = prediction.interval_90_j
    assert low < prediction.energy_j < high
    assert prediction.energy_factor_90 > prediction.factor_90


def test_products_and_bytes_may_take_energy_of_their_own() -> None:
    plain = predict(a_profile(), COST)
    moving = predict(a_profile({"energy.per_mac": 1e-9, "energy.per_byte": 2e-8}), COST)

    extra = 1e-9 * COST.macs + 2e-8 * (COST.activation_bytes + COST.weight_bytes)
    assert moving.energy_j - plain.energy_j == pytest.approx(extra)


def test_a_model_outside_is_said_to_be_and_its_interval_is_wider() -> None:
    profile = a_profile({"interval_90": 1.2})
    inside = predict(with_model(profile, covered=COVERED), COST)
    small = with_model(profile, covered=replace(COVERED, macs=(1e9, 2e9)))
    outside = predict(small, COST)

    assert inside.standing is Standing.INTERPOLATED
    assert inside.findings == ()
    assert outside.standing is Standing.EXTRAPOLATED
    assert outside.factor_90 == pytest.approx(1.5)
    (finding,) = outside.findings
    assert finding.code == "outside-emulation-domain"
    assert "macs 1.53e+06" in str(finding.values["amounts"])


def test_ratios_of_a_family_are_said_to_be_borrowed() -> None:
    prediction = predict(with_model(a_profile(), family="cousins"), COST)

    assert prediction.standing is Standing.TRANSFERRED
    assert [f.code for f in prediction.findings] == ["borrowed-from-family"]


def test_what_rests_on_assumptions_stands_as_not_validated() -> None:
    assert predict(a_profile(source="assumed"), COST).standing is Standing.UNVALIDATED


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({}, Bound.COMPUTE),
        ({"bandwidth.weight": 1e4}, Bound.MEMORY),
        ({"fixed": 1.0}, Bound.LAUNCH),
    ],
)
def test_what_limits_is_what_takes_most_of_the_time(
    changes: dict[str, float], limit: Bound
) -> None:
    prediction = predict(a_profile(changes), COST)

    assert prediction.limit is limit
    assert sum(prediction.shares.values()) == pytest.approx(1.0)


def test_weights_cost_nothing_of_their_own_where_the_form_has_no_rate_for_them() -> (
    None
):
    names = [t.name for t in predict(a_profile({"bandwidth.weight": 0.0}), COST).terms]

    assert "weights" not in names


def test_bytes_beyond_the_fast_memory_cost_more() -> None:
    spilling = {"bandwidth.spill": 1e5, "memory.onchip": 500.0}

    terms = {t.name: t.seconds for t in predict(a_profile(spilling), COST).terms}

    # of 2000 bytes alive 500 fit, so that 3/4 of the 2000 moved miss
    assert terms["spill"] == pytest.approx(1500 / 1e5)


def graph(*operators: str) -> GraphCost:
    nodes = tuple(
        NodeCost(
            name=f"{operator} {place}",
            operator=operator,
            operator_class=OperatorClass.POINTWISE,
            macs=1000,
            weight_bytes=10,
            input_bytes=50,
            output_bytes=50,
        )
        for place, operator in enumerate(operators)
    )
    return GraphCost(nodes=nodes, weight_bytes=10 * len(nodes), arena_bytes=100)


FALLING = {
    "fallback.mac_rate": 1e5,
    "fallback.bandwidth": 1e4,
    "fallback.per_switch": 0.5,
}


def test_operators_that_the_accelerator_does_not_take_run_elsewhere() -> None:
    profile = with_model(a_profile(FALLING), fallback_operators=("Odd",))

    prediction = predict(profile, graph("Conv", "Odd", "Odd", "Conv", "Odd"))

    assert prediction.fallback is not None
    assert prediction.fallback.operators == ("Odd",)
    assert prediction.fallback.kernels == 3
    assert prediction.fallback.switches == 2
    expected = 3000 / 1e5 + 3 * 110 / 1e4 + 2 * 0.5
    assert prediction.fallback.seconds == pytest.approx(expected)
    assert prediction.limit is Bound.FALLBACK
    assert "emulated-fallback" in [f.code for f in prediction.findings]


def test_a_model_without_such_operators_does_not_fall_back() -> None:
    profile = with_model(a_profile(FALLING), fallback_operators=("Odd",))

    assert predict(profile, graph("Conv")).fallback is None


def test_an_operator_that_the_device_cannot_run_refuses_the_model() -> None:
    profile = with_model(a_profile(), refused_operators=("Odd",))

    prediction = predict(profile, graph("Conv", "Odd"))

    assert prediction.refusal == "the device cannot run Odd"
    assert "operator-refused" in [f.code for f in prediction.findings]


def test_products_of_wide_numbers_take_longer_by_their_factor() -> None:
    wide = replace(COST, nodes=tuple(replace(n, is_wide=True) for n in COST.nodes))
    slow = predict(a_profile({"wide_factor": 4.0}), wide)
    plain = predict(a_profile(), COST)

    times = {t.name: t.seconds for t in slow.terms}
    before = {t.name: t.seconds for t in plain.terms}
    assert times["dense"] == pytest.approx(4 * before["dense"])
    assert times["weights"] == before["weights"]


def test_operators_stand_under_the_roof_with_shares_that_add_up() -> None:
    rates = rates_of(a_profile())
    cost = graph("Conv", "Conv")
    latency = sum(seconds_of(rates, node) for node in cost.nodes)

    roof = roofline(rates, cost, latency)

    assert sum(spot.share for spot in roof.spots) == pytest.approx(1.0)
    for spot in roof.spots:
        assert spot.macs_a_second <= roof.peak_macs_a_second
        assert spot.macs_a_second <= spot.macs_a_byte * roof.bytes_a_second * 1.2
    assert roof.ridge == pytest.approx(100e6 / 2e6)


def test_what_is_counted_only_in_part_widens_the_interval() -> None:
    profile = a_profile({"interval_90": 1.2})

    shapes = predict(profile, replace(COST, unknown_shapes=("n",)))
    operators = predict(profile, replace(COST, unknown_operators=("Odd",)))
    nodes = tuple(replace(node, is_wide=True) for node in COST.nodes)
    wide = predict(profile, replace(COST, nodes=nodes))

    assert shapes.factor_90 == operators.factor_90 == pytest.approx(1.5)
    assert wide.factor_90 == pytest.approx(3.0)
    assert shapes.standing is Standing.EXTRAPOLATED

"""Networks that were measured before: on this device, or on one of its family."""

from dataclasses import replace
from math import log

import pytest
from test_fit import NAMES, TRUE, amounts_of, anchors_of, request, true_seconds
from test_predict import a_profile
from test_prediction import with_model

from harness.domain.profile import DeviceProfile, LeftOut
from harness.emulation.amounts import Amounts
from harness.emulation.calibration import calibrate
from harness.emulation.graph_cost import GraphCost
from harness.emulation.kernels import NodeCost
from harness.emulation.networks import recognised, standard_networks
from harness.emulation.operators import OperatorClass
from harness.emulation.predict import predict
from harness.emulation.prediction import Standing


def graph_like(name: str, *, macs_off: float = 1.0) -> GraphCost:
    """Make a graph with the amounts of a standard network, one node a class."""
    amounts = amounts_of(name)
    kinds = [kind for kind, macs in amounts.macs.items() if macs]
    nodes = [
        NodeCost(
            name=str(kind),
            operator="Conv",
            operator_class=kind,
            macs=round(amounts.macs[kind] * macs_off),
        )
        for kind in kinds
    ]
    rest = NodeCost(
        name="rest",
        operator="Relu",
        operator_class=OperatorClass.ELEMENTWISE,
        input_bytes=round(amounts.activation_bytes),
        repeats=round(amounts.kernels) - len(nodes),
    )
    return GraphCost(
        nodes=(*nodes, rest),
        weight_bytes=round(amounts.weight_bytes),
        arena_bytes=round(amounts.live_bytes),
    )


@pytest.mark.parametrize("precision", ["int8", "fp16", "fp32"])
def test_a_network_is_recognised_in_any_precision(precision: str) -> None:
    for name in ("kws", "ad", "mbv1_0.5_160", "resnet18", "vit"):
        amounts = standard_networks()[name].amounts(precision)

        assert name in recognised(amounts)


def test_networks_that_are_not_the_same_are_told_apart() -> None:
    assert recognised(amounts_of("mbv1_0.5_160")) == ("mbv1_0.5_160",)
    assert "resnet18" not in recognised(amounts_of("resnet50"))
    assert (
        recognised(
            Amounts(
                macs={}, kernels=1, weight_bytes=0, activation_bytes=0, live_bytes=0
            )
        )
        == ()
    )


def profile_that_knows(**known: tuple[LeftOut, ...]) -> DeviceProfile:
    return with_model(a_profile({"interval_known_90": 1.2}), **known)


def test_what_was_measured_on_the_device_is_what_is_predicted() -> None:
    plain = predict(a_profile(), graph_like("resnet18"))
    own = (LeftOut(model="resnet18", log_ratio=log(1.6)),)

    prediction = predict(profile_that_knows(known=own), graph_like("resnet18"))

    assert prediction.latency_s == pytest.approx(plain.latency_s / 1.6)
    assert sum(t.seconds for t in prediction.terms) == (
        pytest.approx(prediction.latency_s)
    )
    assert prediction.standing is Standing.MEASURED
    assert prediction.factor_90 == pytest.approx(1.1)


def test_a_float_network_is_not_the_one_that_was_measured_in_eight_bits() -> None:
    own = (LeftOut(model="resnet18", log_ratio=log(1.6)),)
    cost = graph_like("resnet18")
    wide = replace(cost, nodes=tuple(replace(n, is_wide=True) for n in cost.nodes))

    prediction = predict(profile_that_knows(known=own), wide)

    assert prediction.standing is not Standing.MEASURED


def test_what_was_measured_on_the_family_corrects_with_its_own_interval() -> None:
    theirs = (LeftOut(model="resnet18", log_ratio=log(0.5)),)
    profile = profile_that_knows(family_known=theirs)

    known = predict(profile, graph_like("resnet18"))
    other = predict(profile, graph_like("resnet18", macs_off=1.3))

    assert known.standing is Standing.KNOWN
    assert known.factor_90 == pytest.approx(1.2)
    assert other.standing is Standing.INTERPOLATED
    assert known.latency_s > 1.4 * other.latency_s / 1.3


def test_five_networks_and_a_sibling_predict_what_both_miss_alike() -> None:
    """Seeded oddities of each network, shared by two devices, one twice as slow."""
    oddity = {name: 0.4 * ((place * 7) % 5 - 2) for place, name in enumerate(NAMES)}
    sibling = [
        replace(one, seconds=one.seconds * 2.718281828 ** oddity[one.model])
        for one in anchors_of(NAMES, noise=0.02)
    ]
    theirs = calibrate(sibling, request())
    known = {one.model: one.log_ratio for one in theirs.known}
    chosen = [replace(one, seconds=2 * one.seconds) for one in sibling[::8]]

    made = calibrate(chosen, replace(request(), prior=theirs.fitted.costs, known=known))

    errors = [
        made.fitted.seconds(one.amounts)
        / (2 * one.seconds * 2.718281828 ** known[one.model])
        - 1
        for one in sibling
    ]
    assert max(map(abs, errors)) < 0.1
    assert made.parameters["interval_known_90"].value < 1.5
    assert made.factor_90 > made.parameters["interval_known_90"].value


def test_true_times_are_made_of_all_costs() -> None:
    seconds = true_seconds(amounts_of("resnet18"), TRUE)

    doubled = true_seconds(
        amounts_of("resnet18"), {name: 2 * cost for name, cost in TRUE.items()}
    )

    assert doubled == pytest.approx(2 * seconds)

"""From rates and a graph's cost to a prediction that adds up."""

from collections.abc import Mapping
from dataclasses import replace
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.domain.profile import (
    DeviceClass,
    DeviceProfile,
    EmulationModel,
    Parameter,
)
from harness.emulation.device_model import WANTED
from harness.emulation.graph_cost import GraphCost, NodeCost
from harness.emulation.operators import OperatorClass
from harness.emulation.predict import check, predict
from harness.emulation.prediction import Prediction
from harness.errors import SchemaError, UnknownName, Unsupported

VALUES = {
    "mac_rate.dense": 100e6,
    "mac_rate.pointwise": 50e6,
    "mac_rate.depthwise": 20e6,
    "mac_rate.matmul": 10e6,
    "bandwidth.weight": 1e6,
    "bandwidth.activation": 2e6,
    "per_kernel": 1e-5,
    "fixed": 1e-4,
    "uncertainty": 0.2,
    "jitter.sigma": 0.01,
    "power.active": 0.02,
    "power.idle": 0.005,
    "memory.base": 1000.0,
    "cold.process": 0.1,
    "cold.load_rate": 1e6,
}


def a_node(
    kind: OperatorClass,
    macs: int = 0,
    *,
    dead: int = 0,
    read: int = 0,
    written: int = 0,
) -> NodeCost:
    return NodeCost(
        name=str(kind),
        operator="Conv",
        operator_class=kind,
        macs=macs,
        dead_macs=dead,
        input_bytes=read,
        output_bytes=written,
    )


COST = GraphCost(
    nodes=(
        a_node(OperatorClass.DENSE, 1_000_000, read=300, written=700),
        a_node(OperatorClass.POINTWISE, 500_000, dead=100_000),
        a_node(OperatorClass.DEPTHWISE, 20_000),
        a_node(OperatorClass.MATMUL, 10_000),
        a_node(OperatorClass.NORMALISATION, read=500, written=500),
    ),
    weight_bytes=4_000,
    arena_bytes=2_000,
    file_bytes=5_000,
)


def a_profile(
    values: Mapping[str, float] | None = None,
    *,
    ram: int | None = None,
    source: str = "fit:bench",
) -> DeviceProfile:
    wanted = VALUES | dict(values or {})
    return DeviceProfile(
        name="bench",
        device_class=DeviceClass.OTHER,
        title_zh="台",
        title_en="Bench",
        suite="other",
        tier_set="2026.1",
        ram_bytes=ram,
        emulation=EmulationModel(
            form="rates/1",
            parameters={
                name: Parameter(value=value, unit=WANTED[name].unit, source=source)
                for name, value in wanted.items()
            },
        ),
    )


def seconds(prediction: Prediction) -> dict[str, float]:
    return {term.name: term.seconds for term in prediction.terms}


def test_a_latency_is_the_sum_of_terms_that_can_be_counted_by_hand() -> None:
    prediction = predict(a_profile(), COST)

    assert seconds(prediction) == pytest.approx(
        {
            "fixed": 1e-4,
            "kernels": 5e-5,
            "dense": 1e-2,
            "pointwise": 1e-2,
            "depthwise": 1e-3,
            "matmul": 1e-3,
            "attention": 0.0,
            "weights": 4e-3,
            "activations": 1e-3,
        }
    )
    assert prediction.latency_s == pytest.approx(0.02715)
    assert prediction.per_call_s == 1e-4
    assert prediction.bound_by in {"dense", "pointwise"}


def test_energy_is_power_above_idle_times_latency() -> None:
    prediction = predict(a_profile(), COST)

    assert prediction.energy_j == pytest.approx(0.015 * prediction.latency_s)


def test_the_interval_holds_the_middle_eighty_percent() -> None:
    prediction = predict(a_profile(), COST)

    low, high = prediction.interval_s
    assert high / prediction.latency_s == pytest.approx(exp(1.2816 * 0.2))
    assert low * high == pytest.approx(prediction.latency_s**2)


def test_a_stack_that_prunes_leaves_dead_products_out() -> None:
    prediction = predict(a_profile({"prunes_dead_channels": 1.0}), COST)

    assert seconds(prediction)["pointwise"] == pytest.approx(400_000 / 50e6)


def test_normalisations_may_have_a_bandwidth_of_their_own() -> None:
    prediction = predict(a_profile({"bandwidth.normalisation": 1e5}), COST)

    assert seconds(prediction)["normalisation"] == pytest.approx(1e-2)
    assert seconds(prediction)["activations"] == pytest.approx(5e-4)


@given(scale=st.floats(0.01, 100.0))
def test_a_device_twice_as_fast_takes_half_the_time(scale: float) -> None:
    rates = {n: v * scale for n, v in VALUES.items() if WANTED[n].unit in "MAC/s B/s"}
    costs = {name: VALUES[name] / scale for name in ("fixed", "per_kernel")}
    faster = a_profile(rates | costs)

    assert predict(faster, COST).latency_s == pytest.approx(
        predict(a_profile(), COST).latency_s / scale
    )


def test_memory_is_base_weights_and_arena_with_their_factors() -> None:
    profile = a_profile(
        {
            "memory.weight_factor": 2.0,
            "memory.arena_factor": 3.0,
            "memory.session": 50.0,
        }
    )

    prediction = predict(profile, COST)

    assert prediction.weights_bytes == 8_000
    assert prediction.arena_bytes == 6_000
    assert prediction.base_bytes == 1_000
    assert prediction.peak_bytes == 15_050


def test_a_cold_start_is_the_process_and_the_load_of_the_file() -> None:
    prediction = predict(a_profile(), COST)

    assert prediction.process_s == 0.1
    assert prediction.load_s == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("ram", "flash", "fits"),
    [
        (7_000, 0.0, True),
        (6_999, 0.0, False),
        (3_000, 4_000.0, True),
        (2_999, 4_000.0, False),
        (9_000, 3_999.0, False),
    ],
)
def test_weights_fit_the_flash_and_the_rest_the_memory_or_the_model_is_refused(
    ram: int, flash: float, *, fits: bool
) -> None:
    prediction = predict(a_profile({"memory.flash": flash}, ram=ram), COST)

    codes = [finding.code for finding in prediction.findings]
    assert (prediction.refusal == "") is fits
    assert ("does-not-fit-memory" in codes) is not fits


def test_what_rests_on_assumptions_is_said() -> None:
    assert predict(a_profile(), COST).findings == ()

    (finding,) = predict(a_profile(source="assumed: a guess"), COST).findings

    assert finding.code == "emulation-not-validated"
    assert finding.values == {"quantities": "latency, energy, memory"}


def test_unknown_operators_and_float_arithmetic_are_said() -> None:
    nodes = (a_node(OperatorClass.DENSE, 10), *COST.nodes[1:])
    wide = replace(nodes[1], is_wide=True)
    odd = replace(
        COST, nodes=(nodes[0], wide, *nodes[2:]), unknown_operators=("Odd", "Rare")
    )

    findings = predict(a_profile(), odd).findings

    assert [(f.code, f.values) for f in findings] == [
        ("operator-unknown", {"operators": "Odd, Rare"}),
        ("outside-emulation-domain", {"float_macs": 0.943}),
    ]


def test_shapes_that_nobody_could_tell_are_said() -> None:
    (finding,) = predict(a_profile(), replace(COST, unknown_shapes=("n",))).findings

    assert finding.code == "outside-emulation-domain"


def with_parameter(name: str, parameter: Parameter | None) -> DeviceProfile:
    profile = a_profile()
    assert profile.emulation is not None
    parameters = dict(profile.emulation.parameters)
    parameters.pop(name, None)
    if parameter is not None:
        parameters[name] = parameter
    return replace(profile, emulation=replace(profile.emulation, parameters=parameters))


def a_parameter(value: float, unit: str) -> Parameter:
    return Parameter(value=value, unit=unit, source="fit:bench")


@pytest.mark.parametrize(
    ("name", "parameter", "sentence"),
    [
        ("per_kernel", None, "lacks 'per_kernel'"),
        ("per_kernel", a_parameter(1.0, "Hz"), "'per_kernel' is given in Hz"),
        ("mac_rate.dense", a_parameter(0.0, "MAC/s"), "nothing would ever end"),
        ("throttle.floor", a_parameter(0.0, "ratio"), "nothing would ever end"),
        ("throttle.onset", a_parameter(1.5, "ratio"), "above its highest 1"),
    ],
)
def test_a_device_model_that_cannot_be_used_is_refused(
    name: str, parameter: Parameter | None, sentence: str
) -> None:
    with pytest.raises(SchemaError, match=sentence):
        check(with_parameter(name, parameter))


def test_a_parameter_with_a_typo_is_refused_with_the_near_one() -> None:
    profile = with_parameter("mac_rate.dens", a_parameter(1.0, "MAC/s"))

    with pytest.raises(UnknownName, match=r"mac_rate\.dense"):
        check(profile)


def test_a_profile_without_a_device_model_cannot_be_emulated() -> None:
    with pytest.raises(Unsupported, match="--target local@"):
        check(replace(a_profile(), emulation=None))


def test_an_unknown_form_is_refused() -> None:
    profile = replace(
        a_profile(), emulation=EmulationModel(form="rates/9", parameters={})
    )

    with pytest.raises(UnknownName, match="rates/1"):
        check(profile)


def test_throttling_is_there_only_where_it_slows() -> None:
    never = {"throttle.time_constant": 60.0}

    assert predict(a_profile(never), COST).throttling is None
    law = predict(a_profile(never | {"throttle.floor": 0.8}), COST).throttling

    assert law is not None
    assert law.floor == 0.8

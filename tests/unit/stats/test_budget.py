"""The uncertainty budget: a worked example, published classes, floors and windows."""

from dataclasses import replace
from math import sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.stats.budget import (
    Accuracy,
    Budget,
    BudgetTerm,
    Energy,
    Source,
    Use,
    floor_ratio,
    meter_budget,
    minimum_window_s,
    planned_window_s,
)
from harness.stats.relation import Reason, Refused

HOST_STAMPED_S = 1 / sqrt(12)
PZEM = Accuracy(gain_ratio=0.005, resolution_w=0.1)
APPLIANCE = Use(
    energy=Energy.NET,
    duration_s=60.0,
    step_s=1.0,
    active_w=61.0,
    idle_w=38.0,
    idle_drift_w=0.4,
    u_edge_s=HOST_STAMPED_S,
)


def terms_of(budget: Budget) -> dict[Source, float]:
    return {term.source: term.u for term in budget.terms}


def test_an_appliance_on_a_plug_meter_has_the_budget_worked_out_by_hand() -> None:
    meter = replace(PZEM, is_dithered=True)

    found = meter_budget(meter, APPLIANCE)

    # E = 23 W · 60 s; each line by hand from its formula
    assert found.value == pytest.approx(1380.0)
    assert terms_of(found) == {
        Source.GAIN: pytest.approx(0.005 * 1380 / sqrt(3)),
        Source.OFFSET: 0.0,
        Source.RESOLUTION: pytest.approx(0.1 * 60 / sqrt(12) / sqrt(60) * sqrt(2)),
        Source.COUNTER: 0.0,
        Source.EDGES: pytest.approx(sqrt(2) / sqrt(12) * 23),
        Source.TIME_BASE: pytest.approx(1e-4 * 1380 / sqrt(3)),
        Source.IDLE_DRIFT: pytest.approx(0.4 * 60 / sqrt(12)),
        Source.VOLTAGE: 0.0,
    }
    assert 2 * found.u == pytest.approx(24.7, abs=0.05)
    assert max(found.terms, key=lambda term: term.u).source is Source.EDGES


def test_a_guard_takes_the_edges_away_and_lengthens_the_drift() -> None:
    meter = replace(PZEM, is_dithered=True)
    guarded = replace(APPLIANCE, u_edge_s=0.0, guard_s=3.0)

    found = meter_budget(meter, guarded)

    assert terms_of(found)[Source.EDGES] == 0.0
    assert terms_of(found)[Source.IDLE_DRIFT] == pytest.approx(0.4 * 66 / sqrt(12))
    assert 2 * found.u == pytest.approx(17.2, abs=0.05)


def test_an_offset_cancels_on_one_range_and_counts_twice_on_two() -> None:
    meter = Accuracy(gain_ratio=0.0, offset_w=0.3)

    offsets = {
        energy: terms_of(meter_budget(meter, replace(APPLIANCE, energy=energy)))[
            Source.OFFSET
        ]
        for energy in Energy
    }

    single = 0.3 * 60 / sqrt(3)
    assert offsets == {
        Energy.GROSS: pytest.approx(single),
        Energy.NET: 0.0,
        Energy.NET_TWO_RANGES: pytest.approx(sqrt(2) * single),
    }


def test_gross_energy_has_no_idle_in_it_to_drift() -> None:
    found = meter_budget(PZEM, replace(APPLIANCE, energy=Energy.GROSS))

    assert found.value == 61.0 * 60
    assert terms_of(found)[Source.IDLE_DRIFT] == 0.0


def test_a_counter_costs_a_triangle_of_its_step() -> None:
    meter = Accuracy(gain_ratio=0.0, counter_j=3600.0, time_base_ratio=0.0)

    found = meter_budget(meter, replace(APPLIANCE, u_edge_s=0.0, idle_drift_w=0.0))

    assert found.u == pytest.approx(3600 / sqrt(6))


def test_the_energy_measured_comes_before_the_energy_expected() -> None:
    found = meter_budget(PZEM, APPLIANCE, energy_j=1400.0)

    assert found.value == 1400.0
    assert terms_of(found)[Source.GAIN] == pytest.approx(0.005 * 1400 / sqrt(3))


def test_few_degrees_of_freedom_widen_the_interval() -> None:
    term = BudgetTerm(source=Source.REPEATABILITY, u=1.0, freedom=2)

    alone = Budget(value=100.0, terms=(term,))
    beside = alone.with_terms([BudgetTerm(source=Source.GAIN, u=1.0)])

    # Student's t for ν = 2; and Welch-Satterthwaite, ν = (√2)⁴/(1/2) = 8
    assert alone.coverage == pytest.approx(4.303, abs=1e-3)
    assert beside.coverage == pytest.approx(2.306, abs=1e-3)
    assert beside.expanded == pytest.approx(2.306 * sqrt(2), abs=1e-3)


@given(st.integers(1, 10**6))
def test_per_inference_nothing_relative_changes(inferences: int) -> None:
    whole = meter_budget(PZEM, APPLIANCE)

    each = whole.per(inferences)

    assert each.value == pytest.approx(1380 / inferences)
    assert each.expanded / each.value == pytest.approx(whole.expanded / whole.value)


@pytest.mark.parametrize(
    ("meter", "power_w", "floor"),
    [
        (Accuracy(gain_ratio=0.10), 1.0, 0.115),  # PPK2 as it leaves the factory
        (Accuracy(gain_ratio=0.01), 1.0, 0.0115),
        (Accuracy(gain_ratio=0.02), 1.0, 0.0231),
        (PZEM, 60.0, 0.0059),
        (PZEM, 5.0, 0.0129),
    ],
)
def test_the_floor_of_a_meter_follows_from_its_class(
    meter: Accuracy, power_w: float, floor: float
) -> None:
    assert floor_ratio(meter, power_w) == pytest.approx(floor, rel=0.01)


@pytest.mark.parametrize(
    ("u_edge_s", "target", "window_s"),
    [
        (0.036, 0.01, 10.0),
        (0.036, 0.05, 1.64),
        (HOST_STAMPED_S, 0.01, 80.6),
        (HOST_STAMPED_S, 0.05, 13.2),
    ],
)
def test_the_least_window_of_a_plug_meter_at_60_w(
    u_edge_s: float, target: float, window_s: float
) -> None:
    use = replace(
        APPLIANCE, energy=Energy.GROSS, active_w=60, idle_w=12, u_edge_s=u_edge_s
    )

    assert minimum_window_s(PZEM, use, target) == pytest.approx(window_s, rel=0.01)


@given(
    gain=st.floats(0, 0.02),
    resolution=st.floats(0, 1),
    counter=st.floats(0, 1e4),
    u_edge=st.floats(1e-6, 1),
    target=st.floats(0.005, 0.2),
)
def test_at_the_least_window_the_budget_is_exactly_the_target(
    gain: float, resolution: float, counter: float, u_edge: float, target: float
) -> None:
    meter = Accuracy(
        gain_ratio=gain, resolution_w=resolution, is_dithered=True, counter_j=counter
    )
    use = replace(APPLIANCE, energy=Energy.GROSS, u_edge_s=u_edge, idle_drift_w=0.0)
    assume(floor_ratio(meter, use.active_w) < 0.99 * target)

    window_s = minimum_window_s(meter, use, target)

    assert isinstance(window_s, float)
    assume(window_s > use.step_s)
    budget = meter_budget(meter, replace(use, duration_s=window_s))
    assert 2 * budget.u / budget.value == pytest.approx(target, rel=1e-6)


def test_a_register_of_ten_watt_hours_needs_hours() -> None:
    # class 1 and 0.01 kWh = 36 kJ: 0.60 MJ for 5 %, 2.8 h at 60 W
    meter = Accuracy(gain_ratio=0.01, counter_j=36_000.0)
    use = replace(APPLIANCE, energy=Energy.GROSS, active_w=60, u_edge_s=0.0)

    window_s = minimum_window_s(meter, use, 0.05)

    assert isinstance(window_s, float)
    assert window_s * 60 == pytest.approx(0.60e6, rel=0.01)


def test_no_window_brings_a_meter_below_its_floor() -> None:
    factory = Accuracy(gain_ratio=0.10)
    use = replace(APPLIANCE, energy=Energy.GROSS)

    for found in (
        minimum_window_s(factory, use, 0.05),
        planned_window_s(factory, use, 0.05),
    ):
        assert isinstance(found, Refused)
        assert found.reason is Reason.BELOW_FLOOR
        assert found.values["floor"] == pytest.approx(0.1155, rel=0.01)
        assert found.values["claimed"] == 0.05


def test_a_planned_window_holds_ten_readings_and_ten_seconds_for_one_percent() -> None:
    fine = Accuracy(gain_ratio=0.001)
    fast = replace(APPLIANCE, energy=Energy.GROSS, step_s=1e-3, u_edge_s=1e-4)
    slow = replace(fast, step_s=1.0)

    windows = [
        planned_window_s(fine, fast, 0.01),
        planned_window_s(fine, fast, 0.05),
        planned_window_s(fine, slow, 0.05),
        planned_window_s(PZEM, APPLIANCE, 0.05),
    ]

    assert windows[:3] == [10.0, pytest.approx(0.01), 10.0]
    assert windows[3] == 10.0


@pytest.mark.parametrize(("target", "power_w"), [(0.0, 1.0), (0.01, 0.0)])
def test_a_window_needs_a_target_and_a_power(target: float, power_w: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        minimum_window_s(PZEM, replace(APPLIANCE, active_w=power_w), target)

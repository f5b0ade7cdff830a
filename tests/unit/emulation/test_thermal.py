"""Heat of a device that works: where it settles, and when it slows down."""

from dataclasses import replace

import pytest
from test_predict import COST, a_profile

from harness.emulation.predict import predict
from harness.emulation.thermal import Heat, Throttling

S = 1_000_000_000
THERMAL = {
    "power.active": 5.0,
    "power.idle": 1.0,
    "thermal.resistance": 15.0,
    "thermal.ambient": 25.0,
    "thermal.limit": 70.0,
    "thermal.critical": 100.0,
    "throttle.time_constant": 60.0,
    "throttle.floor": 0.5,
}


def law_of(**changes: float) -> Throttling | None:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return predict(a_profile(THERMAL | named), COST).throttling


def test_a_device_slows_down_from_its_limit_on() -> None:
    law = law_of()

    assert law is not None
    # idling it is at 40 degC, at full work it would be at 100 degC
    assert law.onset == pytest.approx((70 - 40) / 60)
    assert law.full == pytest.approx(1.0)


def test_a_device_that_never_gets_to_its_limit_never_slows_down() -> None:
    assert law_of(thermal__resistance=8.0) is None
    assert law_of(thermal__ambient=0.0, thermal__limit=80.0) is None


def test_a_hot_room_brings_the_limit_nearer() -> None:
    cool, hot = law_of(), law_of(thermal__ambient=40.0)

    assert cool is not None
    assert hot is not None
    assert hot.onset < cool.onset


def test_what_slows_down_heats_less_and_settles_between_limit_and_floor() -> None:
    law = law_of()
    assert law is not None
    fed_back, steady = Heat(law, 0), Heat(replace(law, follows_speed=False), 0)

    for second in range(1, 900):
        fed_back.work_until(second * S)
        steady.work_until(second * S)

    # heat h = speed 1 - (h - 0.5) settles where h = 0.75
    assert fed_back.speed == pytest.approx(0.75, abs=0.01)
    assert steady.speed == pytest.approx(0.5, abs=0.01)

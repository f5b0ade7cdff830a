"""Meters of the machine by address: names, options, and an origin that cannot lie."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness.domain.origin import Origin
from harness.errors import HarnessError, SchemaError, UnknownName, Unsupported
from harness.meters.base import Meter
from harness.meters.onhost.opening import (
    open_battery_meter,
    open_hwmon_meter,
    open_nvml_meter,
    open_rapl_meter,
)
from harness.meters.onhost.sim import (
    Gauge,
    HwmonRail,
    LivingClock,
    RaplZone,
    grow_battery,
    grow_ina3221,
    grow_rapl,
)
from harness.plugins import Address

OPENERS = {
    "rapl": open_rapl_meter,
    "hwmon": open_hwmon_meter,
    "battery": open_battery_meter,
    "nvml": open_nvml_meter,
}


@pytest.fixture
def clock() -> LivingClock:
    return LivingClock()


def opened(text: str, clock: LivingClock) -> AbstractContextManager[Meter]:
    address = Address.parse(text)
    return OPENERS[address.driver](address, clock)


def test_another_root_than_sys_is_never_a_measurement(
    tmp_path: Path, clock: LivingClock
) -> None:
    zone = RaplZone(folder="intel-rapl:0", name="package-0", load=lambda _: 20.0)
    grow_rapl(tmp_path, clock, zone)

    with opened(f"rapl@?root={tmp_path}", clock) as meter:
        assert isinstance(meter, Meter)
        assert meter.identify().origin is Origin.SIMULATED
        assert meter.identify().address == f"rapl@?root={tmp_path}"


def test_a_rail_is_named_behind_the_at_sign(tmp_path: Path, clock: LivingClock) -> None:
    rails = [
        HwmonRail(number=n, label=f"RAIL{n}", load=lambda _: 5.0) for n in (1, 2, 3)
    ]
    grow_ina3221(tmp_path, clock, *rails)

    with opened(f"hwmon@ina3221/RAIL2?root={tmp_path}", clock) as meter:
        assert meter.identify().facts["boundary"] == "ina3221/RAIL2"


def test_a_gauges_unit_is_measured_where_it_is_asked_for(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_battery(tmp_path, clock, Gauge(load=lambda _: 0.4, per_ampere=1e3))

    with opened(f"battery@?check=30&root={tmp_path}", clock) as meter:
        facts = meter.identify().facts

    assert facts["unit_check"] == "against charge counter"
    assert float(facts["unit_per_count"]) == 1e-3


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("rapl@serial:/dev/ttyACM0", SchemaError, "has no link.*Write rapl@"),
        ("rapl@?rate=10", UnknownName, "no option of this meter 'rate'"),
        ("battery@?check=long", SchemaError, "'long' is no whole number"),
        ("nvml@first", SchemaError, "'first' is no whole number"),
        ("rapl@?root=/nonexistent", Unsupported, "no RAPL counters"),
    ],
)
def test_an_address_that_cannot_be_meant_is_explained(
    clock: LivingClock, text: str, error: type[HarnessError], words: str
) -> None:
    with pytest.raises(error, match=words), opened(text, clock):
        pass

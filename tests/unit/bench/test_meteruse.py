"""What a meter asks of a plan, and what it can and cannot claim."""

from pathlib import Path
from typing import Any

import pytest

from harness.bench.intake import Claim, Request, gather, parse_claim, supply_of
from harness.bench.meteruse import meter_use, reach_of, require_claim
from harness.domain.plan import Boundary, Supply
from harness.errors import HarnessError, SchemaError, Unsupported, UsageError
from harness.units import NS_PER_S


def test_fast_meters_get_marks_and_slow_ones_do_with_guards() -> None:
    fast, slow = meter_use("ppk2@sim:", Supply()), meter_use("pzem@sim:", Supply())

    assert fast.step_ns == 1_000_000
    assert fast.pulses is not None
    assert slow.step_ns == NS_PER_S
    assert slow.latency_ns == NS_PER_S
    assert slow.pulses is None


def test_a_joulescope_has_a_clock_of_its_own_and_gets_marks() -> None:
    assert meter_use("joulescope@", Supply()).pulses is not None


def test_counters_on_the_chip_need_no_marks() -> None:
    assert meter_use("rapl@", Supply()).pulses is None


def test_a_recorder_whose_file_comes_later_gets_marks_for_a_hundred_readings() -> None:
    use = meter_use("trace@later.csv", Supply())

    assert use.pulses is not None
    assert use.pulses.chip_ns >= 10 * NS_PER_S // 100


def test_a_strangers_driver_without_a_data_sheet_is_taken_for_a_slow_one() -> None:
    assert meter_use("theirs@serial:/dev/ttyACM0", Supply()).step_ns == NS_PER_S


def test_a_ppk2_as_it_leaves_the_factory_supports_no_five_per_cent() -> None:
    (reach,) = reach_of("ppk2@sim:", [0.01], [0.01, 0.05, 0.2])

    # ±10 % of reading, rectangular, k = 2
    assert reach.floor_ratio == pytest.approx(0.1155, abs=1e-3)
    assert reach.windows_s[0.01] is None
    assert reach.windows_s[0.05] is None
    assert reach.windows_s[0.2] is not None


def test_a_claim_below_the_floor_is_refused_with_the_floor() -> None:
    with pytest.raises(Unsupported, match=r"its floor at 0\.02 W is ±11\.5"):
        require_claim("ppk2@sim:", 0.02, 0.05)


def test_a_claim_of_one_per_cent_gets_ten_seconds_at_least() -> None:
    assert require_claim("pzem@sim:", 60.0, 0.01) >= 10 * NS_PER_S


def test_powers_of_which_the_data_sheet_says_nothing_are_left_out() -> None:
    assert reach_of("ppk2@sim:", [1e6], [0.05]) == ()


def test_a_claim_is_a_share_at_a_power() -> None:
    assert parse_claim("5%@20mW") == Claim(ratio=0.05, power_w=0.02)


@pytest.mark.parametrize("text", ["5%", "0%@20mW", "5%@0W", "120%@1W", "5%@20ms"])
def test_what_is_no_claim_is_said_to_be_none(text: str) -> None:
    with pytest.raises(SchemaError):
        parse_claim(text)


def test_a_supply_is_stated_in_whole_or_in_part_or_not_at_all() -> None:
    assert supply_of(None, is_single=None) is None
    assert supply_of(Boundary.WALL, is_single=None) == Supply(boundary=Boundary.WALL)
    assert supply_of(None, is_single=True) == Supply(is_single=True)


def test_a_real_meter_cannot_read_an_emulated_device() -> None:
    request = Request(device="wearable", meter="ppk2@serial:/dev/ttyACM0?voltage=3V")

    with pytest.raises(Unsupported, match="real meter cannot read an emulated"):
        gather(request, lambda _: None)


def test_a_simulated_meter_reads_an_emulated_device_and_states_the_supply() -> None:
    supply = Supply(boundary=Boundary.WHOLE_DEVICE, is_single=True)
    request = Request(device="wearable", meter="ppk2@sim:", supply=supply)

    plan = gather(request, lambda _: None).plan

    assert plan.meter == "ppk2@sim:"
    assert plan.supply == supply


def test_of_ranges_inside_one_another_the_tightest_that_holds_the_power_counts() -> (
    None
):
    (watt,) = reach_of("scpi@sim:", [1.0], [0.05])

    # WT310E, 1.95 W range: 0.1 % of reading and 0.05 % of 1.5 W, rectangular, k = 2
    assert watt.floor_ratio == pytest.approx(2 * 0.00125 / 3**0.5, rel=0.1)


@pytest.mark.parametrize(
    ("meter", "why"),
    [
        ("nope@sim:", "no meter 'nope'"),
        ("ppk2@sim:idle-10mW", "without a load of its own"),
        ("ppk2@sim:?voltage=30V", "works at 0.8 V to 5 V"),
        ("scpi@sim:?profile=nope", "no SCPI profile"),
    ],
)
def test_a_simulated_meter_that_cannot_be_opened_is_told_before_the_run(
    meter: str, why: str
) -> None:
    request = Request(device="wearable", meter=meter)

    with pytest.raises(HarnessError, match=why):
        gather(request, lambda _: None)


@pytest.mark.parametrize(
    ("more", "option"),
    [
        ({"claim": Claim(ratio=0.05, power_w=0.02)}, "--energy-claim"),
        ({"pin": "/dev/null"}, "--pin"),
    ],
)
def test_what_only_a_meter_can_bear_is_refused_without_one(
    more: dict[str, Any], option: str
) -> None:
    with pytest.raises(UsageError, match="no meter for this") as told:
        gather(Request(device="wearable", **more), lambda _: None)

    assert told.value.where == option


def test_a_pin_that_is_not_there_is_told_before_the_run(tmp_path: Path) -> None:
    pin = tmp_path / "no" / "value"
    request = Request(
        device="wearable", target="local@", meter="ppk2@sim:idle-10mW", pin=str(pin)
    )

    with pytest.raises(UsageError, match="no such pin"):
        gather(request, lambda _: None)

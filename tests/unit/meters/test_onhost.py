"""Counters and sensors of the machine, on a made-up /sys that changes with a clock."""

import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.clock import Deadline, SystemClock
from harness.domain.origin import Origin
from harness.domain.reading import Loss, ReadingBlock
from harness.errors import MeterError, UnknownName, Unsupported
from harness.meters.base import Meter
from harness.meters.onhost.gauge import open_gauge, settle_unit
from harness.meters.onhost.hwmon import open_hwmon
from harness.meters.onhost.nvml import load_nvml, open_nvml
from harness.meters.onhost.rapl import open_rapl
from harness.meters.onhost.sampling import HostMeter
from harness.meters.onhost.sim import (
    Gauge,
    HwmonRail,
    LivingClock,
    MadeUpNvml,
    RaplZone,
    grow_battery,
    grow_ina3221,
    grow_rapl,
    write,
)

Found = dict[str, list[tuple[int, float]]]


def read(
    meter: Meter,
    clock: LivingClock,
    duration_s: float,
    *channels: str,
    rate_hz: float | None = None,
) -> tuple[Found, Loss]:
    found: Found = {name: [] for name in channels}
    with meter.acquire(channels, rate_hz=rate_hz) as acquisition:
        for block in acquisition.blocks(Deadline.after(duration_s, clock)):
            found[block.channel.name] += zip(block.times_ns, block.values, strict=True)
        return found, acquisition.loss()


def values(found: Found, name: str) -> list[float]:
    return [value for _, value in found[name]]


@pytest.fixture
def clock() -> LivingClock:
    return LivingClock()


def rapl(root: Path, clock: LivingClock) -> HostMeter:
    return open_rapl(clock, address="rapl@", origin=Origin.SIMULATED, root=root)


def package(**changes: object) -> RaplZone:
    settings: dict[str, object] = {
        "folder": "intel-rapl:0",
        "name": "package-0",
        "load": lambda _: 20.0,
    }
    return RaplZone(**{**settings, **changes})  # type: ignore[arg-type]


def dram(watts: float = 3.0) -> RaplZone:
    return RaplZone(folder="intel-rapl:0:1", name="dram", load=lambda _: watts)


def core() -> RaplZone:
    return RaplZone(folder="intel-rapl:0:0", name="core", load=lambda _: 15.0)


def test_rapl_gives_the_mean_power_of_each_interval(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_rapl(tmp_path, clock, package(load=lambda t: 60.0 if t >= 1.05 else 20.0))

    found, loss = read(rapl(tmp_path, clock), clock, 2.0, "power", "energy")

    watts = values(found, "power")
    assert watts[:10] == pytest.approx([20.0] * 10, rel=1e-5)
    assert watts[10] == pytest.approx(40.0, abs=4.0)
    assert watts[11:] == pytest.approx([60.0] * 9, rel=1e-5)
    assert values(found, "energy")[-1] == pytest.approx(21.0 + 57.0, abs=0.4)
    assert loss == Loss(missing=0, expected=20)


def test_memory_is_added_to_the_package_and_cores_are_not(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_rapl(tmp_path, clock, package(), core(), dram())

    meter = rapl(tmp_path, clock)
    found, _ = read(meter, clock, 1.0, "power", "power.package-0.core")

    assert meter.identify().facts["boundary"] == "package-0+package-0.dram"
    assert values(found, "power") == pytest.approx([23.0] * 10, rel=1e-5)
    assert values(found, "power.package-0.core") == pytest.approx([15.0] * 10, rel=1e-5)


def test_the_platform_holds_the_packages_and_is_never_added_to_them(
    tmp_path: Path, clock: LivingClock
) -> None:
    platform = RaplZone(folder="intel-rapl:1", name="psys", load=lambda _: 35.0)
    grow_rapl(tmp_path, clock, package(), dram(), platform)

    meter = rapl(tmp_path, clock)
    found, _ = read(meter, clock, 1.0, "power")

    assert meter.identify().facts["boundary"] == "psys"
    assert values(found, "power") == pytest.approx([35.0] * 10, rel=1e-5)


def test_the_same_package_through_other_registers_is_not_counted_twice(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_rapl(tmp_path, clock, package(), package(folder="intel-rapl-mmio:0"))

    found, _ = read(rapl(tmp_path, clock), clock, 1.0, "power")

    assert values(found, "power") == pytest.approx([20.0] * 10, rel=1e-5)


def test_a_counter_that_runs_over_leaves_no_trace(
    tmp_path: Path, clock: LivingClock
) -> None:
    zone = package(range_uj=262_143_999_938, first_uj=262_143_999_938 - 5_000_000)
    grow_rapl(tmp_path, clock, zone)

    found, _ = read(rapl(tmp_path, clock), clock, 1.0, "power", "energy")

    assert values(found, "power") == pytest.approx([20.0] * 10, rel=1e-5)
    assert values(found, "energy")[-1] == pytest.approx(20.0, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    first=st.integers(0, 65_712_999_612),
    watts=st.floats(0.0, 300.0),
)
def test_the_energy_is_right_wherever_the_counter_stands(
    first: int, watts: float
) -> None:
    clock = LivingClock()
    zone = package(range_uj=65_712_999_613, first_uj=first, load=lambda _: watts)
    with tempfile.TemporaryDirectory() as folder:
        grow_rapl(Path(folder), clock, zone)

        found, _ = read(rapl(Path(folder), clock), clock, 5.0, "energy", rate_hz=1.0)

    assert values(found, "energy")[-1] == pytest.approx(5 * watts, rel=1e-5, abs=2e-6)


def test_an_interval_in_which_it_may_have_run_over_unseen_is_refused(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_rapl(tmp_path, clock, package(rated_uw=100_000_000))
    meter = rapl(tmp_path, clock)

    def sleep_for_an_hour() -> None:
        with meter.acquire({"power"}) as acquisition:
            list(acquisition.blocks(Deadline.after(1.0, clock)))
            clock.advance(3_600_000_000_000)
            list(acquisition.blocks(Deadline.after(1.0, clock)))

    with pytest.raises(
        MeterError, match=r"package-0 may have run over unseen.* 3600 s \(limit 328 s\)"
    ):
        sleep_for_an_hour()


def test_a_counter_that_is_set_back_is_told(tmp_path: Path, clock: LivingClock) -> None:
    grow_rapl(tmp_path, clock, package(first_uj=1_000_000_000, load=lambda _: 0.0))
    meter = rapl(tmp_path, clock)

    def measure() -> None:
        with meter.acquire({"power"}) as acquisition:
            clock.follow(
                lambda _: write(
                    tmp_path / "class" / "powercap" / "intel-rapl:0", energy_uj=0
                )
            )
            list(acquisition.blocks(Deadline.after(1.0, clock)))

    with pytest.raises(MeterError, match="it was set back while measuring"):
        measure()


@pytest.fixture
def readable_root() -> Iterator[Path]:
    """Make a folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def not_root() -> Iterator[None]:
    """Act as a user without rights, where the tests are run by root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    yield
    os.seteuid(0)


def test_a_counter_that_only_root_may_read_says_how_to_allow_it(
    readable_root: Path, clock: LivingClock, request: pytest.FixtureRequest
) -> None:
    grow_rapl(readable_root, clock, package())
    zone = readable_root / "class" / "powercap" / "intel-rapl:0"
    (zone / "energy_uj").chmod(0o000)
    request.getfixturevalue("not_root")

    with pytest.raises(MeterError, match=r"No right .*sudo chmod a\+r .*CVE-2020-8694"):
        rapl(readable_root, clock)


def test_a_machine_without_rapl_says_what_to_do(
    tmp_path: Path, clock: LivingClock
) -> None:
    with pytest.raises(Unsupported, match=r"no RAPL counters.*intel_rapl_msr"):
        rapl(tmp_path, clock)


def test_a_counter_is_not_read_faster_than_it_is_renewed(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_rapl(tmp_path, clock, package())

    with pytest.raises(Unsupported, match="renewed 100 times a second"):
        read(rapl(tmp_path, clock), clock, 1.0, "power", rate_hz=1000.0)


def test_an_unknown_channel_is_refused_with_those_there_are(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_rapl(tmp_path, clock, package())

    with pytest.raises(Unsupported, match=r"power, energy, power\.package-0, not psys"):
        read(rapl(tmp_path, clock), clock, 1.0, "psys")


def test_times_are_those_of_the_grid_and_a_late_reader_finds_what_it_missed(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_rapl(tmp_path, clock, package())
    times: list[int] = []

    with rapl(tmp_path, clock).acquire({"power"}) as acquisition:
        for block in acquisition.blocks(Deadline.after(1.0, clock)):
            times += block.times_ns
        clock.advance(1_000_000_000)
        for block in acquisition.blocks(Deadline.after(1.0, clock)):
            times += block.times_ns

    gaps = [b - a for a, b in pairwise(times)]
    assert sorted(set(gaps)) == [100_000_000, 1_000_000_000]
    assert acquisition.loss() == Loss(missing=9, expected=len(times) + 9)


def hwmon(root: Path, clock: LivingClock, rail: str = "") -> HostMeter:
    return open_hwmon(
        clock, address="hwmon@", origin=Origin.SIMULATED, rail=rail, root=root
    )


def jetson(root: Path, clock: LivingClock) -> Path:
    return grow_ina3221(
        root,
        clock,
        HwmonRail(number=1, label="VDD_IN", load=lambda t: 10.0 + t),
        HwmonRail(number=2, label="VDD_CPU_GPU_CV", load=lambda _: 4.0),
        HwmonRail(number=3, label="VDD_SOC", load=lambda _: 2.0),
    )


def test_the_rails_of_an_ina3221_are_read_and_its_sums_are_none(
    tmp_path: Path, clock: LivingClock
) -> None:
    jetson(tmp_path, clock)

    meter = hwmon(tmp_path, clock, "ina3221/VDD_IN")
    found, loss = read(meter, clock, 2.0, "power", "power.ina3221/VDD_SOC")

    names = [channel.name for channel in meter.channels()]
    assert names == [
        "power",
        "power.ina3221/VDD_IN",
        "power.ina3221/VDD_CPU_GPU_CV",
        "power.ina3221/VDD_SOC",
    ]
    assert meter.identify().facts["boundary"] == "ina3221/VDD_IN"
    assert found["power"][-1][1] == pytest.approx(12.0, abs=0.005)
    assert values(found, "power.ina3221/VDD_SOC") == pytest.approx([2.0] * 20)
    assert loss == Loss(missing=0, expected=20)


def test_without_a_named_rail_several_rails_have_no_total(
    tmp_path: Path, clock: LivingClock
) -> None:
    jetson(tmp_path, clock)

    with pytest.raises(Unsupported, match="not power"):
        read(hwmon(tmp_path, clock), clock, 1.0, "power")


def test_an_unknown_rail_is_named_with_the_near_ones(
    tmp_path: Path, clock: LivingClock
) -> None:
    jetson(tmp_path, clock)

    with pytest.raises(UnknownName, match="Did you mean 'ina3221/VDD_IN'"):
        hwmon(tmp_path, clock, "ina3221/VDDIN")


def test_a_slow_chip_is_not_read_faster_than_it_converts(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_ina3221(
        tmp_path,
        clock,
        HwmonRail(number=1, label="VDD_IN", load=lambda _: 5.0),
        update_ms=500,
    )

    meter = hwmon(tmp_path, clock)
    found, _ = read(meter, clock, 2.0, "power")

    assert len(found["power"]) == 4
    with pytest.raises(Unsupported, match="renewed 2 times a second"):
        read(meter, clock, 1.0, "power", rate_hz=10.0)


def test_a_chip_that_gives_power_is_taken_at_its_word(
    tmp_path: Path, clock: LivingClock
) -> None:
    folder = tmp_path / "class" / "hwmon" / "hwmon0"
    write(folder, name="ina226", power1_input=1_250_000, in1_input=5000, curr1_input=1)

    found, _ = read(hwmon(tmp_path, clock), clock, 1.0, "power")

    assert values(found, "power") == [1.25] * 10


def test_a_rail_that_vanishes_is_missing_and_not_zero(
    tmp_path: Path, clock: LivingClock
) -> None:
    folder = tmp_path / "class" / "hwmon" / "hwmon0"
    write(folder, name="ina226", power1_input=1_250_000)

    with hwmon(tmp_path, clock).acquire({"power"}) as acquisition:
        some = list(acquisition.blocks(Deadline.after(1.0, clock)))
        (folder / "power1_input").unlink()
        more = list(acquisition.blocks(Deadline.after(1.0, clock)))

        assert (len(some), more) == (10, [])
        assert acquisition.loss() == Loss(missing=10, expected=20)


def test_a_rail_that_says_no_number_is_told(tmp_path: Path, clock: LivingClock) -> None:
    folder = tmp_path / "class" / "hwmon" / "hwmon0"
    write(folder, name="ina226", power1_input="N/A")

    with pytest.raises(MeterError, match="'N/A' where a number belongs"):
        hwmon(tmp_path, clock)


def test_a_machine_without_rails_says_so(tmp_path: Path, clock: LivingClock) -> None:
    with pytest.raises(Unsupported, match="No sensor of this machine"):
        hwmon(tmp_path, clock)


def gauge(root: Path, clock: LivingClock, unit: float | None = None) -> HostMeter:
    return open_gauge(
        clock, address="battery@", origin=Origin.SIMULATED, root=root, unit=unit
    )


PHONE = Gauge(load=lambda t: 0.5 if t >= 3.0 else 0.4)


def test_a_gauge_that_obeys_the_documentation_is_read(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_battery(tmp_path, clock, PHONE)

    meter = gauge(tmp_path, clock)
    found, loss = read(meter, clock, 5.0, "power", "current", "voltage")

    assert values(found, "current") == pytest.approx([0.4, 0.4, 0.5, 0.5, 0.5])
    assert found["power"][-1][1] == pytest.approx(0.5 * 3.85)
    assert loss == Loss(missing=0, expected=5)
    assert meter.identify().facts["unit_check"] == "not done"


@pytest.mark.parametrize("per_ampere", [-1e6, 1e6, -1e3, 1e3])
def test_unit_and_sign_are_settled_by_the_charge_counter(
    tmp_path: Path, clock: LivingClock, per_ampere: float
) -> None:
    grow_battery(tmp_path, clock, Gauge(load=lambda _: 0.4, per_ampere=per_ampere))

    unit = settle_unit(clock, root=tmp_path, seconds=30.0)
    found, _ = read(gauge(tmp_path, clock, unit), clock, 3.0, "current")

    assert unit == pytest.approx(1.0 / per_ampere)
    assert values(found, "current") == pytest.approx([0.4] * 3)


@pytest.mark.parametrize("gain", [0.7, 1.4, 30.0])
def test_a_gauge_that_contradicts_its_counter_is_refused(
    tmp_path: Path, clock: LivingClock, gain: float
) -> None:
    grow_battery(tmp_path, clock, Gauge(load=lambda _: 0.4, counter_gain=gain))

    with pytest.raises(MeterError, match="contradicts itself"):
        settle_unit(clock, root=tmp_path, seconds=30.0)


def test_a_counter_that_stands_still_settles_nothing(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_battery(tmp_path, clock, Gauge(load=lambda _: 0.4, counter_gain=0.0))

    with pytest.raises(MeterError, match="did not go down in 30 s"):
        settle_unit(clock, root=tmp_path, seconds=30.0)


@pytest.mark.parametrize("nothing", [0, -(2**31)])
def test_a_gauge_that_says_nothing_is_refused(
    tmp_path: Path, clock: LivingClock, nothing: int
) -> None:
    folder = grow_battery(tmp_path, clock, PHONE)
    write(folder, current_now=nothing)

    with pytest.raises(MeterError, match=f"says {nothing} for its current"):
        gauge(tmp_path, clock)


def test_a_current_that_may_be_in_milliamperes_has_to_be_settled_first(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_battery(tmp_path, clock, Gauge(load=lambda _: 0.4, per_ampere=-1e3))

    with pytest.raises(MeterError, match=r"400 µA.*may mean mA.*check=120"):
        gauge(tmp_path, clock)


def test_a_voltage_in_millivolts_is_known_for_what_it_is(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_battery(tmp_path, clock, Gauge(load=lambda _: 0.4, per_volt=1e3))

    found, _ = read(gauge(tmp_path, clock), clock, 1.0, "voltage")

    assert values(found, "voltage") == [3.85]


def test_a_voltage_that_no_battery_has_is_refused(
    tmp_path: Path, clock: LivingClock
) -> None:
    grow_battery(tmp_path, clock, Gauge(load=lambda _: 0.4, per_volt=1.0))

    with pytest.raises(MeterError, match="says 4 for its voltage"):
        read(gauge(tmp_path, clock), clock, 1.0, "power")


def test_a_charger_is_refused_at_opening(tmp_path: Path, clock: LivingClock) -> None:
    grow_battery(tmp_path, clock, PHONE)
    write(tmp_path / "class" / "power_supply" / "usb", online=1)

    with pytest.raises(MeterError, match=r"A charger is plugged in \(usb\)"):
        gauge(tmp_path, clock)


def test_a_battery_that_begins_to_charge_while_it_is_measured_is_told(
    tmp_path: Path, clock: LivingClock
) -> None:
    folder = grow_battery(tmp_path, clock, PHONE)
    meter = gauge(tmp_path, clock)
    kept: list[ReadingBlock] = []

    def measure() -> None:
        with meter.acquire({"power"}) as acquisition:
            kept.extend(acquisition.blocks(Deadline.after(3.0, clock)))
            write(folder, status="Charging")
            kept.extend(acquisition.blocks(Deadline.after(3.0, clock)))

    with pytest.raises(MeterError, match=r"charger is plugged in \(Charging\)"):
        measure()
    assert len(kept) == 3


def test_a_laptop_that_tells_power_is_read(tmp_path: Path, clock: LivingClock) -> None:
    folder = tmp_path / "class" / "power_supply" / "BAT0"
    write(folder, type="Battery", status="Discharging", power_now=7_500_000)

    meter = gauge(tmp_path, clock)
    found, _ = read(meter, clock, 2.0, "power")

    assert [channel.name for channel in meter.channels()] == ["power"]
    assert values(found, "power") == [7.5, 7.5]


def test_a_machine_without_a_battery_says_so(
    tmp_path: Path, clock: LivingClock
) -> None:
    with pytest.raises(Unsupported, match="No battery of this machine"):
        gauge(tmp_path, clock)


def test_a_gpus_energy_counter_gives_power_and_energy(clock: LivingClock) -> None:
    nvml = MadeUpNvml(clock, lambda _: 350.0)

    with open_nvml(
        clock, address="nvml@0", origin=Origin.SIMULATED, library=nvml
    ) as meter:
        who = meter.identify()
        found, loss = read(meter, clock, 5.0, "power", "energy")

    assert values(found, "power") == pytest.approx([350.0] * 50, rel=1e-4)
    assert values(found, "energy")[-1] == pytest.approx(1750.0, rel=1e-4)
    assert loss == Loss(missing=0, expected=50)
    assert who.facts["sampled_share"] == "0.25"
    assert not nvml.is_open


def test_an_older_gpu_tells_its_power_only(clock: LivingClock) -> None:
    nvml = MadeUpNvml(clock, lambda _: 75.0, has_energy=False)
    nvml.model = "Quadro P400"

    with open_nvml(
        clock, address="nvml@0", origin=Origin.SIMULATED, library=nvml
    ) as meter:
        found, _ = read(meter, clock, 1.0, "power")
        nvml.is_lost = True
        lost, loss = read(meter, clock, 1.0, "power")

    assert [channel.name for channel in meter.channels()] == ["power"]
    assert values(found, "power") == [75.0] * 10
    assert (lost["power"], loss.missing) == ([], 10)
    assert "sampled_share" not in meter.identify().facts


def test_a_gpu_that_falls_off_the_bus_is_told(clock: LivingClock) -> None:
    nvml = MadeUpNvml(clock, lambda _: 350.0)

    def measure() -> None:
        with (
            open_nvml(
                clock, address="nvml@0", origin=Origin.SIMULATED, library=nvml
            ) as meter,
            meter.acquire({"power"}) as acquisition,
        ):
            nvml.is_lost = True
            list(acquisition.blocks(Deadline.after(1.0, clock)))

    with pytest.raises(MeterError, match="The GPU no longer answers: GPU is lost"):
        measure()
    assert not nvml.is_open


def test_a_gpu_that_is_not_there_is_refused(clock: LivingClock) -> None:
    nvml = MadeUpNvml(clock, lambda _: 350.0)

    with (
        pytest.raises(Unsupported, match="GPU 3 gives no power: Invalid Argument"),
        open_nvml(
            clock, address="nvml@3", origin=Origin.SIMULATED, library=nvml, index=3
        ),
    ):
        pass


def test_without_the_optional_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)

    with pytest.raises(Unsupported, match=r"not installed.*duanping\[nvml\]"):
        load_nvml()


def test_the_real_package_without_a_driver_is_refused_in_its_own_words(
    clock: LivingClock,
) -> None:
    pytest.importorskip("pynvml", reason="nvidia-ml-py is in the extra [nvml]")
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has an NVIDIA driver")

    with (
        pytest.raises(Unsupported, match=r"NVML cannot be used here.*driver"),
        open_nvml(clock, address="nvml@0", origin=Origin.MEASURED),
    ):
        pass


@pytest.mark.hardware
def test_a_real_gpu_gives_a_power_above_zero() -> None:
    if not Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has no NVIDIA driver")

    clock = SystemClock()
    with (
        open_nvml(clock, address="nvml@0", origin=Origin.MEASURED) as meter,
        meter.acquire({"power"}) as acquisition,
    ):
        blocks = list(acquisition.blocks(Deadline.after(2.0, clock)))

    assert len(blocks) >= 15
    assert sum(block.values[0] for block in blocks) > 0

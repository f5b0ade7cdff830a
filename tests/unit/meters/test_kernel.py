"""The kernel's account of a machine, over a made-up /proc and /sys."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.clock import VirtualClock
from harness.meters.kernel import Kernel
from harness.meters.kernelsampler import KernelSampler
from harness.units import NS_PER_S

# as a board with an RK3588 and a battery shows them
BOARD = {
    "sys/class/thermal/thermal_zone0/type": "soc-thermal",
    "sys/class/thermal/thermal_zone0/temp": "47153",
    "sys/class/thermal/thermal_zone1/type": "bigcore0-thermal",
    "sys/class/thermal/thermal_zone1/temp": "51846",
    "sys/class/thermal/thermal_zone2/type": "battery",
    "sys/class/thermal/thermal_zone2/temp": "61000",
    "sys/class/thermal/thermal_zone3/type": "cpu-not-connected",
    "sys/class/thermal/thermal_zone3/temp": "-274000",
    "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0",
    "sys/class/thermal/cooling_device0/cur_state": "3",
    "sys/class/thermal/cooling_device1/type": "pwm-fan",
    "sys/class/thermal/cooling_device1/cur_state": "9",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000",
    "sys/devices/system/cpu/cpu4/cpufreq/scaling_governor": "performance",
    "sys/devices/system/cpu/cpu4/cpufreq/scaling_cur_freq": "2400000",
    "sys/class/power_supply/bat/type": "Battery",
    "sys/class/power_supply/bat/capacity": "83",
    "sys/class/power_supply/bat/status": "Discharging",
    "sys/class/power_supply/mouse/type": "Battery",
    "sys/class/power_supply/mouse/scope": "Device",
    "sys/class/power_supply/mouse/capacity": "5",
    "proc/loadavg": "0.52 0.58 0.59 1/467 12345",
    "proc/stat": "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3",
    "proc/meminfo": "MemTotal:  8000000 kB\nMemAvailable:  5000000 kB",
    "proc/77/statm": "900 250 100 1 0 300 0",
    "proc/77/stat": "77 (a b) c) S 1 77 77 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 9",
}


def a_root(folder: Path, files: Mapping[str, str] = BOARD) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder


def test_the_temperature_is_that_of_the_processor_s_hottest_zone(
    tmp_path: Path,
) -> None:
    assert Kernel(a_root(tmp_path)).temperature_degc() == pytest.approx(51.846)


def test_a_machine_without_a_zone_of_its_processor_gives_the_hottest(
    tmp_path: Path,
) -> None:
    root = a_root(tmp_path, {"sys/class/thermal/thermal_zone0/temp": "39"})

    assert Kernel(root).temperature_degc() == 39.0


def test_governors_frequencies_and_throttling_are_read(tmp_path: Path) -> None:
    kernel = Kernel(a_root(tmp_path))

    assert kernel.governor() == "performance, schedutil"
    assert kernel.frequency_hz() == 2.1e9
    assert kernel.throttle() == 3.0


def test_a_raspberry_pi_says_by_its_flags_that_it_is_throttled_now(
    tmp_path: Path,
) -> None:
    flags = "sys/devices/platform/soc/soc:firmware/get_throttled"
    now, once = a_root(tmp_path / "a", {flags: "50005"}), {flags: "50000"}

    assert Kernel(now).throttle() == 1.0
    assert Kernel(a_root(tmp_path / "b", once)).throttle() == 0.0


def test_the_battery_is_the_machine_s_own_and_no_mouse_s(tmp_path: Path) -> None:
    kernel = Kernel(a_root(tmp_path))

    assert kernel.charge() == 0.83
    assert kernel.is_charger_on() is False


def test_a_charger_that_is_on_is_seen_whatever_the_battery_says(
    tmp_path: Path,
) -> None:
    mains = {
        "sys/class/power_supply/usb/type": "USB",
        "sys/class/power_supply/usb/online": "1",
    }

    assert Kernel(a_root(tmp_path, BOARD | mains)).is_charger_on() is True


def test_memory_and_load_are_read(tmp_path: Path) -> None:
    kernel = Kernel(a_root(tmp_path))

    assert kernel.memory_bytes() == 8_000_000 * 1024
    assert kernel.load_average() == 0.52
    assert kernel.cpu_ticks() == (150.0, 1000.0)


def test_a_machine_that_says_nothing_gives_nothing(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)

    assert kernel.zones_degc() == {}
    for read in (
        kernel.temperature_degc,
        kernel.governor,
        kernel.frequency_hz,
        kernel.throttle,
        kernel.charge,
        kernel.is_charger_on,
        kernel.load_average,
        kernel.cpu_ticks,
        kernel.memory_bytes,
    ):
        assert read() is None
    assert kernel.boot_id() == "unknown"


def test_a_process_is_sampled_with_its_machine(tmp_path: Path) -> None:
    clock = VirtualClock("board")
    kernel = Kernel(a_root(tmp_path))
    sampler = KernelSampler(77, clock, kernel)

    assert sampler.sample()
    clock.advance(NS_PER_S)
    stat = BOARD["proc/77/stat"].replace(" 150 50 ", " 190 60 ")
    (tmp_path / "proc/77/stat").write_text(stat)
    assert sampler.sample()
    blocks = {block.channel.name: block for block in sampler.take()}

    assert list(blocks["rss"].times_ns) == [0, NS_PER_S]
    assert list(blocks["cpu"].values) == [0.5]  # 50 ticks of 1/100 s in one second
    assert list(blocks["temperature"].values) == [pytest.approx(51.846)]
    assert list(blocks["charge"].values) == [0.83]
    assert list(blocks["charger"].values) == [0.0]
    assert {block.clock for block in blocks.values()} == {"board"}
    assert sampler.take() == ()


def test_sampling_ends_with_the_process(tmp_path: Path) -> None:
    sampler = KernelSampler(78, VirtualClock(), Kernel(a_root(tmp_path)))

    assert not sampler.sample()

"""A made-up /sys that changes with a clock: RAPL zones, hwmon rails, a battery.

Files are written as the kernel writes them, from its documentation; nothing is shared
with the readers. The loads are functions of time, so that a test knows the truth.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.clock import VirtualClock

Load = Callable[[float], float]
"""Seconds since boot → W, or A for a battery."""

_NS = 1_000_000_000
_STEP_S = 0.01


class LivingClock(VirtualClock):
    """A virtual clock; what lives by it is told of every move."""

    def __init__(self) -> None:
        super().__init__()
        self._followers: list[Callable[[float], None]] = []

    def follow(self, follower: Callable[[float], None]) -> None:
        """Call `follower` with the time in s, now and after every move."""
        self._followers.append(follower)
        follower(self.now_ns() / _NS)

    def advance(self, duration_ns: int) -> None:
        """Let time pass."""
        super().advance(duration_ns)
        self._tell()

    def wait_until(self, instant_ns: int) -> None:
        """Jump to the instant, unless it is past."""
        super().wait_until(instant_ns)
        self._tell()

    def _tell(self) -> None:
        for follower in self._followers:
            follower(self.now_ns() / _NS)


def write(folder: Path, **files: object) -> None:
    """Write files of one folder, each with a line feed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


class _Integral:
    """The integral of a load, carried on step by step."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._at_s = 0.0
        self.total = 0.0

    def reach(self, at_s: float) -> float:
        """Give the integral from boot to `at_s`."""
        steps = max(1, math.ceil((at_s - self._at_s) / _STEP_S))
        width = (at_s - self._at_s) / steps
        self.total += width * sum(
            self._load(self._at_s + (k + 0.5) * width) for k in range(steps)
        )
        self._at_s = at_s
        return self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class RaplZone:
    """One zone of a made-up powercap tree."""

    folder: str
    """Such as ``intel-rapl:0:1``."""
    name: str
    load: Load
    range_uj: int = 262_143_328_850
    first_uj: int = 0
    rated_uw: int | None = None


def grow_rapl(root: Path, clock: LivingClock, *zones: RaplZone) -> None:
    """Put RAPL zones under `root` that count as `clock` goes on."""
    for zone in zones:
        folder = root / "class" / "powercap" / zone.folder
        write(folder, name=zone.name, max_energy_range_uj=zone.range_uj)
        if zone.rated_uw is not None:
            write(folder, constraint_0_max_power_uw=zone.rated_uw)
        clock.follow(_counting(folder, zone))


def _counting(folder: Path, zone: RaplZone) -> Callable[[float], None]:
    integral = _Integral(zone.load)

    def follow(at_s: float) -> None:
        microjoules = zone.first_uj + round(integral.reach(at_s) * 1e6)
        write(folder, energy_uj=microjoules % zone.range_uj)

    return follow


@dataclass(frozen=True, slots=True, kw_only=True)
class HwmonRail:
    """One rail of a made-up monitoring chip."""

    number: int
    label: str
    load: Load
    voltage_v: float = 5.0


def grow_ina3221(
    root: Path, clock: LivingClock, *rails: HwmonRail, update_ms: int | None = 100
) -> Path:
    """Put an INA3221 under `root`: rails, shunt voltages and the sum of currents."""
    folder = root / "class" / "hwmon" / "hwmon3"
    write(folder, name="ina3221")
    if update_ms is not None:
        write(folder, update_interval=update_ms)

    def follow(at_s: float) -> None:
        total_ma = 0
        for rail in rails:
            milliamperes = round(rail.load(at_s) / rail.voltage_v * 1000)
            total_ma += milliamperes
            write(
                folder,
                **{
                    f"in{rail.number}_label": rail.label,
                    f"in{rail.number}_input": round(rail.voltage_v * 1000),
                    f"curr{rail.number}_input": milliamperes,
                    f"in{rail.number + 3}_input": round(milliamperes * 0.005),
                },
            )
        write(folder, curr4_input=total_ma, in7_input=round(total_ma * 0.005))

    clock.follow(follow)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """How a made-up fuel gauge tells what it measures."""

    load: Load
    """A drawn from the battery."""
    voltage_v: float = 3.85
    per_ampere: float = -1e6
    """Counts per ampere drawn; the kernel's documentation asks for −1e6."""
    per_volt: float = 1e6
    counter_gain: float = 1.0
    capacity_uah: int = 4_000_000


def grow_battery(root: Path, clock: LivingClock, gauge: Gauge) -> Path:
    """Put a battery and an unplugged charger under `root`."""
    supplies = root / "class" / "power_supply"
    folder = supplies / "battery"
    write(supplies / "usb", type="USB", online=0)
    write(folder, type="Battery", status="Discharging")
    integral = _Integral(gauge.load)

    def follow(at_s: float) -> None:
        drawn_uah = integral.reach(at_s) / 3600.0 * 1e6 * gauge.counter_gain
        write(
            folder,
            voltage_now=round(gauge.voltage_v * gauge.per_volt),
            current_now=round(gauge.load(at_s) * gauge.per_ampere),
            charge_counter=round(gauge.capacity_uah - drawn_uah),
        )

    clock.follow(follow)
    return folder


class NvmlFailure(Exception):
    """What a made-up NVML raises."""


class MadeUpNvml:
    """NVML with one GPU that does not exist, under the library's own names."""

    NVMLError = NvmlFailure

    def __init__(
        self, clock: LivingClock, load: Load, *, has_energy: bool = True
    ) -> None:
        self._power_w = 0.0
        self._energy_j = 0.0
        self._has_energy = has_energy
        self.is_open = False
        self.is_lost = False
        self.model = "NVIDIA H100 80GB HBM3"
        integral = _Integral(load)

        def follow(at_s: float) -> None:
            self._power_w = load(at_s)
            self._energy_j = integral.reach(at_s)

        clock.follow(follow)

    def nvmlInit(self) -> None:  # noqa: N802 - the library's name
        """Begin."""
        self.is_open = True

    def nvmlShutdown(self) -> None:  # noqa: N802 - the library's name
        """End."""
        self.is_open = False

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802 - as above
        """Give the only GPU."""
        if index != 0:
            raise NvmlFailure("Invalid Argument")
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802 - as above
        """Give its model."""
        del handle
        return self.model

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802 - as above
        """Give its identity."""
        del handle
        return "GPU-00000000"

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802 - as above
        """Give a version."""
        return "550.54"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        """Give the counter in mJ, renewed ten times a second."""
        del handle
        if not self._has_energy:
            raise NvmlFailure("Not Supported")
        if self.is_lost:
            raise NvmlFailure("GPU is lost")
        return round(self._energy_j * 1000)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802 - as above
        """Give the power in mW."""
        del handle
        if self.is_lost:
            raise NvmlFailure("GPU is lost")
        return round(self._power_w * 1000)

"""RAPL by the kernel's powercap files: energy counters of packages, cores and memory.

Facts from the kernel's documentation (Documentation/power/powercap) and its driver:

- ``intel-rapl:N`` are packages or the whole platform (``psys``), ``intel-rapl:N:M``
  their parts. ``intel-rapl-mmio`` counts the same packages a second time, through
  other registers, and is left out. AMD's counters come under the same names.
- ``energy_uj`` runs over at ``max_energy_range_uj``: 262 kJ, 44 min at 100 W, or
  65.7 kJ for memory. An interval in which it may have run over unseen is refused.
- ``psys`` holds the packages; the two are never added up.
- Since Linux 5.10 only root may read ``energy_uj`` (CVE-2020-8694: its steps tell
  secrets of other processes).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.reading import Channel
from harness.errors import MeterError, Unsupported
from harness.meters.base import InstrumentDescription
from harness.meters.counter import EnergyCounter
from harness.meters.onhost.sampling import (
    HostMeter,
    Rates,
    Sampler,
    read_int,
    read_text,
)
from harness.units import NS_PER_S

RATES = Rates(default_hz=10.0, fastest_hz=100.0)
"""Counters are renewed about every millisecond; at 100 Hz one step is 10 %."""
_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")
_JOULES_PER_COUNT = 1e-6
_PEAK_OVER_RATED = 2.0
"""For milliseconds a package may take about twice its rated power (turbo)."""
_UNRATED_W = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One energy counter."""

    name: str
    """``package-0``, ``package-0.dram``, ``psys`` …"""
    folder: Path
    range_uj: int
    longest_s: float
    """In a longer interval it may have run over by more than a quarter unseen."""

    @property
    def is_platform(self) -> bool:
        """Whether it counts the whole platform, packages included."""
        return self.name == "psys"

    def energy_uj(self) -> int:
        """Read the counter. Raises MeterError without the right to."""
        path = self.folder / "energy_uj"
        try:
            return read_int(path)
        except PermissionError as error:
            raise MeterError(
                "No right to read the processor's energy counter",
                where=str(path),
                remedy="Allow it until the next boot with: sudo chmod a+r "
                "/sys/class/powercap/intel-rapl*/energy_uj (any process can then "
                "watch the power, CVE-2020-8694), or run as root.",
            ) from error


def open_rapl(
    clock: Clock, *, address: str, origin: Origin, root: Path = Path("/sys")
) -> HostMeter:
    """Open the counters under `root`. Raises Unsupported where there are none.

    The channels ``power`` and ``energy`` are those of `boundary`; each zone has a
    channel ``power.<zone>`` besides.
    """
    zones = find_zones(root)
    if not zones:
        raise Unsupported(
            "This machine has no RAPL counters",
            where=str(root / "class" / "powercap"),
            remedy="Load the kernel module intel_rapl_msr, or take an external meter; "
            "virtual machines have none.",
        )
    for zone in zones:
        zone.energy_uj()
    whole = boundary(zones)
    names = [("power", "W"), ("energy", "J")]
    names += [(f"power.{zone.name}", "W") for zone in zones]
    return HostMeter(
        clock,
        description=InstrumentDescription(
            driver="rapl",
            address=address,
            origin=origin,
            model="RAPL",
            facts={
                "boundary": "+".join(zone.name for zone in whole),
                "zones": ",".join(zone.name for zone in zones),
                "evidence_class": "C",
            },
        ),
        channels=tuple(
            Channel(name=name, unit=unit, source=address, rate_hz=RATES.default_hz)
            for name, unit in names
        ),
        rates=RATES,
        begin=_beginner(zones, whole),
    )


def find_zones(root: Path) -> tuple[Zone, ...]:
    """Find the counters, each package before its parts."""
    folders = sorted(
        folder
        for folder in (root / "class" / "powercap").glob("intel-rapl:*")
        if _ZONE.fullmatch(folder.name) and (folder / "energy_uj").exists()
    )
    return tuple(_zone(folder) for folder in folders)


def boundary(zones: tuple[Zone, ...]) -> tuple[Zone, ...]:
    """Choose what is added up: the platform alone, or packages and their memory.

    Cores and graphics are parts of their package. Memory (``dram``) is not.
    """
    platform = tuple(zone for zone in zones if zone.is_platform)
    if platform:
        return platform
    return tuple(
        zone for zone in zones if "." not in zone.name or zone.name.endswith(".dram")
    )


def _zone(folder: Path) -> Zone:
    name = read_text(folder / "name")
    if folder.name.count(":") > 1:
        parent = folder.parent / folder.name.rpartition(":")[0]
        name = f"{read_text(parent / 'name')}.{name}"
    range_uj = read_int(folder / "max_energy_range_uj")
    most_w = _rated_w(folder) * _PEAK_OVER_RATED or _UNRATED_W
    return Zone(
        name=name,
        folder=folder,
        range_uj=range_uj,
        longest_s=range_uj * _JOULES_PER_COUNT / (4 * most_w),
    )


def _rated_w(folder: Path) -> float:
    """Give the largest power that a zone says it may be held to; 0: it says none."""
    told = [0]
    for path in folder.glob("constraint_*_max_power_uw"):
        try:
            told.append(read_int(path))
        except OSError:
            continue  # some zones have the file and refuse to be read
    return max(told) * 1e-6


def _beginner(
    zones: tuple[Zone, ...], whole: tuple[Zone, ...]
) -> Callable[[int], Sampler]:
    def begin(now_ns: int) -> Sampler:
        return _Counting(zones, whole, now_ns).sample

    return begin


class _Counting:
    """The counters of one acquisition, run-overs undone."""

    def __init__(
        self, zones: tuple[Zone, ...], whole: tuple[Zone, ...], now_ns: int
    ) -> None:
        self._whole = whole
        self._last_ns = now_ns
        self._counters = {
            zone: EnergyCounter(
                modulus=zone.range_uj,
                joules_per_count=_JOULES_PER_COUNT,
                where=str(zone.folder),
            )
            for zone in zones
        }
        self._energies = self._read()

    def sample(self, now_ns: int) -> Mapping[str, float]:
        """Give mean powers since the last call, and energy since the first."""
        elapsed_s = (now_ns - self._last_ns) / NS_PER_S
        for zone in self._counters:
            if elapsed_s > zone.longest_s:
                raise MeterError(
                    f"The counter of {zone.name} may have run over unseen: it was not "
                    f"read for {elapsed_s:.0f} s (limit {zone.longest_s:.0f} s)",
                    where=str(zone.folder),
                    remedy="Keep the machine from sleeping while it is measured.",
                )
        before, self._energies = self._energies, self._read()
        self._last_ns = now_ns
        watts = {
            zone: (joules - before[zone]) / elapsed_s
            for zone, joules in self._energies.items()
        }
        values = {f"power.{zone.name}": power for zone, power in watts.items()}
        values["power"] = sum(watts[zone] for zone in self._whole)
        values["energy"] = sum(self._energies[zone] for zone in self._whole)
        return values

    def _read(self) -> dict[Zone, float]:
        return {
            zone: counter.advance(zone.energy_uj())
            for zone, counter in self._counters.items()
        }

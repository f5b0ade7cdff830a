"""What a Linux kernel says of its own machine in /proc and /sys; stdlib only.

For boards, where psutil is not. Every path lies under a root that can be another
folder. What cannot be read is None or left out; nothing is guessed. Files and units:
Documentation/ABI/testing/sysfs-class-thermal (millidegrees), -devices-system-cpu
(kHz), sysfs-class-power (µV, µA, per cent) of the kernel.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEX = re.compile(r"(0x)?[0-9a-fA-F]+")
_MILLI = 1e-3
_HZ_PER_KHZ = 1e3
_WHOLE_DEGREES_BELOW = 200
"""Some drivers give whole degrees; no processor is at a fifth of a degree."""
_COLDEST_DEGC, _HOTTEST_DEGC = -60.0, 150.0
"""A sensor beyond this is not connected (some give -274 or 200)."""
_PROCESSOR_ZONES = ("cpu", "soc", "pkg", "core", "tsens", "big", "little", "acpitz")
_COOLS_PROCESSOR = ("cpu", "processor", "cpufreq")


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's account under `root`."""

    root: Path = Path("/")

    def zones_degc(self) -> dict[str, float]:
        """Give every thermal zone's temperature, by the zone's type."""
        found: dict[str, float] = {}
        for zone in self._glob("sys/class/thermal/thermal_zone*"):
            raw = _number(zone / "temp")
            name = _text(zone / "type") or zone.name
            if raw is None:
                continue
            degc = raw if abs(raw) < _WHOLE_DEGREES_BELOW else raw * _MILLI
            if _COLDEST_DEGC <= degc <= _HOTTEST_DEGC:
                found[name] = max(degc, found.get(name, degc))
        return found

    def temperature_degc(self) -> float | None:
        """Give the processor's temperature: its hottest zone, else the hottest."""
        zones = self.zones_degc()
        of_processor = {
            name: degc
            for name, degc in zones.items()
            if _is_named(name, _PROCESSOR_ZONES)
        }
        return max((of_processor or zones).values(), default=None)

    def governors(self) -> dict[Path, str]:
        """Give each frequency policy's governor, by the file that sets it."""
        cpus = "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"
        found = ((path, _text(path)) for path in self._glob(cpus))
        return {path: name for path, name in found if name}

    def governor(self) -> str | None:
        """Name the governors in force."""
        return ", ".join(sorted(set(self.governors().values()))) or None

    def frequency_hz(self) -> float | None:
        """Give the mean clock frequency of the cores."""
        cpus = "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"
        found = [_number(path) for path in self._glob(cpus)]
        khz = [value for value in found if value is not None]
        return sum(khz) / len(khz) * _HZ_PER_KHZ if khz else None

    def throttle(self) -> float | None:
        """Give how hard the kernel holds the processor back now; 0: not at all.

        The deepest state of a cooling device that slows the processor, and on a
        Raspberry Pi 1 while the firmware's flag 2 ("currently throttled") stands.
        """
        states = [
            _number(device / "cur_state")
            for device in self._glob("sys/class/thermal/cooling_device*")
            if any(
                w in (_text(device / "type") or "").lower() for w in _COOLS_PROCESSOR
            )
        ]
        flags = _text(self.root / "sys/devices/platform/soc/soc:firmware/get_throttled")
        if flags is not None and _HEX.fullmatch(flags):
            states.append(float(int(flags, 16) >> 2 & 1))
        return max((state for state in states if state is not None), default=None)

    def charge(self) -> float | None:
        """Give the battery's charge, 0 … 1; None without a battery."""
        for supply in self._supplies("Battery"):
            percent = _number(supply / "capacity")
            if percent is not None:
                return percent / 100
        return None

    def is_charger_on(self) -> bool | None:
        """Say whether a charger feeds the device; None where the kernel is silent."""
        states = [
            _number(supply / "online")
            for kind in ("Mains", "USB", "Wireless")
            for supply in self._supplies(kind)
        ]
        known = [state for state in states if state is not None]
        if known:
            return any(known)
        for supply in self._supplies("Battery"):
            status = _text(supply / "status")
            if status is not None:
                return status != "Discharging"
        return None

    def charging(self) -> str | None:
        """Give a battery's status in the kernel's words, such as ``Discharging``."""
        statuses = (_text(supply / "status") for supply in self._supplies("Battery"))
        return next(filter(None, statuses), None)

    def load_average(self) -> float | None:
        """Give the load over the last minute."""
        text = _text(self.root / "proc/loadavg")
        return float(text.split()[0]) if text else None

    def cpu_ticks(self) -> tuple[float, float] | None:
        """Give ticks of all cores since the start: busy, and all; proc(5)."""
        text = _text(self.root / "proc/stat")
        if not text:
            return None
        numbers = [float(word) for word in text.splitlines()[0].split()[1:9]]
        idle = numbers[3] + numbers[4]
        return sum(numbers) - idle, sum(numbers)

    def memory_bytes(self) -> int | None:
        """Give how much memory the machine has."""
        return self._meminfo("MemTotal")

    def boot_id(self) -> str:
        """Name this start of the machine; another one after every restart."""
        return _text(self.root / "proc/sys/kernel/random/boot_id") or "unknown"

    def resident_bytes(self, pid: int) -> int | None:
        """Give the resident set of a process; None once it is gone."""
        text = _text(self.root / f"proc/{pid}/statm")
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") if text else None

    def cpu_seconds(self, pid: int) -> float | None:
        """Give the processor time of a process; None once it is gone."""
        text = _text(self.root / f"proc/{pid}/stat")
        if not text:
            return None
        fields = text.rpartition(")")[2].split()  # the name before it may hold blanks
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _meminfo(self, key: str) -> int | None:
        for line in (_text(self.root / "proc/meminfo") or "").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
        return None

    def _supplies(self, kind: str) -> Iterator[Path]:
        for supply in self._glob("sys/class/power_supply/*"):
            if _text(supply / "type") == kind and _text(supply / "scope") != "Device":
                yield supply

    def _glob(self, pattern: str) -> list[Path]:
        return sorted(self.root.glob(pattern))


def keep_to(pid: int, cores: frozenset[int]) -> bool:
    """Bind a process (0: the calling thread) to cores; False where that cannot be."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        return False
    try:
        os.sched_setaffinity(pid, cores)
    except OSError:
        return False
    return True


def _is_named(name: str | None, words: tuple[str, ...]) -> bool:
    return name is not None and any(word in name.lower() for word in words)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None  # not on this machine, not for us, or asleep: the kernel's ways


def _number(path: Path) -> float | None:
    text = _text(path)
    try:
        return float(text) if text else None
    except ValueError:
        return None

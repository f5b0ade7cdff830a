"""What an Android phone says of itself, where its kernel is closed to the shell.

``getprop`` and ``dumpsys`` are on every phone. They wake system services, so they are
asked before a trial and never in one. Formats: AOSP BatteryService.java (tenths of a
degree, plugged by kind), ThermalManagerService.java, Temperature.java (types 0: CPU,
3: skin; status 0: none … 6: shutdown).
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.meters.kernel import Kernel

Ask = Callable[..., str]
_TIMEOUT_S = 5.0
_DECI = 0.1
_CPU, _SKIN = "0", "3"
_TEMPERATURE = re.compile(r"Temperature\{mValue=([-\d.]+), mType=(-?\d+)")
_STATUS = re.compile(r"Thermal Status: (\d+)")
_STATUSES = {"2": "Charging", "3": "Discharging", "4": "Not charging", "5": "Full"}
"""BatteryManager.java."""
_FROM_HAL = "Current temperatures from HAL:"
_COOLING = "Current cooling devices"
_PROPERTIES = {
    "android": "ro.build.version.release",
    "build": "ro.build.fingerprint",
    "abi": "ro.product.cpu.abi",
    "soc": "ro.soc.model",
}


def ask_phone(command: str, *words: str) -> str:
    """Give what a command of Android's prints; empty where it is not there or fails."""
    path = shutil.which(command)
    if path is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell
            [path, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""  # closed to the shell's user, or its service hangs: it says nothing
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def phone_facts(ask: Ask = ask_phone) -> dict[str, str]:
    """Give facts key by key; none where this is no phone."""
    facts = {key: ask("getprop", name).strip() for key, name in _PROPERTIES.items()}
    names = ("ro.product.manufacturer", "ro.product.model")
    facts["board"] = " ".join(ask("getprop", name).strip() for name in names).strip()
    return {key: value for key, value in facts.items() if value}


@dataclass(frozen=True, slots=True)
class PhoneKernel(Kernel):
    """A kernel's account, filled up with what Android's services say."""

    root: Path = Path("/")
    ask: Ask = ask_phone

    def temperature_degc(self) -> float | None:
        """Give the processor's temperature, else the skin's, else the battery's."""
        found = Kernel.temperature_degc(self)
        if found is not None:
            return found
        text = self.ask("dumpsys", "thermalservice")
        now = text.partition(_FROM_HAL)[2].partition(_COOLING)[0] or text
        for wanted in (_CPU, _SKIN):
            degc = [float(v) for v, kind in _TEMPERATURE.findall(now) if kind == wanted]
            if degc:
                return max(degc)
        tenths = _whole(self._battery().get("temperature"))
        return None if tenths is None else tenths * _DECI

    def throttle(self) -> float | None:
        """Give the kernel's account, else Android's thermal status; 0: not at all."""
        found = Kernel.throttle(self)
        if found is not None:
            return found
        said = _STATUS.search(self.ask("dumpsys", "thermalservice"))
        return float(said[1]) if said else None

    def charge(self) -> float | None:
        """Give the battery's charge, 0 … 1."""
        found = Kernel.charge(self)
        if found is not None:
            return found
        battery = self._battery()
        level, scale = _whole(battery.get("level")), _whole(battery.get("scale"))
        return level / scale if level is not None and scale else None

    def is_charger_on(self) -> bool | None:
        """Say whether anything feeds the phone, its USB port included."""
        found = Kernel.is_charger_on(self)
        if found is not None:
            return found
        states = [v for k, v in self._battery().items() if k.endswith("powered")]
        return "true" in states if states else None

    def charging(self) -> str | None:
        """Give the battery's status, in the kernel's words."""
        found = Kernel.charging(self)
        return found or _STATUSES.get(self._battery().get("status", ""))

    def _battery(self) -> dict[str, str]:
        pairs = (
            line.partition(":") for line in self.ask("dumpsys", "battery").splitlines()
        )
        return {key.strip(): value.strip() for key, _, value in pairs}


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.lstrip("-").isdigit() else None

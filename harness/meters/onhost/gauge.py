"""The battery's fuel gauge by the kernel's power_supply files.

The kernel's documentation says µV, µA, µAh, µW, µWh, and that a current out of the
battery is negative. Phones in the field give mA for µA, either sign, zero, or the
smallest 32-bit number (reports: home-assistant/android #2846 and #4977, termux-api
#293). So the unit is not taken on trust: `settle_unit` compares the current, summed up
over minutes, with what the charge counter says went out, and refuses what disagrees.

A battery that is being charged says nothing of what the device takes; a charger that
is plugged in is an error, at opening and while measuring.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.reading import Channel
from harness.errors import MeterError, SupplyChanged, Unsupported
from harness.meters.base import InstrumentDescription
from harness.meters.onhost.sampling import HostMeter, Rates, read_int, read_text

RATES = Rates(default_hz=1.0, fastest_hz=10.0)
MOST_DISAGREEMENT = 0.2
"""Between the summed-up current and the charge counter, as a ratio."""
_NOT_A_READING = frozenset({0, -(2**31), 2**31 - 1})
_LEAST_UA = 5_000
"""Nothing that executes models runs on less: such a current is probably in mA."""
_VOLT_SCALES = (1e-6, 1e-3)
_LEAST_V, _MOST_V = 2.5, 60.0
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """One battery's folder, and what it says there."""

    folder: Path

    @property
    def gives_power(self) -> bool:
        """Whether it tells power; otherwise it tells voltage and current."""
        return (self.folder / "power_now").exists()

    def flow(self) -> int:
        """Read current or power as it stands: µA or µW if the kernel is obeyed."""
        name = "power_now" if self.gives_power else "current_now"
        return read_int(self.folder / name)

    def level(self) -> int | None:
        """Read what is left: µAh or µWh; None: it does not say."""
        names = (
            ("energy_now",) if self.gives_power else ("charge_counter", "charge_now")
        )
        for name in names:
            if (self.folder / name).exists():
                return read_int(self.folder / name)
        return None

    def voltage_v(self) -> float:
        """Read the voltage in V. Raises MeterError for one that no battery has."""
        raw = read_int(self.folder / "voltage_now")
        for scale in _VOLT_SCALES:
            if _LEAST_V <= raw * scale <= _MOST_V:
                return raw * scale
        raise MeterError(
            f"The fuel gauge says {raw} for its voltage, which no battery has",
            where=str(self.folder),
            remedy="Use an external meter.",
        )


def open_gauge(
    clock: Clock,
    *,
    address: str,
    origin: Origin,
    root: Path = Path("/sys"),
    unit: float | None = None,
) -> HostMeter:
    """Open the first battery under `root`.

    `unit` is what `settle_unit` found, in A or W per count and with its sign; None:
    the documented unit is taken, where the figure is plausible. Raises Unsupported
    where there is no battery, MeterError for a gauge that cannot be believed or a
    charger that is plugged in.
    """
    battery = find_battery(root)
    require_discharging(root, battery)
    if unit is None:
        _require_plausible(battery)
    scale = 1e-6 if unit is None else abs(unit)

    def sample(now_ns: int) -> Mapping[str, float]:
        del now_ns
        require_discharging(root, battery)
        flow = abs(battery.flow()) * scale
        if battery.gives_power:
            return {"power": flow}
        volts = battery.voltage_v()
        return {"power": volts * flow, "voltage": volts, "current": flow}

    names = [("power", "W"), ("voltage", "V"), ("current", "A")]
    return HostMeter(
        clock,
        description=InstrumentDescription(
            driver="battery",
            address=address,
            origin=origin,
            model=battery.folder.name,
            facts={
                "boundary": "battery terminals",
                "unit_check": "not done" if unit is None else "against charge counter",
                "unit_per_count": f"{scale:g}",
                "evidence_class": "C",
            },
        ),
        channels=tuple(
            Channel(name=name, unit=si, source=address, rate_hz=RATES.default_hz)
            for name, si in (names[:1] if battery.gives_power else names)
        ),
        rates=RATES,
        begin=lambda _: sample,
    )


def find_battery(root: Path) -> Battery:
    """Find the first battery that tells a current or a power. Raises Unsupported."""
    for folder in sorted((root / "class" / "power_supply").glob("*")):
        if _said(folder, "type") == "Battery":
            battery = Battery(folder=folder)
            if battery.gives_power or (folder / "current_now").exists():
                return battery
    raise Unsupported(
        "No battery of this machine tells its current",
        where=str(root / "class" / "power_supply"),
        remedy="Take an external meter.",
    )


def require_discharging(root: Path, battery: Battery) -> None:
    """Raise SupplyChanged while a charger feeds the device."""
    plugged = [
        folder.name
        for folder in sorted((root / "class" / "power_supply").glob("*"))
        if _said(folder, "type") != "Battery" and _said(folder, "online") == "1"
    ]
    status = _said(battery.folder, "status")
    if plugged or status not in {"Discharging", ""}:
        raise SupplyChanged(
            f"A charger is plugged in ({', '.join(plugged) or status}): the battery's "
            "current is not what the device takes",
            where=str(battery.folder),
            remedy="Unplug it, and measure on the battery alone.",
        )


def settle_unit(clock: Clock, *, root: Path = Path("/sys"), seconds: float) -> float:
    """Measure the unit and sign of the gauge's current or power.

    Sums it up over `seconds` at one reading a second and compares the sum with the
    drop of the counter. Gives A (or W) per count, negative where a current out of the
    battery is counted as negative. Raises MeterError where the two disagree by more
    than `MOST_DISAGREEMENT` in every unit that is in use, or the counter stood still.
    """
    battery = find_battery(root)
    begun_ns = clock.now_ns()
    first = battery.level()
    total = 0.0
    steps = max(2, round(seconds))
    for step in range(1, steps + 1):
        clock.wait_until(begun_ns + round(step * seconds / steps * 1e9))
        require_discharging(root, battery)
        total += battery.flow() * (seconds / steps)
    last = battery.level()
    if first is None or last is None or first <= last:
        raise MeterError(
            f"The charge counter did not go down in {seconds:g} s",
            where=str(battery.folder),
            remedy="Measure for longer, on a gauge that has a charge counter.",
        )
    return _matching(total, (first - last) * _SECONDS_PER_HOUR, battery)


def _matching(total: float, drop_micro: float, battery: Battery) -> float:
    """Find the unit in which sum and drop agree; both in count seconds."""
    for per_count in (1e-6, 1e-3):
        ratio = abs(total) * per_count / (drop_micro * 1e-6)
        if abs(ratio - 1.0) <= MOST_DISAGREEMENT:
            return per_count if total > 0 else -per_count
    raise MeterError(
        f"The fuel gauge contradicts itself: its current sums up to "
        f"{abs(total) / drop_micro:.3g} times what its charge counter lost",
        where=str(battery.folder),
        remedy="Use an external meter on this device.",
    )


def _require_plausible(battery: Battery) -> None:
    flow = battery.flow()
    if flow in _NOT_A_READING:
        raise MeterError(
            f"The fuel gauge says {flow} for its current, which is no reading",
            where=str(battery.folder),
            remedy="Use an external meter on this device.",
        )
    if not battery.gives_power and abs(flow) < _LEAST_UA:
        raise MeterError(
            f"The fuel gauge says {abs(flow)} µA, less than a running device takes: "
            "it may mean mA",
            where=str(battery.folder),
            remedy="Have its unit measured first: battery@?check=120",
        )


def _said(folder: Path, name: str) -> str:
    path = folder / name
    return read_text(path) if path.exists() else ""

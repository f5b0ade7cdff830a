"""Power rails by the kernel's hwmon files, among them the INA3221 of Jetson boards.

Facts from the kernel's documentation (hwmon/sysfs-interface, hwmon/ina3221):
``powerN_input`` is in µW, ``inN_input`` in mV, ``currN_input`` in mA. An INA3221's
``in4`` to ``in7`` are shunt voltages and ``curr4`` is a sum: no rail is made of them.
A rail that is switched off answers with ENODATA. ``update_interval`` (ms) is how often
the chip has something new.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.reading import Channel
from harness.errors import UnknownName, Unsupported
from harness.meters.base import InstrumentDescription
from harness.meters.onhost.sampling import (
    HostMeter,
    Rates,
    Sampler,
    read_int,
    read_text,
)

_DEFAULT_HZ = 10.0
_FASTEST_HZ = 100.0
_MOST_RAILS = 32
_INA3221_RAILS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """One measured supply rail."""

    name: str
    """``<chip>/<label>``"""
    folder: Path
    number: int
    has_power: bool
    """Whether the chip gives power itself; otherwise voltage and current are read."""

    def power_w(self) -> float:
        """Read the power in W; voltage and current in one pass. Raises OSError."""
        if self.has_power:
            return read_int(self.folder / f"power{self.number}_input") * 1e-6
        millivolts = read_int(self.folder / f"in{self.number}_input")
        milliamperes = read_int(self.folder / f"curr{self.number}_input")
        return millivolts * milliamperes * 1e-6


def open_hwmon(
    clock: Clock,
    *,
    address: str,
    origin: Origin,
    rail: str = "",
    root: Path = Path("/sys"),
) -> HostMeter:
    """Open the rails under `root`; `rail` names the one that is ``power``.

    Every rail has a channel ``power.<chip>/<label>``. Without `rail` there is a
    channel ``power`` only where there is one rail. Raises Unsupported where there is
    none, UnknownName for a rail that is not there.
    """
    rails = find_rails(root)
    if not rails:
        raise Unsupported(
            "No sensor of this machine measures a supply rail",
            where=str(root / "class" / "hwmon"),
            remedy="Take an external meter.",
        )
    whole = _chosen(rails, rail)
    names = [f"power.{one.name}" for one in rails]
    if whole is not None:
        names.insert(0, "power")
    fastest_hz = min(_pace_hz(one.folder) for one in rails)
    rates = Rates(default_hz=min(_DEFAULT_HZ, fastest_hz), fastest_hz=fastest_hz)
    return HostMeter(
        clock,
        description=InstrumentDescription(
            driver="hwmon",
            address=address,
            origin=origin,
            model="hwmon",
            facts={
                "rails": ",".join(one.name for one in rails),
                "evidence_class": "C",
            }
            | ({"boundary": whole.name} if whole else {}),
        ),
        channels=tuple(
            Channel(name=name, unit="W", source=address, rate_hz=rates.default_hz)
            for name in names
        ),
        rates=rates,
        begin=_beginner(rails, whole),
    )


def find_rails(root: Path) -> tuple[Rail, ...]:
    """Find every rail that can be read now."""
    found: list[Rail] = []
    for folder in sorted((root / "class" / "hwmon").glob("hwmon*")):
        chip = read_text(folder / "name") if (folder / "name").exists() else folder.name
        most = _INA3221_RAILS if chip == "ina3221" else _MOST_RAILS
        for number in range(1, most + 1):
            rail = _rail(folder, chip, number)
            if rail is not None and _is_readable(rail):
                found.append(rail)
    return tuple(found)


def _rail(folder: Path, chip: str, number: int) -> Rail | None:
    has_power = (folder / f"power{number}_input").exists()
    has_pair = all(
        (folder / f"{kind}{number}_input").exists() for kind in ("in", "curr")
    )
    if not has_power and not has_pair:
        return None
    kinds = ("power", "in", "curr")
    labels = [folder / f"{kind}{number}_label" for kind in kinds]
    label = next((read_text(path) for path in labels if path.exists()), str(number))
    return Rail(
        name=f"{chip}/{label}", folder=folder, number=number, has_power=has_power
    )


def _is_readable(rail: Rail) -> bool:
    try:
        rail.power_w()
    except OSError:
        return False  # switched off, or not to be read by us
    return True


def _chosen(rails: tuple[Rail, ...], wanted: str) -> Rail | None:
    if not wanted:
        return rails[0] if len(rails) == 1 else None
    for rail in rails:
        if rail.name == wanted:
            return rail
    raise UnknownName("supply rail", wanted, [rail.name for rail in rails])


def _pace_hz(folder: Path) -> float:
    """Say how often the chip has something new, at most `_FASTEST_HZ`."""
    path = folder / "update_interval"
    interval_ms = read_int(path) if path.exists() else 0
    return min(_FASTEST_HZ, 1000 / interval_ms) if interval_ms > 0 else _FASTEST_HZ


def _beginner(rails: tuple[Rail, ...], whole: Rail | None) -> Callable[[int], Sampler]:
    def sample(now_ns: int) -> Mapping[str, float]:
        del now_ns
        values: dict[str, float] = {}
        for rail in rails:
            try:
                values[f"power.{rail.name}"] = rail.power_w()
            except OSError:
                continue  # left out, and so counted as missing
            if rail is whole:
                values["power"] = values[f"power.{rail.name}"]
        return values

    return lambda _: sample

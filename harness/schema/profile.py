"""Device profiles: what a device is, what is asked of it, and a model of it.

The format ``duanping/profile/1``::

    format = "duanping/profile/1"
    name = "wearable"
    class = "wearable"
    title_zh = "可穿戴设备"
    title_en = "Wearable"
    suite = "wearable"
    tier_set = "2026.1"
    subtypes = ["watch"]

    [device]
    kind = "microcontroller"        # or "os"
    ram = "768 KiB"
    battery = "1.1 Wh"

    [conditions]
    ambient_min = "21 degC"

    [emulation]
    form = "rates/1"
    [emulation.parameters]
    mac_rate.dense = { value = "120 MMAC/s", source = "fit:…" }

Quantities carry their unit and are kept in the unit inside. Which parameters a form
of device model wants is not known here; `harness.emulation` checks that.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from harness import shipped
from harness.domain.profile import (
    Conditions,
    DeviceClass,
    DeviceProfile,
    Scheme,
)
from harness.errors import UnknownName
from harness.schema.emulation import (
    WrittenEmulation,
    check_provenance,
    emulation_model,
)
from harness.schema.quantity import Quantity, not_negative, placed
from harness.schema.reading import Written, attributed_to, read_toml, validate
from harness.schema.suite import suite_path
from harness.units import parse_quantity

FORMAT = "duanping/profile/1"

_ASKED = Conditions()


class WrittenDevice(Written):
    """The device itself. A microcontroller keeps weights and arena, no processes."""

    kind: Literal["os", "microcontroller"] = "os"
    ram: Quantity | None = None
    battery: Quantity | None = None
    refresh_rate: Quantity | None = None
    scheme: Scheme = Scheme.S8S8


class WrittenRuntime(Written):
    """How the runtime is set up on the device."""

    provider: str = Field(
        default="CPUExecutionProvider",
        description="Execution provider that models are given to first.",
    )
    options: dict[str, str] = Field(
        default_factory=dict, description="The provider's own, such as backend_path."
    )


class WrittenConditions(Written):
    """What is asked of the device and its surroundings while it is measured."""

    ambient_min: Quantity = f"{_ASKED.ambient_min_degc} degC"
    ambient_max: Quantity = f"{_ASKED.ambient_max_degc} degC"
    device_max_start: Quantity | None = None
    governor: str | None = None
    screen: Literal["off"] | None = None
    radios: Literal["off"] | None = None
    charging: Literal["off"] | None = None
    wished: tuple[str, ...] = ()
    supply_voltage: Quantity | None = None
    threads: int = 1


class WrittenProfile(Written):
    """A device profile."""

    format: Literal["duanping/profile/1"]
    name: str
    device_class: DeviceClass = Field(alias="class")
    title_zh: str
    title_en: str
    suite: str
    tier_set: str
    subtypes: tuple[str, ...] = ()
    device: WrittenDevice = WrittenDevice()
    runtime: WrittenRuntime = WrittenRuntime()
    conditions: WrittenConditions = WrittenConditions()
    emulation: WrittenEmulation | None = None


def load_profile(path: Path) -> DeviceProfile:
    """Read a profile.

    Raises SchemaError, or UnknownName for a device class or suite that there is
    not, naming the place in the file.
    """
    where = str(path)
    data = _with_dotted_keys(read_toml(path))
    _check_class(data, where)
    written = validate(WrittenProfile, data, where)
    _check_suite(written.suite, where)
    with attributed_to(where):
        profile = _profile(written, where)
    check_provenance(profile, where)
    return profile


def profile_path(name_or_path: str) -> Path:
    """Find a profile by the name of a shipped one, or by the path of a file.

    Raises UnknownName where neither is there.
    """
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        return Path(name_or_path)
    if name_or_path not in profile_names():
        raise UnknownName("device", name_or_path, profile_names())
    return _folder() / f"{name_or_path}.toml"


def profile_names() -> tuple[str, ...]:
    """List the profiles that are shipped: class defaults, and single devices."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def _folder() -> Path:
    return shipped.folder("device_profiles")


def _with_dotted_keys(data: dict[str, Any]) -> dict[str, Any]:
    """Join nested tables of parameters to one, so that ``mac_rate.dense`` is a key."""
    emulation = data.get("emulation")
    parameters = emulation.get("parameters") if isinstance(emulation, Mapping) else None
    if not (isinstance(emulation, Mapping) and isinstance(parameters, Mapping)):
        return data
    flat = dict(_leaves(parameters))
    return {**data, "emulation": {**emulation, "parameters": flat}}


def _leaves(
    table: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        place = (*above, key)
        holds_tables = isinstance(value, Mapping) and any(
            isinstance(inner, Mapping) for inner in value.values()
        )
        if holds_tables:
            yield from _leaves(value, place)
        else:
            yield ".".join(place), value


def _check_class(data: Mapping[str, Any], where: str) -> None:
    """Refuse an unknown class by its near names, which an enumeration does not give."""
    found = data.get("class")
    known = [one.value for one in DeviceClass]
    if isinstance(found, str) and found not in known:
        raise UnknownName("device class", found, known, where=f"{where}: /class")


def _check_suite(name: str, where: str) -> None:
    try:
        suite_path(name)
    except UnknownName as error:
        raise UnknownName(
            "suite", name, error.known, where=f"{where}: /suite"
        ) from error


def _profile(written: WrittenProfile, where: str) -> DeviceProfile:
    device = written.device
    at = f"{where}: /device"
    return DeviceProfile(
        name=written.name,
        device_class=written.device_class,
        title_zh=written.title_zh,
        title_en=written.title_en,
        suite=written.suite,
        tier_set=written.tier_set,
        subtypes=written.subtypes,
        is_os_class=device.kind == "os",
        ram_bytes=None if device.ram is None else _bytes(device.ram, f"{at}/ram"),
        battery_j=_optional(device.battery, "J", f"{at}/battery"),
        refresh_hz=_optional(device.refresh_rate, "Hz", f"{at}/refresh_rate"),
        scheme=device.scheme,
        provider=written.runtime.provider,
        provider_options=tuple(sorted(written.runtime.options.items())),
        conditions=_conditions(written.conditions, f"{where}: /conditions"),
        emulation=emulation_model(written.emulation, f"{where}: /emulation"),
    )


def _conditions(written: WrittenConditions, where: str) -> Conditions:
    with attributed_to(where):
        return Conditions(
            ambient_min_degc=_degc(written.ambient_min, f"{where}/ambient_min"),
            ambient_max_degc=_degc(written.ambient_max, f"{where}/ambient_max"),
            device_max_start_degc=(
                None
                if written.device_max_start is None
                else _degc(written.device_max_start, f"{where}/device_max_start")
            ),
            governor=written.governor,
            screen=written.screen,
            radios=written.radios,
            charging=written.charging,
            wished=written.wished,
            supply_voltage_v=_optional(
                written.supply_voltage, "V", f"{where}/supply_voltage"
            ),
            intra_op_threads=written.threads,
        )


def _optional(text: str | None, unit: str, where: str) -> float | None:
    return None if text is None else not_negative(text, unit, where)


def _bytes(text: str, where: str) -> int:
    return round(not_negative(text, "B", where))


def _degc(text: str, where: str) -> float:
    with placed(where):
        return parse_quantity(text, "degC")

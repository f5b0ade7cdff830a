"""Device profiles: what a class or a make of device is and must do."""

from dataclasses import dataclass, field
from enum import StrEnum

from harness.domain.workload import require_id


class DeviceClass(StrEnum):
    """The eight groups of devices that the province selects from."""

    WEARABLE = "wearable"
    XR = "xr"
    SMARTPHONE = "smartphone"
    COMPUTER = "computer"
    SMART_HOME = "smart_home"
    INDUSTRIAL = "industrial"
    COMMERCIAL = "commercial"
    OTHER = "other"


class Scheme(StrEnum):
    """Types of quantised activations and weights: U8S8 on x86, S8S8 on Arm."""

    U8S8 = "u8s8"
    S8S8 = "s8s8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One number of a device model: value in the unit inside, and where it is from.

    `source` is one of ``fit:…``, ``datasheet:…``, ``transferred:…``, ``assumed``.
    """

    value: float
    unit: str
    source: str

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("a number without a source may not stand in a profile")
        if not self.value >= 0:
            raise ValueError(f"a parameter is never negative, but this is {self.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulationModel:
    """A model of a device that is not here: a form and its parameters.

    `form` names the arithmetic (``rates/1``); `harness.emulation` knows the forms
    and says which parameters each wants. Everything else treats this as opaque.
    """

    form: str
    parameters: dict[str, Parameter]
    stands_for: str = ""
    """The device, runtime and operating point that the numbers are of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What is asked of the device and its surroundings while it is measured."""

    ambient_min_degc: float = 21.0
    ambient_max_degc: float = 25.0
    device_max_start_degc: float | None = None
    governor: str | None = None
    supply_voltage_v: float | None = None
    intra_op_threads: int = 1

    def __post_init__(self) -> None:
        if self.ambient_min_degc > self.ambient_max_degc:
            raise ValueError("the lowest ambient temperature is above the highest")
        if self.intra_op_threads < 1:
            raise ValueError("at least one thread is needed")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """One device, or the default of its class; shareable: no port, no address."""

    name: str
    device_class: DeviceClass
    title_zh: str
    title_en: str
    suite: str
    tier_set: str
    subtypes: tuple[str, ...] = ()
    """Declared sub-types, as `applies` of the tier set names them."""
    is_os_class: bool = True
    """False for microcontrollers, whose memory is weights plus arena."""
    ram_bytes: int | None = None
    battery_j: float | None = None
    refresh_hz: float | None = None
    scheme: Scheme = Scheme.S8S8
    conditions: Conditions = field(default_factory=Conditions)
    emulation: EmulationModel | None = None

    def __post_init__(self) -> None:
        require_id("profile", self.name)
        for what in ("ram_bytes", "battery_j", "refresh_hz"):
            value = getattr(self, what)
            if value is not None and not value > 0:
                raise ValueError(f"{what} must be above zero, not {value}")

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
class Source:
    """Where figures behind a device model are from, under which licence, of when."""

    id: str
    title: str
    licence: str
    date: str
    """Of publication or measurement, as exactly as it is known: 2021, 2026-01 …"""
    place: str = ""
    """Repository and commit, address or folder."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A model predicted by a fit that had not seen it: ln(predicted / measured)."""

    model: str
    log_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """What the models that a device model was fitted to have in common.

    Each stretch is least and greatest; `classes` are classes of operators that took
    a notable part of some model's time.
    """

    macs: tuple[float, float]
    kernels: tuple[float, float]
    weights_bytes: tuple[float, float]
    activations_bytes: tuple[float, float]
    classes: tuple[str, ...]
    models: int
    """How many models the fit saw."""


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
    unit: str = ""
    """What computes: ``mcu``, ``cpu`` or ``npu``. It chooses the form of a fit."""
    stack: dict[str, str] = field(default_factory=dict)
    """Runtime, version, precision, threads, clock …: the numbers hold for these."""
    fallback_operators: tuple[str, ...] = ()
    """Operators that the accelerator does not take; the ``fallback.*`` rates do."""
    refused_operators: tuple[str, ...] = ()
    """Operators that the device cannot run at all."""
    sources: tuple[Source, ...] = ()
    covered: Covered | None = None
    left_out: tuple[LeftOut, ...] = ()
    known: tuple[LeftOut, ...] = ()
    """Models that were measured: what the numbers themselves give, over measured."""
    family_known: tuple[LeftOut, ...] = ()
    """The same of a device of the family. What a sum of terms misses in a model, it
    misses alike on devices of one family."""
    family: str = ""
    """The profile from which ratios were borrowed, where a device has few figures."""


CPU = "CPUExecutionProvider"
"""The execution provider that is always there."""

SETTABLE = ("governor", "screen", "radios", "charging")
"""Conditions that are set on a board, and put back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What is asked of the device and its surroundings while it is measured."""

    ambient_min_degc: float = 21.0
    ambient_max_degc: float = 25.0
    device_max_start_degc: float | None = None
    governor: str | None = None
    screen: str | None = None
    """``off``, or None: as it is."""
    radios: str | None = None
    """``off``: every radio of the device, as in airplane mode."""
    charging: str | None = None
    """``off``: no charger feeds the device, or at least not its battery."""
    wished: tuple[str, ...] = ()
    """Of `SETTABLE` conditions those without which a trial is measured all the same."""
    supply_voltage_v: float | None = None
    intra_op_threads: int = 1

    def __post_init__(self) -> None:
        if self.ambient_min_degc > self.ambient_max_degc:
            raise ValueError("the lowest ambient temperature is above the highest")
        if self.intra_op_threads < 1:
            raise ValueError("at least one thread is needed")
        for name in ("screen", "radios", "charging"):
            if getattr(self, name) not in {None, "off"}:
                raise ValueError(f"{name} can be asked to be 'off' only")
        for name in self.wished:
            if name not in SETTABLE:
                known = ", ".join(SETTABLE)
                raise ValueError(f"'{name}' cannot be wished for; known: {known}")
            if getattr(self, name) is None:
                raise ValueError(f"'{name}' is wished for and not said how")


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
    provider: str = CPU
    """Execution provider that models are given to first."""
    provider_options: tuple[tuple[str, str], ...] = ()
    conditions: Conditions = field(default_factory=Conditions)
    emulation: EmulationModel | None = None

    def __post_init__(self) -> None:
        require_id("profile", self.name)
        for what in ("ram_bytes", "battery_j", "refresh_hz"):
            value = getattr(self, what)
            if value is not None and not value > 0:
                raise ValueError(f"{what} must be above zero, not {value}")

"""What exactly was tested, and under which conditions."""

from dataclasses import dataclass, field

from harness.domain.origin import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class SutDescription:
    """The system under test: device, operating system, runtime and settings.

    `facts` are what the target says of itself, as strings, key by key: ``os``,
    ``kernel``, ``cpu``, ``cores``, ``memory_bytes``, ``python``, ``runtime``,
    ``runtime_version``, ``provider`` … Unknown things are left out, never guessed.
    """

    address: str
    name: str
    origin: Origin
    clock: str
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionsReached:
    """What the conditions really were. None: could not be read on this target."""

    ambient_degc: float | None = None
    device_degc: float | None = None
    governor: str | None = None
    screen: str | None = None
    """``on``, ``off``, or ``none`` where the device has none."""
    radios: str | None = None
    """``on``, ``off``, or ``none``."""
    charging: str | None = None
    """Status of the battery in the kernel's words, such as ``Discharging``."""
    set_from: dict[str, str] = field(default_factory=dict)
    """What was set for this trial, by its place, and how it was found."""
    missed: dict[str, str] = field(default_factory=dict)
    """Conditions that were wished for and could not be set, and why."""
    recovered: tuple[str, ...] = ()
    """What an earlier run had left set, and was put back before this trial."""
    frequency_hz: float | None = None
    load_average: float | None = None
    """Over the last minute, and so with the harness's own trials in it."""
    busy_cores: float | None = None
    """Cores that were busy just before the trial, while the harness did nothing."""
    is_on_battery: bool | None = None
    charge: float | None = None
    """Of the battery, 0 … 1."""
    throttle: float | None = None
    """How hard the kernel held the processor back; 0: not at all."""
    anchor_ratio: float | None = None
    """Time of a fixed piece of work just before the trial, over that at the start."""

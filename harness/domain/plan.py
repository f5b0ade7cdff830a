"""Plans: which trials are executed, in which order, with which seeds."""

from dataclasses import dataclass, field
from enum import StrEnum

from harness.domain.labelled import LabelledData
from harness.domain.profile import CPU, DeviceProfile
from harness.domain.scenario import Scenario
from harness.domain.workload import ModelArtifact, Suite, require_id

_MODELLED = "emulated@"
_COUNTED = "arm64@"


def is_emulated(target: str) -> bool:
    """Say of an address whether a device there is emulated: modelled or counted."""
    return target.startswith((_MODELLED, _COUNTED))


def is_timed(target: str) -> bool:
    """Say of an address whether what happens there takes the time of the device.

    An emulated processor executes a device's instructions, in a time that says nothing
    of the device.
    """
    return not target.startswith(_COUNTED)


class Arm(StrEnum):
    """On whose behalf a trial is executed."""

    DEVICE = "device"
    """The device under test, real or emulated: this is what is graded."""
    HOST = "host"
    """This machine, for outputs, memory and a latency for reference: never graded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """When a window is long enough: both queries *and* duration must be met."""

    queries: int
    duration_ns: int

    def __post_init__(self) -> None:
        if self.queries < 1 or self.duration_ns < 0:
            raise ValueError("a window needs a query and no negative duration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Three independent seeds, so that one thing can be varied at a time."""

    arrival: int
    sample: int
    order: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How much is measured (method, section 1)."""

    name: str
    minimum: Minimum
    runs: int
    energy_window_ns: int
    cool_down_ns: int = 0
    is_evidential: bool = False
    """Whether such a run can support an application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """How the runtime is set up. Fixed and recorded, never left to a default."""

    runtime: str = "onnxruntime"
    provider: str = CPU
    provider_options: tuple[tuple[str, str], ...] = ()
    """Key and value, sorted; the words are the provider's own."""
    intra_op_threads: int = 1
    inter_op_threads: int = 1
    optimisation: str = "all"
    """Graph optimisation level: ``off``, ``basic``, ``extended``, ``all``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulses:
    """Marks of load before and after a trial, for a meter with a clock of its own.

    A maximum-length sequence of `chips` chips (15, 31 or 63) of `chip_ns` each, turned
    round by `seed` (`harness.loadgen.pulses`).
    """

    chips: int
    chip_ns: int
    seed: int
    pin: str = ""
    """File on the device that moves a pin which the meter watches: 1 is written to it
    where a pulse begins, 0 where it ends. Empty: no pin is wired."""

    def __post_init__(self) -> None:
        if self.chip_ns <= 0:
            raise ValueError("a pulse lasts some time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Audio that is played to a device, and when the wake word is spoken in it."""

    file: str
    """Name on the card of the board that plays it."""
    length_ns: int
    spoken_ns: tuple[tuple[int, int], ...]
    """From when to when each wake word is spoken, in ns from the begin, in order."""

    def __post_init__(self) -> None:
        if not self.file or self.length_ns <= 0:
            raise ValueError("a recording has a name and a length")
        last = 0
        for begin, end in self.spoken_ns:
            if not last <= begin < end <= self.length_ns:
                raise ValueError("wake words are spoken in order, within the recording")
            last = begin


INPUTS = tuple(f"D{bit}" for bit in range(8))
"""Logic inputs of a meter, by the bit that tells of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run of one workload in one scenario: a start of the workload on a target."""

    id: str
    arm: Arm
    target: str
    """Address of the target, ``driver@link``."""
    workload: str
    model: str
    """Name of a `ModelArtifact` of the plan."""
    scenario: Scenario
    run: int
    """Number of this run among the repeats of the same thing, from 1."""
    warm_up: Minimum
    minimum: Minimum
    baseline_ns: int
    """Length of each idle baseline, before and after."""
    seeds: Seeds
    settings: RuntimeSettings
    is_scored: bool = False
    """Whether all labelled items of the workload are answered after the window."""
    pulses: Pulses | None = None
    """None: no meter needs marks in its trace."""
    edges: str = ""
    """Input of the meter, D0 to D7, at which the device's own time stamps fall; empty:
    none is wired."""
    stream: Recording | None = None
    """What is played to a device that listens; None: nothing."""

    def __post_init__(self) -> None:
        require_id("trial", self.id)
        if self.edges and self.edges not in INPUTS:
            raise ValueError(f"a meter has the inputs D0 to D7, not {self.edges}")


class Boundary(StrEnum):
    """What the power that a meter reads is the power of."""

    NOT_STATED = ""
    WHOLE_DEVICE = "whole-device"
    """All that the device draws from its battery or its supply, display and radios
    included."""
    SOC_RAIL = "soc-rail"
    """A supply rail of the chip or module that executes the model."""
    USB_INPUT = "usb-input"
    """Behind the device's own charger or converter, in front of everything else."""
    WALL = "wall"
    """Mains, with the power supply unit inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """How the device is fed while it is measured, as the person at the bench says."""

    boundary: Boundary = Boundary.NOT_STATED
    is_single: bool | None = None
    """Whether nothing but the metered supply feeds the device: no battery that
    charges or discharges, no second cable. None: not stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Ordered trials with everything that decides their outcome and their judgement.

    Written to `plan.json`; its id is the sha256 of those bytes.
    """

    profile: DeviceProfile
    profile_sha256: str
    suite: Suite
    suite_sha256: str
    tier_set: str
    tier_set_sha256: str
    guard_ratio: float
    """r of the decision rule w = r·U, agreed before measuring (ILAC-G8)."""
    preset: Preset
    models: tuple[ModelArtifact, ...]
    trials: tuple[Trial, ...]
    meter: str = ""
    """Address of the meter that reads the device's power; empty: none."""
    labelled: dict[str, LabelledData] = field(default_factory=dict)
    """Workload id → the labelled data that its answers are scored on."""
    supply: Supply = Supply()
    """What that power is the power of."""

    def __post_init__(self) -> None:
        ids = [trial.id for trial in self.trials]
        if len(set(ids)) != len(ids):
            raise ValueError("two trials have the same id")
        names = {model.name for model in self.models}
        for trial in self.trials:
            if trial.model not in names:
                raise ValueError(f"trial {trial.id} names no model of the plan")
        for workload, data in self.labelled.items():
            if data.parent and data.parent not in names:
                raise ValueError(f"the parent of {workload} is no model of the plan")

    def model(self, name: str) -> ModelArtifact:
        """Give the model of that name. Raises KeyError where there is none."""
        for model in self.models:
            if model.name == name:
                return model
        raise KeyError(name)

    @property
    def is_emulated(self) -> bool:
        """Say whether the device under test is emulated, by a model or a processor."""
        return any(
            trial.arm is Arm.DEVICE and is_emulated(trial.target)
            for trial in self.trials
        )

    @property
    def is_timed(self) -> bool:
        """Say whether the device under test has a time that can be measured."""
        return all(
            is_timed(trial.target) for trial in self.trials if trial.arm is Arm.DEVICE
        )

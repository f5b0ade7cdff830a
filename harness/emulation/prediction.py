"""What is predicted of a model on a device, and how sure it is."""

from dataclasses import dataclass
from enum import StrEnum
from math import exp, hypot, log

from harness.domain.finding import Finding
from harness.emulation.device_model import Z90
from harness.emulation.thermal import Throttling

_Z80 = 1.2816
"""Half-width of the central 80 % of a normal distribution, in standard deviations."""


class Bound(StrEnum):
    """What a faster device would need most."""

    COMPUTE = "compute"
    MEMORY = "memory"
    LAUNCH = "launch"
    FALLBACK = "fallback"


class Standing(StrEnum):
    """How well a prediction is founded."""

    MEASURED = "measured"
    """This very network was measured on this device; the figure is that one."""
    KNOWN = "known"
    """This network was measured on a device of the family, and corrected by it."""

    INTERPOLATED = "interpolated"
    """The model is of the kind that the device model was fitted to."""
    EXTRAPOLATED = "extrapolated"
    """The model lies outside; the interval is widened."""
    TRANSFERRED = "transferred"
    """Ratios were borrowed from a device of the same family."""
    UNVALIDATED = "unvalidated"
    """The device model rests on assumptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One summand of a predicted latency. `parameter` is the number behind it."""

    name: str
    seconds: float
    parameter: str
    bound: Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """How latencies scatter about the prediction: log-normal, with rare outliers."""

    sigma: float
    between_runs: float = 0.0
    tail_share: float = 0.0
    tail_factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Operators that run on another unit than the accelerator."""

    operators: tuple[str, ...]
    kernels: int
    switches: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one inference of one sample takes on the device. SI units."""

    latency_s: float
    """Median, cool device."""
    per_call_s: float
    """Part of the latency that a query of several samples pays once."""
    terms: tuple[Term, ...]
    factor_90: float
    """90 % of true latencies lie within this factor of the predicted one."""
    energy_factor_90: float
    active_power_w: float
    idle_power_w: float
    process_s: float
    load_s: float
    weights_bytes: int
    arena_bytes: int
    base_bytes: int
    """Held before the model is loaded."""
    peak_bytes: int
    scatter: Scatter
    standing: Standing = Standing.INTERPOLATED
    fallback: Fallback | None = None
    throttling: Throttling | None = None
    refusal: str = ""
    """Why the device cannot run the model at all; empty where it can."""
    findings: tuple[Finding, ...] = ()

    @property
    def bound_by(self) -> str:
        """Name the largest summand of the latency."""
        return max(self.terms, key=lambda term: term.seconds).name

    @property
    def limit(self) -> Bound:
        """Say what limits the speed: arithmetic, memory, launches or fallback."""
        seconds = dict.fromkeys(Bound, 0.0)
        for term in self.terms:
            seconds[term.bound] += term.seconds
        return max(seconds, key=lambda bound: seconds[bound])

    @property
    def shares(self) -> dict[str, float]:
        """Give each summand's share of the latency, largest first."""
        ordered = sorted(self.terms, key=lambda term: -term.seconds)
        whole = self.latency_s or 1.0
        return {t.name: t.seconds / whole for t in ordered if t.seconds > 0}

    @property
    def relative_uncertainty(self) -> float:
        """Standard uncertainty of ln(latency)."""
        return log(self.factor_90) / Z90

    @property
    def interval_s(self) -> tuple[float, float]:
        """Give the 80 % prediction interval of the median latency."""
        width = exp(_Z80 * self.relative_uncertainty)
        return self.latency_s / width, self.latency_s * width

    @property
    def interval_90_s(self) -> tuple[float, float]:
        """Give the 90 % prediction interval of the median latency."""
        return self.latency_s / self.factor_90, self.latency_s * self.factor_90

    @property
    def energy_j(self) -> float:
        """Give the net energy of one inference: (P_active - P_idle) · t."""
        return (self.active_power_w - self.idle_power_w) * self.latency_s

    @property
    def interval_90_j(self) -> tuple[float, float]:
        """Give the 90 % prediction interval of the net energy of one inference."""
        factor = self.energy_factor_90
        return self.energy_j / factor, self.energy_j * factor


def combined_factor(factor_90: float, relative: float) -> float:
    """Widen a factor by a further standard relative uncertainty, independent of it."""
    return exp(hypot(log(factor_90), Z90 * relative))

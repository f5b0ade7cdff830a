"""A device model and a graph's cost → a prediction that can be explained.

Form ``rates/1``::

    t = fixed + per_kernel · kernels + Σ products of a class / rate of the class
        + weight bytes / weight bandwidth + activation bytes / activation bandwidth

Such a sum predicted published latencies as well as or better than trees, forests
and Gaussian processes (compare nn-Meter, MobiSys 2021, which adds times per kernel
too). Energy is mean power times time. A new form is one more entry in `FORMS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, exp

from harness.domain.finding import Finding, Severity
from harness.domain.profile import DeviceProfile, EmulationModel, Parameter
from harness.emulation.device_model import MULTIPLYING, Rates, read_rates
from harness.emulation.graph_cost import GraphCost
from harness.emulation.operators import OperatorClass
from harness.errors import UnknownName, Unsupported

_Z80 = 1.2816
"""Half-width of the central 80 % of a normal distribution, in standard deviations."""
_NOTABLE_SHARE = 0.10
"""Of the time or the products: above it, what is not known is said (method, 6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One summand of a predicted latency. `parameter` is the number behind it."""

    name: str
    seconds: float
    parameter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """How latencies scatter about the prediction: log-normal, with rare outliers."""

    sigma: float
    between_runs: float = 0.0
    tail_share: float = 0.0
    tail_factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """Slows the device down as heat, a first-order lag of utilisation, goes up."""

    time_constant_s: float
    onset: float
    """Heat (0-1) up to which nothing happens; from there it slows linearly."""
    floor: float
    """Share of the speed that is left at full heat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one inference of one sample takes on the device. SI units."""

    latency_s: float
    """Median, cool device."""
    per_call_s: float
    """Part of the latency that a query of several samples pays once."""
    terms: tuple[Term, ...]
    relative_uncertainty: float
    """Standard uncertainty of ln(latency)."""
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
    throttling: Throttling | None = None
    refusal: str = ""
    """Why the device cannot run the model at all; empty where it can."""
    findings: tuple[Finding, ...] = ()

    @property
    def bound_by(self) -> str:
        """Name the largest summand of the latency."""
        return max(self.terms, key=lambda term: term.seconds).name

    @property
    def interval_s(self) -> tuple[float, float]:
        """Give the 80 % prediction interval of the median latency."""
        width = exp(_Z80 * self.relative_uncertainty)
        return self.latency_s / width, self.latency_s * width

    @property
    def energy_j(self) -> float:
        """Give the net energy of one inference: (P_active - P_idle) · t."""
        return (self.active_power_w - self.idle_power_w) * self.latency_s


Form = Callable[[Mapping[str, Parameter], DeviceProfile, GraphCost], Prediction]


def predict(profile: DeviceProfile, cost: GraphCost) -> Prediction:
    """Predict what a model costs on the device that a profile models.

    Raises Unsupported where the profile has no device model, UnknownName for a form
    that is not known, SchemaError for parameters that the form cannot use.
    """
    model = emulation_of(profile)
    return FORMS[model.form](model.parameters, profile, cost)


def check(profile: DeviceProfile) -> None:
    """Refuse a device model that cannot be used; raises as `predict` does."""
    predict(profile, GraphCost(nodes=(), weight_bytes=0, arena_bytes=0))


def emulation_of(profile: DeviceProfile) -> EmulationModel:
    """Give the device model of a profile; raises as `predict` does."""
    model = profile.emulation
    if model is None:
        raise Unsupported(
            "This profile has no device model, so it cannot be emulated",
            where=profile.name,
            remedy="Add an [emulation] section, or measure with --target local@.",
        )
    if model.form not in FORMS:
        raise UnknownName("form of device model", model.form, FORMS, where=profile.name)
    return model


def _rates_1(
    parameters: Mapping[str, Parameter], profile: DeviceProfile, cost: GraphCost
) -> Prediction:
    rates = read_rates(parameters, f"{profile.name}: emulation.parameters")
    terms = _terms(rates, cost)
    memory = _memory(rates, cost)
    refusal = _refusal(rates, profile, memory)
    return Prediction(
        latency_s=sum(term.seconds for term in terms),
        per_call_s=rates["fixed"],
        terms=terms,
        relative_uncertainty=rates["uncertainty"],
        active_power_w=rates["power.active"],
        idle_power_w=rates["power.idle"],
        process_s=rates["cold.process"],
        load_s=(cost.file_bytes or cost.weight_bytes) / rates["cold.load_rate"],
        weights_bytes=memory.weights,
        arena_bytes=memory.arena,
        base_bytes=memory.base,
        peak_bytes=memory.peak,
        scatter=Scatter(
            sigma=rates["jitter.sigma"],
            between_runs=rates["jitter.between_runs"],
            tail_share=rates["jitter.tail_share"],
            tail_factor=rates["jitter.tail_factor"],
        ),
        throttling=_throttling(rates),
        refusal=refusal,
        findings=tuple(_findings(rates, cost, terms, refusal)),
    )


FORMS: Mapping[str, Form] = {"rates/1": _rates_1}
"""Forms of device models by name."""


def _terms(rates: Rates, cost: GraphCost) -> tuple[Term, ...]:
    products = (_products(rates, cost, kind) for kind in MULTIPLYING)
    return (
        Term(name="fixed", seconds=rates["fixed"], parameter="fixed"),
        Term(
            name="kernels",
            seconds=rates["per_kernel"] * cost.kernels,
            parameter="per_kernel",
        ),
        *products,
        Term(
            name="weights",
            seconds=cost.weight_bytes / rates["bandwidth.weight"],
            parameter="bandwidth.weight",
        ),
        *_activations(rates, cost),
    )


def _products(rates: Rates, cost: GraphCost, kind: OperatorClass) -> Term:
    nodes = cost.of_class(kind)
    macs = sum(node.macs for node in nodes)
    if rates["prunes_dead_channels"]:
        macs -= sum(node.dead_macs for node in nodes)
    name = f"mac_rate.{kind}"
    return Term(name=str(kind), seconds=macs / rates[name], parameter=name)


def _activations(rates: Rates, cost: GraphCost) -> tuple[Term, ...]:
    """Cost activations by bytes; two classes may have a bandwidth of their own."""
    own = {
        kind: sum(node.activation_bytes for node in cost.of_class(kind))
        for kind in (OperatorClass.NORMALISATION, OperatorClass.RESIZE)
        if rates[f"bandwidth.{kind}"] > 0
    }
    rest = cost.activation_bytes - sum(own.values())
    return (
        Term(
            name="activations",
            seconds=rest / rates["bandwidth.activation"],
            parameter="bandwidth.activation",
        ),
        *(
            Term(
                name=str(kind),
                seconds=size / rates[f"bandwidth.{kind}"],
                parameter=f"bandwidth.{kind}",
            )
            for kind, size in own.items()
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    """Bytes that a loaded model takes on the device."""

    weights: int
    arena: int
    base: int
    session: int

    @property
    def peak(self) -> int:
        """All of it together."""
        return self.base + self.session + self.weights + self.arena


def _memory(rates: Rates, cost: GraphCost) -> _Memory:
    return _Memory(
        weights=ceil(cost.weight_bytes * rates["memory.weight_factor"]),
        arena=ceil(cost.arena_bytes * rates["memory.arena_factor"]),
        base=ceil(rates["memory.base"]),
        session=ceil(rates["memory.session"]),
    )


def _refusal(rates: Rates, profile: DeviceProfile, memory: _Memory) -> str:
    """Say what does not fit: weights in their store, the rest in the memory."""
    flash = rates["memory.flash"]
    if flash and memory.weights > flash:
        return f"{memory.weights} bytes of weights do not fit {flash:.0f} of flash"
    in_memory = memory.peak - (memory.weights if flash else 0)
    if profile.ram_bytes is not None and in_memory > profile.ram_bytes:
        return f"{in_memory} bytes do not fit the memory of {profile.ram_bytes}"
    return ""


def _throttling(rates: Rates) -> Throttling | None:
    if not rates.throttles:
        return None
    return Throttling(
        time_constant_s=rates["throttle.time_constant"],
        onset=rates["throttle.onset"],
        floor=rates["throttle.floor"],
    )


def _findings(
    rates: Rates, cost: GraphCost, terms: tuple[Term, ...], refusal: str
) -> list[Finding]:
    found = []
    if refusal:
        found.append(_finding("does-not-fit-memory", why=refusal))
    if cost.unknown_operators:
        found.append(
            _finding("operator-unknown", operators=", ".join(cost.unknown_operators))
        )
    if cost.unknown_shapes:
        found.append(
            _finding("outside-emulation-domain", shapes=len(cost.unknown_shapes))
        )
    wide = cost.wide_macs / cost.macs if cost.macs else 0.0
    if wide > _NOTABLE_SHARE:
        found.append(_finding("outside-emulation-domain", float_macs=round(wide, 3)))
    guessed = _unvalidated(rates, terms)
    if guessed:
        found.append(_finding("emulation-not-validated", quantities=guessed))
    return found


def _unvalidated(rates: Rates, terms: tuple[Term, ...]) -> str:
    """Name the quantities that rest on assumptions: latency, energy, memory."""
    seconds = sum(term.seconds for term in terms)
    assumed = sum(t.seconds for t in terms if rates.is_assumed(t.parameter))
    rests_on_assumption = {
        "latency": assumed > _NOTABLE_SHARE * seconds,
        "energy": rates.is_assumed("power.active") or rates.is_assumed("power.idle"),
        "memory": rates.is_assumed("memory.base"),
    }
    return ", ".join(name for name, is_so in rests_on_assumption.items() if is_so)


def _finding(code: str, **values: str | float) -> Finding:
    return Finding(
        code=code, severity=Severity.NOTE, subject="model", values={**values}
    )

"""What a device gives, read from the parameters of a profile; form ``rates/1``.

A rate for each class of work, a bandwidth for weights and one for activations, a
cost for each kernel and for each inference; besides, power, memory, start and the
scatter of times. Every number says where it is from. Knows no model and no graph.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp

from harness.domain.profile import Parameter
from harness.emulation.operators import OperatorClass
from harness.errors import SchemaError, UnknownName

Z90 = 1.6449
"""Half-width of the central 90 % of a normal distribution, in standard deviations."""
ASSUMED = "assumed"
"""Source of a number that nothing published stands behind."""

_HIGHEST: Mapping[str, float] = {
    "MAC/s": 1e16,
    "B/s": 1e15,
    "s": 3600.0,
    "W": 1e4,
    "J/MAC": 1e-6,
    "J/B": 1e-6,
    "degC": 200.0,
}
"""What no device of this kind has, by unit: above it a prefix must be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One parameter of a form: its unit inside, and its value where it is left out.

    `default` None: it may not be left out.
    """

    unit: str
    meaning: str
    default: float | None = None
    at_most: float | None = None


WANTED: Mapping[str, Wanted] = {
    "mac_rate.dense": Wanted(
        unit="MAC/s", meaning="convolutions with a window, one group"
    ),
    "mac_rate.pointwise": Wanted(unit="MAC/s", meaning="1x1 convolutions"),
    "mac_rate.depthwise": Wanted(unit="MAC/s", meaning="convolutions in groups"),
    "mac_rate.matmul": Wanted(unit="MAC/s", meaning="matrix products"),
    "mac_rate.attention": Wanted(
        unit="MAC/s",
        meaning="products of two activations; 0: as matrix products",
        default=0.0,
    ),
    "wide_factor": Wanted(
        unit="ratio",
        meaning="time of a product in more than 8 bits, over one in 8",
        default=1.0,
    ),
    "bandwidth.weight": Wanted(
        unit="B/s",
        meaning="weights read, once an inference; 0: within the products",
        default=0.0,
    ),
    "bandwidth.activation": Wanted(unit="B/s", meaning="activations read and written"),
    "bandwidth.normalisation": Wanted(
        unit="B/s", meaning="softmax and normalisations", default=0.0
    ),
    "bandwidth.resize": Wanted(unit="B/s", meaning="interpolation", default=0.0),
    "bandwidth.spill": Wanted(
        unit="B/s",
        meaning="activations that do not fit memory.onchip; 0: costs nothing more",
        default=0.0,
    ),
    "memory.onchip": Wanted(
        unit="B", meaning="fast memory beside the unit that computes", default=0.0
    ),
    "fallback.mac_rate": Wanted(
        unit="MAC/s",
        meaning="products of operators that the accelerator does not take",
        default=0.0,
    ),
    "fallback.bandwidth": Wanted(
        unit="B/s", meaning="bytes that those operators touch", default=0.0
    ),
    "fallback.per_switch": Wanted(
        unit="s", meaning="each change to the other unit and back", default=0.0
    ),
    "per_kernel": Wanted(unit="s", meaning="each kernel that is called"),
    "fixed": Wanted(unit="s", meaning="each inference, whatever the model"),
    "prunes_dead_channels": Wanted(
        unit="ratio",
        meaning="1: the stack drops zero filters",
        default=0.0,
        at_most=1.0,
    ),
    "uncertainty": Wanted(
        unit="ratio", meaning="standard relative uncertainty of a predicted latency"
    ),
    "interval_90": Wanted(
        unit="ratio",
        meaning="factor that 90 % of predictions are within; 0: from uncertainty",
        default=0.0,
    ),
    "interval_known_90": Wanted(
        unit="ratio",
        meaning="the same for models that the family knows; 0: as interval_90",
        default=0.0,
    ),
    "jitter.sigma": Wanted(unit="ratio", meaning="log-normal scatter of latencies"),
    "jitter.between_runs": Wanted(
        unit="ratio", meaning="log-normal scatter of a run's median", default=0.0
    ),
    "jitter.tail_share": Wanted(
        unit="ratio", meaning="share of slow outliers", default=0.0, at_most=1.0
    ),
    "jitter.tail_factor": Wanted(
        unit="ratio", meaning="how much slower an outlier is", default=1.0
    ),
    "power.active": Wanted(unit="W", meaning="mean while it computes"),
    "power.idle": Wanted(unit="W", meaning="mean between inferences"),
    "energy.per_mac": Wanted(
        unit="J/MAC", meaning="each product, besides power.active", default=0.0
    ),
    "energy.per_byte": Wanted(
        unit="J/B", meaning="each byte moved, besides power.active", default=0.0
    ),
    "energy.uncertainty": Wanted(
        unit="ratio",
        meaning="standard relative uncertainty of energy for a known time",
        default=0.05,
    ),
    "memory.weight_factor": Wanted(
        unit="ratio", meaning="bytes held for a byte of weights", default=1.0
    ),
    "memory.arena_factor": Wanted(
        unit="ratio", meaning="bytes held for a byte of live activations", default=1.0
    ),
    "memory.base": Wanted(
        unit="B", meaning="runtime without a model: resident set, or its own RAM"
    ),
    "memory.session": Wanted(
        unit="B", meaning="held by any loaded model besides", default=0.0
    ),
    "memory.flash": Wanted(
        unit="B", meaning="store that weights stay in; none: RAM", default=0.0
    ),
    "cold.process": Wanted(unit="s", meaning="process or boot, before the load"),
    "cold.load_rate": Wanted(unit="B/s", meaning="model file read and made ready"),
    "thermal.resistance": Wanted(
        unit="K/W", meaning="from the chip to the air around it", default=0.0
    ),
    "thermal.ambient": Wanted(
        unit="degC", meaning="of the air around it", default=25.0
    ),
    "thermal.limit": Wanted(
        unit="degC", meaning="chip temperature at which it slows down", default=0.0
    ),
    "thermal.critical": Wanted(
        unit="degC", meaning="chip temperature of throttle.floor", default=0.0
    ),
    "throttle.time_constant": Wanted(
        unit="s", meaning="of the heat; 0: never throttles", default=0.0
    ),
    "throttle.onset": Wanted(
        unit="ratio", meaning="heat at which it slows down", default=1.0, at_most=1.0
    ),
    "throttle.floor": Wanted(
        unit="ratio", meaning="speed left when hot", default=1.0, at_most=1.0
    ),
}
"""Every parameter of ``rates/1``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Parameters of ``rates/1``, complete and checked, in units inside."""

    values: Mapping[str, float]
    sources: Mapping[str, str]

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def is_assumed(self, name: str) -> bool:
        """Say whether nothing published stands behind the parameter."""
        return self.sources.get(name, ASSUMED).startswith(ASSUMED)

    def is_elsewhere(self, name: str) -> bool:
        """Say whether the parameter is assumed, or was measured on another device."""
        transferred = self.sources.get(name, "").startswith("transferred")
        return self.is_assumed(name) or transferred

    @property
    def throttles(self) -> bool:
        """Say whether the device slows down when it is hot."""
        return self["throttle.time_constant"] > 0 and self["throttle.floor"] < 1

    @property
    def factor_90(self) -> float:
        """Factor that 90 % of predictions are within, inside what was covered."""
        return self["interval_90"] or exp(Z90 * self["uncertainty"])

    def rate_of(self, kind: OperatorClass) -> str:
        """Name the rate that products of a class go at."""
        name = f"mac_rate.{kind}"
        return name if self[name] else "mac_rate.matmul"


def read_rates(parameters: Mapping[str, Parameter], where: str) -> Rates:
    """Read the parameters of ``rates/1``.

    Raises UnknownName for a parameter that the form does not have, SchemaError for
    one that is missing or measures something else.
    """
    for name, parameter in parameters.items():
        if name not in WANTED:
            raise UnknownName("emulation parameter", name, WANTED, where=where)
        _check(name, parameter, where)
    for name, wanted in WANTED.items():
        if name not in parameters and wanted.default is None:
            raise SchemaError(
                f"The device model lacks '{name}' ({wanted.meaning}, {wanted.unit})",
                where=where,
                remedy='Add it with its source, such as "assumed".',
            )
    given = {name: parameter.value for name, parameter in parameters.items()}
    defaults = {name: one.default or 0.0 for name, one in WANTED.items()}
    return Rates(
        values=defaults | given,
        sources={name: parameter.source for name, parameter in parameters.items()},
    )


def _check(name: str, parameter: Parameter, where: str) -> None:
    wanted = WANTED[name]
    if parameter.unit != wanted.unit:
        raise SchemaError(
            f"'{name}' is given in {parameter.unit}, but it is {wanted.meaning}",
            where=where,
            remedy=f"Give it in {wanted.unit} or a multiple of it.",
        )
    if wanted.at_most is not None and parameter.value > wanted.at_most:
        raise SchemaError(
            f"'{name}' is {parameter.value:g}, above its highest {wanted.at_most:g}",
            where=where,
            remedy="Correct the value.",
        )
    highest = _HIGHEST.get(wanted.unit, float("inf"))
    if not parameter.value <= highest:
        raise SchemaError(
            f"'{name}' is {parameter.value:g} {wanted.unit}, which no device has",
            where=where,
            remedy="Look at the prefix of the unit.",
        )
    is_divisor = wanted.unit in {"MAC/s", "B/s"} and wanted.default is None
    if (is_divisor or name == "throttle.floor") and parameter.value == 0:
        raise SchemaError(
            f"'{name}' is zero, so that nothing would ever end",
            where=where,
            remedy="Give a value above zero.",
        )

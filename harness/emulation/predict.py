"""A device model and a graph's cost → a prediction that can be explained.

Form ``rates/1``: a sum of terms (`terms`), energy as mean power times time plus what
each product and byte takes besides, memory from weights and live activations. Each
prediction says how sure it is and where it stands: inside what the device model was
fitted to, or outside. A new form is one more entry in `FORMS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.domain.finding import Finding, Severity
from harness.domain.profile import DeviceProfile, EmulationModel
from harness.emulation.amounts import Amounts, amounts_of
from harness.emulation.coverage import NOTABLE_SHARE, Beyond, beyond, widened
from harness.emulation.device_model import Rates, read_rates
from harness.emulation.fallback import split, term_of
from harness.emulation.footprint import footprint_of, refusal
from harness.emulation.graph_cost import GraphCost
from harness.emulation.known import correction
from harness.emulation.prediction import (
    Fallback,
    Prediction,
    Scatter,
    Standing,
    Term,
    combined_factor,
)
from harness.emulation.terms import terms_of
from harness.emulation.thermal import throttling_of
from harness.errors import UnknownName, Unsupported

Form = Callable[[DeviceProfile, EmulationModel, GraphCost], Prediction]


def predict(profile: DeviceProfile, cost: GraphCost) -> Prediction:
    """Predict what a model costs on the device that a profile models.

    Raises Unsupported where the profile has no device model, UnknownName for a form
    that is not known, SchemaError for parameters that the form cannot use.
    """
    model = emulation_of(profile)
    return FORMS[model.form](profile, model, cost)


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


def rates_of(profile: DeviceProfile) -> Rates:
    """Read the rates of a profile; raises as `predict` does."""
    where = f"{profile.name}: emulation.parameters"
    return read_rates(emulation_of(profile).parameters, where)


def _rates_1(
    profile: DeviceProfile, model: EmulationModel, cost: GraphCost
) -> Prediction:
    rates = rates_of(profile)
    taken, fallback = split(cost, model.fallback_operators, rates)
    amounts = amounts_of(taken)
    terms = terms_of(rates, amounts)
    if fallback is not None:
        terms = (*terms, term_of(fallback))
    known = correction(model, amounts_of(cost), rates)
    if known is not None:
        terms = tuple(replace(t, seconds=t.seconds * known.factor) for t in terms)
    outside = () if known else _outside(model, amounts, terms, cost)
    doubts = () if known else (*outside, *_doubts(model, cost))
    factor = known.factor_90 if known else widened(rates.factor_90, doubts)
    memory = footprint_of(rates, cost)
    why_not = _refusal(rates, profile, model, cost)
    latency_s = sum(term.seconds for term in terms)
    idle_w = rates["power.idle"]
    active_w = rates["power.active"] + _moving_w(rates, amounts, latency_s)
    return Prediction(
        latency_s=latency_s,
        per_call_s=terms[0].seconds,
        terms=terms,
        factor_90=factor,
        energy_factor_90=combined_factor(factor, rates["energy.uncertainty"]),
        active_power_w=active_w,
        idle_power_w=idle_w,
        process_s=rates["cold.process"],
        load_s=(cost.file_bytes or cost.weight_bytes) / rates["cold.load_rate"],
        weights_bytes=memory.weights,
        arena_bytes=memory.arena,
        base_bytes=memory.base,
        peak_bytes=memory.peak,
        scatter=_scatter(rates),
        standing=(
            known.standing
            if known
            else _standing(rates, model, terms, is_outside=bool(doubts))
        ),
        fallback=fallback,
        throttling=throttling_of(rates, idle_w=idle_w, active_w=active_w),
        refusal=why_not,
        findings=tuple(
            _findings(
                _Found(rates=rates, model=model, cost=cost, terms=terms),
                why_not,
                fallback,
                outside,
            )
        ),
    )


FORMS: Mapping[str, Form] = {"rates/1": _rates_1}
"""Forms of device models by name."""


def _moving_w(rates: Rates, amounts: Amounts, latency_s: float) -> float:
    """Give the power that products and bytes take besides, over the inference."""
    extra_j = amounts.all_macs * rates["energy.per_mac"]
    moved = amounts.activation_bytes + amounts.weight_bytes
    extra_j += moved * rates["energy.per_byte"]
    return extra_j / latency_s if latency_s else 0.0


def _scatter(rates: Rates) -> Scatter:
    return Scatter(
        sigma=rates["jitter.sigma"],
        between_runs=rates["jitter.between_runs"],
        tail_share=rates["jitter.tail_share"],
        tail_factor=rates["jitter.tail_factor"],
    )


def _outside(
    model: EmulationModel,
    amounts: Amounts,
    terms: Sequence[Term],
    cost: GraphCost,
) -> tuple[Beyond, ...]:
    """List the ways in which the model lies outside what the fit saw."""
    if model.covered is None or not cost.nodes:
        return ()
    whole = sum(term.seconds for term in terms) or 1.0
    shares = {
        term.name: term.seconds / whole
        for term in terms
        if term.parameter.startswith("mac_rate.")
    }
    return beyond(model.covered, amounts, shares)


def _doubts(model: EmulationModel, cost: GraphCost) -> tuple[Beyond, ...]:
    """List what was counted only in part; each has a finding of its own."""
    found = {
        "unknown operators": float(len(cost.unknown_operators)),
        "unknown shapes": float(len(cost.unknown_shapes)),
        "class of wide products": _wide_share(model, cost),
    }
    return tuple(
        Beyond(what=what, value=value, least=0.0, greatest=0.0)
        for what, value in found.items()
        if value
    )


def _refusal(
    rates: Rates, profile: DeviceProfile, model: EmulationModel, cost: GraphCost
) -> str:
    """Say why the device cannot run the model; empty where it can."""
    refused = {node.operator for node in cost.nodes} & set(model.refused_operators)
    if refused:
        return f"the device cannot run {', '.join(sorted(refused))}"
    return refusal(rates, profile.ram_bytes, footprint_of(rates, cost))


def _standing(
    rates: Rates, model: EmulationModel, terms: Sequence[Term], *, is_outside: bool
) -> Standing:
    if "latency" in _unvalidated(rates, terms):
        return Standing.UNVALIDATED
    if is_outside:
        return Standing.EXTRAPOLATED
    return Standing.TRANSFERRED if model.family else Standing.INTERPOLATED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What findings are looked for in."""

    rates: Rates
    model: EmulationModel
    cost: GraphCost
    terms: Sequence[Term]


def _findings(
    of: _Found, why_not: str, fallback: Fallback | None, outside: Sequence[Beyond]
) -> list[Finding]:
    found = []
    if why_not:
        is_operator = why_not.startswith("the device")
        code = "operator-refused" if is_operator else "does-not-fit-memory"
        found.append(_finding(code, why=why_not))
    if of.cost.unknown_operators:
        operators = ", ".join(of.cost.unknown_operators)
        found.append(_finding("operator-unknown", operators=operators))
    if fallback is not None:
        found.append(
            _finding(
                "emulated-fallback",
                operators=", ".join(fallback.operators),
                kernels=fallback.kernels,
                switches=fallback.switches,
            )
        )
    if of.cost.unknown_shapes:
        shapes = len(of.cost.unknown_shapes)
        found.append(_finding("outside-emulation-domain", shapes=shapes))
    if outside:
        found.append(_said(outside))
    found += _wide(of)
    if of.model.family:
        found.append(_finding("borrowed-from-family", family=of.model.family))
    guessed = ", ".join(_unvalidated(of.rates, of.terms))
    if guessed:
        found.append(_finding("emulation-not-validated", quantities=guessed))
    return found


def _said(outside: Sequence[Beyond]) -> Finding:
    amounts = (
        f"{one.what} {one.value:.3g} ({one.least:.3g} … {one.greatest:.3g})"
        for one in outside
    )
    return _finding("outside-emulation-domain", amounts="; ".join(amounts))


def _wide(of: _Found) -> list[Finding]:
    """Say that products are not in 8 bits, where the rates are only of those."""
    wide = _wide_share(of.model, of.cost)
    if not wide:
        return []
    return [_finding("outside-emulation-domain", float_macs=round(wide, 3))]


def _wide_share(model: EmulationModel, cost: GraphCost) -> float:
    """Give the share of products in more than 8 bits; 0 where that is as measured."""
    wide = cost.wide_macs / cost.macs if cost.macs else 0.0
    is_float = model.stack.get("precision", "").startswith(("fp", "float"))
    return 0.0 if wide <= NOTABLE_SHARE or is_float else wide


def _unvalidated(rates: Rates, terms: Sequence[Term]) -> tuple[str, ...]:
    """Name the quantities that rest on assumptions: latency, energy, memory."""
    seconds = sum(term.seconds for term in terms)
    assumed = sum(t.seconds for t in terms if rates.is_assumed(t.parameter))
    rests_on_assumption = {
        "latency": assumed > NOTABLE_SHARE * seconds,
        # power of one board says little of another: 22 % between submitters
        "energy": rates.is_elsewhere("power.active") or rates.is_assumed("power.idle"),
        "memory": rates.is_assumed("memory.base"),
    }
    return tuple(name for name, is_so in rests_on_assumption.items() if is_so)


def _finding(code: str, **values: str | float) -> Finding:
    return Finding(
        code=code, severity=Severity.NOTE, subject="model", values={**values}
    )

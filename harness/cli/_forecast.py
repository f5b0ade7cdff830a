"""What `predict` and `profile` share: models costed, devices predicted, rows, facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.shape_inference import InferenceError

from harness.domain.profile import DeviceProfile
from harness.domain.requirement import Requirement, Tier
from harness.emulation.graph_cost import GraphCost, cost_of_file
from harness.emulation.operators import Shape
from harness.emulation.predict import predict, rates_of
from harness.emulation.roofline import roofline
from harness.errors import ModelRejected, UsageError
from harness.report.forecast import Forecast, Limits, Row, quantity
from harness.report.words import catalogue
from harness.schema.profile import load_profile, profile_path
from harness.schema.tiers import load_tier_set, tier_set_path

HEADS = ("device", "latency p50", "90 % interval", "energy", "peak memory", "limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """A model file and what one inference of it asks for."""

    path: Path
    cost: GraphCost


def costed(path: Path, shapes: Mapping[str, Shape]) -> Costed:
    """Cost a model file.

    Raises UsageError where it cannot be read or where a shape is open, ModelRejected
    where it is no ONNX model.
    """
    try:
        cost = cost_of_file(path, shapes)
    except OSError as error:
        raise UsageError(
            f"The model cannot be read: {error.strerror}",
            where=str(path),
            remedy="Name an .onnx file.",
        ) from error
    except (DecodeError, InferenceError, ValueError, RuntimeError) as error:
        raise _rejected(path, error) from error
    except (IndexError, KeyError, TypeError) as error:
        # a malformed graph is the file's fault, anything else is ours
        try:
            onnx.checker.check_model(str(path))
        except (onnx.checker.ValidationError, ValueError, RuntimeError) as fault:
            raise _rejected(path, fault) from error
        raise
    if not cost.nodes:
        raise ModelRejected(
            "There is no operator in this model",
            where=str(path),
            remedy="Export it again.",
        )
    if cost.open_inputs:
        raise UsageError(
            f"The shape of {', '.join(cost.open_inputs)} is open, so nothing can be "
            "counted",
            where=str(path),
            remedy=f"Give it: --shape {cost.open_inputs[0]}=1,…  or --shape SYMBOL=…",
        )
    return Costed(path=path, cost=cost)


def _rejected(path: Path, error: Exception) -> ModelRejected:
    first = str(error).strip().splitlines()[:1]
    return ModelRejected(
        f"This is no ONNX model that can be costed: {''.join(first)}",
        where=str(path),
        remedy="Export it again, and check it with onnx.checker.",
    )


def profiles_of(names: str) -> list[DeviceProfile]:
    """Read the profiles of a list such as ``wearable,galaxy-s24,mine.toml``."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise UsageError(
            "No device is named", where="--device", remedy="See: duanping devices"
        )
    return [load_profile(profile_path(name)) for name in wanted]


def forecast(profile: DeviceProfile, model: Costed) -> Forecast:
    """Predict a model on a device."""
    prediction = predict(profile, model.cost)
    return Forecast(
        device=profile.name,
        title=profile.title_en,
        prediction=prediction,
        roofline=roofline(rates_of(profile), model.cost, prediction.latency_s),
    )


def limits_of(profile: DeviceProfile, role: str | None) -> Limits:
    """Give the limits of a workload in a profile's tier set; none without a role."""
    if role is None:
        return Limits()
    tiers = load_tier_set(tier_set_path(profile.tier_set))
    rows = tiers.classes[profile.device_class].rows
    ours = [row for row in rows if role in row.workloads]
    if not ours:
        known = sorted({name for row in rows for name in row.workloads})
        raise UsageError(
            f"No tier of {profile.device_class} is about '{role}'",
            where="--as",
            remedy=f"Known: {', '.join(known)}.",
        )
    return Limits(
        latency_s=_tiers(ours, "latency"),
        energy_j=_tiers(ours, "energy_per_inference"),
    )


def _tiers(rows: Sequence[Requirement], measurand: str) -> dict[str, float]:
    for row in rows:
        if row.measurand.startswith(measurand):
            return {str(t): row.limits[t] for t in (Tier.A, Tier.B, Tier.C)}
    return {}


def row_of(one: Forecast) -> Row:
    """Give a line of the table, with what must be known of it."""
    guess = one.prediction
    low, high = guess.interval_90_s
    low_j, high_j = guess.interval_90_j
    energy = (
        f"{quantity(guess.energy_j, 'J')} "
        f"({quantity(low_j, 'J')} … {quantity(high_j, 'J')})"
    )
    is_energy_assumed = any(
        "energy" in str(found.values.get("quantities", "")) for found in guess.findings
    )
    return Row(
        cells=(
            one.device,
            quantity(guess.latency_s, "s"),
            f"{quantity(low, 's')} … {quantity(high, 's')}",
            energy + (" not validated" if is_energy_assumed else ""),
            quantity(float(guess.peak_bytes), "B"),
            f"{guess.limit} ({_largest(one)}), {guess.standing}",
        ),
        notes=notes_of(one),
    )


def _largest(one: Forecast) -> str:
    shares = list(one.prediction.shares.items())[:2]
    return ", ".join(f"{name} {share:.0%}" for name, share in shares)


def notes_of(one: Forecast) -> tuple[str, ...]:
    """Say in words what was found, with the values that show it."""
    words = catalogue("en")
    said = []
    for found in one.prediction.findings:
        what = words[f"finding.{found.code}.what"]
        values = ", ".join(f"{name}: {value}" for name, value in found.values.items())
        said.append(f"{what} {values}".strip())
    return tuple(said)


def facts_of(one: Forecast) -> dict[str, object]:
    """Give a prediction as JSON values, in SI units."""
    guess = one.prediction
    return {
        "device": one.device,
        "title": one.title,
        "origin": "emulated",
        "latency_s": guess.latency_s,
        "interval_90_s": list(guess.interval_90_s),
        "energy_j": guess.energy_j,
        "interval_90_j": list(guess.interval_90_j),
        "active_power_w": guess.active_power_w,
        "peak_bytes": guess.peak_bytes,
        "weights_bytes": guess.weights_bytes,
        "arena_bytes": guess.arena_bytes,
        "shares": guess.shares,
        "limit": str(guess.limit),
        "standing": str(guess.standing),
        "fits": not guess.refusal,
        "refusal": guess.refusal,
        "fallback": (
            None
            if guess.fallback is None
            else {
                "operators": list(guess.fallback.operators),
                "kernels": guess.fallback.kernels,
                "switches": guess.fallback.switches,
                "seconds": guess.fallback.seconds,
            }
        ),
        "findings": [
            {"code": found.code, "values": dict(found.values)}
            for found in guess.findings
        ],
    }


def graph_facts(model: Costed) -> dict[str, object]:
    """Give what a model asks for as JSON values."""
    cost = model.cost
    return {
        "file": model.path.name,
        "macs": cost.macs,
        "kernels": cost.kernels,
        "weight_bytes": cost.weight_bytes,
        "activation_bytes": cost.activation_bytes,
        "arena_bytes": cost.arena_bytes,
        "dead_macs": cost.dead_macs,
        "wide_macs": cost.wide_macs,
        "unknown_operators": list(cost.unknown_operators),
        "unknown_shapes": len(cost.unknown_shapes),
    }


def told(model: Costed) -> list[tuple[str, str]]:
    """Give what a model asks for as names and texts, for a page."""
    cost = model.cost
    pairs = [
        ("products", f"{cost.macs / 1e6:.4g} MMAC"),
        ("kernels", str(cost.kernels)),
        ("weights", quantity(cost.weight_bytes, "B")),
        ("activations moved", quantity(cost.activation_bytes, "B")),
        ("activations alive at once", quantity(cost.arena_bytes, "B")),
        ("products of dead channels", f"{cost.dead_macs / 1e6:.4g} MMAC"),
        ("products in more than 8 bits", f"{cost.wide_macs / 1e6:.4g} MMAC"),
    ]
    if cost.unknown_operators:
        pairs.append(
            ("unknown operators, costed by bytes", ", ".join(cost.unknown_operators))
        )
    if cost.unknown_shapes:
        pairs.append(("kernels of unknown shape", str(len(cost.unknown_shapes))))
    return pairs

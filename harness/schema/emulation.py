"""The device model of a profile: numbers, what they cover, and where they are from.

Which parameters a form wants is not known here; `harness.emulation` checks that.
"""

from collections.abc import Mapping
from math import log
from typing import Literal

from pydantic import Field

from harness.domain.profile import (
    Covered,
    DeviceClass,
    DeviceProfile,
    EmulationModel,
    LeftOut,
    Parameter,
    Source,
)
from harness.errors import SchemaError
from harness.schema.quantity import Quantity, not_negative, unit_of
from harness.schema.reading import Written

_SOURCES = ("fit:", "datasheet:", "transferred:", "assumed")


class WrittenParameter(Written):
    """One number of a device model, and where it is from."""

    value: Quantity
    source: str = Field(
        description="fit:…, datasheet:…, transferred:… or assumed, with a reference."
    )


class WrittenSource(Written):
    """Where figures are from: what stands behind ``fit:ID``, of when, how licensed."""

    id: str
    title: str
    licence: str
    date: str
    place: str = ""
    note: str = ""


class WrittenCovered(Written):
    """Least and greatest of the models that the numbers were fitted to."""

    macs: tuple[Quantity, Quantity]
    kernels: tuple[float, float]
    weights: tuple[Quantity, Quantity]
    activations: tuple[Quantity, Quantity]
    classes: tuple[str, ...]
    models: int


class WrittenEmulation(Written):
    """A model of the device. Keys of `parameters` may be dotted: mac_rate.dense."""

    form: str
    stands_for: str = ""
    unit: Literal["", "mcu", "cpu", "npu"] = ""
    family: str = ""
    fallback_operators: tuple[str, ...] = ()
    refused_operators: tuple[str, ...] = ()
    stack: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, WrittenParameter]
    covered: WrittenCovered | None = None
    left_out: dict[str, Quantity] = Field(
        default_factory=dict,
        description="Predicted over measured, by a fit without that model.",
    )
    known: dict[str, Quantity] = Field(
        default_factory=dict,
        description="Predicted by these numbers over measured, of measured models.",
    )
    family_known: dict[str, Quantity] = Field(
        default_factory=dict, description="The same of a device of the family."
    )
    sources: tuple[WrittenSource, ...] = ()


def emulation_model(
    written: WrittenEmulation | None, where: str
) -> EmulationModel | None:
    """Make the device model of what is written."""
    if written is None:
        return None
    return EmulationModel(
        form=written.form,
        stands_for=written.stands_for,
        unit=written.unit,
        family=written.family,
        fallback_operators=written.fallback_operators,
        refused_operators=written.refused_operators,
        stack=dict(written.stack),
        sources=tuple(Source(**one.model_dump()) for one in written.sources),
        covered=_covered(written.covered, f"{where}/covered"),
        left_out=_ratios(written.left_out, f"{where}/left_out"),
        known=_ratios(written.known, f"{where}/known"),
        family_known=_ratios(written.family_known, f"{where}/family_known"),
        parameters={
            name: _parameter(one, f"{where}/parameters/{name}")
            for name, one in written.parameters.items()
        },
    )


def _covered(written: WrittenCovered | None, where: str) -> Covered | None:
    if written is None:
        return None

    def stretch(pair: tuple[str, str], unit: str, name: str) -> tuple[float, float]:
        least, greatest = (not_negative(t, unit, f"{where}/{name}") for t in pair)
        return least, greatest

    return Covered(
        macs=stretch(written.macs, "MAC", "macs"),
        kernels=written.kernels,
        weights_bytes=stretch(written.weights, "B", "weights"),
        activations_bytes=stretch(written.activations, "B", "activations"),
        classes=written.classes,
        models=written.models,
    )


def _ratios(written: Mapping[str, str], where: str) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(model=name, log_ratio=_log_ratio(text, f"{where}/{name}"))
        for name, text in written.items()
    )


def _log_ratio(text: str, where: str) -> float:
    ratio = not_negative(text, "ratio", where)
    if ratio == 0:
        raise SchemaError(
            "A prediction of zero is none", where=where, remedy="Correct the ratio."
        )
    return log(ratio)


def check_provenance(profile: DeviceProfile, where: str) -> None:
    """Refuse a class default of which a fitted number's origin cannot be looked up.

    Whoever names no device of their own gets the default of a class, so that its
    numbers must say of what, of when and under which licence they are.
    """
    model = profile.emulation
    if model is None or profile.name not in {str(one) for one in DeviceClass}:
        return
    known = tuple(one.id for one in model.sources)
    for name, one in model.parameters.items():
        kind, _, reference = one.source.partition(":")
        if kind == "fit" and not any(map(reference.strip().startswith, known)):
            raise SchemaError(
                f"'{profile.name}' is the default of its class, but the source of "
                f"'{name}' is not among its sources",
                where=f"{where}: /emulation/sources",
                remedy="Add a row [[emulation.sources]] with id, title, licence and "
                "date, or give the profile a name of its own.",
            )


def _parameter(written: WrittenParameter, where: str) -> Parameter:
    if not written.source.startswith(_SOURCES):
        raise SchemaError(
            f"'{written.source}' does not say where the number is from",
            where=f"{where}/source",
            remedy="Begin it with fit:, datasheet:, transferred: or assumed.",
        )
    unit = unit_of(written.value, f"{where}/value")
    value = not_negative(written.value, unit, f"{where}/value")
    return Parameter(value=value, unit=unit, source=written.source)

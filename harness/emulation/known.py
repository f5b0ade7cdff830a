"""Networks that were measured before, on this device or on one of its family.

What a sum of terms misses in a network it misses alike on devices of one family: of
the variance of residuals on 60 NPU stacks, 0.141 lay between networks and 0.055
within one network between devices. So a known network is corrected by its residual.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from harness.domain.profile import EmulationModel, LeftOut
from harness.emulation.amounts import Amounts
from harness.emulation.coverage import NOTABLE_SHARE
from harness.emulation.device_model import Rates
from harness.emulation.networks import recognised
from harness.emulation.prediction import Standing

REPEATED = 1.10
"""Factor within which nine tenths of published figures repeat after four weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a prediction is multiplied by, and how sure it is then."""

    name: str
    factor: float
    factor_90: float
    standing: Standing


def correction(
    model: EmulationModel, amounts: Amounts, rates: Rates
) -> Correction | None:
    """Look a graph up among the known networks; None where it is new."""
    if not (model.known or model.family_known) or _is_of_other_width(model, amounts):
        return None
    names = recognised(amounts)
    own = _residual(model.known, names)
    if own is not None:
        return Correction(
            name=own.model,
            factor=exp(-own.log_ratio),
            factor_90=REPEATED,
            standing=Standing.MEASURED,
        )
    return family_correction(model, names, rates)


def family_correction(
    model: EmulationModel, names: Sequence[str], rates: Rates
) -> Correction | None:
    """Look names up among what the family knows."""
    family = _residual(model.family_known, names)
    if family is None:
        return None
    return Correction(
        name=family.model,
        factor=exp(-family.log_ratio),
        factor_90=rates["interval_known_90"] or rates.factor_90,
        standing=Standing.KNOWN,
    )


def _is_of_other_width(model: EmulationModel, amounts: Amounts) -> bool:
    """Say whether the graph is float where 8 bits were measured, or the reverse."""
    wide = sum(amounts.wide_macs.values()) > NOTABLE_SHARE * amounts.all_macs
    is_float = model.stack.get("precision", "").startswith(("fp", "float"))
    return wide is not is_float


def _residual(known: Sequence[LeftOut], names: Sequence[str]) -> LeftOut | None:
    return next((one for one in known if one.model in names), None)

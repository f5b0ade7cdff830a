"""Standard networks by name: what one inference of each asks for, without its file.

Counted on graphs of the published architectures (``models/networks.csv``). They let
a published table, or measurements of models that are not at hand, be used in a fit,
and they are the candidates for what to measure next.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from harness import shipped
from harness.emulation.amounts import MULTIPLYING, Amounts
from harness.emulation.operators import OperatorClass

FILE = "networks.csv"
COLUMNS = (
    "network",
    "family",
    *(f"mac_{kind}" for kind in MULTIPLYING),
    "dead_pointwise",
    "dead_depthwise",
    "kernels",
    "weights",
    "moved",
    "live",
)
"""Products by class, kernels, and items of weights, activations moved, and alive."""

_SAME = 0.005
"""Products of one network agree to this share, however it was exported."""
_ALIKE = 0.10
"""Kernels and bytes agree only so far: exporters fuse and pad differently."""
_ITEM_BYTES = {"int8": 1.0, "w8a8": 1.0, "fp16": 2.0, "float": 2.0, "w8a16": 2.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network counted in items; bytes follow from the precision."""

    name: str
    family: str
    macs: Mapping[OperatorClass, float]
    weights: float
    moved: float
    live: float
    kernels: float
    dead_macs: Mapping[OperatorClass, float] = field(default_factory=dict)

    def amounts(self, precision: str) -> Amounts:
        """Give the amounts in a precision: int8, fp16, fp32 …; others count 4 bytes."""
        item = _ITEM_BYTES.get(precision, 4.0)
        return Amounts(
            macs=self.macs,
            dead_macs=self.dead_macs,
            kernels=self.kernels,
            weight_bytes=self.weights * item,
            activation_bytes=self.moved * item,
            live_bytes=self.live * item,
        )


@cache
def standard_networks() -> Mapping[str, Network]:
    """Read the table of standard networks, by name."""
    path = shipped.folder("models") / FILE
    with path.open(encoding="utf-8", newline="") as lines:
        return {row["network"]: _network(row) for row in csv.DictReader(lines)}


def recognised(amounts: Amounts) -> tuple[str, ...]:
    """Name the standard networks that a graph with these amounts may be.

    Products by class, kernels, and bytes moved for a byte of weights have to agree,
    so that the precision does not matter. Several names may stand for one network.
    """
    macs = amounts.all_macs
    if not macs or not amounts.weight_bytes:
        return ()
    return tuple(
        name
        for name, one in standard_networks().items()
        if _is_near(sum(one.macs.values()), macs, _SAME)
        and all(
            abs(one.macs[kind] - amounts.macs.get(kind, 0.0)) <= _SAME * macs
            for kind in MULTIPLYING
        )
        and _is_near(one.kernels, amounts.kernels, _ALIKE)
        and _is_near(
            one.moved / one.weights,
            amounts.activation_bytes / amounts.weight_bytes,
            _ALIKE,
        )
    )


def _is_near(one: float, other: float, within: float) -> bool:
    return abs(one - other) <= within * max(one, other)


def _network(row: Mapping[str, str]) -> Network:
    dead = {
        kind: float(row[f"dead_{kind}"])
        for kind in (OperatorClass.POINTWISE, OperatorClass.DEPTHWISE)
    }
    return Network(
        name=row["network"],
        family=row["family"],
        macs={kind: float(row[f"mac_{kind}"]) for kind in MULTIPLYING},
        dead_macs={kind: macs for kind, macs in dead.items() if macs},
        kernels=float(row["kernels"]),
        weights=float(row["weights"]),
        moved=float(row["moved"]),
        live=float(row["live"]),
    )

"""Amounts of the networks in the published tables, by the names used there.

Reads ``model_catalog.csv``; the five networks of MLPerf Tiny are those that this
project counts in its own converted files (their dead channels included).
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.emulation.amounts import Amounts
from harness.emulation.operators import OperatorClass as Kind

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network counted in items; bytes follow from the precision."""

    name: str
    family: str
    macs: Mapping[Kind, float]
    weights: float
    moved: float
    live: float
    kernels: float
    dead_macs: Mapping[Kind, float]

    def amounts(self, bytes_an_item: float) -> Amounts:
        """Give the amounts with weights and activations of so many bytes an item."""
        return Amounts(
            macs=self.macs,
            dead_macs=self.dead_macs,
            kernels=self.kernels,
            weight_bytes=self.weights * bytes_an_item,
            activation_bytes=self.moved * bytes_an_item,
            live_bytes=self.live * bytes_an_item,
        )


TINY = {
    "kws": ((0.320e6, 2.048e6, 0.288e6, 768), 12, 24368, 144690, 16000),
    "ad": ((0, 0, 0, 264192), 10, 270880, 3344, 768),
    "ic": ((12.238848e6, 0.262144e6, 0, 640), 11, 78744, 216202, 49152),
    "vww": ((0.497664e6, 6.193152e6, 0.798336e6, 512), 29, 219064, 491266, 55296),
    "sww": ((0, 0.786432e6, 0.039840e6, 96), 10, 49412, 30914, 6656),
}
"""Products (dense, pointwise, depthwise, matmul), kernels, weights, moved, live."""
_DEAD = {"vww": {Kind.POINTWISE: 3_587_292.0, Kind.DEPTHWISE: 159_813.0}}
"""Products of zero filters in the trained visual wake word network."""


def rows_of(folder: Path, name: str) -> Iterator[Row]:
    """Read a table of the data folder."""
    with (folder / name).open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def networks(folder: Path) -> dict[str, Network]:
    """Give all networks whose products are told apart by class, by name."""
    found = {
        row["graph"]: _network(row)
        for row in rows_of(folder, "model_catalog.csv")
        if row["mmacs_by_class"]
    }
    return found | {name: _tiny(name) for name in TINY}


def _network(row: Row) -> Network:
    million = {k: v * 1e6 for k, v in json.loads(row["mmacs_by_class"]).items()}
    take = million.get
    family = row["family"] or re.split(r"[_\d]", row["graph"])[0]
    return Network(
        name=row["graph"],
        family=family,
        macs={
            Kind.DENSE: take("conv_dense", 0)
            + take("conv_first", 0)
            + take("convT", 0),
            Kind.POINTWISE: take("conv_pw", 0),
            Kind.DEPTHWISE: take("conv_dw", 0) + take("conv_group", 0),
            Kind.MATMUL: take("fc", 0) + take("fc_seq", 0) + take("rnn", 0),
            Kind.ATTENTION: take("matmul", 0),
        },
        weights=float(row["params_M"]) * 1e6,
        moved=float(row["act_traffic_Melem"]) * 1e6,
        live=float(row["peak_live_act_Melem"]) * 1e6,
        kernels=float(row["kernels_after_fusion"]),
        dead_macs={},
    )


def _tiny(name: str) -> Network:
    products, kernels, weights, moved, live = TINY[name]
    kinds = (Kind.DENSE, Kind.POINTWISE, Kind.DEPTHWISE, Kind.MATMUL)
    return Network(
        name=name,
        family=name,
        macs={
            **dict(zip(kinds, map(float, products), strict=True)),
            Kind.ATTENTION: 0.0,
        },
        weights=weights,
        moved=moved,
        live=live,
        kernels=kernels,
        dead_macs=_DEAD.get(name, {}),
    )

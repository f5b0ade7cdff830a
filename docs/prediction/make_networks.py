"""Writes models/networks.csv: python docs/prediction/make_networks.py DATA.

DATA is the folder of the published tables; ``model_catalog.csv`` in it holds counts
of rebuilt graphs. The five networks of MLPerf Tiny are counted by this project in
its own converted files, their dead channels included.
"""

import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tables import rows_of

from harness.emulation.networks import COLUMNS, FILE

TINY = {
    "kws": ((0.320e6, 2.048e6, 0.288e6, 768), 12, 24368, 144690, 16000),
    "ad": ((0, 0, 0, 264192), 10, 270880, 3344, 768),
    "ic": ((12.238848e6, 0.262144e6, 0, 640), 11, 78744, 216202, 49152),
    "vww": ((0.497664e6, 6.193152e6, 0.798336e6, 512), 29, 219064, 491266, 55296),
    "sww": ((0, 0.786432e6, 0.039840e6, 96), 10, 49412, 30914, 6656),
}
"""Products (dense, pointwise, depthwise, matmul), kernels, weights, moved, live."""
_DEAD = {"vww": (3_587_292, 159_813)}
"""Products of zero filters in the trained visual wake word network."""

MODELS = Path(__file__).resolve().parents[2] / "models"


def main(folder: Path) -> None:
    """Write the table, sorted by name."""
    rows = sorted([*_catalogued(folder), *_tiny()], key=lambda row: row["network"])
    with (MODELS / FILE).open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _catalogued(folder: Path) -> Iterator[dict[str, str]]:
    for row in rows_of(folder, "model_catalog.csv"):
        if not row["mmacs_by_class"] or row["graph"].startswith("tiny_"):
            continue
        million = json.loads(row["mmacs_by_class"])
        yield {
            "network": row["graph"],
            "family": row["family"] or re.split(r"[_\d]", row["graph"])[0],
            "mac_dense": _macs(million, "conv_dense", "conv_first", "convT"),
            "mac_pointwise": _macs(million, "conv_pw"),
            "mac_depthwise": _macs(million, "conv_dw", "conv_group"),
            "mac_matmul": _macs(million, "fc", "fc_seq", "rnn"),
            "mac_attention": _macs(million, "matmul"),
            "dead_pointwise": "0",
            "dead_depthwise": "0",
            "kernels": row["kernels_after_fusion"],
            "weights": _items(row["params_M"]),
            "moved": _items(row["act_traffic_Melem"]),
            "live": _items(row["peak_live_act_Melem"]),
        }


def _macs(million: Mapping[str, float], *classes: str) -> str:
    return f"{sum(million.get(name, 0.0) for name in classes) * 1e6:.0f}"


def _items(million: str) -> str:
    return f"{float(million) * 1e6:.0f}"


def _tiny() -> Iterator[dict[str, str]]:
    for name, (products, kernels, weights, moved, live) in TINY.items():
        dead = _DEAD.get(name, (0, 0))
        numbers = (*products, 0, *dead, kernels, weights, moved, live)
        values = [name, name, *(f"{number:.0f}" for number in numbers)]
        yield dict(zip(COLUMNS, values, strict=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

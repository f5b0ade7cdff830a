"""The published tables as cells: one device, one stack, one precision, many models.

What each table can bear, and the traps in it (twins, 3-D convolutions, pruned
channels, wall power with idle) are told in docs/explanation/prediction.md.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.emulation.fit import Anchor
from harness.emulation.networks import Network, standard_networks

_THREE_D = ("resnet_3d", "resnet_mixed", "resnet_2plus1d")
_LEAST_MODELS = 3


Row = Mapping[str, str]


def rows_of(folder: Path, name: str) -> Iterator[Row]:
    """Read a table of the data folder."""
    with (folder / name).open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """All published figures of one device, stack and precision."""

    table: str
    device: str
    stack: str
    precision: str
    unit: str
    anchors: tuple[Anchor, ...]
    families: Mapping[str, str]

    @property
    def key(self) -> str:
        """Name the cell as the error table does."""
        return f"{self.device} | {self.stack} | {self.precision}"

    @property
    def onchip_bytes(self) -> float:
        """Fast memory that the fit of an NPU assumes: what fits best on AI Hub."""
        return ONCHIP_BYTES.get(self.precision, 2e6) if self.unit == "npu" else 0.0


ONCHIP_BYTES = {"w8a8": 2e6, "float": 4e6}


def all_cells(folder: Path) -> list[Cell]:
    """Read every table that a device model can be fitted to."""
    known = standard_networks()
    found: dict[tuple[str, ...], list[tuple[Network, Anchor]]] = defaultdict(list)
    for read in (_tiny, _edge, _hub, _nxp, _zoo):
        for key, network, anchor in read(folder, known):
            found[key].append((network, anchor))
    return [
        Cell(
            table=key[0],
            device=key[1],
            stack=key[2],
            precision=key[3],
            unit=key[4],
            anchors=tuple(anchor for _, anchor in pairs),
            families={network.name: network.family for network, _ in pairs},
        )
        for key, pairs in sorted(found.items())
        if len({network.name for network, _ in pairs}) >= _LEAST_MODELS
    ]


Found = Iterator[tuple[tuple[str, ...], Network, Anchor]]
Known = Mapping[str, Network]


def _tiny(folder: Path, known: Known) -> Found:
    for row in rows_of(folder, "mlperf_tiny_public.csv"):
        network = known.get(row["benchmark"])
        is_repeat = row["duplicate_of_earlier_round"] == "True"
        is_repeat |= row["benchmark"] == "sww"  # streams; takes features along
        if network is None or is_repeat or not row["latency_ms"]:
            continue
        amounts = network.amounts("int8")
        if row["vww_dead_channel_pruning"] == "True":
            amounts = amounts.pruned()
        clock = (
            f" {row['clock_mhz'].removesuffix('.0')} MHz" if row["clock_mhz"] else ""
        )
        key = (
            "mlperf_tiny",
            f"{row['board'].replace('Nucleo', 'NUCLEO')}{clock}",
            f"{row['submitter']}: {_framework(row)}",
            "int8",
            "mcu",
        )
        energy = float(row["energy_uJ"]) * 1e-6 if row["energy_uJ"] else None
        yield (
            key,
            network,
            Anchor(
                model=network.name,
                amounts=amounts,
                seconds=float(row["latency_ms"]) / 1e3,
                energy_j=energy,
            ),
        )


def _framework(row: Row) -> str:
    """Name the stack with its version or round, since versions differ by a third."""
    words = row["framework"].replace(";", " ").replace(",", " ").split()
    name = words[0] if words else "unnamed"
    if name == "X-CUBE-AI" and words[1].startswith(("v9", "v10")):
        return "X-CUBE-AI 9-10"
    short = {"Bosch": "HALE", "TensorFlow": "TFLM", "Tensorflow": "TFLM"}
    return f"{short.get(name, name)} {row['round']}"


def _edge(folder: Path, known: Known) -> Found:
    for row in rows_of(folder, "mlperf_edge_v1_0_public.csv"):
        match = re.match(r"(rpi4coral|xavier)-.*?-(armnn|tflite)-", row["system"])
        network = known.get(_edge_name(row["model"]))
        if match is None or network is None or "fan.off" in row["system"]:
            continue
        device = {"rpi4coral": "Raspberry Pi 4", "xavier": "AGX Xavier CPU"}[match[1]]
        energy = row["energy_mJ_per_inf"]
        key = ("mlperf_edge", device, row["framework"], row["dtype"], "cpu")
        yield (
            key,
            network,
            Anchor(
                model=network.name,
                amounts=network.amounts(row["dtype"]),
                seconds=float(row["latency_p50_ms"] or row["latency_mean_ms"]) / 1e3,
                energy_j=float(energy) / 1e3 if energy else None,
            ),
        )


def _edge_name(model: str) -> str:
    name = model.replace("-non-quantized", "").replace("-quantized", "")
    for long, short in (
        ("efficientnet-lite", "efflite"),
        ("mobilenet-v1-", "mbv1_"),
        ("mobilenet-v2-", "mbv2_"),
    ):
        name = name.replace(long, short)
    return name.replace("-", "_")


def _hub(folder: Path, known: Known) -> Found:
    for row in rows_of(folder, "ai_hub_public.csv"):
        network = known.get(row["rebuilt_graph"])
        is_wanted = (
            row["primary_compute_unit"] == "NPU"
            and row["precision"] in {"float", "w8a8"}
            and row["runtime"] in {"tflite", "qnn_dlc"}
            and row["latency_ms"]
            and not row["twin_of"]
            and row["rebuilt_graph"] not in _THREE_D
        )
        if network is None or not is_wanted:
            continue
        key = ("ai_hub", row["device"], row["runtime"], row["precision"], "npu")
        yield (
            key,
            network,
            Anchor(
                model=network.name,
                amounts=network.amounts(row["precision"]),
                seconds=float(row["latency_ms"]) / 1e3,
            ),
        )


_NXP = {
    "deep-autoencoder": "ad",
    "keyword-spotting_DSCNN": "kws",
    "visual-wake-word": "vww",
    "resnet": "resnet50",
    "mobilenetv1": "mbv1_0.25_128",
    "mobilenetv2": "mbv2_1.0_224",
    "efficientnet-lite": "efflite0",
}


def _nxp(folder: Path, known: Known) -> Found:
    """Read the newest row of each network; older ones were measured otherwise."""
    seen = set()
    for row in rows_of(folder, "nxp_eiq_public.csv"):
        network = known.get(_NXP.get(row["model"], ""))
        threads = re.match(r"CPU \((\d) threads?\)", row["accelerator"])
        is_doubtful = bool(row["note"])
        is_known = network is not None and (threads or row["accelerator"] == "NPU")
        if network is None or not is_known or is_doubtful:
            continue
        place = (row["model"], row["platform"], row["accelerator"])
        if place in seen:
            continue
        seen.add(place)
        stack = f"TFLite {threads[1]} threads" if threads else "TFLite NPU delegate"
        unit = "cpu" if threads else "npu"
        key = ("nxp_eiq", row["platform"], stack, "int8", unit)
        yield (
            key,
            network,
            Anchor(
                model=network.name,
                amounts=network.amounts("int8"),
                seconds=float(row["latency_ms"]) / 1e3,
            ),
        )


def _zoo(folder: Path, known: Known) -> Found:
    for row in rows_of(folder, "stm32_zoo_public.csv"):
        network = known.get(_zoo_name(row))
        if network is None or row["note"] or not row["latency_ms"]:
            continue
        unit = "mcu" if row["board"].startswith(("STM32H", "B-U")) else "cpu"
        unit = "npu" if "NPU" in row["engine"] else unit
        key = ("stm32_zoo", row["board"], row["framework"].split()[0], "int8", unit)
        yield (
            key,
            network,
            Anchor(
                model=network.name,
                amounts=network.amounts("int8"),
                seconds=float(row["latency_ms"]) / 1e3,
                peak_bytes=(
                    float(row["activation_ram_kib"]) * 1024
                    if row["activation_ram_kib"]
                    else None
                ),
            ),
        )


def _zoo_name(row: Row) -> str:
    if row["model"] == "resnet8":
        return "ic"
    classes = row["classes"]
    for name in (row["model"], f"{row['model']}_{classes}"):
        if name.startswith("resnet32"):
            return "st_resnet32_cifar_100"
        if name.startswith("yamnet"):
            return "st_yamnet_256_10"
    return f"st_{row['model']}_{classes}"

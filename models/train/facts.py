"""The facts of a trained model: measured once, kept beside it, found again at will."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from train.measure import Answers, Scores, answers, confusion, figure
from train.task import Floats, Items, Task, decoded, encoded

FORMAT = "duanping/trained/1"
VARIANTS = ("fp32", "u8s8", "s8s8")
TOLERANCE = 0.005
"""A figure found again may differ by so much: another CPU, another onnxruntime."""


def model_file(folder: Path, name: str, variant: str) -> Path:
    """Name the file of a model in one of its variants."""
    return folder / f"{name}-{variant}.onnx"


def read_held_out(folder: Path, task: Task) -> Items:
    """Read the shipped held-out items, values decoded."""
    only = task.spec.inputs[0].name
    with np.load(folder / f"{task.name}.npz", allow_pickle=False) as kept:
        return Items(
            values=decoded(kept[only], float(kept[f"{only}.scale"])),
            labels=kept["labels"].astype(np.int64),
            sources=kept["sources"].astype(np.int64),
        )


def write_held_out(path: Path, task: Task, items: Items) -> None:
    """Write the held-out items in the form that the harness reads."""
    only = task.spec.inputs[0].name
    np.savez_compressed(
        path,
        **{
            only: encoded(items.values, task.step),
            f"{only}.scale": np.float32(task.step),
            f"{only}.zero_point": np.int32(0),
            "labels": items.labels.astype(np.int32),
            "sources": items.sources.astype(np.int32),
            "classes": np.array(task.classes),
        },
    )


def read_facts(folder: Path, name: str) -> dict[str, Any]:
    """Read what was measured when the model was made."""
    facts: dict[str, Any] = json.loads(
        (folder / f"{name}.json").read_text(encoding="utf-8")
    )
    return facts


def measured(folder: Path, task: Task, threshold: float) -> dict[str, Any]:
    """Execute all variants over the shipped held-out items."""
    items = read_held_out(folder, task)
    given = {
        variant: answers(
            model_file(folder, task.name, variant), items.values, task.metric, threshold
        )
        for variant in VARIANTS
    }
    parent = given["fp32"]
    return {
        "items": len(items),
        "sources": len(np.unique(items.sources)),
        "figures": {
            variant: asdict(figure(one, items.labels, items.sources, task.metric))
            for variant, one in given.items()
        },
        "agreement": {
            variant: _share_alike(given[variant], parent) for variant in VARIANTS[1:]
        },
        "confusion": {
            variant: confusion(one, items.labels, len(task.classes))
            for variant, one in given.items()
        },
    }


def training_scores(path: Path, task: Task, values: Floats) -> Scores:
    """Give the anomaly scores of training items, as they are kept in 8 bits."""
    fed = decoded(encoded(values, task.step), task.step)
    return answers(path, fed, task.metric).scores


def _share_alike(one: Answers, other: Answers) -> float:
    return float(np.mean(one.classes == other.classes))

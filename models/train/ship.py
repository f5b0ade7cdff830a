"""From learnt weights to files: parent, INT8, items, facts, card, index."""

import json
import platform
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from calibration import Feed, found_ranges
from index_file import INDEX_FORMAT, described_input, described_output, entry_text
from onnx import numpy_helper
from produce import describe, serialised, write_whole
from quantise import SCHEMES, quantised
from spec import assemble

from train.card import card_text
from train.facts import (
    FORMAT,
    VARIANTS,
    measured,
    model_file,
    read_facts,
    training_scores,
    write_held_out,
)
from train.measure import threshold_of
from train.task import Items, Metric, Part, Task, decoded, encoded

_CALIBRATION_ITEMS = 512
_DROPPED = 1 << 12
"""Of the 24 bits of a float32 significand, the last 12 are dropped."""
_MADE_WITH = ("numpy", "onnx", "onnxruntime", "scipy", "torch")
_HEAD = """\
# Trained reference models. Written by `make train`; do not edit.
# What they were trained on, and what they are not good for: the card of each.

"""

Learn = Callable[[Task, onnx.ModelProto, Items], onnx.ModelProto]


class BelowFloor(Exception):
    """A model learnt less than it must; nothing was put in place."""


def make(task: Task, learn: Learn, folder: Path) -> dict[str, Any]:
    """Make one model and all its files; give its facts.

    Raises BelowFloor, and leaves what was there, where a figure is too low.
    """
    drawing = assemble(task.spec)
    items = task.make(Part.TRAINING)
    parent = _packed(learn(task, drawing.model, items))
    with TemporaryDirectory() as temporary:
        made = Path(temporary)
        _write_models(task, parent, items, made)
        write_held_out(made / f"{task.name}.npz", task, task.make(Part.HELD_OUT))
        facts = _facts(task, items, made) | {
            "macs": drawing.macs,
            "parameters": drawing.parameters,
        }
        _require_floor(task, facts)
        for path in made.iterdir():
            write_whole(folder / path.name, path.read_bytes())
    _write_facts(facts, folder)
    return facts


def measure_again(task: Task, folder: Path) -> None:
    """Measure the files that are there, and keep what is found as their facts."""
    facts = read_facts(folder, task.name)
    _write_facts(facts | measured(folder, task, facts["threshold"]), folder)


def _write_facts(facts: dict[str, Any], folder: Path) -> None:
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    write_whole(folder / f"{facts['name']}.json", f"{text}\n".encode())


def write_words(tasks: dict[str, Task], folder: Path) -> None:
    """Write the cards and the index of all models that are in the folder."""
    entries = []
    for name, task in sorted(tasks.items()):
        if (folder / f"{name}.json").is_file():
            facts = read_facts(folder, name)
            write_whole(folder / f"{name}.md", card_text(task, facts).encode())
            entries.append(_entry(task, facts, folder))
    head = f'{_HEAD}format = "{INDEX_FORMAT}"\n'
    write_whole(folder / "index.toml", (head + "".join(entries)).encode())


def _packed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Round the weights to 12 significant bits.

    No answer shows it (INT8 keeps 8), and half of each number is then zeros, which
    git and the wheel pack away.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for one in made.graph.initializer:
        if one.data_type == onnx.TensorProto.FLOAT:
            bits = numpy_helper.to_array(one).view(np.int32)
            rounded = (bits + (_DROPPED >> 1)) & ~(_DROPPED - 1)
            values = rounded.astype(np.int32).view(np.float32)
            one.CopyFrom(numpy_helper.from_array(values, one.name))
    return made


def _write_models(
    task: Task, parent: onnx.ModelProto, items: Items, folder: Path
) -> None:
    ranges = found_ranges(parent, _calibration(task, items))
    made = {"fp32": parent} | {
        scheme: quantised(parent, ranges, scheme, task.spec.float_operators)
        for scheme in SCHEMES
    }
    for variant in VARIANTS:
        path = model_file(folder, task.name, variant)
        path.write_bytes(serialised(made[variant]))


def _calibration(task: Task, items: Items) -> Iterator[Feed]:
    only = task.spec.inputs[0].name
    values = decoded(encoded(items.values[:_CALIBRATION_ITEMS], task.step), task.step)
    for at in range(len(values)):
        yield {only: values[at : at + 1]}


def _facts(task: Task, items: Items, folder: Path) -> dict[str, Any]:
    threshold = 0.0
    if task.metric is Metric.AUC_RECONSTRUCTION:
        path = model_file(folder, task.name, "fp32")
        threshold = threshold_of(training_scores(path, task, items.values))
    made_with = {name: version(name) for name in _MADE_WITH if find_spec(name)}
    return {
        "format": FORMAT,
        "name": task.name,
        "metric": str(task.metric),
        "classes": list(task.classes),
        "training": {"items": len(items), "sources": len(set(items.sources.tolist()))},
        "calibration_items": min(_CALIBRATION_ITEMS, len(items)),
        "quantisation": describe(task.spec),
        "threshold": threshold,
        "made_with": made_with | {"machine": platform.machine()},
        **measured(folder, task, threshold),
    }


def _require_floor(task: Task, facts: dict[str, Any]) -> None:
    for variant, one in facts["figures"].items():
        if one["value"] < task.floor:
            raise BelowFloor(
                f"{task.name} ({variant}) reaches {one['value']:.3f}, below "
                f"{task.floor:.3f}; the files that were there are kept."
            )


def _entry(task: Task, facts: dict[str, Any], folder: Path) -> str:
    drawn = assemble(task.spec).model
    told = {
        "name": task.name,
        "task": task.spec.task,
        "script": "train/tasks.py",
        "inputs": [described_input(one) for one in task.spec.inputs],
        "outputs": [described_output(one) for one in drawn.graph.output],
        "macs": facts["macs"],
        "parameters": facts["parameters"],
        "opset": drawn.opset_import[0].version,
        "quantisation": facts["quantisation"],
        "licence": "Apache-2.0",
        "trained": True,
        "note_en": task.story.note_en,
        "note_zh": task.story.note_zh,
        "source": task.spec.source,
        "card": f"trained/{task.name}.md",
    }
    data = folder / f"{task.name}.npz"
    tables: dict[str, Any] = {
        "accuracy": {
            "data": f"trained/{data.name}",
            "sha256": sha256(data.read_bytes()).hexdigest(),
            "items": facts["items"],
            "metric": facts["metric"],
            "floor": task.floor,
        }
    }
    for variant in VARIANTS:
        path = model_file(folder, task.name, variant)
        content = path.read_bytes()
        tables[variant] = {
            "file": f"trained/{path.name}",
            "sha256": sha256(content).hexdigest(),
            "size_bytes": len(content),
        }
    return entry_text(told, tables)

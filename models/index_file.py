"""Writes models/index.toml: what the harness knows of each reference model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from calibration import calibration_seed
from produce import Built, describe
from spec import Input, Spec

INDEX_FORMAT = "duanping/models/1"
_NOTE_EN = "Seeded weights: speed, memory and energy only, never accuracy."
_NOTE_ZH = "权重由种子生成:仅可测速度、内存与能耗,不得用于精度。"
_HEAD = """\
# Reference models. Written by `python models/build.py --write-index`; do not edit.
# Sizes and digests are those of a build with the versions in constraints.txt,
# on any machine.

"""


def index_text(entries: list[tuple[Spec, dict[str, Built]]]) -> str:
    """Give the index as TOML, one model after the other, ordered by name."""
    parts = [_HEAD, f'format = "{INDEX_FORMAT}"\n']
    for spec, files in sorted(entries, key=lambda entry: entry[0].name):
        parts.append(_model(spec, files))
    return "".join(parts)


def _model(spec: Spec, files: dict[str, Built]) -> str:
    first = next(iter(files.values()))
    drawn = onnx.load(first.parent_file)
    tables = {
        scheme: {"sha256": built.sha256, "size_bytes": built.size_bytes}
        for scheme, built in sorted(files.items())
    }
    return entry_text(_facts(spec, first, drawn), tables)


def entry_text(facts: Mapping[str, Any], tables: Mapping[str, Any]) -> str:
    """Give one model of an index as TOML: what is said of it, and its tables."""
    lines = ["", "[[model]]", *(_line(key, value) for key, value in facts.items())]
    for name, table in tables.items():
        lines += ["", f"[model.{name}]"]
        lines += [_line(key, value) for key, value in table.items()]
    return "\n".join([*lines, ""])


def _facts(spec: Spec, built: Built, drawn: onnx.ModelProto) -> dict[str, Any]:
    return {
        "name": spec.name,
        "task": spec.task,
        "script": spec.script,
        "inputs": [described_input(one) for one in spec.inputs],
        "outputs": [described_output(one) for one in drawn.graph.output],
        "macs": built.macs,
        "parameters": built.parameters,
        "opset": drawn.opset_import[0].version,
        "quantisation": describe(spec),
        "calibration": {
            "data": "inputs filled as above, from PCG64",
            "seed": calibration_seed(spec),
            "samples": spec.calibration_samples,
            "ranges": f"ranges/{spec.name}.json",
        },
        "licence": "Apache-2.0",
        "trained": False,
        "note_en": f"{_NOTE_EN} {spec.remark_en}".strip(),
        "note_zh": f"{_NOTE_ZH}{spec.remark_zh}",
        "source": spec.source,
    }


def described_input(one: Input) -> dict[str, Any]:
    """Say what the index says of an input."""
    return {
        "name": one.name,
        "dtype": one.dtype,
        "shape": [1, *one.shape],
        "fill": "uniform",
        "low": float(one.low),
        "high": float(one.high),
        "batch_axis": True,
    }


def described_output(one: onnx.ValueInfoProto) -> dict[str, Any]:
    """Say what the index says of an output."""
    shape = [size.dim_value for size in one.type.tensor_type.shape.dim[1:]]
    return {"name": one.name, "dtype": "float32", "shape": [1, *shape]}


def _line(key: str, value: object) -> str:
    if isinstance(value, list):
        rows = "".join(f"  {_inline(one)},\n" for one in value)
        return f"{key} = [\n{rows}]"
    return f"{key} = {_inline(value)}"


def _inline(value: object) -> str:
    match value:
        case dict():
            pairs = ", ".join(f"{key} = {_inline(one)}" for key, one in value.items())
            return f"{{ {pairs} }}"
        case list():
            return f"[{', '.join(map(_inline, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def index_path() -> Path:
    """Say where the index lies: beside these scripts."""
    return Path(__file__).resolve().parent / "index.toml"

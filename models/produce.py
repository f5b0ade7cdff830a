"""Draws one model, quantises it, and puts both files in place whole or not at all."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import onnx
from calibration import ranges_of
from quantise import quantised
from spec import Spec, assemble


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished quantised file, and its float32 parent beside it."""

    name: str
    file: Path
    parent_file: Path
    sha256: str
    size_bytes: int
    macs: int
    parameters: int
    seconds: float


def produce(spec: Spec, scheme: str, folder: Path) -> Built:
    """Write <name>-fp32.onnx and <name>-<scheme>.onnx to a folder.

    Raises calibration.StaleRanges where the ranges do not belong to the graph.
    """
    start = perf_counter()
    drawing = assemble(spec)
    ranges = ranges_of(spec, drawing.model)
    parent = folder / f"{spec.name}-fp32.onnx"
    write_whole(parent, serialised(drawing.model))
    made = quantised(drawing.model, ranges, scheme, spec.float_operators)
    path = folder / f"{spec.name}-{scheme}.onnx"
    content = serialised(made)
    write_whole(path, content)
    return Built(
        name=spec.name,
        file=path,
        parent_file=parent,
        sha256=sha256(content).hexdigest(),
        size_bytes=len(content),
        macs=drawing.macs,
        parameters=drawing.parameters,
        seconds=perf_counter() - start,
    )


def describe(spec: Spec) -> str:
    """Say in one line how a spec is quantised."""
    kept = ", ".join(spec.float_operators)
    tail = f"; {kept} in float32" if kept else ""
    return f"static QDQ int8, weights per channel, activations per tensor{tail}"


def serialised(model: onnx.ModelProto) -> bytes:
    """Give the bytes of a model's file, the same each time."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in place whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""What the hand-made models are made with: onnx.helper, and shorter words for it.

Nothing of the product is used here, so that a file is what the format says and not
what the product thinks of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64
INT32 = TensorProto.INT32
INT8, UINT8, BOOL = TensorProto.INT8, TensorProto.UINT8, TensorProto.BOOL
STRING = TensorProto.STRING
MS, ML = "com.microsoft", "ai.onnx.ml"
Nodes = Sequence[onnx.NodeProto]
Ports = dict[str, tuple[int, Sequence[int | str | None]]]
Build = Callable[[Path], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A file, and what a user would add on the command line."""

    name: str
    what: str
    build: Build
    shapes: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()


def node(
    operator: str,
    inputs: str,
    outputs: str,
    **attributes: Any,  # noqa: ANN401 - handed to onnx
) -> onnx.NodeProto:
    """Make a node; names are parted by spaces, ``-`` stands for one left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(operator, names, outputs.split(), **attributes)


def weights(name: str, *shape: int, kind: type = np.float32) -> onnx.TensorProto:
    draw = np.random.default_rng(len(name) + sum(shape))
    if np.issubdtype(kind, np.floating):
        return numpy_helper.from_array(draw.normal(0, 0.3, shape).astype(kind), name)
    low, high = np.iinfo(kind).min // 2, np.iinfo(kind).max // 2
    return numpy_helper.from_array(draw.integers(low, high, shape).astype(kind), name)


def constant(name: str, values: object, kind: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, kind), name)


def model(  # noqa: PLR0913 - the parts of a model
    nodes: Nodes,
    inputs: Ports,
    outputs: Ports,
    initializers: Sequence[onnx.TensorProto] = (),
    *,
    opset: int = 13,
    ir: int = 8,
    domains: Sequence[str] = (),
    are_inputs: bool = False,
) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(n, t, d) for n, (t, d) in inputs.items()]
    if are_inputs:  # as files of IR version 3 list them
        ports += [
            helper.make_tensor_value_info(t.name, t.data_type, t.dims)
            for t in initializers
        ]
    graph = helper.make_graph(
        nodes,
        "g",
        ports,
        [helper.make_tensor_value_info(n, t, d) for n, (t, d) in outputs.items()],
        list(initializers),
    )
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(name, 1 if name == MS else 3) for name in domains]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir)


def saving(make: Callable[[], onnx.ModelProto]) -> Build:
    def build(folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(make().SerializeToString())
        return path

    return build

"""Small constants that follow from shapes: computed here, so that shapes go on.

Exporters write out how a shape is computed (Shape, Gather, Concat, Reshape …).
Inference follows some of it; the rest is evaluated with onnx's own reference
implementation, on values of at most `LARGEST` items.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Values = Mapping[str, NDArray[Any]]

LARGEST = 1024
"""Items of a constant that inference may need for its value."""

_FOLDED = frozenset(
    {
        "Add",
        "And",
        "Cast",
        "Ceil",
        "Concat",
        "ConstantOfShape",
        "Div",
        "Equal",
        "Expand",
        "Floor",
        "Gather",
        "Greater",
        "Identity",
        "Less",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Range",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Reshape",
        "Slice",
        "Squeeze",
        "Sub",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)


def small_constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """Read the constants of a graph that are small enough to be a shape."""
    return {
        name: numpy_helper.to_array(tensor)
        for name, tensor in stored_tensors(graph)
        if _is_small(tensor)
    }


def stored_tensors(
    graph: onnx.GraphProto,
) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Give all constants of a graph by name, of initializers and of nodes."""
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield node.output[0], attribute.t


def _is_small(tensor: onnx.TensorProto) -> bool:
    is_here = tensor.data_location != onnx.TensorProto.EXTERNAL
    return is_here and int(np.prod(tensor.dims)) <= LARGEST


def fold(
    model: onnx.ModelProto, values: Values, types: Mapping[str, onnx.ValueInfoProto]
) -> dict[str, NDArray[Any]]:
    """Compute what can be computed from `values` and from known shapes, in order."""
    known = dict(values)
    for node in model.graph.node:
        if not node.output or node.output[0] in known:
            continue
        if node.op_type == "Shape":
            shape = _known_shape(types.get(node.input[0]))
            if shape is not None:
                known[node.output[0]] = _taken(node, shape)
        elif node.op_type in _FOLDED and node.input:
            given = [name for name in node.input if name]
            if all(name in known for name in given):
                known |= _evaluated(node, model, {name: known[name] for name in given})
    return {name: value for name, value in known.items() if name not in values}


def _known_shape(value: onnx.ValueInfoProto | None) -> list[int] | None:
    if value is None or not value.type.tensor_type.HasField("shape"):
        return None
    sizes = [one.dim_value for one in value.type.tensor_type.shape.dim]
    return sizes if all(size > 0 for size in sizes) else None


def _taken(node: onnx.NodeProto, shape: list[int]) -> NDArray[Any]:
    ends = {a.name: int(a.i) for a in node.attribute}
    return np.array(shape[ends.get("start", 0) : ends.get("end")], dtype=np.int64)


def _evaluated(
    node: onnx.NodeProto, model: onnx.ModelProto, given: Values
) -> dict[str, NDArray[Any]]:
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - slow to load

    graph = onnx.GraphProto(name="one")
    graph.node.append(node)
    graph.input.extend(
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in given.items()
    )
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name)
    alone = onnx.ModelProto(ir_version=model.ir_version, graph=graph)
    alone.opset_import.extend(model.opset_import)
    try:
        results = ReferenceEvaluator(alone).run(None, dict(given))
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError):
        # what cannot be computed leaves its shape open, and that is said
        return {}
    names = [name for name in node.output if name]
    return {
        name: np.asarray(value)
        for name, value in zip(names, results, strict=True)
        if np.size(value) <= LARGEST
    }

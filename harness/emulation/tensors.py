"""Shapes, sizes and constants of the tensors of one ONNX graph, dimensions bound.

Folds away what only names data anew: a quantised tensor, its float twin and its
reshaped views are one tensor here, as narrow as the narrowest of them.
"""

from collections.abc import Mapping
from math import ceil, prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from harness.emulation.operators import VIEWS, Shape
from harness.emulation.subgraphs import CONTROL, captured, unfold

_HALF_BYTES = frozenset({TensorProto.INT4, TensorProto.UINT4})
_QUANTISERS = frozenset({"QuantizeLinear", "DequantizeLinear"})


class Tensors:
    """All tensors of a graph by name. `bound` binds shapes of inputs by name."""

    def __init__(self, model: onnx.ModelProto, bound: Mapping[str, Shape]) -> None:
        unfolded = unfold(model, bound)
        self.bodies = unfolded.bodies
        graph = model.graph
        self.nodes: tuple[onnx.NodeProto, ...] = tuple(graph.node)
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._shapes: dict[str, Shape] = {}
        self._types: dict[str, int] = {}
        self._guessed: set[str] = set()
        inferred = unfolded.graph
        for value in (*inferred.input, *inferred.value_info, *inferred.output):
            self._describe(value)
        for node in self.nodes:
            if node.op_type == "Constant":
                self._store_constant(node)
        for name, tensor in self._stored.items():
            self._shapes[name] = tuple(tensor.dims)
            self._types[name] = tensor.data_type
        self.inputs = tuple(v.name for v in graph.input if v.name not in self._stored)
        self.outputs = tuple(value.name for value in graph.output)
        self._roots: dict[str, str] = {}
        self._zero_points: dict[str, str] = {}
        self._constants = set(self._stored)
        self._sizes: dict[str, float] = {}
        for node in self.nodes:
            self._follow(node)

    def root(self, name: str) -> str:
        """Name the tensor that holds the data which `name` stands for."""
        return self._roots.get(name, name)

    def shape(self, name: str) -> Shape | None:
        """Give the shape, or None where inference could not tell it."""
        return self._shapes.get(name)

    def is_sized(self, name: str) -> bool:
        """Say whether all of the shape is known."""
        return name in self._shapes and name not in self._guessed

    def is_constant(self, name: str) -> bool:
        """Say whether the tensor is the same in every inference."""
        return name in self._constants

    def bytes_of(self, name: str) -> int:
        """Give the bytes that the tensor takes where it is stored; 0 if unknown."""
        root = self.root(name)
        shape = self._shapes.get(root)
        if shape is None:
            return 0
        size = self._sizes.get(root, self._size(root))
        return ceil(prod(shape) * size)

    def is_wide(self, name: str) -> bool:
        """Say whether an item of the tensor, as stored, takes more than one byte."""
        root = self.root(name)
        return self._sizes.get(root, self._size(root)) > 1

    def zero_filter_share(self, name: str) -> float:
        """Give the share of a stored weight's filters (axis 0) that are all zero."""
        tensor = self._stored.get(self.root(name))
        if tensor is None or tensor.data_type in _HALF_BYTES or not prod(tensor.dims):
            return 0.0
        if tensor.data_location == TensorProto.EXTERNAL:
            return 0.0  # the values are not here
        if self._shapes.get(name) != tuple(tensor.dims):
            return 0.0  # reshaped: axis 0 of what is stored need not be filters
        weights = numpy_helper.to_array(tensor)
        filters = weights.reshape(weights.shape[0], -1)
        is_zero = (filters == self._zero_point(name, len(filters))).all(axis=1)
        return float(is_zero.mean())

    def _zero_point(self, name: str, filters: int) -> NDArray[Any]:
        stored = self._stored.get(self._zero_points.get(name, ""))
        if stored is None or stored.data_location == TensorProto.EXTERNAL:
            return np.zeros((1, 1))
        points = numpy_helper.to_array(stored).reshape(-1, 1)
        return points if len(points) in {1, filters} else np.zeros((1, 1))

    def _describe(self, value: onnx.ValueInfoProto) -> None:
        kind = value.type.tensor_type
        self._types[value.name] = kind.elem_type
        if kind.HasField("shape"):
            sizes = [one.dim_value for one in kind.shape.dim]
            # an axis whose length depends on the data counts once, and is said
            self._shapes[value.name] = tuple(size if size > 0 else 1 for size in sizes)
            if any(size <= 0 for size in sizes):
                self._guessed.add(value.name)

    def _store_constant(self, node: onnx.NodeProto) -> None:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                self._stored[node.output[0]] = attribute.t

    def _follow(self, node: onnx.NodeProto) -> None:
        given = [name for name in node.input if name]
        if node.op_type in CONTROL:
            given += sorted(captured(node))
        is_view = node.op_type in VIEWS or self._moves_nothing(node)
        if node.op_type == "Shape" or all(self.is_constant(name) for name in given):
            self._constants.update(node.output)
        if not (is_view and given):
            return
        root = self.root(given[0])
        self._roots[node.output[0]] = root
        if node.op_type in _QUANTISERS:
            narrow = min(self._size(given[0]), self._size(node.output[0]))
            self._sizes[root] = min(narrow, self._sizes.get(root, narrow))
            if node.op_type == "DequantizeLinear":
                self._zero_points[node.output[0]] = (*node.input, "", "")[2]

    def _size(self, name: str) -> float:
        return _item_bytes(self._types.get(name, 0))

    def _moves_nothing(self, node: onnx.NodeProto) -> bool:
        """Say whether a transposition leaves the order of the data as it is."""
        shape = self._shapes.get(node.input[0]) if node.input else None
        if node.op_type != "Transpose" or shape is None:
            return False
        order = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
        order = order or list(range(len(shape)))[::-1]
        moved = [axis for axis in order if shape[axis] > 1]
        return moved == sorted(moved)


def _item_bytes(kind: int) -> float:
    if kind in _HALF_BYTES:
        return 0.5
    if kind in {TensorProto.UNDEFINED, TensorProto.STRING}:
        return 0.0
    return float(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)

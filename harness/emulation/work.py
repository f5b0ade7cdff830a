"""What one node multiplies: its class, its products, and those that are dead.

Reads shapes and attributes; knows neither kernels nor bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import onnx

from harness.emulation.operators import (
    ATTENTION,
    CONVOLUTIONS,
    PRODUCTS,
    RECURRENT,
    OperatorClass,
    Shape,
    attention_macs,
    class_of,
    convolution_class,
    convolution_macs,
    einsum_macs,
    product_macs,
    recurrent_macs,
)
from harness.emulation.standins import integer
from harness.emulation.tensors import Tensors

_TOKEN_AXES = 3
"""Of a query as [samples, tokens, width]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one node multiplies. Shares are of its products, and of its channels."""

    operator_class: OperatorClass
    macs: int = 0
    dead_share: float = 0.0
    dead_channels: float = 0.0


def work_of(node: onnx.NodeProto, tensors: Tensors, dead: Mapping[str, float]) -> Work:
    """Tell what a node multiplies; `dead` has the dead share of channels by tensor."""
    operator = node.op_type
    at = CONVOLUTIONS.get(operator) or PRODUCTS.get(operator)
    if at is not None and len(node.input) <= max(at.data, at.weight):
        return Work(operator_class=OperatorClass.UNKNOWN)  # malformed: an operand lacks
    if operator in CONVOLUTIONS:
        return _convolution(node, tensors, dead)
    if operator in ATTENTION or operator == "Einsum":
        macs = (_einsum if operator == "Einsum" else _attention)(node, tensors)
        return Work(operator_class=OperatorClass.ATTENTION, macs=macs)
    if operator in PRODUCTS:
        weight = node.input[PRODUCTS[operator].weight]
        kind = (
            OperatorClass.MATMUL
            if tensors.is_constant(weight) or tensors.is_constant(node.input[0])
            else OperatorClass.ATTENTION
        )
        return Work(operator_class=kind, macs=_product(node, tensors))
    if operator in RECURRENT:
        return _matmul(_recurrent(_shapes(node.input[:3], tensors)))
    return Work(operator_class=class_of(operator))


def _matmul(macs: int) -> Work:
    return Work(operator_class=OperatorClass.MATMUL, macs=macs)


def _convolution(
    node: onnx.NodeProto, tensors: Tensors, dead: Mapping[str, float]
) -> Work:
    at = CONVOLUTIONS[node.op_type]
    data_name, weight_name = node.input[at.data], node.input[at.weight]
    shapes = _shapes([data_name, weight_name, node.output[0]], tensors)
    if shapes is None:
        return Work(operator_class=OperatorClass.DENSE)
    data, weight, output = shapes
    kind = convolution_class(weight, integer(node, "group", 1))
    macs = convolution_macs(node.op_type, data, weight, output)
    before = dead.get(tensors.root(data_name), 0.0)
    if node.op_type == "ConvTranspose":
        return Work(operator_class=kind, macs=macs)
    zero = tensors.zero_filter_share(weight_name)
    # a depthwise filter is dead with the channel that it reads
    own = max(zero, before) if kind is OperatorClass.DEPTHWISE else zero
    shared = 0.0 if kind is OperatorClass.DEPTHWISE else before
    return Work(
        operator_class=kind,
        macs=macs,
        dead_share=1 - (1 - own) * (1 - shared),
        dead_channels=own,
    )


def _product(node: onnx.NodeProto, tensors: Tensors) -> int:
    at = PRODUCTS[node.op_type]
    shapes = _shapes([node.input[at.data], node.output[0]], tensors)
    if shapes is None:
        return 0
    data, output = shapes
    packed = integer(node, "K")
    if packed:
        return prod(output) * packed
    inner = -2 if integer(node, "transA") else -1
    return product_macs(data, output, inner_axis=inner)


def _attention(node: onnx.NodeProto, tensors: Tensors) -> int:
    query = tensors.shape(node.input[0])
    output = tensors.shape(node.output[0])
    if query is None or output is None or len(query) < _TOKEN_AXES:
        return 0
    past = _past_keys(node, tensors)
    if node.op_type == "Attention" and node.domain == "com.microsoft":
        weight = tensors.shape(node.input[1])
        inner = 0 if weight is None else prod(query) * weight[-1]
        return inner + attention_macs(query, query[1] + past, output[-1])
    key = tensors.shape(node.input[1]) if len(node.input) > 1 else None
    keys = (query if key is None else key)[1] + past
    return attention_macs(query, keys, output[-1])


def _past_keys(node: onnx.NodeProto, tensors: Tensors) -> int:
    """Count the keys that a cache brings in; caches are [.., heads, keys, width]."""
    places = {"GroupQueryAttention": 3, "Attention": 4, "MultiHeadAttention": 6}
    place = places.get(node.op_type, len(node.input))
    if place >= len(node.input) or not node.input[place]:
        return 0
    cache = tensors.shape(node.input[place])
    return 0 if cache is None else cache[-2]


def _einsum(node: onnx.NodeProto, tensors: Tensors) -> int:
    shapes = _shapes(node.input, tensors)
    equation = next((a.s.decode() for a in node.attribute if a.name == "equation"), "")
    return 0 if shapes is None or "..." in equation else einsum_macs(equation, shapes)


def _recurrent(shapes: Sequence[Shape] | None) -> int:
    return 0 if shapes is None else recurrent_macs(shapes[0], shapes[1:])


def _shapes(names: Sequence[str], tensors: Tensors) -> list[Shape] | None:
    found = [tensors.shape(name) for name in names]
    known = [shape for shape in found if shape is not None]
    return known if len(known) == len(found) else None

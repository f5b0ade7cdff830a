"""What a model is made of: number of parameters, and how it is quantised.

Read from the file as it stands; what a runtime makes of it (fused or not) only the
runtime can say.
"""

from collections.abc import Iterator
from math import prod

import onnx
from onnx import TensorProto

from harness.catalogue.graph import graphs, nodes, operand

_REALS = frozenset(
    {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
)
_WEIGHT_NAMES: dict[int, str] = {
    TensorProto.INT8: "s8",
    TensorProto.UINT8: "u8",
    TensorProto.INT16: "s16",
    TensorProto.UINT16: "u16",
    TensorProto.INT4: "s4",
    TensorProto.UINT4: "u4",
}
_BIAS = TensorProto.INT32
"""Biases of quantised layers; other int32 tensors are shapes and indices."""
_SCALE_INPUTS: dict[str, tuple[int, ...]] = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "MatMulNBits": (1, 2, 3),
    "GatherBlockQuantized": (2, 3),
}
"""Operands that are scales and zero points, not parameters (ONNX operator docs); of
MatMulNBits also the packed weights, which its attributes K and N count."""
_BIAS_INPUTS = {"DequantizeLinear": 0, "QLinearConv": 8, "QGemm": 6}
_NBITS = ("MatMulNBits", "GatherBlockQuantized")
"""Products and look-ups whose weights are in blocks of few bits."""
_INTEGER_OPERATORS = frozenset(
    {"QLinearConv", "QLinearMatMul", "QGemm", "QAttention", "QLinearAdd"}
)
_DYNAMIC_OPERATORS = frozenset(
    {"MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}
)


def count_parameters(model: onnx.ModelProto) -> int | None:
    """Count the weights of all graphs, packed 4-bit ones too; None where none show."""
    skipped = {name for node in nodes(model) for name in _scales_of(node)}
    biases = {name for node in nodes(model) for name in _biases_of(node)}
    loose = sum(
        prod(tensor.dims)
        for name, tensor in _constants(model)
        if name not in skipped and _is_weight(tensor, is_bias=name in biases)
    )
    packed = sum(
        _integer(node, "K") * _integer(node, "N")
        for node in nodes(model)
        if node.op_type == "MatMulNBits"
    )
    return loose + packed or None


def _is_weight(tensor: TensorProto, *, is_bias: bool) -> bool:
    kind = tensor.data_type
    return kind in _REALS or kind in _WEIGHT_NAMES or (is_bias and kind == _BIAS)


def _biases_of(node: onnx.NodeProto) -> Iterator[str]:
    position = _BIAS_INPUTS.get(node.op_type)
    if position is not None:
        yield operand(node, position)


def quantisation_of(model: onnx.ModelProto) -> str:
    """Say how: ``int8 QDQ u8s8 per channel``, ``fp16``, ``none``."""
    constants = dict(_constants(model))
    found = {node.op_type for node in nodes(model)}
    bits = {_bits(node) for node in nodes(model) if node.op_type in _NBITS}
    if bits:
        return f"int{min(bits)} weights {' + '.join(n for n in _NBITS if n in found)}"
    if found & _INTEGER_OPERATORS:
        return f"int8 QOperator {_qoperator_types(model, constants)}".rstrip()
    if found & _DYNAMIC_OPERATORS:
        return "int8 dynamic"
    if "DequantizeLinear" in found:
        return _qdq(model, constants)
    return _float_kind(constants)


def quantisation_kinds(model: onnx.ModelProto) -> tuple[str, ...]:
    """List every way of quantising that a model uses; more than one: it is mixed.

    Of ``weights int4``, ``QOperator``, ``dynamic``, ``QDQ``, ``QDQ weights only``,
    ``fp16``; none of them: nothing is quantised.
    """
    constants = dict(_constants(model))
    found = {node.op_type for node in nodes(model)}
    kinds = [
        f"weights int{bits}"
        for bits in sorted({_bits(n) for n in nodes(model) if n.op_type in _NBITS})
    ]
    if found & _INTEGER_OPERATORS:
        kinds.append("QOperator")
    if found & _DYNAMIC_OPERATORS:
        kinds.append("dynamic")
    has_weights = any(
        operand(node, 0) in constants
        and constants[operand(node, 0)].data_type in _WEIGHT_NAMES
        for node in nodes(model)
        if node.op_type == "DequantizeLinear"
    )
    if has_weights:
        has_activations = "QuantizeLinear" in found
        kinds.append("QDQ" if has_activations else "QDQ weights only")
    if any(tensor.data_type == TensorProto.FLOAT16 for tensor in constants.values()):
        kinds.append("fp16")
    return tuple(kinds)


def _qdq(model: onnx.ModelProto, constants: dict[str, TensorProto]) -> str:
    weights = [
        (constants[operand(node, 0)], constants.get(operand(node, 1)))
        for node in nodes(model)
        if node.op_type == "DequantizeLinear" and operand(node, 0) in constants
    ]
    weights = [pair for pair in weights if pair[0].data_type in _WEIGHT_NAMES]
    activations = sorted(
        {
            _WEIGHT_NAMES[kind]
            for node in nodes(model)
            if node.op_type == "QuantizeLinear"
            and (kind := _quantised_type(node, constants)) in _WEIGHT_NAMES
        }
    )
    kinds = sorted({_WEIGHT_NAMES[weight.data_type] for weight, _ in weights})
    if not kinds:
        return "QDQ activations only" if activations else _float_kind(constants)
    is_per_channel = any(scale and prod(scale.dims) > 1 for _, scale in weights)
    grain = "per channel" if is_per_channel else "per tensor"
    width = "int" + min((kind[1:] for kind in kinds), key=int)
    if not activations:
        return f"{width} weights QDQ {grain}"
    return f"{width} QDQ {'/'.join(activations)}{'/'.join(kinds)} {grain}"


def _quantised_type(node: onnx.NodeProto, constants: dict[str, TensorProto]) -> int:
    """Give the element type that a QuantizeLinear writes (ONNX: uint8 by default)."""
    zero_point = constants.get(operand(node, 2))
    if zero_point is not None:
        return int(zero_point.data_type)
    return _integer(node, "output_dtype") or TensorProto.UINT8


def _qoperator_types(model: onnx.ModelProto, constants: dict[str, TensorProto]) -> str:
    """Name activations and weights of the first integer convolution or product."""
    for node in nodes(model):
        if node.op_type in {"QLinearConv", "QLinearMatMul", "QGemm"}:
            kinds = [_kind(constants.get(operand(node, at))) for at in (2, 3)]
            if all(kinds):
                return "".join(kinds)
    return ""


def _kind(tensor: TensorProto | None) -> str:
    return "" if tensor is None else _WEIGHT_NAMES.get(tensor.data_type, "")


def _float_kind(constants: dict[str, TensorProto]) -> str:
    counts: dict[int, int] = dict.fromkeys(_REALS, 0)
    for tensor in constants.values():
        if tensor.data_type in counts:
            counts[tensor.data_type] += prod(tensor.dims)
    widest = max(counts, key=lambda kind: counts[kind])
    names: dict[int, str] = {TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}
    return names.get(widest, "none") if counts[widest] else "none"


def _constants(model: onnx.ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield initialisers and Constant nodes of every graph, with their names."""
    for graph in graphs(model):
        for tensor in graph.initializer:
            yield tensor.name, tensor
    for node in nodes(model):
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield next(iter(node.output), ""), attribute.t


def _scales_of(node: onnx.NodeProto) -> Iterator[str]:
    for position in _SCALE_INPUTS.get(node.op_type, ()):
        yield operand(node, position)


def _bits(node: onnx.NodeProto) -> int:
    return _integer(node, "bits") or 4  # the operator's default


def _integer(node: onnx.NodeProto, name: str) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), 0)

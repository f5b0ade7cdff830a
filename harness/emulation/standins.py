"""A model made fit for shape inference: open axes bound, no weights, no odd operators.

Operators of runtimes (com.microsoft) have no shape inference in onnx. Here each is
replaced, in a copy that serves inference alone, by standard operators that give an
output of the same shape. Semantics: onnxruntime's ContribOperators.md.
`subgraphs` gives the outputs of control flow, which inference does not follow.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import onnx
from onnx import AttributeProto, TensorProto, helper

from harness.emulation.folding import Values
from harness.emulation.operators import Shape

Nodes = list[onnx.NodeProto]


def skeleton(
    model: onnx.ModelProto,
    bound: Mapping[str, Shape],
    given: Mapping[str, onnx.ValueInfoProto],
    values: Values,
) -> onnx.ModelProto:
    """Copy a model for inference: all shapes anew from the bound inputs.

    The copy has the names of `model`, but neither its large constants nor its
    operators. Tensors in `given` come from outside, those in `values` are constants;
    the nodes that make them go.
    """
    copy = _copied(model, given, values)
    known = symbols(model, bound)
    for value in copy.graph.input:
        _bind(value, bound.get(value.name), known)
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    return copy


def symbols(model: onnx.ModelProto, bound: Mapping[str, Shape]) -> dict[str, int]:
    """Read the values of symbolic axes: given by name, or off inputs' shapes."""
    known = {name: shape[0] for name, shape in bound.items() if len(shape) == 1}
    for value in model.graph.input:
        sizes = value.type.tensor_type.shape.dim
        shape = bound.get(value.name, ())
        if len(shape) == len(sizes):
            pairs = zip(sizes, shape, strict=True)
            known |= {one.dim_param: size for one, size in pairs if one.dim_param}
    return known


def open_inputs(model: onnx.ModelProto, bound: Mapping[str, Shape]) -> tuple[str, ...]:
    """Name inputs with an axis behind the first whose size nobody gave."""
    known = symbols(model, bound)
    stored = {tensor.name for tensor in model.graph.initializer}
    return tuple(
        value.name
        for value in model.graph.input
        if value.name not in stored | set(bound) and _is_open(value, known)
    )


def _is_open(value: onnx.ValueInfoProto, known: Mapping[str, int]) -> bool:
    sizes = value.type.tensor_type.shape.dim
    return any(one.dim_value <= 0 and one.dim_param not in known for one in sizes[1:])


def _bind(
    value: onnx.ValueInfoProto, shape: Shape | None, known: Mapping[str, int]
) -> None:
    sizes = value.type.tensor_type.shape.dim
    if shape is not None and len(shape) == len(sizes):
        for dimension, size in zip(sizes, shape, strict=True):
            dimension.dim_value = size
        return
    for dimension in sizes:
        if dimension.dim_value <= 0:
            # an axis that nobody bound stands for one sample
            dimension.dim_value = known.get(dimension.dim_param, 1)


def _copied(
    model: onnx.ModelProto,
    given: Mapping[str, onnx.ValueInfoProto],
    values: Values,
) -> onnx.ModelProto:
    graph = model.graph
    named = {value.name for value in graph.input}
    large = (
        helper.make_tensor_value_info(one.name, one.data_type, list(one.dims))
        for one in graph.initializer
        if one.name not in named | values.keys()
    )
    made = onnx.GraphProto(name=graph.name or "graph")
    made.input.extend([*graph.input, *large, *given.values()])
    made.output.extend(graph.output)
    made.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for name, value in values.items()
    )
    outside = given.keys() | values.keys()
    for node in graph.node:
        if not outside & set(node.output):
            made.node.extend(_standard(node))
    copy = onnx.ModelProto(ir_version=model.ir_version, graph=made)
    copy.opset_import.extend(model.opset_import)
    copy.functions.extend(model.functions)
    return copy


def _standard(node: onnx.NodeProto) -> Iterable[onnx.NodeProto]:
    make = _STANDINS.get(node.op_type)
    is_standard = node.domain in {"", "ai.onnx", "ai.onnx.ml"}
    if make is None or (is_standard and node.op_type not in _NEVER_INFERRED):
        return [node]
    return make(node)


def _like_first(node: onnx.NodeProto) -> Nodes:
    """Give every output the shape of the first input."""
    return [
        helper.make_node("Identity", [node.input[0]], [output])
        for output in node.output
        if output
    ]


def _as(operator: str, *places: int) -> Callable[[onnx.NodeProto], Nodes]:
    """Make the same operator without quantisation: inputs at `places` alone."""

    def make(node: onnx.NodeProto) -> Nodes:
        inputs = [node.input[place] for place in places if place < len(node.input)]
        made = helper.make_node(operator, inputs, [node.output[0]])
        allowed = _ATTRIBUTES.get(operator, ())
        made.attribute.extend(a for a in node.attribute if a.name in allowed)
        return [made]

    return make


def _concat(node: onnx.NodeProto) -> Nodes:
    made = helper.make_node("Concat", list(node.input[2::3]), [node.output[0]])
    made.attribute.extend(a for a in node.attribute if a.name == "axis")
    return [made]


def _packed_product(node: onnx.NodeProto) -> Nodes:
    """MatMulNBits, MatMulBnb4: [.., K] by a packed K·N gives [.., N]."""
    wide = helper.make_tensor(
        "value", TensorProto.INT64, [2], [integer(node, "K"), integer(node, "N")]
    )
    shape, weight = f"{node.output[0]}/shape", f"{node.output[0]}/weight"
    return [
        helper.make_node("Constant", [], [shape], value=wide),
        helper.make_node("ConstantOfShape", [shape], [weight]),
        helper.make_node("MatMul", [node.input[0], weight], [node.output[0]]),
    ]


def _turned_product(node: onnx.NodeProto) -> Nodes:
    """FusedMatMul: a product whose operands may be transposed, of two axes only."""
    made: Nodes = []
    names = list(node.input[:2])
    for place, name in enumerate(("transA", "transB")):
        if integer(node, name):
            turned = f"{node.output[0]}/{name}"
            made.append(helper.make_node("Transpose", [names[place]], [turned]))
            names[place] = turned
    return [*made, helper.make_node("MatMul", names, [node.output[0]])]


def _grouped_attention(node: onnx.NodeProto) -> Nodes:
    """GroupQueryAttention: output as the query, caches as those that come in."""
    places = (0, 3, 4)
    pairs = zip(places, node.output, strict=False)
    return [
        helper.make_node("Identity", [node.input[place]], [output])
        for place, output in pairs
        if output and place < len(node.input) and node.input[place]
    ]


def integer(node: onnx.NodeProto, name: str, default: int = 0) -> int:
    """Give an integer attribute of a node."""
    for found in node.attribute:
        if found.name == name and found.type == AttributeProto.INT:
            return int(found.i)
    return default


def _all(
    make: Callable[[onnx.NodeProto], Nodes], operators: Sequence[str]
) -> dict[str, Callable[[onnx.NodeProto], Nodes]]:
    return dict.fromkeys(operators, make)


_WINDOW = ("kernel_shape", "strides", "pads", "dilations", "group", "auto_pad")
_ATTRIBUTES: Mapping[str, Sequence[str]] = {
    "Conv": _WINDOW,
    "AveragePool": (*_WINDOW[:3], "auto_pad", "ceil_mode", "count_include_pad"),
    "Gemm": ("transA", "transB"),
    "Gather": ("axis",),
}
_NEVER_INFERRED = frozenset({"SimplifiedLayerNormalization"})
"""Operators of runtimes that are written under the standard domain."""

_STANDINS: Mapping[str, Callable[[onnx.NodeProto], Nodes]] = {
    **_all(
        _like_first,
        (
            "Attention",
            "BiasGelu",
            "DecoderMaskedMultiHeadAttention",
            "FastGelu",
            "Gelu",
            "MultiHeadAttention",
            "QLinearLeakyRelu",
            "QLinearSigmoid",
            "QLinearSoftmax",
            "QuickGelu",
            "RotaryEmbedding",
            "SimplifiedLayerNormalization",
            "SkipLayerNormalization",
            "SkipSimplifiedLayerNormalization",
        ),
    ),
    **_all(_packed_product, ("MatMulBnb4", "MatMulNBits")),
    **_all(_as("MatMul", 0, 1), ("DynamicQuantizeMatMul", "MatMulIntegerToFloat")),
    "EmbedLayerNormalization": _as("Gather", 2, 0),
    "FusedConv": _as("Conv", 0, 1),
    "FusedGemm": _as("Gemm", 0, 1),
    "FusedMatMul": _turned_product,
    "GatherBlockQuantized": _as("Gather", 0, 1),
    "GroupQueryAttention": _grouped_attention,
    "QGemm": _as("Gemm", 0, 3),
    "QLinearAdd": _as("Add", 0, 3),
    "QLinearAveragePool": _as("AveragePool", 0),
    "QLinearConcat": _concat,
    "QLinearGlobalAveragePool": _as("GlobalAveragePool", 0),
    "QLinearMul": _as("Mul", 0, 3),
}

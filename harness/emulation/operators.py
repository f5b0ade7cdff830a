"""What each ONNX operator asks of a device: its class and its multiply-accumulates.

Knows single operators by name and by the shapes of their operands; knows no graph.
Formulas follow the operator definitions of ONNX (onnx/docs/Operators.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import prod

Shape = tuple[int, ...]


class OperatorClass(StrEnum):
    """Kinds of work whose rates differ on real devices."""

    DENSE = "dense"
    """Convolution of one group with a window of more than one point."""
    POINTWISE = "pointwise"
    """1x1 convolution of one group."""
    DEPTHWISE = "depthwise"
    """Convolution of several groups."""
    MATMUL = "matmul"
    """Fully connected layers and other products with weights, recurrent cells."""
    ATTENTION = "attention"
    """Products of two activations, as of queries and keys."""
    ELEMENTWISE = "elementwise"
    """Arithmetic element by element, pooling and reductions."""
    NORMALISATION = "normalisation"
    """Softmax and normalisations over an axis."""
    RESIZE = "resize"
    """Interpolation and depth-to-space."""
    MOVEMENT = "movement"
    """Tensors that are only copied, cut, joined or looked up."""
    UNKNOWN = "unknown"
    """Nothing is known of the operator but the bytes that it touches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operands:
    """Where an operator that multiplies keeps its two factors among its inputs."""

    data: int
    weight: int


CONVOLUTIONS: Mapping[str, Operands] = {
    "Conv": Operands(data=0, weight=1),
    "FusedConv": Operands(data=0, weight=1),
    "ConvTranspose": Operands(data=0, weight=1),
    "ConvInteger": Operands(data=0, weight=1),
    "QLinearConv": Operands(data=0, weight=3),
}
PRODUCTS: Mapping[str, Operands] = {
    "MatMul": Operands(data=0, weight=1),
    "Gemm": Operands(data=0, weight=1),
    "FusedGemm": Operands(data=0, weight=1),
    "FusedMatMul": Operands(data=0, weight=1),
    "MatMulInteger": Operands(data=0, weight=1),
    "QLinearMatMul": Operands(data=0, weight=3),
    "QGemm": Operands(data=0, weight=3),
    "DynamicQuantizeMatMul": Operands(data=0, weight=1),
    "MatMulIntegerToFloat": Operands(data=0, weight=1),
    "MatMulNBits": Operands(data=0, weight=1),
    "MatMulBnb4": Operands(data=0, weight=1),
}
ATTENTION = frozenset(
    {
        "Attention",
        "DecoderMaskedMultiHeadAttention",
        "GroupQueryAttention",
        "MultiHeadAttention",
    }
)
"""Products of queries, keys and values in one operator."""
RECURRENT = frozenset({"RNN", "GRU", "LSTM"})
"""Inputs X, W, R: [steps, batch, in], [directions, gates·h, in], [d, gates·h, h]."""

ACTIVATIONS = frozenset(
    {
        "BatchNormalization",
        "BiasGelu",
        "Clip",
        "Elu",
        "Erf",
        "FastGelu",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Mish",
        "PRelu",
        "QuickGelu",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Tanh",
    }
)
"""Of one tensor, so that they fuse behind the kernel that gives it."""
ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div"})
"""Fuse behind a kernel too, where the second operand is a constant."""
VIEWS = frozenset(
    {
        "Cast",
        "DequantizeLinear",
        "Dropout",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
    }
)
"""Name the same data anew. Quantising and its reverse fold into their neighbours."""

_BY_CLASS: Mapping[OperatorClass, frozenset[str]] = {
    OperatorClass.ELEMENTWISE: ACTIVATIONS
    | ARITHMETIC
    | frozenset(
        {
            "Abs",
            "And",
            "ArgMax",
            "ArgMin",
            "AveragePool",
            "Ceil",
            "Celu",
            "Cos",
            "DynamicQuantizeLinear",
            "Equal",
            "Exp",
            "Floor",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "Greater",
            "GreaterOrEqual",
            "IsInf",
            "IsNaN",
            "Less",
            "LessOrEqual",
            "Log",
            "Max",
            "MaxPool",
            "Mean",
            "Min",
            "Mod",
            "Neg",
            "Not",
            "Or",
            "Pow",
            "QLinearAdd",
            "QLinearAveragePool",
            "QLinearConcat",
            "QLinearGlobalAveragePool",
            "QLinearLeakyRelu",
            "QLinearMul",
            "QLinearSigmoid",
            "Reciprocal",
            "ReduceL1",
            "ReduceL2",
            "ReduceMax",
            "ReduceMean",
            "ReduceMin",
            "ReduceProd",
            "ReduceSum",
            "ReduceSumSquare",
            "RotaryEmbedding",
            "Round",
            "Sign",
            "Sin",
            "Sum",
            "Tan",
            "Where",
            "Xor",
        }
    ),
    OperatorClass.NORMALISATION: frozenset(
        {
            "EmbedLayerNormalization",
            "GroupNormalization",
            "Hardmax",
            "InstanceNormalization",
            "LRN",
            "LayerNormalization",
            "LogSoftmax",
            "LpNormalization",
            "MeanVarianceNormalization",
            "QLinearSoftmax",
            "RMSNormalization",
            "SimplifiedLayerNormalization",
            "SkipLayerNormalization",
            "SkipSimplifiedLayerNormalization",
            "Softmax",
        }
    ),
    OperatorClass.RESIZE: frozenset(
        {
            "DepthToSpace",
            "GridSample",
            "Resize",
            "RoiAlign",
            "SpaceToDepth",
            "Upsample",
        }
    ),
    OperatorClass.MOVEMENT: frozenset(
        {
            "Compress",
            "Concat",
            "ConstantOfShape",
            "CumSum",
            "Expand",
            "Gather",
            "GatherBlockQuantized",
            "GatherElements",
            "GatherND",
            "NonMaxSuppression",
            "NonZero",
            "OneHot",
            "Pad",
            "Range",
            "ReverseSequence",
            "ScatterElements",
            "ScatterND",
            "Slice",
            "Split",
            "Tile",
            "TopK",
            "Transpose",
            "Trilu",
        }
    ),
}
_CLASSES: Mapping[str, OperatorClass] = {
    operator: kind for kind, operators in _BY_CLASS.items() for operator in operators
}


def class_of(operator: str) -> OperatorClass:
    """Give the class of an operator that does not multiply matrices."""
    return _CLASSES.get(operator, OperatorClass.UNKNOWN)


def convolution_class(weight: Shape, groups: int) -> OperatorClass:
    """Give the class of a convolution from the shape [out, in/groups, window…]."""
    if groups > 1:
        return OperatorClass.DEPTHWISE
    is_point = all(size == 1 for size in weight[2:])
    return OperatorClass.POINTWISE if is_point else OperatorClass.DENSE


def convolution_macs(operator: str, data: Shape, weight: Shape, output: Shape) -> int:
    """Count the products of a convolution, padding counted like data.

    Each output point takes in/groups · window products; of a transposed convolution
    each *input* point gives out/groups · window.
    """
    points = data if operator == "ConvTranspose" else output
    return prod(points) * prod(weight[1:])


def product_macs(data: Shape, output: Shape, *, inner_axis: int = -1) -> int:
    """Count the products of a matrix product: the inner length for each output."""
    return prod(output) * data[inner_axis]


def einsum_macs(equation: str, operands: Sequence[Shape]) -> int:
    """Count the products of an Einsum: the lengths of all of its indices at once."""
    terms = equation.replace(" ", "").split("->")[0].split(",")
    lengths = {
        index: size
        for term, shape in zip(terms, operands, strict=False)
        for index, size in zip(term, shape, strict=False)
    }
    return prod(lengths.values())


def attention_macs(query: Shape, keys: int, width: int) -> int:
    """Count queries by keys and weights by values, causal masks counted like data.

    `query` is [samples, queries, …], `keys` how many there are, `width` of all heads.
    """
    samples, queries = query[:2]
    return 2 * samples * queries * keys * width


def recurrent_macs(data: Shape, weights: Sequence[Shape]) -> int:
    """Count the products of a recurrent layer: all weights at each step and sample."""
    steps, batch = data[:2]
    return steps * batch * sum(prod(weight) for weight in weights)

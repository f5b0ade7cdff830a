"""Small models in every form of quantisation."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from parts import (
    FLOAT,
    MS,
    constant,
    model,
    node,
    weights,
)


def qdq(activation: type, weight: type, *, per_channel: bool) -> onnx.ModelProto:
    scale = constant("ws", [0.01] * 4 if per_channel else 0.01)
    zero = constant("wz", [0] * 4 if per_channel else 0, weight)
    axis = {"axis": 1} if per_channel else {}
    kind = activation
    return model(
        [
            node("QuantizeLinear", "x as az", "xq"),
            node("DequantizeLinear", "xq as az", "xd"),
            node("DequantizeLinear", "w ws wz", "wd", **axis),
            node("MatMul", "xd wd", "m"),
            node("QuantizeLinear", "m as az", "mq"),
            node("DequantizeLinear", "mq as az", "y"),
        ],
        {"x": (FLOAT, ["N", 8])},
        {"y": (FLOAT, ["N", 4])},
        [
            weights("w", 8, 4, kind=weight),
            scale,
            zero,
            constant("as", 0.02),
            constant("az", 0, kind),
        ],
    )


def qoperator() -> onnx.ModelProto:
    return model(
        [
            node("QuantizeLinear", "x xs xz", "xq"),
            node(
                "QLinearConv",
                "xq xs xz w ws wz ys yz",
                "yq",
                kernel_shape=[3, 3],
                pads=[1, 1, 1, 1],
            ),
            node("DequantizeLinear", "yq ys yz", "y"),
        ],
        {"x": (FLOAT, [1, 3, 8, 8])},
        {"y": (FLOAT, [1, 4, 8, 8])},
        [
            constant("xs", 0.02),
            constant("xz", 0, np.uint8),
            weights("w", 4, 3, 3, 3, kind=np.int8),
            constant("ws", [0.01] * 4),
            constant("wz", [0] * 4, np.int8),
            constant("ys", 0.05),
            constant("yz", 128, np.uint8),
        ],
    )


def dynamic() -> onnx.ModelProto:
    return model(
        [
            node("DynamicQuantizeLinear", "x", "xq xs xz"),
            node("MatMulInteger", "xq w xz", "i"),
            node("Cast", "i", "f", to=FLOAT),
            node("Mul", "f xs", "y"),
        ],
        {"x": (FLOAT, ["N", 8])},
        {"y": (FLOAT, ["N", 4])},
        [weights("w", 8, 4, kind=np.int8)],
    )


def nbits() -> onnx.ModelProto:
    packed = np.random.default_rng(1).integers(0, 256, (16, 1, 16), dtype=np.uint8)
    return model(
        [
            node(
                "MatMulNBits",
                "x b s",
                "y",
                domain=MS,
                K=32,
                N=16,
                bits=4,
                block_size=32,
            )
        ],
        {"x": (FLOAT, ["N", 32])},
        {"y": (FLOAT, ["N", 16])},
        [numpy_helper.from_array(packed, "b"), constant("s", [0.1] * 16)],
        domains=[MS],
    )


def int4() -> onnx.ModelProto:
    four = helper.make_tensor("w", TensorProto.INT4, [8, 4], [1, -2, 3, -4] * 8)
    return model(
        [node("DequantizeLinear", "w s", "d", axis=0), node("MatMul", "x d", "y")],
        {"x": (FLOAT, ["N", 8])},
        {"y": (FLOAT, ["N", 4])},
        [four, constant("s", [0.1] * 8)],
        opset=21,
        ir=10,
    )

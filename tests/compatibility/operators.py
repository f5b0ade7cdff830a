"""Small models of operators, opsets, types and shapes that a runtime knows."""

import numpy as np
import onnx
from onnx import TensorProto, helper
from parts import (
    BOOL,
    FLOAT,
    HALF,
    INT64,
    ML,
    MS,
    UINT8,
    Ports,
    constant,
    model,
    node,
    weights,
)


def conv(opset: int, ir: int = 8, *, are_inputs: bool = False) -> onnx.ModelProto:
    return model(
        [
            node("Conv", "x w", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("BatchNormalization", "c s b m v", "n"),
            node("Relu", "n", "r"),
            node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("Flatten", "p", "f"),
            node("Gemm", "f d e", "y"),
        ],
        {"x": (FLOAT, [1, 3, 8, 8])},
        {"y": (FLOAT, [1, 5])},
        [
            weights("w", 4, 3, 3, 3),
            constant("s", [1] * 4),
            constant("b", [0] * 4),
            constant("m", [0] * 4),
            constant("v", [1] * 4),
            weights("d", 64, 5),
            weights("e", 5),
        ],
        opset=opset,
        ir=ir,
        are_inputs=are_inputs,
    )


def unary(operator: str, opset: int, ir: int) -> onnx.ModelProto:
    ports: Ports = {"x": (FLOAT, ["N", 16])}
    out: Ports = {"y": (FLOAT, ["N", 16])}
    return model([node(operator, "x", "y")], ports, out, opset=opset, ir=ir)


def loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [node("Add", "a a", "b"), node("Identity", "go", "on")],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("a", FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("on", BOOL, []),
            helper.make_tensor_value_info("b", FLOAT, [1, 4]),
        ],
    )
    return model(
        [node("Loop", "times true x", "y", body=body)],
        {"x": (FLOAT, [1, 4])},
        {"y": (FLOAT, [1, 4])},
        [constant("times", 5, np.int64), constant("true", 1, np.bool_)],
        opset=11,
    )


def if_else() -> onnx.ModelProto:
    def branch(operator: str) -> onnx.GraphProto:
        out = f"{operator}_y"
        return helper.make_graph(
            [node(operator, "x", out)],
            operator,
            [],
            [helper.make_tensor_value_info(out, FLOAT, [1, 4])],
        )

    return model(
        [
            node("ReduceSum", "x", "total", keepdims=0),
            node("Greater", "total zero", "is_large"),
            node(
                "If",
                "is_large",
                "y",
                then_branch=branch("Sin"),
                else_branch=branch("Neg"),
            ),
        ],
        {"x": (FLOAT, [1, 4])},
        {"y": (FLOAT, [1, 4])},
        [constant("zero", 0.0)],
        opset=12,
    )


def scan() -> onnx.ModelProto:
    body = helper.make_graph(
        [node("Add", "s x", "t"), node("Identity", "t", "o")],
        "body",
        [
            helper.make_tensor_value_info("s", FLOAT, [4]),
            helper.make_tensor_value_info("x", FLOAT, [4]),
        ],
        [
            helper.make_tensor_value_info("t", FLOAT, [4]),
            helper.make_tensor_value_info("o", FLOAT, [4]),
        ],
    )
    return model(
        [node("Scan", "zero xs", "last all", body=body, num_scan_inputs=1)],
        {"xs": (FLOAT, [6, 4])},
        {"all": (FLOAT, [6, 4])},
        [constant("zero", [0.0] * 4)],
    )


def half(*, is_inside: bool) -> onnx.ModelProto:
    w = weights("w", 8, 4, kind=np.float16)
    if is_inside:
        return model(
            [
                node("Cast", "x", "h", to=HALF),
                node("MatMul", "h w", "m"),
                node("Cast", "m", "y", to=FLOAT),
            ],
            {"x": (FLOAT, ["N", 8])},
            {"y": (FLOAT, ["N", 4])},
            [w],
        )
    ports: Ports = {"x": (HALF, ["N", 8])}
    return model([node("MatMul", "x w", "y")], ports, {"y": (HALF, ["N", 4])}, [w])


def where() -> onnx.ModelProto:
    return model(
        [node("Where", "mask x zero", "y")],
        {"x": (FLOAT, ["N", 6]), "mask": (BOOL, ["N", 6])},
        {"y": (FLOAT, ["N", 6])},
        [constant("zero", 0.0)],
    )


def reshape() -> onnx.ModelProto:
    return model(
        [node("Tile", "x repeats", "y")],
        {"x": (FLOAT, [1, 4]), "repeats": (INT64, [2])},
        {"y": (FLOAT, [None, None])},
    )


def image() -> onnx.ModelProto:
    return model(
        [
            node("Cast", "pixels", "f", to=FLOAT),
            node("Transpose", "f", "t", perm=[0, 3, 1, 2]),
            node("GlobalAveragePool", "t", "y"),
        ],
        {"pixels": (UINT8, ["N", 16, 16, 3])},
        {"y": (FLOAT, ["N", 3, 1, 1])},
    )


def free_size() -> onnx.ModelProto:
    return model(
        [node("GlobalAveragePool", "x", "y")],
        {"x": (FLOAT, ["batch", 3, "height", "width"])},
        {"y": (FLOAT, ["batch", 3, 1, 1])},
    )


def scalar() -> onnx.ModelProto:
    return model(
        [node("Mul", "x factor", "y")],
        {"x": (FLOAT, [1, 4]), "factor": (FLOAT, [])},
        {"y": (FLOAT, [1, 4])},
    )


def suppression() -> onnx.ModelProto:
    return model(
        [node("NonMaxSuppression", "boxes scores most iou", "picked")],
        {"boxes": (FLOAT, [1, 20, 4]), "scores": (FLOAT, [1, 2, 20])},
        {"picked": (INT64, [None, 3])},
        [constant("most", 5, np.int64), constant("iou", 0.5)],
    )


def function() -> onnx.ModelProto:
    made = model(
        [node("Swish", "x", "y", domain="local")],
        {"x": (FLOAT, ["N", 8])},
        {"y": (FLOAT, ["N", 8])},
    )
    made.opset_import.append(helper.make_opsetid("local", 1))
    made.functions.append(
        helper.make_function(
            "local",
            "Swish",
            ["a"],
            ["b"],
            [node("Sigmoid", "a", "s"), node("Mul", "a s", "b")],
            [helper.make_opsetid("", 13)],
        )
    )
    return made


def constants() -> onnx.ModelProto:
    return model(
        [
            node("Constant", "", "w", value=weights("w", 8, 4)),
            node("MatMul", "x w", "y"),
        ],
        {"x": (FLOAT, ["N", 8])},
        {"y": (FLOAT, ["N", 4])},
    )


def double() -> onnx.ModelProto:
    kind = TensorProto.DOUBLE
    ports: Ports = {"x": (kind, ["N", 8])}
    w = weights("w", 8, 4, kind=np.float64)
    return model([node("MatMul", "x w", "y")], ports, {"y": (kind, ["N", 4])}, [w])


def brain() -> onnx.ModelProto:
    kind = TensorProto.BFLOAT16
    ports: Ports = {"x": (kind, [1, 8])}
    return model([node("Cast", "x", "y", to=FLOAT)], ports, {"y": (FLOAT, [1, 8])})


def norm() -> onnx.ModelProto:
    return model(
        [node("RMSNormalization", "x s", "y", axis=-1)],
        {"x": (FLOAT, ["N", 16])},
        {"y": (FLOAT, ["N", 16])},
        [constant("s", [1.0] * 16)],
        opset=23,
        ir=11,
    )


def layer_norm() -> onnx.ModelProto:
    return model(
        [node("LayerNormalization", "x s b", "y")],
        {"x": (FLOAT, ["N", 16])},
        {"y": (FLOAT, ["N", 16])},
        [constant("s", [1.0] * 16), constant("b", [0.0] * 16)],
        opset=17,
    )


def slices() -> onnx.ModelProto:
    return model(
        [
            node("Slice", "x start end axis", "s"),
            node("TopK", "s k", "v i", axis=-1),
        ],
        {"x": (FLOAT, [1, 16])},
        {"v": (FLOAT, [1, 3]), "i": (INT64, [1, 3])},
        [
            constant("start", [2], np.int64),
            constant("end", [14], np.int64),
            constant("axis", [1], np.int64),
            constant("k", [3], np.int64),
        ],
        opset=10,
    )


def contrib() -> onnx.ModelProto:
    ports: Ports = {"x": (FLOAT, ["N", 8])}
    nodes = [node("FastGelu", "x", "y", domain=MS)]
    return model(nodes, ports, {"y": (FLOAT, ["N", 8])}, domains=[MS])


def odd_names() -> onnx.ModelProto:
    ports: Ports = {"in/put:0": (FLOAT, [1, 4])}
    nodes = [node("Neg", "in/put:0", "out.put/1")]
    return model(nodes, ports, {"out.put/1": (FLOAT, [1, 4])})


def trees() -> onnx.ModelProto:
    return model(
        [
            node(
                "TreeEnsembleRegressor",
                "x",
                "y",
                domain=ML,
                n_targets=1,
                nodes_treeids=[0, 0, 0],
                nodes_nodeids=[0, 1, 2],
                nodes_featureids=[1, 0, 0],
                nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
                nodes_values=[0.5, 0.0, 0.0],
                nodes_truenodeids=[1, 0, 0],
                nodes_falsenodeids=[2, 0, 0],
                nodes_missing_value_tracks_true=[0, 0, 0],
                nodes_hitrates=[1.0, 1.0, 1.0],
                target_treeids=[0, 0],
                target_nodeids=[1, 2],
                target_ids=[0, 0],
                target_weights=[-1.0, 1.0],
            )
        ],
        {"x": (FLOAT, [None, 3])},
        {"y": (FLOAT, [None, 1])},
        domains=[ML],
    )


def tokens() -> onnx.ModelProto:
    return model(
        [
            node("Gather", "table input_ids", "e"),
            node("Cast", "attention_mask", "m", to=FLOAT),
            node("Unsqueeze", "m axis", "mu"),
            node("Mul", "e mu", "y"),
        ],
        {"input_ids": (INT64, [1, 12]), "attention_mask": (INT64, [1, 12])},
        {"y": (FLOAT, [1, 12, 8])},
        [weights("table", 100, 8), constant("axis", [2], np.int64)],
    )

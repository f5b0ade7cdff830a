from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from harness.catalogue.census import count_parameters, quantisation_of

Make = Callable[..., onnx.ModelProto]


def tensor(name: str, shape: Sequence[int], dtype: str = "float32") -> TensorProto:
    return numpy_helper.from_array(np.zeros(shape, dtype), name)


def qdq(
    activation: str, scale_shape: Sequence[int]
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Give a quantised product: x → Q → DQ → MatMul with a dequantised weight."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["dw"], axis=1),
        helper.make_node("MatMul", ["d", "dw"], ["m"]),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["db"], axis=0),
        helper.make_node("Add", ["m", "db"], ["y"]),
    ]
    weights = [
        tensor("s", []),
        tensor("z", [], activation),
        tensor("w", [4, 3], "int8"),
        tensor("ws", scale_shape),
        tensor("wz", scale_shape, "int8"),
        tensor("b", [3], "int32"),
        tensor("bs", scale_shape),
    ]
    return nodes, weights


@pytest.mark.parametrize(
    ("activation", "scales", "expected"),
    [
        ("uint8", [3], "int8 QDQ u8s8 per channel"),
        ("int8", [3], "int8 QDQ s8s8 per channel"),
        ("int8", [], "int8 QDQ s8s8 per tensor"),
        ("int16", [3], "int8 QDQ s16s8 per channel"),
    ],
)
def test_quantise_dequantise_pairs_are_read(
    make_model: Make, activation: str, scales: list[int], expected: str
) -> None:
    nodes, weights = qdq(activation, scales)

    assert quantisation_of(make_model(nodes, weights=weights)) == expected


def test_scales_and_zero_points_are_not_parameters_and_biases_are(
    make_model: Make,
) -> None:
    nodes, weights = qdq("int8", [3])

    assert count_parameters(make_model(nodes, weights=weights)) == 4 * 3 + 3


def test_weights_alone_may_be_quantised(make_model: Make) -> None:
    nodes, weights = qdq("int8", [3])
    nodes = [nodes[2], helper.make_node("MatMul", ["x", "dw"], ["y"])]

    found = quantisation_of(make_model(nodes, weights=weights))

    assert found == "int8 weights QDQ per channel"


def test_activations_alone_may_be_quantised(make_model: Make) -> None:
    nodes, weights = qdq("uint8", [])
    nodes[1].output[0] = "y"

    assert quantisation_of(make_model(nodes[:2], weights=weights)) == (
        "QDQ activations only"
    )


def test_quantised_operators_are_read(make_model: Make) -> None:
    names = ["x", "s", "z", "w", "s", "wz", "s", "z"]
    node = helper.make_node("QLinearMatMul", names, ["y"])
    weights = [
        tensor("s", []),
        tensor("z", [], "uint8"),
        tensor("w", [4, 3], "int8"),
        tensor("wz", [], "int8"),
    ]

    model = make_model([node], {"x": (TensorProto.UINT8, [1, 4])}, weights=weights)

    assert quantisation_of(model) == "int8 QOperator u8s8"
    assert count_parameters(model) == 12


def test_weights_packed_in_four_bits_are_counted_whole(make_model: Make) -> None:
    node = helper.make_node(
        "MatMulNBits",
        ["x", "w", "s"],
        ["y"],
        domain="com.microsoft",
        K=64,
        N=32,
        bits=4,
        block_size=32,
    )
    weights = [tensor("w", [32, 2, 16], "uint8"), tensor("s", [64])]

    model = make_model([node], weights=weights)

    assert quantisation_of(model) == "int4 weights MatMulNBits"
    assert count_parameters(model) == 64 * 32


def test_dynamic_quantisation_is_read(make_model: Make) -> None:
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    model = make_model([node], weights=[tensor("w", [4, 3], "int8")])

    assert quantisation_of(model) == "int8 dynamic"


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float16", "fp16"), ("float32", "none"), ("float64", "none"), ("int64", "none")],
)
def test_plain_weights_are_read_by_their_type(
    make_model: Make, dtype: str, expected: str
) -> None:
    node = helper.make_node("Add", ["x", "w"], ["y"])

    model = make_model([node], weights=[tensor("w", [4], dtype)])

    assert quantisation_of(model) == expected


def test_weights_in_constants_and_branches_are_counted(make_model: Make) -> None:
    constant = helper.make_node("Constant", [], ["w"], value=tensor("", [10]))
    output = helper.make_tensor_value_info("w", TensorProto.FLOAT, None)
    branch = helper.make_graph([constant], "b", [], [output])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)

    assert count_parameters(make_model([node])) == 20


def test_shapes_and_indices_are_not_parameters(make_model: Make) -> None:
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])

    model = make_model([node], weights=[tensor("shape", [2], "int64")])

    assert count_parameters(model) is None


def test_a_quantiser_without_a_zero_point_gives_unsigned_bytes(
    make_model: Make,
) -> None:
    nodes, weights = qdq("int8", [3])
    del nodes[0].input[2]

    assert quantisation_of(make_model(nodes, weights=weights)) == (
        "int8 QDQ u8s8 per channel"
    )


def test_a_quantised_product_of_two_inputs_tells_no_types(make_model: Make) -> None:
    names = ["x", "s", "z", "x", "s", "z", "s", "z"]
    node = helper.make_node("QLinearMatMul", names, ["y"])
    weights = [tensor("s", []), tensor("z", [], "uint8")]

    found = quantisation_of(make_model([node], weights=weights))

    assert found == "int8 QOperator"

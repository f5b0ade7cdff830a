"""What a graph asks for, on graphs that can be counted by hand and on real ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from harness.emulation.graph_cost import GraphCost, cost_of_file, cost_of_model
from harness.emulation.operators import OperatorClass

Weights = dict[str, NDArray[Any]]

CONVERTED = Path(__file__).resolve().parents[4] / "shared" / "data" / "models"


def a_model(
    nodes: Sequence[onnx.NodeProto],
    weights: Weights,
    *,
    x: Sequence[int | str] = (1, 8, 4, 4),
    outputs: Sequence[str] = ("y",),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x))],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def floats(*shape: int) -> NDArray[np.float32]:
    return np.ones(shape, dtype=np.float32)


def quantise(of: str, to: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("QuantizeLinear", [of, "scale", "zero"], [f"{to}_q"]),
        helper.make_node("DequantizeLinear", [f"{to}_q", "scale", "zero"], [to]),
    ]


def a_quantised_convolution() -> onnx.ModelProto:
    nodes = [
        *quantise("x", "xd"),
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["wd"]),
        helper.make_node("Conv", ["xd", "wd"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        *quantise("r", "y"),
    ]
    weights: Weights = {
        "w": np.ones((6, 8, 1, 1), dtype=np.int8),
        "scale": np.float32(0.1) * np.ones((), dtype=np.float32),
        "zero": np.zeros((), dtype=np.int8),
    }
    return a_model(nodes, weights)


@pytest.mark.parametrize("form", ["s8s8", "fp32"])
@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("dscnn-kws", 2_656_768),
        ("resnet8-ic", 12_501_632),
        ("mobilenetv1-025-vww", 7_489_664),
        ("fcae-ad", 264_192),
        ("mobilenetv2", 300_774_272),
    ],
)
def test_products_of_reference_networks_are_exact_float_and_quantised(
    name: str, macs: int, form: str, reference_models: Path
) -> None:
    cost = cost_of_file(reference_models / f"{name}-{form}.onnx")

    assert cost.macs == macs
    assert cost.unknown_operators == ()
    assert cost.unknown_shapes == ()


def test_kernels_and_traffic_of_mobilenet_v2_are_the_known_ones(
    reference_models: Path,
) -> None:
    cost = cost_of_file(reference_models / "mobilenetv2-s8s8.onnx")

    # 52 convolutions, the pooling and the classifier; sums fuse into convolutions
    assert cost.kernels == 54
    assert cost.activation_bytes == pytest.approx(13.727e6, rel=1e-4)
    # the widest bottleneck: 96 channels of 112x112 become 96 of 56x56
    assert cost.arena_bytes == 96 * 112 * 112 + 96 * 56 * 56


def test_quantised_models_count_one_byte_an_item(reference_models: Path) -> None:
    quantised = cost_of_file(reference_models / "dscnn-kws-s8s8.onnx")
    wide = cost_of_file(reference_models / "dscnn-kws-fp32.onnx")

    assert wide.arena_bytes == 4 * quantised.arena_bytes
    assert quantised.wide_macs == 0
    assert wide.wide_macs == wide.macs


def test_quantising_and_activations_fold_into_the_convolution() -> None:
    cost = cost_of_model(a_quantised_convolution())

    (node,) = cost.nodes
    assert node.operator == "Conv"
    assert node.fused == ("Relu",)
    assert node.input_bytes == 8 * 16
    assert node.output_bytes == 6 * 16
    assert cost.weight_bytes == 48


def test_classes_of_convolutions_go_by_window_and_groups() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w3"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w1"], ["b"]),
        helper.make_node("Conv", ["b", "wd"], ["y"], group=8, pads=[1, 1, 1, 1]),
    ]
    weights: Weights = {
        "w3": floats(8, 8, 3, 3),
        "w1": floats(8, 8, 1, 1),
        "wd": floats(8, 1, 3, 3),
    }

    cost = cost_of_model(a_model(nodes, weights))

    assert [(node.operator_class, node.macs) for node in cost.nodes] == [
        (OperatorClass.DENSE, 16 * 8 * 8 * 9),
        (OperatorClass.POINTWISE, 16 * 8 * 8),
        (OperatorClass.DEPTHWISE, 16 * 8 * 9),
    ]


def test_a_transposed_convolution_multiplies_for_each_input_point() -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])

    cost = cost_of_model(a_model([node], {"w": floats(8, 3, 2, 2)}))

    assert cost.macs == 16 * 8 * 3 * 4


@pytest.mark.parametrize(("trans_a", "x"), [(0, (5, 7)), (1, (7, 5))])
def test_a_product_multiplies_the_inner_length_for_each_output(
    trans_a: int, x: tuple[int, int]
) -> None:
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transA=trans_a)

    cost = cost_of_model(a_model([node], {"w": floats(7, 3)}, x=x))

    assert cost.macs == 5 * 7 * 3


def test_a_recurrent_layer_multiplies_all_weights_at_each_step() -> None:
    node = helper.make_node("GRU", ["x", "w", "r"], ["y"], hidden_size=4)
    weights: Weights = {"w": floats(1, 12, 6), "r": floats(1, 12, 4)}

    cost = cost_of_model(a_model([node], weights, x=(10, 1, 6)))

    assert cost.macs == 10 * (12 * 6 + 12 * 4)


def test_a_sum_of_two_branches_fuses_into_the_later_one() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Conv", ["a", "w"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]

    cost = cost_of_model(a_model(nodes, {"w": floats(8, 8, 1, 1)}))

    size = 8 * 16 * 4
    assert [node.fused for node in cost.nodes] == [(), ("Add",)]
    assert cost.nodes[1].input_bytes == size
    # x and a; then a alone: the sum is written over it
    assert cost.arena_bytes == 2 * size
    # both convolutions share the weights
    assert cost.weight_bytes == 8 * 8 * 4


def test_an_operator_that_nobody_knows_is_costed_by_bytes_and_named() -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["d"]),
        helper.make_node("Relu", ["d"], ["y"]),
    ]

    cost = cost_of_model(a_model(nodes, {}))

    assert cost.unknown_operators == ("Det",)
    assert cost.nodes[0].operator_class is OperatorClass.UNKNOWN
    assert cost.nodes[0].input_bytes == 8 * 16 * 4
    assert cost.macs == 0


def test_an_operator_of_another_domain_leaves_shapes_that_are_said_to_be_unknown() -> (
    None
):
    node = helper.make_node("Odd", ["x"], ["y"], name="odd", domain="x.y")
    model = a_model([node], {})
    model.opset_import.append(helper.make_opsetid("x.y", 1))

    cost = cost_of_model(model)

    assert cost.unknown_operators == ("Odd",)
    assert cost.unknown_shapes == ("odd",)


def test_an_open_batch_counts_one_sample_and_a_bound_one_what_it_is() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    model = a_model([node], {"w": floats(2, 8, 1, 1)}, x=("N", 8, 4, 4))

    assert cost_of_model(model).macs == 16 * 8 * 2

    assert cost_of_model(model, {"x": (3, 8, 4, 4)}).macs == 3 * 16 * 8 * 2


def test_shapes_are_followed_through_views_and_constants_cost_nothing() -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["t", "shape"], ["flat"]),
        helper.make_node("Add", ["w", "w"], ["w2"]),
        helper.make_node("MatMul", ["flat", "w2"], ["y"]),
    ]
    weights: Weights = {"shape": np.array([1, 16]), "w": floats(16, 2)}

    cost = cost_of_model(a_model(nodes, weights, x=(1, 1, 4, 4)))

    (node,) = cost.nodes
    assert node.operator == "MatMul"
    assert node.macs == 32
    assert node.input_bytes == 64


def test_a_real_transposition_is_a_kernel() -> None:
    node = helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 3, 1])

    cost = cost_of_model(a_model([node], {}))

    assert cost.kernels == 1
    assert cost.nodes[0].operator_class is OperatorClass.MOVEMENT


def half_dead(*, is_dead: bool) -> GraphCost:
    first = floats(8, 8, 1, 1)
    if is_dead:
        first[4:] = 0
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "wd"], ["c"], group=8, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "v"], ["y"]),
    ]
    weights: Weights = {
        "w": first,
        "wd": floats(8, 1, 3, 3),
        "v": floats(4, 8, 1, 1),
    }
    return cost_of_model(a_model(nodes, weights))


def test_dead_channels_count_with_all_that_only_they_feed() -> None:
    dead = half_dead(is_dead=True)

    assert dead.dead_macs == dead.macs / 2
    assert half_dead(is_dead=False).dead_macs == 0


@pytest.mark.parametrize("points", [[128], [128, 100, 128, 7]])
def test_filters_of_unsigned_weights_are_zero_at_their_zero_point(
    points: list[int],
) -> None:
    filters = np.full((4, 8, 1, 1), 9, dtype=np.uint8)
    filters[0] = 128
    weights: Weights = {
        "w": filters,
        "zero": np.array(points if len(points) > 1 else points[0], dtype=np.uint8),
        "scale": np.full(np.shape(points) if len(points) > 1 else (), 0.1, np.float32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["wd"], axis=0),
        helper.make_node("Conv", ["x", "wd"], ["y"]),
    ]

    cost = cost_of_model(a_model(nodes, weights))

    assert cost.dead_macs == cost.macs / 4
    assert cost.weight_bytes == 32


def test_weights_may_be_constants_of_a_node_and_reshaped_ones_hide_their_filters() -> (
    None
):
    stored = numpy_helper.from_array(np.zeros((8, 8), dtype=np.float32))
    nodes = [
        helper.make_node("Constant", [], ["flat"], value=stored),
        helper.make_node("Reshape", ["flat", "shape"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["y"]),
    ]

    cost = cost_of_model(a_model(nodes, {"shape": np.array([8, 8, 1, 1])}))

    assert cost.weight_bytes == 256
    assert cost.macs == 16 * 64
    assert cost.dead_macs == 0


def test_four_bit_weights_take_half_a_byte() -> None:
    model = a_model([helper.make_node("Conv", ["x", "w"], ["y"])], {})
    packed = helper.make_tensor("w", TensorProto.INT4, [3, 8, 1, 1], [0] * 24)
    model.graph.initializer.append(packed)

    cost = cost_of_model(model)

    assert cost.weight_bytes == 12
    assert cost.dead_macs == 0


@pytest.mark.parametrize("operator", ["Conv", "MatMul", "GRU"])
def test_products_behind_an_unknown_shape_are_not_guessed(operator: str) -> None:
    nodes = [
        helper.make_node("Odd", ["x"], ["a"], domain="x.y"),
        helper.make_node(
            operator, ["a", "w", "w"][: 3 if operator == "GRU" else 2], ["y"]
        ),
    ]
    model = a_model(nodes, {"w": floats(8, 8, 1, 1)})
    model.opset_import.append(helper.make_opsetid("x.y", 1))

    cost = cost_of_model(model)

    assert cost.macs == 0
    assert len(cost.unknown_shapes) == 2


def test_half_of_the_trained_visual_wake_word_network_is_dead() -> None:
    path = CONVERTED / "vww01_int8_qdq.onnx"
    if not path.is_file():
        pytest.skip("the trained network is not beside this checkout")

    cost = cost_of_file(path)

    assert cost.macs - cost.dead_macs == pytest.approx(3.742e6, rel=1e-3)


@given(
    channels=st.integers(1, 5),
    filters=st.integers(1, 5),
    size=st.integers(3, 6),
    batch=st.integers(1, 3),
)
def test_products_of_a_convolution_are_those_of_its_loops(
    channels: int, filters: int, size: int, batch: int
) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2])
    model = a_model(
        [node], {"w": floats(filters, channels, 3, 3)}, x=(batch, channels, size, size)
    )

    counted = sum(
        channels * 9
        for _ in range(batch * filters)
        for _row in range(0, size - 2, 2)
        for _column in range(0, size - 2, 2)
    )
    assert cost_of_model(model).macs == counted

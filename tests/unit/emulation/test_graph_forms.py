"""Graphs as they come: quantised operators, four bits, control flow, fusions."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from networks import NETWORKS
from onnx import TensorProto, helper, numpy_helper

from harness.emulation.graph_cost import GraphCost, cost_of_model
from harness.emulation.operators import OperatorClass

F = TensorProto.FLOAT


def value(
    name: str, shape: Sequence[int | str] | None, kind: int = F
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def stored(
    name: str, shape: Sequence[int], kind: type[np.generic] = np.float32
) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(shape, dtype=kind), name)


def constant(name: str, content: object) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(content), name)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[onnx.TensorProto] = (),
    output: str = "y",
    kind: int = F,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes), "g", list(inputs), [value(output, None, kind)], list(weights)
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=domains)


@pytest.mark.parametrize("name", NETWORKS)
def test_standard_networks_have_their_published_products(name: str) -> None:
    draw, published = NETWORKS[name]

    cost = cost_of_model(draw())

    assert cost.macs == pytest.approx(published, rel=0.01)
    assert cost.unknown_shapes == ()


def quantised_operators() -> onnx.ModelProto:
    scales = ["s", "z"]
    nodes = [
        helper.make_node("QLinearConv", ["x", *scales, "w", *scales, *scales], ["a"]),
        helper.make_node(
            "QLinearAdd",
            ["a", *scales, "a", *scales, *scales],
            ["b"],
            domain="com.microsoft",
        ),
        helper.make_node(
            "QLinearGlobalAveragePool",
            ["b", *scales, *scales],
            ["c"],
            domain="com.microsoft",
        ),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node(
            "QGemm", ["d", *scales, "v", *scales], ["y"], domain="com.microsoft"
        ),
    ]
    weights = [
        constant("s", np.float32(0.1)),
        constant("z", np.int8(0)),
        stored("w", (6, 8, 3, 3), np.int8),
        stored("v", (6, 10), np.int8),
    ]
    inputs = [value("x", [1, 8, 5, 5], TensorProto.INT8)]
    return model_of(nodes, inputs, weights, kind=TensorProto.INT8)


def test_quantised_operators_are_counted_through_to_the_last() -> None:
    cost = cost_of_model(quantised_operators())

    assert cost.macs == 9 * 6 * 8 * 9 + 6 * 10
    assert cost.unknown_operators == ()
    assert cost.unknown_shapes == ()
    assert cost.wide_macs == 0


def test_four_bit_products_count_all_their_weights_at_half_a_byte() -> None:
    node = helper.make_node(
        "MatMulNBits",
        ["x", "w", "scales"],
        ["y"],
        domain="com.microsoft",
        K=64,
        N=48,
        bits=4,
        block_size=32,
    )
    weights = [stored("w", (48, 2, 16), np.uint8), stored("scales", (96,))]

    cost = cost_of_model(model_of([node], [value("x", [1, 7, 64])], weights))

    assert cost.macs == 7 * 64 * 48
    assert cost.weight_bytes == 64 * 48 // 2 + 96 * 4
    assert cost.nodes[0].output_bytes == 7 * 48 * 4
    assert cost.wide_macs == cost.macs


def test_grouped_attention_multiplies_with_all_keys_of_its_cache() -> None:
    node = helper.make_node(
        "GroupQueryAttention",
        ["q", "k", "v", "pk", "pv", "len", "total"],
        ["y", "nk", "nv"],
        domain="com.microsoft",
        num_heads=4,
        kv_num_heads=2,
    )
    inputs = [
        value("q", [1, 3, 64]),
        value("k", [1, 3, 32]),
        value("v", [1, 3, 32]),
        value("pk", [1, 2, 10, 16]),
        value("pv", [1, 2, 10, 16]),
    ]
    lengths = [constant("len", np.int32([12])), constant("total", np.int32(13))]

    cost = cost_of_model(model_of([node], inputs, lengths))

    assert cost.macs == 2 * 3 * (3 + 10) * 64


def test_half_precision_takes_two_bytes_and_is_wide() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    weights = [stored("w", (4, 8, 1, 1), np.float16)]
    inputs = [value("x", [1, 8, 3, 3], TensorProto.FLOAT16)]

    cost = cost_of_model(model_of([node], inputs, weights, kind=TensorProto.FLOAT16))

    assert cost.weight_bytes == 64
    assert cost.activation_bytes == 2 * 9 * (8 + 4)
    assert cost.wide_macs == cost.macs


def test_an_einsum_multiplies_over_all_of_its_indices() -> None:
    node = helper.make_node("Einsum", ["x", "z"], ["y"], equation="bij,bjk->bik")
    inputs = [value("x", [2, 3, 4]), value("z", [2, 4, 5])]

    assert cost_of_model(model_of([node], inputs)).macs == 2 * 3 * 4 * 5


def dense(of: str, to: str) -> onnx.NodeProto:
    return helper.make_node("MatMul", [of, "w"], [to])


def loop(
    trips: Sequence[onnx.TensorProto], inputs: Sequence[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["c2"]),
            dense("s", "s2"),
            helper.make_node("Relu", ["s2"], ["s3"]),
            helper.make_node("Identity", ["s3"], ["each"]),
        ],
        "body",
        [value("i", [], TensorProto.INT64), value("c", [], 9), value("s", None)],
        [value("c2", [], 9), value("s3", None), value("each", None)],
    )
    nodes = [
        helper.make_node("Loop", ["n", "k", "x"], ["last", "all"], body=body),
        helper.make_node("Relu", ["all"], ["y"]),
    ]
    weights = [stored("w", (8, 8)), constant("k", np.bool_(1)), *trips]
    return model_of(nodes, [value("x", [1, 8]), *inputs], weights)


def test_a_loop_costs_its_body_as_often_as_it_runs() -> None:
    cost = cost_of_model(loop([constant("n", np.int64(5))], []))

    (inner, outer) = cost.nodes
    assert inner.operator == "MatMul"
    assert inner.repeats == 5
    assert cost.macs == 5 * 64
    # the weights, the number of trips and the condition
    assert cost.weight_bytes == 64 * 4 + 8 + 1
    assert outer.input_bytes == 5 * 8 * 4
    assert cost.kernels == 6


def test_a_loop_of_unknown_length_is_counted_once_and_said() -> None:
    cost = cost_of_model(loop([], [value("n", [], TensorProto.INT64)]))

    assert cost.macs == 64
    assert any("Loop" in name for name in cost.unknown_shapes)


def branch(
    condition: Sequence[onnx.TensorProto], inputs: Sequence[onnx.ValueInfoProto]
) -> GraphCost:
    heavy = helper.make_graph([dense("x", "t")], "then", [], [value("t", None)])
    light = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["e"])], "else", [], [value("e", None)]
    )
    node = helper.make_node("If", ["if"], ["b"], then_branch=heavy, else_branch=light)
    model = model_of(
        [node, helper.make_node("Relu", ["b"], ["y"])],
        [value("x", [1, 8]), *inputs],
        [stored("w", (8, 8)), *condition],
    )
    return cost_of_model(model)


def test_of_a_branch_the_dearer_side_is_costed() -> None:
    cost = branch([], [value("if", [], TensorProto.BOOL)])

    assert cost.macs == 64
    assert cost.nodes[-1].input_bytes == 32


def test_of_a_branch_whose_condition_is_known_only_that_side_is_costed() -> None:
    cost = branch([constant("if", np.bool_(0))], [])

    assert cost.macs == 0
    assert cost.nodes[0].operator == "Relu"


def test_a_scan_runs_once_for_each_slice() -> None:
    body = helper.make_graph(
        [dense("step", "m"), helper.make_node("Add", ["m", "s"], ["s2"])],
        "body",
        [value("s", None), value("step", None)],
        [value("s2", None)],
    )
    node = helper.make_node("Scan", ["s0", "x"], ["y"], body=body, num_scan_inputs=1)
    inputs = [value("s0", [1, 8]), value("x", [12, 1, 8])]

    cost = cost_of_model(model_of([node], inputs, [stored("w", (8, 8))]))

    assert cost.macs == 12 * 64


def layer_norm() -> list[onnx.NodeProto]:
    make = helper.make_node
    return [
        make("ReduceMean", ["a"], ["mean"], axes=[-1]),
        make("Sub", ["a", "mean"], ["d"]),
        make("Pow", ["d", "two"], ["sq"]),
        make("ReduceMean", ["sq"], ["var"], axes=[-1]),
        make("Add", ["var", "eps"], ["v2"]),
        make("Sqrt", ["v2"], ["sd"]),
        make("Div", ["d", "sd"], ["n"]),
        make("Mul", ["n", "gain"], ["g"]),
        make("Add", ["g", "bias"], ["normed"]),
    ]


def gelu(of: str, to: str) -> list[onnx.NodeProto]:
    make = helper.make_node
    return [
        make("Div", [of, "root2"], ["g1"]),
        make("Erf", ["g1"], ["g2"]),
        make("Add", ["g2", "one"], ["g3"]),
        make("Mul", [of, "g3"], ["g4"]),
        make("Mul", ["g4", "half"], [to]),
    ]


def test_a_transformer_block_written_out_is_fused_as_runtimes_fuse_it() -> None:
    nodes = [
        dense("x", "a"),
        *layer_norm(),
        dense("normed", "m"),
        *gelu("m", "act"),
        helper.make_node("Add", ["act", "a"], ["y"]),
    ]
    numbers = ["two", "eps", "root2", "one", "half"]
    weights = [
        stored("w", (8, 8)),
        stored("gain", (8,)),
        stored("bias", (8,)),
        *(constant(name, np.float32(1)) for name in numbers),
    ]

    cost = cost_of_model(model_of(nodes, [value("x", [1, 4, 8])], weights))

    size = 4 * 8 * 4
    assert [str(node.operator_class) for node in cost.nodes] == [
        "matmul",
        "normalisation",
        "matmul",
    ]
    assert [node.input_bytes for node in cost.nodes] == [size, size, 2 * size]
    assert cost.nodes[2].fused == ("Div", "Erf", "Add", "Mul", "Mul", "Add")


@pytest.mark.parametrize("is_quantised", [False, True])
def test_swish_fuses_behind_the_convolution_before_it(*, is_quantised: bool) -> None:
    make = helper.make_node
    of = "c"
    nodes = [make("Conv", ["x", "w"], ["c"])]
    if is_quantised:
        nodes += [
            make("QuantizeLinear", ["c", "s", "z"], ["q"]),
            make("DequantizeLinear", ["q", "s", "z"], ["f"]),
        ]
        of = "f"
    nodes += [make("Sigmoid", [of], ["g"]), make("Mul", [of, "g"], ["y"])]
    weights = [
        stored("w", (8, 8, 1, 1)),
        constant("s", np.float32(0.1)),
        constant("z", np.int8(0)),
    ]

    cost = cost_of_model(model_of(nodes, [value("x", [1, 8, 4, 4])], weights))

    (node,) = cost.nodes
    assert node.operator_class is OperatorClass.POINTWISE
    assert node.fused == ("Sigmoid", "Mul")
    assert node.input_bytes == 8 * 16 * 4


def test_axes_of_one_name_get_one_length_from_the_input_that_is_given() -> None:
    nodes = [helper.make_node("Add", ["x", "z"], ["a"]), dense("a", "y")]
    inputs = [value("x", ["N", "T", 8]), value("z", ["N", "T", 8])]
    model = model_of(nodes, inputs, [stored("w", (8, 8))])

    given = cost_of_model(model, {"x": (1, 6, 8)})

    assert given.macs == 6 * 64
    assert given.open_inputs == ()
    assert cost_of_model(model).open_inputs == ("x", "z")


def test_shapes_that_a_graph_computes_from_shapes_are_followed() -> None:
    make = helper.make_node
    nodes = [
        make("Shape", ["x"], ["shape"]),
        make("Gather", ["shape", "last"], ["width"]),
        make("Mul", ["width", "two"], ["wide"]),
        make("Div", ["wide", "two"], ["back"]),
        make("Concat", ["minus", "back"], ["target"], axis=0),
        make("Reshape", ["x", "target"], ["flat"]),
        dense("flat", "y"),
    ]
    weights = [
        constant("last", np.int64([2])),
        constant("two", np.int64([2])),
        constant("minus", np.int64([-1])),
        stored("w", (8, 8)),
    ]

    cost = cost_of_model(model_of(nodes, [value("x", [2, 3, 8])], weights))

    assert cost.macs == 6 * 64
    assert cost.unknown_shapes == ()


def test_a_product_that_lacks_an_operand_is_costed_by_bytes() -> None:
    node = helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft")

    cost = cost_of_model(model_of([node], [value("x", [1, 8, 4, 4])]))

    assert cost.macs == 0
    assert cost.unknown_operators == ("FusedConv",)

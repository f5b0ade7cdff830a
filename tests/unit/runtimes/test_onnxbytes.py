"""The hand-written ONNX bytes, held against the onnx package."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from harness.errors import ModelRejected
from harness.runtimes.onnxbytes import ELEMENT_TYPES, count_operators, identity_model


@given(
    st.sampled_from(sorted(set(ELEMENT_TYPES) - {"str"})),
    st.lists(st.integers(0, 100_000), max_size=5),
)
def test_the_identity_model_is_what_the_onnx_package_reads(
    dtype: str, shape: list[int]
) -> None:
    data = identity_model([("x 输入", dtype, tuple(shape)), ("y", "int64", (3,))])

    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    first = model.graph.input[0]
    assert [node.op_type for node in model.graph.node] == ["Identity", "Identity"]
    assert first.name == "x 输入"
    assert [d.dim_value for d in first.type.tensor_type.shape.dim] == shape
    assert (
        helper.tensor_dtype_to_np_dtype(first.type.tensor_type.elem_type).name == dtype
    )


def test_a_type_that_onnx_lacks_is_refused() -> None:
    with pytest.raises(ModelRejected, match="no tensors of complex64") as caught:
        identity_model([("x", "complex64", (1,))])

    assert "float32" in caught.value.remedy


def test_operators_are_counted_in_subgraphs_too() -> None:
    branch = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["z"])],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [2])],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("Neg", ["r"], ["n"]),
            helper.make_node(
                "If", ["c"], ["y"], then_branch=branch, else_branch=branch
            ),
        ],
        "main",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    data = helper.make_model(graph).SerializeToString()

    counts = count_operators(data)

    assert counts == {"Relu": 1, "Neg": 3, "If": 1}


@pytest.mark.parametrize(
    "data",
    [b"\x3a\xff\xff\xff\xff\x0f", b"\x3a", b"\x07\x00", b"\x3a\x02\x0a\xff"],
)
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(ModelRejected, match="cannot be read"):
        count_operators(data)

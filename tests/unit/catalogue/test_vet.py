import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from harness.catalogue.describe import describe
from harness.catalogue.vet import PROTOBUF_LIMIT_BYTES, vet
from harness.errors import HarnessError, ModelRejected

Make = Callable[..., onnx.ModelProto]
Save = Callable[..., Path]


def refusal_of(path: Path) -> ModelRejected:
    with pytest.raises(ModelRejected) as refusal:
        vet(path)
    assert str(path) in refusal.value.where
    return refusal.value


def branches(node: onnx.NodeProto) -> onnx.NodeProto:
    """Give an If node whose branches each hold the node given."""
    output = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "branch", [], [output])
    return helper.make_node(
        "If", ["c"], ["y"], name="choice", then_branch=graph, else_branch=graph
    )


def test_a_plain_model_passes(make_model: Make, save_model: Save) -> None:
    vet(save_model(make_model()))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    refusal = refusal_of(tmp_path / "none.onnx")

    assert "No such file" in refusal.what


def test_a_folder_is_not_a_model(tmp_path: Path) -> None:
    assert "folder" in refusal_of(tmp_path).what


def test_a_pipe_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "pipe.onnx"
    os.mkfifo(path)

    assert "not an ordinary file" in refusal_of(path).what


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"PK\x03\x04" + bytes(40), "zip archive"),
        (b"\x1f\x8b" + bytes(40), "gzip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(40), "TensorFlow Lite"),
        (b"\x1c\x00\x00\x00ORTM" + bytes(40), ".ort"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!DOCTYPE html><title>404</title>", "text file"),
        ("模型在别处\n".encode() * 200, "text file"),
        (b"\xff\xfe\x00\x01" * 20, "not an ONNX model"),
        (bytes(1000), "not an ONNX model"),
        # a TensorFlow graph: protobuf, but field 1 is a message
        (b"\x0a\x04\x0a\x02ab", "not an ONNX model"),
        # ir_version and nothing else
        (b"\x08\x08", "no graph"),
    ],
)
def test_a_file_that_is_not_onnx_is_called_what_it_is(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    refusal = refusal_of(path)

    assert said in refusal.what
    assert refusal.remedy


def test_a_truncated_file_says_how_much_is_missing(
    make_model: Make, save_model: Save
) -> None:
    weight = numpy_helper.from_array(np.zeros((4, 100), np.float32), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = save_model(make_model([node], weights=[weight]))
    whole = path.read_bytes()

    path.write_bytes(whole[: len(whole) // 2])

    assert "truncated" in refusal_of(path).what


def test_a_file_cut_after_its_graph_is_refused(
    make_model: Make, save_model: Save
) -> None:
    model = make_model()
    del model.opset_import[:]

    refusal = refusal_of(save_model(model))

    assert "no operator set for 'ai.onnx'" in refusal.what
    assert "truncated" in refusal.remedy


def test_a_file_beyond_the_protobuf_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(PROTOBUF_LIMIT_BYTES + 1)

    refusal = refusal_of(path)

    assert str(PROTOBUF_LIMIT_BYTES) in refusal.what
    assert "external data" in refusal.remedy


def test_an_empty_graph_is_refused(make_model: Make, save_model: Save) -> None:
    model = make_model()
    del model.graph.node[:]
    del model.graph.output[:]

    assert "empty" in refusal_of(save_model(model)).what


def test_a_graph_without_outputs_is_refused(make_model: Make, save_model: Save) -> None:
    model = make_model()
    del model.graph.output[:]

    assert "no output" in refusal_of(save_model(model)).what


def test_an_output_that_nothing_gives_is_refused(
    make_model: Make, save_model: Save
) -> None:
    path = save_model(make_model(outputs={"z": (TensorProto.FLOAT, [1])}))

    assert "its output 'z'" in refusal_of(path).what


def test_a_loose_end_is_named(make_model: Make, save_model: Save) -> None:
    node = helper.make_node("Relu", ["nowhere"], ["y"], name="lost")

    refusal = refusal_of(save_model(make_model([node])))

    assert "'nowhere'" in refusal.what
    assert "node 'lost'" in refusal.what


def test_a_branch_may_read_what_the_outer_graph_gives(
    make_model: Make, save_model: Save
) -> None:
    inner = helper.make_node("Relu", ["x"], ["inner"])
    inputs = {"x": (TensorProto.FLOAT, [1]), "c": (TensorProto.BOOL, [])}

    vet(save_model(make_model([branches(inner)], inputs)))


def test_a_loose_end_inside_a_branch_is_found(
    make_model: Make, save_model: Save
) -> None:
    inner = helper.make_node("Relu", ["nowhere"], ["inner"])
    inputs = {"x": (TensorProto.FLOAT, [1]), "c": (TensorProto.BOOL, [])}

    refusal = refusal_of(save_model(make_model([branches(inner)], inputs)))

    assert "'nowhere'" in refusal.what


def test_nodes_need_not_be_in_order(make_model: Make, save_model: Save) -> None:
    nodes = [
        helper.make_node("Relu", ["h"], ["y"]),
        helper.make_node("Relu", ["x"], ["h"]),
    ]

    vet(save_model(make_model(nodes)))


def test_an_opset_of_the_future_is_refused(make_model: Make, save_model: Save) -> None:
    refusal = refusal_of(save_model(make_model(opsets={"": 999})))

    assert "opset 999 of 'ai.onnx'" in refusal.what
    assert "opset_version" in refusal.remedy


def test_a_file_format_of_the_future_is_refused(
    make_model: Make, save_model: Save
) -> None:
    model = make_model()
    model.ir_version = 999

    assert "format version 999" in refusal_of(save_model(model)).what


def test_an_unknown_operator_is_named_with_node_domain_and_opset(
    make_model: Make, save_model: Save
) -> None:
    node = helper.make_node("Sparkle", ["x"], ["y"], name="n7")

    sentence = refusal_of(save_model(make_model([node]))).sentence()

    for part in ("Sparkle", "'n7'", "ai.onnx", "Opset 13"):
        assert part in sentence


def test_an_operator_that_came_with_a_later_opset_is_refused(
    make_model: Make, save_model: Save
) -> None:
    node = helper.make_node("Gelu", ["x"], ["y"])

    assert "Gelu" in refusal_of(save_model(make_model([node]))).what


def test_an_unknown_domain_is_named(make_model: Make, save_model: Save) -> None:
    node = helper.make_node("Quant", ["x"], ["y"], domain="ai.acme")
    model = make_model([node], opsets={"": 13, "ai.acme": 2})

    sentence = refusal_of(save_model(model)).sentence()

    for part in ("ai.acme", "opset 2", "Quant", "gives 'y'"):
        assert part in sentence


@pytest.mark.parametrize(
    ("domain", "library"),
    [("onnx.brevitas", "Brevitas"), ("ai.onnx.contrib", "onnxruntime-extensions")],
)
def test_a_domain_of_a_known_library_is_refused_with_its_name(
    make_model: Make, save_model: Save, domain: str, library: str
) -> None:
    node = helper.make_node("Quant", ["x"], ["y"], domain=domain)
    model = make_model([node], opsets={"": 13, domain: 2})

    sentence = refusal_of(save_model(model)).sentence()

    assert f"'{domain}' is that of {library}" in sentence
    assert f"Export the model without {library}" in sentence


def test_a_graph_that_a_provider_compiled_is_refused_wherever_it_lies(
    make_model: Make, save_model: Save
) -> None:
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft")
    model = make_model([node], opsets={"": 13, "com.microsoft": 1})

    sentence = refusal_of(save_model(model)).sentence()

    assert "compiled for a provider that it does not name" in sentence


def test_an_unknown_operator_hidden_in_a_branch_is_found(
    make_model: Make, save_model: Save
) -> None:
    inner = helper.make_node("Sparkle", ["x"], ["inner"])
    inputs = {"x": (TensorProto.FLOAT, [1]), "c": (TensorProto.BOOL, [])}

    refusal = refusal_of(save_model(make_model([branches(inner)], inputs)))

    assert "Sparkle" in refusal.what


def test_an_operator_that_was_taken_out_is_refused(
    make_model: Make, save_model: Save
) -> None:
    scales = numpy_helper.from_array(np.ones(2, np.float32), "s")
    node = helper.make_node("Upsample", ["x", "s"], ["y"])

    refusal = refusal_of(save_model(make_model([node], weights=[scales])))

    assert "taken out" in refusal.what


def test_a_node_without_its_inputs_is_refused(
    make_model: Make, save_model: Save
) -> None:
    node = helper.make_node("DequantizeLinear", [], ["y"], name="bare")

    assert "node 'bare'" in refusal_of(save_model(make_model([node]))).what


def test_domains_that_no_node_uses_do_not_matter(
    make_model: Make, save_model: Save
) -> None:
    opsets = {"": 13, "org.pytorch.aten": 1, "ai.onnx.training": 1, "no.such": 7}

    vet(save_model(make_model(opsets=opsets)))


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("FastGelu", ["x"], ["y"], domain="com.microsoft"),
        helper.make_node("SimplifiedLayerNormalization", ["x", "x"], ["y"]),
        helper.make_node("Relu", ["x"], ["y"], domain="ai.onnx"),
    ],
)
def test_what_the_runtime_runs_though_the_checker_does_not_passes(
    make_model: Make, save_model: Save, node: onnx.NodeProto
) -> None:
    vet(save_model(make_model([node])))


def test_a_model_may_bring_its_own_function(make_model: Make, save_model: Save) -> None:
    opset = helper.make_opsetid("", 13)
    body = [helper.make_node("Relu", ["a"], ["b"])]
    function = helper.make_function("own", "Twice", ["a"], ["b"], body, [opset])
    node = helper.make_node("Twice", ["x"], ["y"], domain="own")
    model = make_model([node], opsets={"": 13, "own": 1}, functions=[function])

    vet(save_model(model))


@pytest.mark.parametrize(
    "change",
    [
        {"dims": [4, 1000], "raw_data": bytes(16)},
        {"dims": [-1, 4], "raw_data": bytes(16)},
        {"dims": [2**40, 2**40], "raw_data": bytes(16)},
        {"dims": [4], "float_data": [1.0]},
        {"dims": [4]},
    ],
)
def test_a_tensor_that_promises_more_than_it_holds_is_refused(
    make_model: Make, save_model: Save, change: dict[str, Any]
) -> None:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, **change)
    node = helper.make_node("Add", ["x", "w"], ["y"])

    refusal = refusal_of(save_model(make_model([node], weights=[weight])))

    assert "Tensor 'w'" in refusal.what


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_file_with_flipped_bytes_is_described_or_refused_in_a_sentence(
    make_model: Make, save_model: Save, data: st.DataObject
) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    scale = numpy_helper.from_array(np.array(0.1, np.float32), "s")
    zero = numpy_helper.from_array(np.array(3, np.int8), "z")
    path = save_model(make_model(nodes, weights=[scale, zero]))
    content = bytearray(path.read_bytes())
    last = len(content) - 1
    for place in data.draw(st.lists(st.integers(0, last), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)

    try:
        described = describe(path).size_bytes
    except HarnessError as error:
        described = len(content) if error.what else 0

    assert described == len(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        # a field of a length of 5, with one byte; a length cut in its middle;
        # a field of 32 bits, which no model has
        (b"\x08\x08\x3a\x05\x0a", "ends 4 bytes too early"),
        (b"\x08\x08\x3a\x85", "truncated"),
        (b"\x08\x08\x3d\x00\x00", "damaged"),
    ],
)
def test_a_cut_field_is_told_from_a_wrong_one(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    assert said in refusal_of(path).what


def test_a_name_that_is_not_text_is_refused(make_model: Make, save_model: Save) -> None:
    path = save_model(make_model())
    path.write_bytes(path.read_bytes().replace(b"Relu", b"Re\xfflu"[:4]))

    assert "not UTF-8" in refusal_of(path).what


def test_an_unknown_operator_inside_a_branch_of_a_function_is_found(
    make_model: Make, save_model: Save
) -> None:
    choice = branches(helper.make_node("Sparkle", ["a"], ["inner"]))
    opset = helper.make_opsetid("", 13)
    function = helper.make_function(
        "own", "Choose", ["a", "c"], ["y"], [choice], [opset]
    )
    node = helper.make_node("Choose", ["x", "x"], ["y"], domain="own")
    model = make_model([node], opsets={"": 13, "own": 1}, functions=[function])

    assert "Sparkle" in refusal_of(save_model(model)).what


def test_a_sparse_weight_is_something_that_the_graph_gives(
    make_model: Make, save_model: Save
) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    node = helper.make_node("Add", ["x", "w"], ["y"])
    model = make_model([node])
    sparse = helper.make_sparse_tensor(values, indices, [4])
    model.graph.sparse_initializer.append(sparse)

    path = save_model(model)
    vet(path)

    assert [one.name for one in describe(path).inputs] == ["x"]

"""A model file taken apart: what it holds, whether or not it could be run."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from harness.catalogue.anatomy import take_apart
from harness.errors import ModelRejected


def saved(
    folder: Path, nodes: list, inputs: list, outputs: list, **more: object
) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, outputs, more.get("initializer", []))
    opsets = [helper.make_opsetid("", 17)]
    opsets += [helper.make_opsetid(d, 1) for d in more.get("domains", [])]
    path = folder / "model.onnx"
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def value(name: str, kind: int, dims: list) -> object:
    return helper.make_tensor_value_info(name, kind, dims)


def test_free_dimensions_stay_free_and_are_named(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        [helper.make_node("Neg", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, ["N", 3, None, "width"])],
        [value("y", TensorProto.FLOAT, ["N", 3, None, "width"])],
    )

    found = take_apart(path)

    assert found.inputs[0].dims == ("N", 3, "?", "width")
    assert found.free_dims == ("N", "x[2]", "width")
    assert found.operators == {"Neg": 1}
    assert found.opsets == {"ai.onnx": 17}
    assert found.quantisation_kinds == ()


def test_text_inputs_are_shown_and_not_refused(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        [helper.make_node("Identity", ["s"], ["t"])],
        [value("s", TensorProto.STRING, [1])],
        [value("t", TensorProto.STRING, [1])],
    )

    assert take_apart(path).inputs[0].form == "string"


def test_domains_that_no_node_uses_are_not_listed(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")],
        [value("x", TensorProto.FLOAT, [3])],
        [value("y", TensorProto.FLOAT, [3])],
        domains=["com.microsoft", "org.pytorch.aten"],
    )

    found = take_apart(path)

    assert found.opsets == {"com.microsoft": 1}
    assert found.operators == {"com.microsoft:Gelu": 1}


def test_two_ways_of_quantising_are_both_named(tmp_path: Path) -> None:
    int8 = numpy_helper.from_array(np.ones((4, 4), np.int8), "w8")
    half = numpy_helper.from_array(np.ones((4, 4), np.float16), "w16")
    scale = numpy_helper.from_array(np.array(0.1, np.float32), "s")
    path = saved(
        tmp_path,
        [
            helper.make_node("DequantizeLinear", ["w8", "s"], ["w"]),
            helper.make_node("MatMul", ["x", "w"], ["h"]),
            helper.make_node("Cast", ["h"], ["h16"], to=TensorProto.FLOAT16),
            helper.make_node("MatMul", ["h16", "w16"], ["y"]),
        ],
        [value("x", TensorProto.FLOAT, [1, 4])],
        [value("y", TensorProto.FLOAT16, [1, 4])],
        initializer=[int8, half, scale],
    )

    assert take_apart(path).quantisation_kinds == ("QDQ weights only", "fp16")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"PK\x03\x04")

    with pytest.raises(ModelRejected, match="zip archive"):
        take_apart(path)

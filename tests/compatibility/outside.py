"""Small models with something that cannot be fed, read or found."""

from pathlib import Path

import onnx
from onnx import helper
from operators import conv
from parts import (
    FLOAT,
    INT64,
    ML,
    MS,
    STRING,
    Ports,
    model,
    node,
    weights,
)


def external(folder: Path) -> Path:
    made = model(
        [node("MatMul", "x w", "y")],
        {"x": (FLOAT, ["N", 64])},
        {"y": (FLOAT, ["N", 64])},
        [weights("w", 64, 64)],
    )
    path = folder / "model.onnx"
    onnx.save(
        made, str(path), save_as_external_data=True, location="w.bin", size_threshold=0
    )
    return path


def escaping(folder: Path) -> Path:
    inside = folder / "inside"
    inside.mkdir()
    path = external(inside)
    made = onnx.load(str(path), load_external_data=False)
    made.graph.initializer[0].external_data[0].value = "../w.bin"
    (inside / "w.bin").rename(folder / "w.bin")
    path.write_bytes(made.SerializeToString())
    return path


def classifier(*, has_label: bool) -> onnx.ModelProto:
    """As skl2onnx writes a logistic regression, ZipMap and all."""
    graph = helper.make_graph(
        [
            node(
                "LinearClassifier",
                "x",
                "label scores",
                domain=ML,
                classlabels_ints=[0, 1, 2],
                coefficients=[0.1 * k for k in range(12)],
                intercepts=[0.0, 0.1, 0.2],
                post_transform="SOFTMAX",
            ),
            node("ZipMap", "scores", "maps", domain=ML, classlabels_int64s=[0, 1, 2]),
        ],
        "g",
        [helper.make_tensor_value_info("x", FLOAT, [None, 4])],
        [helper.make_tensor_value_info("label", INT64, [None])] * has_label
        + [
            helper.make_value_info(
                "maps",
                helper.make_sequence_type_proto(
                    helper.make_map_type_proto(
                        INT64, helper.make_tensor_type_proto(FLOAT, [])
                    )
                ),
            )
        ],
    )
    imports = [helper.make_opsetid("", 13), helper.make_opsetid(ML, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def text() -> onnx.ModelProto:
    return model(
        [
            node(
                "LabelEncoder",
                "words",
                "ids",
                domain=ML,
                keys_strings=[f"word{n}" for n in range(1000)],
                values_int64s=list(range(1000)),
            )
        ],
        {"words": (STRING, [1, 6])},
        {"ids": (INT64, [1, 6])},
        domains=[ML],
    )


def text_out() -> onnx.ModelProto:
    ports: Ports = {"x": (FLOAT, [1, 4])}
    return model([node("Cast", "x", "y", to=STRING)], ports, {"y": (STRING, [1, 4])})


def sequence() -> onnx.ModelProto:
    made = model(
        [node("SplitToSequence", "x", "parts"), node("Neg", "x", "y")],
        {"x": (FLOAT, [4, 2])},
        {"y": (FLOAT, [4, 2])},
    )
    parts = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    made.graph.output.append(helper.make_value_info("parts", parts))
    return made


def sequence_in() -> onnx.ModelProto:
    made = model(
        [node("ConcatFromSequence", "parts", "y", axis=0)],
        {},
        {"y": (FLOAT, [None, 2])},
    )
    parts = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    made.graph.input.append(helper.make_value_info("parts", parts))
    return made


def foreign() -> onnx.ModelProto:
    ports: Ports = {"x": (FLOAT, [1, 8])}
    nodes = [node("Quant", "x", "y", domain="onnx.brevitas")]
    return model(nodes, ports, {"y": (FLOAT, [1, 8])}, domains=["onnx.brevitas"])


def compiled() -> onnx.ModelProto:
    """As onnxruntime writes what a provider has compiled."""
    ports: Ports = {"x": (FLOAT, [1, 8])}
    how = {"embed_mode": 0, "ep_cache_context": "model.bin", "source": "QNN"}
    nodes = [node("EPContext", "x", "y", domain=MS, **how)]
    return model(nodes, ports, {"y": (FLOAT, [1, 8])}, domains=[MS])


def extended() -> onnx.ModelProto:
    name = "ai.onnx.contrib"
    ports: Ports = {"x": (STRING, [1])}
    nodes = [node("BertTokenizer", "x", "y", domain=name)]
    return model(nodes, ports, {"y": (INT64, [None])}, domains=[name])


def not_finite() -> onnx.ModelProto:
    ports: Ports = {"x": (FLOAT, [1, 8])}
    nodes = [node("Neg", "x", "n"), node("Log", "n", "y")]
    return model(nodes, ports, {"y": (FLOAT, [1, 8])})


def truncated(folder: Path) -> Path:
    path = folder / "model.onnx"
    data = conv(13).SerializeToString()
    path.write_bytes(data[: len(data) // 2])
    return path

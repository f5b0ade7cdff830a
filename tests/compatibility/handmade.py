"""Small models of every kind, made by onnx.helper alone: the corpus of compatibility.

Nothing of the product is used here, so that a file is what the format says and not
what the product thinks of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64
INT8, UINT8, BOOL = TensorProto.INT8, TensorProto.UINT8, TensorProto.BOOL
STRING = TensorProto.STRING
MS, ML = "com.microsoft", "ai.onnx.ml"
Nodes = Sequence[onnx.NodeProto]
Ports = dict[str, tuple[int, Sequence[int | str | None]]]
Build = Callable[[Path], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A file, and what a user would add on the command line."""

    name: str
    what: str
    build: Build
    shapes: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()


def node(
    operator: str,
    inputs: str,
    outputs: str,
    **attributes: Any,  # noqa: ANN401 - handed to onnx
) -> onnx.NodeProto:
    """Make a node; names are parted by spaces, ``-`` stands for one left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(operator, names, outputs.split(), **attributes)


def weights(name: str, *shape: int, kind: type = np.float32) -> onnx.TensorProto:
    draw = np.random.default_rng(len(name) + sum(shape))
    if np.issubdtype(kind, np.floating):
        return numpy_helper.from_array(draw.normal(0, 0.3, shape).astype(kind), name)
    low, high = np.iinfo(kind).min // 2, np.iinfo(kind).max // 2
    return numpy_helper.from_array(draw.integers(low, high, shape).astype(kind), name)


def constant(name: str, values: object, kind: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, kind), name)


def model(  # noqa: PLR0913 - the parts of a model
    nodes: Nodes,
    inputs: Ports,
    outputs: Ports,
    initializers: Sequence[onnx.TensorProto] = (),
    *,
    opset: int = 13,
    ir: int = 8,
    domains: Sequence[str] = (),
    are_inputs: bool = False,
) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(n, t, d) for n, (t, d) in inputs.items()]
    if are_inputs:  # as files of IR version 3 list them
        ports += [
            helper.make_tensor_value_info(t.name, t.data_type, t.dims)
            for t in initializers
        ]
    graph = helper.make_graph(
        nodes,
        "g",
        ports,
        [helper.make_tensor_value_info(n, t, d) for n, (t, d) in outputs.items()],
        list(initializers),
    )
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(name, 1 if name == MS else 3) for name in domains]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir)


def saving(make: Callable[[], onnx.ModelProto]) -> Build:
    def build(folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(make().SerializeToString())
        return path

    return build


def _conv(opset: int, ir: int = 8, *, are_inputs: bool = False) -> onnx.ModelProto:
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


def _unary(operator: str, opset: int, ir: int) -> onnx.ModelProto:
    ports: Ports = {"x": (FLOAT, ["N", 16])}
    out: Ports = {"y": (FLOAT, ["N", 16])}
    return model([node(operator, "x", "y")], ports, out, opset=opset, ir=ir)


def _loop() -> onnx.ModelProto:
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


def _if() -> onnx.ModelProto:
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


def _scan() -> onnx.ModelProto:
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


def _qdq(activation: type, weight: type, *, per_channel: bool) -> onnx.ModelProto:
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


def _qoperator() -> onnx.ModelProto:
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


def _dynamic() -> onnx.ModelProto:
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


def _nbits() -> onnx.ModelProto:
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


def _int4() -> onnx.ModelProto:
    four = helper.make_tensor("w", TensorProto.INT4, [8, 4], [1, -2, 3, -4] * 8)
    return model(
        [node("DequantizeLinear", "w s", "d", axis=0), node("MatMul", "x d", "y")],
        {"x": (FLOAT, ["N", 8])},
        {"y": (FLOAT, ["N", 4])},
        [four, constant("s", [0.1] * 8)],
        opset=21,
        ir=10,
    )


def _half(*, is_inside: bool) -> onnx.ModelProto:
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


def _external(folder: Path) -> Path:
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


def _escaping(folder: Path) -> Path:
    inside = folder / "inside"
    inside.mkdir()
    path = _external(inside)
    made = onnx.load(str(path), load_external_data=False)
    made.graph.initializer[0].external_data[0].value = "../w.bin"
    (inside / "w.bin").rename(folder / "w.bin")
    path.write_bytes(made.SerializeToString())
    return path


def _classifier(*, has_label: bool) -> onnx.ModelProto:
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


def _trees() -> onnx.ModelProto:
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


def _recurrent(operator: str) -> onnx.ModelProto:
    gates = {"LSTM": 4, "GRU": 3}[operator]
    states = "h0 c0" if operator == "LSTM" else "h0"
    nexts = "hn cn" if operator == "LSTM" else "hn"
    state: tuple[int, list[int | str | None]] = (FLOAT, [1, 1, 8])
    return model(
        [node(operator, f"x w r - - {states}", f"y {nexts}", hidden_size=8)],
        {"x": (FLOAT, [5, 1, 4]), **dict.fromkeys(states.split(), state)},
        {"y": (FLOAT, [5, 1, 1, 8]), **dict.fromkeys(nexts.split(), state)},
        [weights("w", 1, gates * 8, 4), weights("r", 1, gates * 8, 8)],
    )


def _cache() -> onnx.ModelProto:
    """A decoder's cache and nothing else: what is past, and what is new after it."""
    return model(
        [
            node("Gather", "table input_ids", "e"),
            node("Concat", "past_key e", "present_key", axis=1),
            node("ReduceMean", "present_key", "logits", axes=[1], keepdims=0),
        ],
        {
            "input_ids": (INT64, ["batch", "seq_len"]),
            "past_key": (FLOAT, ["batch", "past_len", 8]),
        },
        {
            "logits": (FLOAT, ["batch", 8]),
            "present_key": (FLOAT, ["batch", "total_len", 8]),
        },
        [weights("table", 50, 8)],
    )


def _tokens() -> onnx.ModelProto:
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


def _where() -> onnx.ModelProto:
    return model(
        [node("Where", "mask x zero", "y")],
        {"x": (FLOAT, ["N", 6]), "mask": (BOOL, ["N", 6])},
        {"y": (FLOAT, ["N", 6])},
        [constant("zero", 0.0)],
    )


def _text() -> onnx.ModelProto:
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


def _text_out() -> onnx.ModelProto:
    ports: Ports = {"x": (FLOAT, [1, 4])}
    return model([node("Cast", "x", "y", to=STRING)], ports, {"y": (STRING, [1, 4])})


def _reshape() -> onnx.ModelProto:
    return model(
        [node("Tile", "x repeats", "y")],
        {"x": (FLOAT, [1, 4]), "repeats": (INT64, [2])},
        {"y": (FLOAT, [None, None])},
    )


def _image() -> onnx.ModelProto:
    return model(
        [
            node("Cast", "pixels", "f", to=FLOAT),
            node("Transpose", "f", "t", perm=[0, 3, 1, 2]),
            node("GlobalAveragePool", "t", "y"),
        ],
        {"pixels": (UINT8, ["N", 16, 16, 3])},
        {"y": (FLOAT, ["N", 3, 1, 1])},
    )


def _free_size() -> onnx.ModelProto:
    return model(
        [node("GlobalAveragePool", "x", "y")],
        {"x": (FLOAT, ["batch", 3, "height", "width"])},
        {"y": (FLOAT, ["batch", 3, 1, 1])},
    )


def _scalar() -> onnx.ModelProto:
    return model(
        [node("Mul", "x factor", "y")],
        {"x": (FLOAT, [1, 4]), "factor": (FLOAT, [])},
        {"y": (FLOAT, [1, 4])},
    )


def _suppression() -> onnx.ModelProto:
    return model(
        [node("NonMaxSuppression", "boxes scores most iou", "picked")],
        {"boxes": (FLOAT, [1, 20, 4]), "scores": (FLOAT, [1, 2, 20])},
        {"picked": (INT64, [None, 3])},
        [constant("most", 5, np.int64), constant("iou", 0.5)],
    )


def _sequence() -> onnx.ModelProto:
    made = model(
        [node("SplitToSequence", "x", "parts"), node("Neg", "x", "y")],
        {"x": (FLOAT, [4, 2])},
        {"y": (FLOAT, [4, 2])},
    )
    parts = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    made.graph.output.append(helper.make_value_info("parts", parts))
    return made


def _sequence_in() -> onnx.ModelProto:
    made = model(
        [node("ConcatFromSequence", "parts", "y", axis=0)],
        {},
        {"y": (FLOAT, [None, 2])},
    )
    parts = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    made.graph.input.append(helper.make_value_info("parts", parts))
    return made


def _function() -> onnx.ModelProto:
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


def _constants() -> onnx.ModelProto:
    return model(
        [
            node("Constant", "", "w", value=weights("w", 8, 4)),
            node("MatMul", "x w", "y"),
        ],
        {"x": (FLOAT, ["N", 8])},
        {"y": (FLOAT, ["N", 4])},
    )


def _double() -> onnx.ModelProto:
    kind = TensorProto.DOUBLE
    ports: Ports = {"x": (kind, ["N", 8])}
    w = weights("w", 8, 4, kind=np.float64)
    return model([node("MatMul", "x w", "y")], ports, {"y": (kind, ["N", 4])}, [w])


def _brain() -> onnx.ModelProto:
    kind = TensorProto.BFLOAT16
    ports: Ports = {"x": (kind, [1, 8])}
    return model([node("Cast", "x", "y", to=FLOAT)], ports, {"y": (FLOAT, [1, 8])})


def _norm() -> onnx.ModelProto:
    return model(
        [node("RMSNormalization", "x s", "y", axis=-1)],
        {"x": (FLOAT, ["N", 16])},
        {"y": (FLOAT, ["N", 16])},
        [constant("s", [1.0] * 16)],
        opset=23,
        ir=11,
    )


def _layer_norm() -> onnx.ModelProto:
    return model(
        [node("LayerNormalization", "x s b", "y")],
        {"x": (FLOAT, ["N", 16])},
        {"y": (FLOAT, ["N", 16])},
        [constant("s", [1.0] * 16), constant("b", [0.0] * 16)],
        opset=17,
    )


def _slices() -> onnx.ModelProto:
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


def _contrib() -> onnx.ModelProto:
    ports: Ports = {"x": (FLOAT, ["N", 8])}
    nodes = [node("FastGelu", "x", "y", domain=MS)]
    return model(nodes, ports, {"y": (FLOAT, ["N", 8])}, domains=[MS])


def _foreign() -> onnx.ModelProto:
    ports: Ports = {"x": (FLOAT, [1, 8])}
    nodes = [node("Quant", "x", "y", domain="onnx.brevitas")]
    return model(nodes, ports, {"y": (FLOAT, [1, 8])}, domains=["onnx.brevitas"])


def _not_finite() -> onnx.ModelProto:
    ports: Ports = {"x": (FLOAT, [1, 8])}
    nodes = [node("Neg", "x", "n"), node("Log", "n", "y")]
    return model(nodes, ports, {"y": (FLOAT, [1, 8])})


def _truncated(folder: Path) -> Path:
    path = folder / "model.onnx"
    data = _conv(13).SerializeToString()
    path.write_bytes(data[: len(data) // 2])
    return path


def _odd_names() -> onnx.ModelProto:
    ports: Ports = {"in/put:0": (FLOAT, [1, 4])}
    nodes = [node("Neg", "in/put:0", "out.put/1")]
    return model(nodes, ports, {"out.put/1": (FLOAT, [1, 4])})


NEWEST = onnx.defs.onnx_opset_version()


def _case(
    name: str,
    what: str,
    make: Callable[[], onnx.ModelProto],
    *,
    shapes: tuple[str, ...] = (),
    ranges: tuple[str, ...] = (),
) -> Case:
    return Case(name=name, what=what, build=saving(make), shapes=shapes, ranges=ranges)


CASES = (
    _case("opset8", "convolution and normalisation, opset 8", lambda: _conv(8, 3)),
    _case(
        "weights-as-inputs",
        "IR version 3: weights among the inputs",
        lambda: _conv(9, 3, are_inputs=True),
    ),
    _case("opset10-topk", "Slice and TopK, opset 10", _slices),
    _case("loop", "Loop, opset 11", _loop),
    _case("if", "If, opset 12", _if),
    _case("scan", "Scan, opset 13", _scan),
    _case("layernorm", "LayerNormalization, opset 17", _layer_norm),
    _case("gelu", "Gelu, opset 20", lambda: _unary("Gelu", 20, 9)),
    _case("rmsnorm", "RMSNormalization, opset 23", _norm),
    _case(
        "newest-opset",
        "Relu in the newest opset of the onnx package",
        lambda: _unary("Relu", NEWEST, onnx.IR_VERSION),
    ),
    _case("fp16", "fp16 inputs, weights and outputs", lambda: _half(is_inside=False)),
    _case("fp16-inside", "fp16 between casts", lambda: _half(is_inside=True)),
    _case("float64", "float64", _double),
    _case("bfloat16", "bfloat16 input", _brain),
    _case(
        "qdq-u8s8",
        "QDQ, uint8 activations, int8 weights per channel",
        lambda: _qdq(np.uint8, np.int8, per_channel=True),
    ),
    _case(
        "qdq-s8s8",
        "QDQ, int8 activations and weights per channel",
        lambda: _qdq(np.int8, np.int8, per_channel=True),
    ),
    _case(
        "qdq-u8u8",
        "QDQ, uint8 per tensor",
        lambda: _qdq(np.uint8, np.uint8, per_channel=False),
    ),
    _case("qoperator", "QLinearConv (QOperator)", _qoperator),
    _case("dynamic-int8", "DynamicQuantizeLinear and MatMulInteger", _dynamic),
    _case("int4-nbits", "4-bit weights, com.microsoft MatMulNBits", _nbits),
    _case("int4-qdq", "4-bit weights in QDQ form, opset 21", _int4),
    _case("dynamic-batch", "free batch axis", lambda: _unary("Softmax", 13, 8)),
    _case("free-size", "free height and width, not given", _free_size),
    _case(
        "free-size-given",
        "the same with --shape",
        _free_size,
        shapes=("height=24", "width=32"),
    ),
    _case("bool", "bool input", _where),
    _case("string", "text input, ai.onnx.ml LabelEncoder", _text),
    _case("string-output", "text as the only output", _text_out),
    _case("token-ids", "int64 token ids and attention mask", _tokens),
    _case("int64-shape", "int64 input of unknown meaning", _reshape),
    _case(
        "int64-shape-given",
        "the same with --range",
        _reshape,
        ranges=("repeats=2:2",),
    ),
    _case("uint8-image", "uint8 image, channels last", _image),
    _case("scalar", "input without axes", _scalar),
    _case("lstm-states", "LSTM with states in and out", lambda: _recurrent("LSTM")),
    _case("gru-state", "GRU with a state in and out", lambda: _recurrent("GRU")),
    _case(
        "kv-cache",
        "cache of a decoder, empty at first",
        _cache,
        shapes=("seq_len=3", "past_len=0"),
    ),
    _case("nms", "NonMaxSuppression: length depends on the data", _suppression),
    _case("sequence-output", "a sequence among the outputs", _sequence),
    _case("sequence-input", "a sequence as input", _sequence_in),
    _case(
        "zipmap",
        "scikit-learn classifier with ZipMap",
        lambda: _classifier(has_label=True),
    ),
    _case(
        "zipmap-only",
        "ZipMap as the only output",
        lambda: _classifier(has_label=False),
    ),
    _case("trees", "ai.onnx.ml TreeEnsembleRegressor", _trees),
    _case("contrib", "com.microsoft FastGelu", _contrib),
    _case("local-function", "model-local function", _function),
    _case("constant-weights", "weights as Constant nodes", _constants),
    _case("odd-names", "names with / : and .", _odd_names),
    Case(name="external-data", what="weights in a file beside", build=_external),
    Case(name="external-escape", what="weights outside its folder", build=_escaping),
    _case("unknown-domain", "operators of onnx.brevitas", _foreign),
    _case("nan-outputs", "outputs that are NaN", _not_finite),
    Case(name="truncated", what="half a file", build=_truncated),
)

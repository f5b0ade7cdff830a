"""Small models that leave something behind for the next query."""

import numpy as np
import onnx
from parts import FLOAT, INT32, INT64, Nodes, Ports, constant, model, node, weights


def recurrent(operator: str) -> onnx.ModelProto:
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


def cache() -> onnx.ModelProto:
    """A cache without a language model: what is past, and what is new after it."""
    return model(
        [
            node("Gather", "table input_ids", "e"),
            node("Concat", "past_key e", "present_key", axis=1),
            node("ReduceMean", "present_key", "y", axes=[1], keepdims=0),
        ],
        {
            "input_ids": (INT64, ["batch", "seq_len"]),
            "past_key": (FLOAT, ["batch", "past_len", 8]),
        },
        {
            "y": (FLOAT, ["batch", 8]),
            "present_key": (FLOAT, ["batch", "total_len", 8]),
        },
        [weights("table", 50, 8)],
    )


HEADS, WIDTH, VOCABULARY = 2, 4, 20
"""Of the decoders below: each head is of that width."""


def _attention(past: str, present: str, axis: int, pick: Nodes) -> list[onnx.NodeProto]:
    """Attend from ``q`` to what was joined; `pick` gives ``keys`` and ``values``."""
    return [
        node("Concat", f"{past} new", present, axis=axis),
        *pick,
        node("Transpose", "keys", "turned", perm=[0, 1, 3, 2]),
        node("MatMul", "q turned", "raw"),
        node("Add", "raw bias", "scores"),
        node("Softmax", "scores", "shares", axis=-1),
        node("MatMul", "shares values", "mixed"),
        node("Transpose", "mixed", "back", perm=[0, 2, 1, 3]),
        node("Reshape", "back whole", "out"),
        node("MatMul", "out head", "logits"),
    ]


def _heads(names: str) -> list[onnx.NodeProto]:
    """Give ``q``, ``k`` and ``v``, each [samples, heads, places, width]."""
    nodes = []
    for name in names.split():
        nodes += [
            node("MatMul", f"x w_{name}", f"flat_{name}"),
            node("Reshape", f"flat_{name} split", f"cut_{name}"),
            node("Transpose", f"cut_{name}", name, perm=[0, 2, 1, 3]),
        ]
    return nodes


def _drawn() -> list[onnx.TensorProto]:
    size = HEADS * WIDTH
    return [
        weights("table", VOCABULARY, size),
        *(weights(f"w_{name}", size, size) for name in "qkv"),
        weights("head", size, VOCABULARY),
        constant("split", [0, 0, HEADS, WIDTH], np.int64),
        constant("whole", [0, 0, size], np.int64),
    ]


def gpt2() -> onnx.ModelProto:
    """A decoder as onnxruntime's tool writes GPT-2: a key and a value in one past."""
    sizes = [2, "batch_size", HEADS]
    return model(
        [
            node("Gather", "table input_ids", "words"),
            node("Gather", "places position_ids", "place"),
            node("Add", "words place", "x"),
            *_heads("q k v"),
            node("Unsqueeze", "k first", "k1"),
            node("Unsqueeze", "v first", "v1"),
            node("Concat", "k1 v1", "new", axis=0),
            node("Sub", "one attention_mask", "hidden"),
            node("Mul", "hidden low", "far"),
            node("Unsqueeze", "far middle", "bias"),
            *_attention(
                "past_0",
                "present_0",
                3,
                [
                    node("Gather", "present_0 zero", "keys", axis=0),
                    node("Gather", "present_0 unit", "values", axis=0),
                ],
            ),
        ],
        {
            "input_ids": (INT64, ["batch_size", "seq_len"]),
            "position_ids": (INT32, ["batch_size", "seq_len"]),
            "attention_mask": (FLOAT, ["batch_size", "total_seq_len"]),
            "past_0": (FLOAT, [*sizes, "past_seq_len", WIDTH]),
        },
        {
            "logits": (FLOAT, ["batch_size", "seq_len", VOCABULARY]),
            "present_0": (FLOAT, [*sizes, "total_seq_len", WIDTH]),
        },
        [
            *_drawn(),
            weights("places", 64, HEADS * WIDTH),
            constant("first", [0], np.int64),
            constant("middle", [1, 2], np.int64),
            constant("one", 1.0),
            constant("low", -1e4),
            constant("zero", 0, np.int64),
            constant("unit", 1, np.int64),
        ],
    )


def hugging_face(past: int | str = "past_sequence_length") -> onnx.ModelProto:
    """A decoder as optimum writes it; `past` a number: a past of fixed length."""
    total: int | str = f"{past} + sequence_length"
    new: int | str = "sequence_length"
    if isinstance(past, int):
        total, new = past + 1, 1
    kept: Ports = {
        f"past_key_values.0.{part}": (FLOAT, ["batch_size", HEADS, past, WIDTH])
        for part in ("key", "value")
    }
    left: Ports = {
        f"present.0.{part}": (FLOAT, ["batch_size", HEADS, total, WIDTH])
        for part in ("key", "value")
    }
    nodes = [
        node("Gather", "table input_ids", "x"),
        *_heads("q new v"),
        node("Cast", "attention_mask", "seen", to=FLOAT),
        node("Sub", "seen one", "hidden"),
        node("Mul", "hidden low", "far"),
        node("Unsqueeze", "far middle", "bias"),
    ]
    names = {"keys": "present.0.key", "values": "present.0.value"}
    joined = node("Concat", "past_key_values.0.value v", names["values"], axis=2)
    pick = [node("Identity", one, name) for name, one in names.items()]
    if isinstance(past, int):  # the oldest place falls out, so that the length stays
        names = dict.fromkeys(names, "")
        joined = node("Concat", "past_key_values.0.value v", "all_values", axis=2)
        pick = [
            node("Identity", "all_keys", "keys"),
            node("Identity", "all_values", "values"),
            node("Slice", "all_keys start end axis", "present.0.key"),
            node("Slice", "all_values start end axis", "present.0.value"),
        ]
        left = {name: (FLOAT, ["batch_size", HEADS, past, WIDTH]) for name in left}
    present = names["keys"] or "all_keys"
    drawn = {t.name: t for t in _drawn()}
    drawn["w_k"].name = "w_new"
    return model(
        [*nodes, *_attention("past_key_values.0.key", present, 2, [joined, *pick])],
        {
            "input_ids": (INT64, ["batch_size", new]),
            "attention_mask": (INT64, ["batch_size", total]),
            **kept,
        },
        {"logits": (FLOAT, ["batch_size", new, VOCABULARY]), **left},
        [
            *drawn.values(),
            constant("one", 1.0),
            constant("low", 1e4),
            constant("middle", [1, 2], np.int64),
            constant("start", [1], np.int64),
            constant("end", [1000], np.int64),
            constant("axis", [2], np.int64),
        ],
    )

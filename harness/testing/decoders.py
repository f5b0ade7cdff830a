"""Tiny language models as files, for tests: two layers, a few thousand weights.

Drawn with `onnx.helper` alone. `shares_cache` chooses between attention by
GroupQueryAttention and attention written out, which joins past and new itself; the
weights are the same, so both give the same tokens.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

VOCABULARY, CONTEXT, WIDTH, LAYERS, HEADS, HEAD = 32, 64, 16, 2, 2, 8
END_TOKEN = 2
_MICROSOFT = "com.microsoft"
Nodes = list[onnx.NodeProto]


def decoder_bytes(
    *,
    seed: int = 1,
    shares_cache: bool = True,
    poison: float = 0.0,
    half: bool = False,
) -> bytes:
    """Give a decoder; `poison` is added to its last weights (NaN spoils its logits).

    `half`: reals of 16 bits throughout, as a GPU's GroupQueryAttention takes them.
    """
    real = np.dtype(np.float16 if half else np.float32)
    draws = np.random.default_rng(seed)
    weights: list[onnx.TensorProto] = []

    def stored(values: NDArray[Any]) -> str:
        name = f"w{len(weights)}"
        weights.append(numpy_helper.from_array(values, name))
        return name

    def matrix(rows: int, columns: int) -> str:
        drawn = draws.standard_normal((rows, columns)) / np.sqrt(rows)
        return stored(drawn.astype(real))

    table = draws.standard_normal((VOCABULARY, WIDTH)).astype(real)
    nodes: Nodes = [helper.make_node("Gather", [stored(table), "input_ids"], ["x0"])]
    if shares_cache:
        nodes += _lengths(stored)
    for layer in range(LAYERS):
        x, parts = f"x{layer}", [f"{part}{layer}" for part in ("q", "k", "v")]
        nodes += [
            helper.make_node("MatMul", [x, matrix(WIDTH, WIDTH)], [part])
            for part in parts
        ]
        attend = _in_place if shares_cache else _written_out
        nodes += attend(layer, stored, real)
        nodes += [
            helper.make_node(
                "MatMul", [f"a{layer}", matrix(WIDTH, WIDTH)], [f"o{layer}"]
            ),
            helper.make_node("Tanh", [f"o{layer}"], [f"t{layer}"]),
            helper.make_node("Add", [x, f"t{layer}"], [f"x{layer + 1}"]),
        ]
    head = draws.standard_normal((WIDTH, VOCABULARY)).astype(real)
    head += real.type(poison)
    nodes.append(helper.make_node("MatMul", [f"x{LAYERS}", stored(head)], ["logits"]))
    kind = helper.np_dtype_to_tensor_dtype(real)
    graph = helper.make_graph(
        nodes,
        "tiny",
        _inputs(kind, shares_cache=shares_cache),
        _outputs(kind),
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def stacked(data: bytes) -> bytes:
    """Give a decoder that joins its cache in the form of onnxruntime's GPT-2.

    A layer's key and value come in one tensor, ``past_N`` [2, …], and leave in one,
    ``present_N``; positions are int32.
    """
    model = onnx.load_from_string(data)
    graph = model.graph
    real = TensorProto.FLOAT
    caches = {one.name for one in _caches("past_key_values", "past", real)}
    caches |= {one.name for one in _caches("present", "total", real)}
    kept = [one for one in graph.input if one.name not in caches]
    given = [one for one in graph.output if one.name not in caches]
    for one in kept:
        if one.name == "position_ids":
            one.type.tensor_type.elem_type = TensorProto.INT32
    before, after = [], []
    for layer in range(LAYERS):
        parts = [f"{layer}.key", f"{layer}.value"]
        past = [f"past_key_values.{part}" for part in parts]
        for number, name in enumerate(past):
            at = f"at_{layer}_{number}"
            graph.initializer.append(
                numpy_helper.from_array(np.array(number, np.int64), at)
            )
            before.append(helper.make_node("Gather", [f"past_{layer}", at], [name]))
        whole = [f"whole_{part}" for part in parts]
        first = f"first_{layer}"
        graph.initializer.append(numpy_helper.from_array(np.array([0]), first))
        for part, name in zip(parts, whole, strict=True):
            after.append(
                helper.make_node("Unsqueeze", [f"present.{part}", first], [name])
            )
        after.append(helper.make_node("Concat", whole, [f"present_{layer}"], axis=0))
        for ports, stem, length in (
            (kept, "past", "past"),
            (given, "present", "total"),
        ):
            sizes: list[int | str] = [2, "batch", HEADS, length, HEAD]
            ports.append(helper.make_tensor_value_info(f"{stem}_{layer}", real, sizes))
    nodes = [*before, *graph.node, *after]
    for node in nodes:
        node.input[:] = [
            "places" if name == "position_ids" else name for name in node.input
        ]
    wide = helper.make_node("Cast", ["position_ids"], ["places"], to=TensorProto.INT64)
    made = helper.make_graph([wide, *nodes], "gpt2", kept, given, graph.initializer)
    done: bytes = helper.make_model(
        made, opset_imports=model.opset_import, ir_version=8
    ).SerializeToString()
    return done


def write_folder(folder: Path, data: bytes) -> Path:
    """Write a folder as onnxruntime-genai takes it, and give it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(data)
    decoder = {
        "filename": "model.onnx",
        "head_size": HEAD,
        "hidden_size": WIDTH,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": HEADS,
        "session_options": {"provider_options": []},
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
    }
    config = {
        "model": {
            "type": "llama",
            "bos_token_id": 1,
            "eos_token_id": END_TOKEN,
            "pad_token_id": 0,
            "context_length": CONTEXT,
            "vocab_size": VOCABULARY,
            "decoder": decoder,
        },
        "search": {
            "do_sample": False,
            "max_length": CONTEXT,
            "past_present_share_buffer": True,
        },
    }
    (folder / "genai_config.json").write_text(json.dumps(config))
    return folder


def write_tokeniser(folder: Path) -> Path:
    """Add a tokeniser of letters to such a folder, and give it.

    Byte-level, as GPT-2's: 26 letters, a space, and two pairs that are one token.
    """
    special = ["<unk>", "<s>", "</s>"]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    space = "\u0120"
    vocabulary = [*special, *letters, space, f"{space}a", "in"]
    marks = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    (folder / "tokenizer.json").write_text(
        json.dumps(
            {
                "version": "1.0",
                "added_tokens": [
                    {"id": number, "content": word, "special": True}
                    for number, word in enumerate(special)
                ],
                "pre_tokenizer": marks | {"use_regex": True},
                "decoder": marks | {"use_regex": True},
                "model": {
                    "type": "BPE",
                    "unk_token": "<unk>",
                    "vocab": {word: n for n, word in enumerate(vocabulary)},
                    "merges": [f"{space} a", "i n"],
                },
            }
        )
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "GPT2Tokenizer", "unk_token": "<unk>"})
    )
    return folder


def _lengths(stored: Any) -> Nodes:  # noqa: ANN401 - a closure over weights
    one = stored(np.array([1], np.int64))
    return [
        helper.make_node("ReduceSum", ["attention_mask", one], ["sum"], keepdims=0),
        helper.make_node("Sub", ["sum", one], ["less"]),
        helper.make_node("Cast", ["less"], ["last"], to=TensorProto.INT32),
        helper.make_node("Shape", ["attention_mask"], ["sizes"]),
        helper.make_node(
            "Gather", ["sizes", stored(np.array(1, np.int64))], ["all"], axis=0
        ),
        helper.make_node("Cast", ["all"], ["total"], to=TensorProto.INT32),
    ]


def _in_place(layer: int, stored: Any, real: np.dtype[Any]) -> Nodes:  # noqa: ANN401
    del stored, real
    past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
    present = [f"present.{layer}.{part}" for part in ("key", "value")]
    return [
        helper.make_node(
            "GroupQueryAttention",
            [f"q{layer}", f"k{layer}", f"v{layer}", *past, "last", "total"],
            [f"a{layer}", *present],
            domain=_MICROSOFT,
            num_heads=HEADS,
            kv_num_heads=HEADS,
        )
    ]


def _written_out(layer: int, stored: Any, real: np.dtype[Any]) -> Nodes:  # noqa: ANN401
    """Attend by plain operators; the mask lets each place see those up to itself."""
    nodes: Nodes = []

    def node(operator: str, inputs: list[str], name: str, **how: Any) -> str:  # noqa: ANN401
        nodes.append(helper.make_node(operator, inputs, [name], **how))
        return name

    split = stored(np.array([0, 0, HEADS, HEAD], np.int64))
    heads = {}
    for part in ("q", "k", "v"):
        cut = node("Reshape", [f"{part}{layer}", split], f"{part}r{layer}")
        heads[part] = node("Transpose", [cut], f"{part}h{layer}", perm=[0, 2, 1, 3])
    for part, name in (("k", "key"), ("v", "value")):
        both = [f"past_key_values.{layer}.{name}", heads[part]]
        heads[part] = node("Concat", both, f"present.{layer}.{name}", axis=2)
    turned = node("Transpose", [heads["k"]], f"kt{layer}", perm=[0, 1, 3, 2])
    raw = node("MatMul", [heads["q"], turned], f"raw{layer}")
    scale = stored(np.array(1 / np.sqrt(HEAD), real))
    scores = node("Mul", [raw, scale], f"scores{layer}")
    # place i of the new ones, at position_ids[i], sees columns 0 … position_ids[i]
    zero, step = stored(np.array(0, np.int64)), stored(np.array(1, np.int64))
    sizes = node("Shape", ["attention_mask"], f"sizes{layer}")
    total = node("Gather", [sizes, step], f"total{layer}", axis=0)
    columns = node("Range", [zero, total, step], f"columns{layer}")
    axes = stored(np.array([1, 3], np.int64))
    rows = node("Unsqueeze", ["position_ids", axes], f"rows{layer}")
    hidden = node("Greater", [columns, rows], f"hidden{layer}")
    low = stored(np.array(-6e4, real))
    masked = node("Where", [hidden, low, scores], f"masked{layer}")
    shares = node("Softmax", [masked], f"shares{layer}", axis=-1)
    mixed = node("MatMul", [shares, heads["v"]], f"mixed{layer}")
    back = node("Transpose", [mixed], f"back{layer}", perm=[0, 2, 1, 3])
    whole = stored(np.array([0, 0, WIDTH], np.int64))
    node("Reshape", [back, whole], f"a{layer}")
    return nodes


def _inputs(real: int, *, shares_cache: bool) -> list[onnx.ValueInfoProto]:
    kinds = ["input_ids", "attention_mask"]
    kinds += [] if shares_cache else ["position_ids"]
    sizes = {"attention_mask": "total"}
    tokens = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64, ["batch", sizes.get(name, "sequence")]
        )
        for name in kinds
    ]
    return tokens + _caches("past_key_values", "past", real)


def _outputs(real: int) -> list[onnx.ValueInfoProto]:
    logits = helper.make_tensor_value_info(
        "logits", real, ["batch", "sequence", VOCABULARY]
    )
    return [logits, *_caches("present", "total", real)]


def _caches(stem: str, length: str, real: int) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(
            f"{stem}.{layer}.{part}", real, ["batch", HEADS, length, HEAD]
        )
        for layer in range(LAYERS)
        for part in ("key", "value")
    ]

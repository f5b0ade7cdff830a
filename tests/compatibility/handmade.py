"""Small models of every kind, made by onnx.helper alone, and what becomes of them."""

from collections.abc import Callable

import numpy as np
import onnx
from operators import (
    brain,
    constants,
    contrib,
    conv,
    double,
    free_size,
    function,
    half,
    if_else,
    image,
    layer_norm,
    loop,
    norm,
    odd_names,
    reshape,
    scalar,
    scan,
    slices,
    suppression,
    tokens,
    trees,
    unary,
    where,
)
from outside import (
    classifier,
    compiled,
    escaping,
    extended,
    external,
    foreign,
    not_finite,
    sequence,
    sequence_in,
    text,
    text_out,
    truncated,
)
from parts import Case, saving
from quantised import dynamic, int4, nbits, qdq, qoperator
from stateful import cache, gpt2, hugging_face, recurrent

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
    _case("opset8", "convolution and normalisation, opset 8", lambda: conv(8, 3)),
    _case(
        "weights-as-inputs",
        "IR version 3: weights among the inputs",
        lambda: conv(9, 3, are_inputs=True),
    ),
    _case("opset10-topk", "Slice and TopK, opset 10", slices),
    _case("loop", "Loop, opset 11", loop),
    _case("if", "If, opset 12", if_else),
    _case("scan", "Scan, opset 13", scan),
    _case("layernorm", "LayerNormalization, opset 17", layer_norm),
    _case("gelu", "Gelu, opset 20", lambda: unary("Gelu", 20, 9)),
    _case("rmsnorm", "RMSNormalization, opset 23", norm),
    _case(
        "newest-opset",
        "Relu in the newest opset of the onnx package",
        lambda: unary("Relu", NEWEST, onnx.IR_VERSION),
    ),
    _case("fp16", "fp16 inputs, weights and outputs", lambda: half(is_inside=False)),
    _case("fp16-inside", "fp16 between casts", lambda: half(is_inside=True)),
    _case("float64", "float64", double),
    _case("bfloat16", "bfloat16 input", brain),
    _case(
        "qdq-u8s8",
        "QDQ, uint8 activations, int8 weights per channel",
        lambda: qdq(np.uint8, np.int8, per_channel=True),
    ),
    _case(
        "qdq-s8s8",
        "QDQ, int8 activations and weights per channel",
        lambda: qdq(np.int8, np.int8, per_channel=True),
    ),
    _case(
        "qdq-u8u8",
        "QDQ, uint8 per tensor",
        lambda: qdq(np.uint8, np.uint8, per_channel=False),
    ),
    _case("qoperator", "QLinearConv (QOperator)", qoperator),
    _case("dynamic-int8", "DynamicQuantizeLinear and MatMulInteger", dynamic),
    _case("int4-nbits", "4-bit weights, com.microsoft MatMulNBits", nbits),
    _case("int4-qdq", "4-bit weights in QDQ form, opset 21", int4),
    _case("dynamic-batch", "free batch axis", lambda: unary("Softmax", 13, 8)),
    _case("free-size", "free height and width, not given", free_size),
    _case(
        "free-size-given",
        "the same with --shape",
        free_size,
        shapes=("height=24", "width=32"),
    ),
    _case("bool", "bool input", where),
    _case("string", "text input, ai.onnx.ml LabelEncoder", text),
    _case("string-output", "text as the only output", text_out),
    _case("token-ids", "int64 token ids and attention mask", tokens),
    _case("int64-shape", "int64 input of unknown meaning", reshape),
    _case(
        "int64-shape-given",
        "the same with --range",
        reshape,
        ranges=("repeats=2:2",),
    ),
    _case("uint8-image", "uint8 image, channels last", image),
    _case("scalar", "input without axes", scalar),
    _case("lstm-states", "LSTM with states in and out", lambda: recurrent("LSTM")),
    _case("gru-state", "GRU with a state in and out", lambda: recurrent("GRU")),
    _case(
        "kv-cache",
        "a cache that grows, in a model that gives no logits; empty at first",
        cache,
        shapes=("seq_len=3", "past_len=0"),
    ),
    _case(
        "gpt2-cache",
        "decoder with past_0, a key and a value in one; float mask, int32 positions",
        gpt2,
        shapes=("context=64",),
    ),
    _case(
        "hf-cache",
        "decoder with past_key_values.0.key, lengths as sums",
        hugging_face,
        shapes=("context=64",),
    ),
    _case("hf-cache-no-context", "the same without --shape context=…", hugging_face),
    _case(
        "fixed-cache",
        "decoder with a past of fixed length, one token at a time",
        lambda: hugging_face(16),
    ),
    _case("nms", "NonMaxSuppression: length depends on the data", suppression),
    _case("sequence-output", "a sequence among the outputs", sequence),
    _case("sequence-input", "a sequence as input", sequence_in),
    _case(
        "zipmap",
        "scikit-learn classifier with ZipMap",
        lambda: classifier(has_label=True),
    ),
    _case(
        "zipmap-only",
        "ZipMap as the only output",
        lambda: classifier(has_label=False),
    ),
    _case("trees", "ai.onnx.ml TreeEnsembleRegressor", trees),
    _case("contrib", "com.microsoft FastGelu", contrib),
    _case("local-function", "model-local function", function),
    _case("constant-weights", "weights as Constant nodes", constants),
    _case("odd-names", "names with / : and .", odd_names),
    Case(name="external-data", what="weights in a file beside", build=external),
    Case(name="external-escape", what="weights outside its folder", build=escaping),
    _case("unknown-domain", "operators of onnx.brevitas", foreign),
    _case("compiled", "EPContext: a graph that a provider compiled", compiled),
    _case("extensions", "operators of onnxruntime-extensions", extended),
    _case("nan-outputs", "outputs that are NaN", not_finite),
    Case(name="truncated", what="half a file", build=truncated),
)

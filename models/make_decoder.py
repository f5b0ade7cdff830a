"""A small language model: a decoder with a KV cache, weights in four bits.

Drawn as the exporters of real ones do it (input and output names, grouped-query
attention with rotary positions in one operator, weights of products in blocks of 32
with one scale each), so that whatever runs a Llama or a Qwen runs this. The logits
are those of the last place only.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from graph import Attribute
from onnx import TensorProto, helper, numpy_helper
from spec import DecoderFacts, Drawing, Input, Spec
from weights import Stream

_MICROSOFT = "com.microsoft"
_BLOCK = 32
_SPREAD = math.sqrt(17.5)
"""Standard deviation of a four-bit weight as drawn here: -7 … 7, and 0 twice."""
_EPSILON = 1e-5
_ROPE_BASE = 10000.0
_OPSET, _IR = 17, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of a decoder."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    vocabulary: int
    context: int

    @property
    def head(self) -> int:
        """Width of one head."""
        return self.width // self.heads


class _Builder:
    """Nodes and weights of a decoder under construction."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.parameters = 0
        self.macs = 0
        self._stream = Stream.seeded(seed)

    def node(
        self,
        operator: str,
        inputs: list[str],
        outputs: int = 1,
        domain: str = "",
        **attributes: Attribute,
    ) -> str:
        """Add a node; gives the name of its first output."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        names = [name, *("" for _ in range(outputs - 2)), f"{name}_sum"][:outputs]
        node = helper.make_node(operator, inputs, names, name=name, domain=domain)
        node.attribute.extend(
            helper.make_attribute(key, value)
            for key, value in sorted(attributes.items())
        )
        self.nodes.append(node)
        return name

    def constant(self, values: npt.NDArray[Any]) -> str:
        """Store a tensor; gives its name."""
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def gain(self) -> str:
        """Draw the gains of a normalisation, about 1."""
        self.parameters += self.shape.width
        return self.constant(self._stream.uniform((self.shape.width,), 0.9, 1.1))

    def product(self, x: str, inputs: int, outputs: int, scale: float = 1.0) -> str:
        """Multiply by a weight of four bits: [..., inputs] → [..., outputs]."""
        blocks = inputs // _BLOCK
        packed = self._four_bits(outputs * inputs).reshape(outputs, blocks, _BLOCK // 2)
        size = scale / (_SPREAD * math.sqrt(inputs))
        scales = np.full((outputs * blocks,), size, np.float32)
        self.parameters += inputs * outputs
        self.macs += inputs * outputs
        names = [x, self.constant(packed), self.constant(scales)]
        how = {"K": inputs, "N": outputs, "bits": 4, "block_size": _BLOCK}
        return self.node(
            "MatMulNBits", names, domain=_MICROSOFT, accuracy_level=4, **how
        )

    def _four_bits(self, count: int) -> npt.NDArray[np.uint8]:
        """Draw packed weights 1 … 15 about the zero point 8, of mean exactly 8."""
        halves = (self._stream.integers(count) & 15).astype(np.uint8)
        halves[halves == 0] = 8
        return (halves[0::2] | (halves[1::2] << 4)).astype(np.uint8)

    def embedding(self) -> npt.NDArray[np.float16]:
        """Draw the vectors of the tokens."""
        size = (self.shape.vocabulary, self.shape.width)
        self.parameters += size[0] * size[1]
        return self._stream.uniform(size, -1.0, 1.0).astype(np.float16)


def _first_norm(b: _Builder, x: str) -> str:
    """Divide by the root of the mean square (Zhang and Sennrich, 2019)."""
    square = b.node("Mul", [x, x])
    mean = b.node("ReduceMean", [square], axes=[-1], keepdims=1)
    shifted = b.node("Add", [mean, b.constant(np.array(_EPSILON, np.float32))])
    return b.node("Mul", [b.node("Div", [x, b.node("Sqrt", [shifted])]), b.gain()])


def _norm_of_sum(b: _Builder, x: str, branch: str) -> tuple[str, str]:
    """Add a branch and normalise; gives (normalised, sum)."""
    name = b.node(
        "SkipSimplifiedLayerNormalization",
        [x, branch, b.gain()],
        outputs=4,
        domain=_MICROSOFT,
        epsilon=_EPSILON,
    )
    return name, f"{name}_sum"


def _attention(b: _Builder, x: str, layer: int, mask: tuple[str, str, str, str]) -> str:
    """Attend to the cache and to what is new; `mask` has lengths and rotary tables."""
    s = b.shape
    query = b.product(x, s.width, s.width)
    key = b.product(x, s.width, s.kv_heads * s.head)
    value = b.product(x, s.width, s.kv_heads * s.head)
    past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
    node = helper.make_node(
        "GroupQueryAttention",
        [query, key, value, *past, *mask],
        [f"attention_{layer}", f"present.{layer}.key", f"present.{layer}.value"],
        name=f"attention_{layer}",
        domain=_MICROSOFT,
        do_rotary=1,
        kv_num_heads=s.kv_heads,
        num_heads=s.heads,
    )
    b.nodes.append(node)
    return b.product(f"attention_{layer}", s.width, s.width, scale=0.5)


def _feed_forward(b: _Builder, x: str) -> str:
    """Two branches, one of them a gate (Shazeer, 2020)."""
    gate = b.product(x, b.shape.width, b.shape.hidden)
    rise = b.product(x, b.shape.width, b.shape.hidden)
    swish = b.node("Mul", [gate, b.node("Sigmoid", [gate])])
    both = b.node("Mul", [swish, rise])
    return b.product(both, b.shape.hidden, b.shape.width, scale=0.5)


def _lengths(b: _Builder) -> tuple[str, str, str, str]:
    """Work out valid lengths from the attention mask, and the rotary tables."""
    axis = b.constant(np.array([1], np.int64))
    one = b.constant(np.array([1], np.int64))
    summed = b.node("ReduceSum", ["attention_mask", axis], keepdims=0)
    last = b.node("Cast", [b.node("Sub", [summed, one])], to=TensorProto.INT32)
    size = b.node("Shape", ["attention_mask"])
    total = b.node("Gather", [size, b.constant(np.array(1, np.int64))], axis=0)
    total = b.node("Cast", [total], to=TensorProto.INT32)
    half = b.shape.head // 2
    speeds = _ROPE_BASE ** (-np.arange(half) / half)
    angles = np.arange(b.shape.context)[:, np.newaxis] * speeds
    # rounded, since the last bit of a cosine is a matter of the C library
    tables = (np.round(f(angles), 5).astype(np.float32) for f in (np.cos, np.sin))
    cosine, sine = (b.constant(table) for table in tables)
    return last, total, cosine, sine


def draw(shape: Shape, seed: int, name: str) -> Drawing:
    """Draw a decoder. `macs` are those of one token, attention left out."""
    b = _Builder(shape, seed)
    mask = _lengths(b)
    table = b.constant(b.embedding())
    x = b.node("Gather", [table, "input_ids"], axis=0)
    x = b.node("Cast", [x], to=TensorProto.FLOAT)
    y = _first_norm(b, x)
    for layer in range(shape.layers):
        y, x = _norm_of_sum(b, x, _attention(b, y, layer, mask))
        y, x = _norm_of_sum(b, x, _feed_forward(b, y))
    end = b.constant(np.array([-1], np.int64))
    last = b.node("Gather", [y, end], axis=1)
    logits = b.product(last, shape.width, shape.vocabulary, scale=4.0)
    b.nodes[-1].output[0] = "logits"
    del logits
    graph = helper.make_graph(b.nodes, name, _inputs(shape), _outputs(shape), b.weights)
    model = helper.make_model(
        graph,
        producer_name="duanping-models",
        ir_version=_IR,
        opset_imports=[
            helper.make_opsetid("", _OPSET),
            helper.make_opsetid(_MICROSOFT, 1),
        ],
    )
    onnx.checker.check_model(model)
    return Drawing(model=model, macs=b.macs, parameters=b.parameters)


def _inputs(shape: Shape) -> list[onnx.ValueInfoProto]:
    tokens = [
        _value("input_ids", TensorProto.INT64, ["batch", "sequence"]),
        _value("attention_mask", TensorProto.INT64, ["batch", "total"]),
    ]
    return tokens + _caches(shape, "past_key_values", "past")


def _outputs(shape: Shape) -> list[onnx.ValueInfoProto]:
    logits = _value("logits", TensorProto.FLOAT, ["batch", 1, shape.vocabulary])
    return [logits, *_caches(shape, "present", "total")]


def _caches(shape: Shape, stem: str, length: str) -> list[onnx.ValueInfoProto]:
    dims = ["batch", shape.kv_heads, length, shape.head]
    return [
        _value(f"{stem}.{layer}.{part}", TensorProto.FLOAT, dims)
        for layer in range(shape.layers)
        for part in ("key", "value")
    ]


def _value(name: str, kind: int, dims: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, dims)


_SMALL = Shape(
    layers=6,
    width=512,
    heads=8,
    kv_heads=2,
    hidden=1536,
    vocabulary=8192,
    context=2048,
)


def small(seed: int) -> Drawing:
    """Twenty-six million parameters, of which the weights of products take 11 MB."""
    return draw(_SMALL, seed, "llm-26m")


SPECS = (
    Spec(
        name="llm-26m",
        task="language model, answers token by token",
        draw=small,
        inputs=(
            Input(
                name="input_ids",
                shape=(1,),
                dtype="int64",
                low=0,
                high=_SMALL.vocabulary - 1,
            ),
        ),
        seed=901,
        source="Own design after Touvron et al., LLaMA, 2023, and Ainslie et al., GQA, "
        "2023 (far smaller)",
        remark_en="It stands for the way a language model works, not for a size that "
        "tier limits are about: some 40 times smaller than the smallest of those.",
        remark_zh="代表大语言模型的工作方式,而非分级所指的规模:约为其中最小者的四十分之一。",
        decoder=DecoderFacts(
            vocabulary=_SMALL.vocabulary, context=_SMALL.context, end_tokens=(2,)
        ),
    ),
)

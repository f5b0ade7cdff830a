"""What a decoder asks of a device for one step: from its graph, in closed form.

Shape inference does not know the operators that language models are made of, and a
decoder's cost changes with every token. So the weights of its products are read from
the graph once, and attention is counted by its formula: for `tokens` new places after
`past` old ones, 2·heads·width products for each pair of places that attend. The
weights are read once a step whatever the number of users, the cache once for each.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path

import onnx

from harness.domain.cache import Sizes, caches_of
from harness.domain.finding import Finding, Severity
from harness.domain.profile import DeviceProfile
from harness.emulation.graph_cost import GraphCost
from harness.emulation.kernels import NodeCost
from harness.emulation.operators import OperatorClass
from harness.emulation.predict import predict
from harness.emulation.prediction import Prediction
from harness.emulation.standins import integer
from harness.emulation.tensors import item_bytes

_PRODUCTS = frozenset({"MatMul", "Gemm", "MatMulNBits", "Attention"})
"""Of the last, which is onnxruntime's, queries, keys and values are one product."""
FACTOR_90 = 7.5
"""Factor within which 90 % of times of a decoder lie of those predicted.

The weights of a language model fit no cache, and those of the networks that rates
come from often do: Llama-3.1-8B in four bits on Snapdragon X Elite decodes at 9.4 to
10.0 tokens/s (Qualcomm AI Hub Models, 2026), which is 3.4 times as long a token as the
rates of that profile gave. That is taken for one standard deviation of ln(time), and
3.4^1.645 is 7.5.
"""
_FLOAT_BYTES = 4
_FAR = 1024
"""A context far enough that the slope of a step's time shows."""
_LEAST_AXES = 4
"""Of a cache that attention reads: users, heads, places, width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product with a stored weight of `inputs` times `outputs` items."""

    name: str
    operator: str
    inputs: int
    outputs: int
    weight_bytes: int
    is_wide: bool
    is_last: bool
    """Gives the logits, which are wanted at the last place only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Attention of one layer: query heads, heads of the cache, and their width."""

    heads: int
    kv_heads: int
    head: int
    item_bytes: float

    @property
    def bytes_per_token(self) -> float:
        """Give what one place of context takes: a key and a value."""
        return 2 * self.kv_heads * self.head * self.item_bytes


@dataclass(frozen=True, kw_only=True)
class DecoderGraph:
    """The parts of a decoder that cost time, and the sizes of its file."""

    products: tuple[Product, ...]
    layers: tuple[Attention, ...]
    kernels: int
    """Nodes besides products and attention."""
    weight_bytes: int
    file_bytes: int

    @cached_property
    def cache_bytes_per_token(self) -> int:
        """Give what one token of context takes, of one user."""
        return round(sum(layer.bytes_per_token for layer in self.layers))

    def cost(self, *, users: int, tokens: int, past: int) -> GraphCost:
        """Cost `tokens` new places for each of `users`, after `past` old ones."""
        nodes = [_product_cost(one, users, tokens) for one in self.products]
        nodes += [_attention_cost(one, users, tokens, past) for one in self.layers]
        nodes += [
            NodeCost(
                name=f"other_{number}",
                operator="other",
                operator_class=OperatorClass.ELEMENTWISE,
            )
            for number in range(self.kernels)
        ]
        widest = max((one.outputs for one in self.products), default=0)
        cache = users * (past + tokens) * self.cache_bytes_per_token
        return GraphCost(
            nodes=tuple(nodes),
            weight_bytes=sum(one.weight_bytes for one in self.products),
            arena_bytes=cache + users * max(tokens, 1) * widest * _FLOAT_BYTES,
            file_bytes=self.file_bytes,
        )


class DecoderTimes:
    """Times of a decoder on the device that a profile models, in s."""

    def __init__(self, profile: DeviceProfile, graph: DecoderGraph) -> None:
        self._profile = profile
        self._graph = graph
        self._prefill: dict[int, float] = {}
        self._line: dict[int, tuple[float, float]] = {}

    def at_rest(self, context: int) -> Prediction:
        """Predict one step with that much context: memory, power, load, scatter.

        The rates of a profile come from other networks, and the prediction says so.
        """
        cost = self._graph.cost(users=1, tokens=1, past=context)
        found = predict(self._profile, cost)
        beyond = Finding(
            code="outside-emulation-domain",
            severity=Severity.NOTE,
            subject="model",
            values={"decoder": "rates are of networks that are no decoders"},
        )
        return replace(
            found,
            factor_90=max(found.factor_90, FACTOR_90),
            energy_factor_90=max(found.energy_factor_90, FACTOR_90),
            findings=(*found.findings, beyond),
        )

    @property
    def cache_bytes_per_token(self) -> int:
        """Give what one token of context takes, of one user."""
        return self._graph.cache_bytes_per_token

    def prefill_s(self, tokens: int) -> float:
        """Give the time from a prompt to its first token."""
        if tokens not in self._prefill:
            cost = self._graph.cost(users=1, tokens=tokens, past=0)
            self._prefill[tokens] = predict(self._profile, cost).latency_s
        return self._prefill[tokens]

    def step_s(self, users: int, context: float) -> float:
        """Give the time of one token for each user, `context` places each on average.

        Of the form it is only asked that a step costs more in proportion to context.
        """
        if users not in self._line:
            near, far = (
                predict(
                    self._profile, self._graph.cost(users=users, tokens=1, past=past)
                ).latency_s
                for past in (0, _FAR)
            )
            self._line[users] = (near, (far - near) / _FAR)
        start, slope = self._line[users]
        return start + slope * context


def read_decoder(path: Path) -> DecoderGraph:
    """Read a decoder's products and attention from its file.

    Of a folder for onnxruntime-genai, `path` is the configuration, which names it.
    """
    if path.suffix == ".json":
        config = json.loads(path.read_bytes())
        path = path.parent / config["model"]["decoder"]["filename"]
    model = onnx.load(str(path), load_external_data=False)
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    products = tuple(
        product
        for node in graph.node
        if node.op_type in _PRODUCTS and (product := _product(node, stored)) is not None
    )
    layers = tuple(_layers(graph))
    weights = sum(map(_tensor_bytes, stored.values()))
    return DecoderGraph(
        products=products,
        layers=layers,
        kernels=max(len(graph.node) - len(products) - len(layers), 0),
        weight_bytes=weights,
        file_bytes=max(path.stat().st_size, weights),
    )


def _product(
    node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto]
) -> Product | None:
    if len(node.input) < 2 or node.input[1] not in stored:  # noqa: PLR2004 - operands
        return None
    weight = stored[node.input[1]]
    if node.op_type == "MatMulNBits":
        inputs, outputs = integer(node, "K", 0), integer(node, "N", 0)
    else:
        inputs, outputs = prod(weight.dims[:-1]), weight.dims[-1] if weight.dims else 1
    size = sum(_tensor_bytes(stored[n]) for n in node.input[1:] if n in stored)
    return Product(
        name=node.name or node.output[0],
        operator=node.op_type,
        inputs=inputs,
        outputs=outputs,
        weight_bytes=size,
        is_wide=item_bytes(weight.data_type) > 1,
        is_last="logits" in node.output,
    )


def _layers(graph: onnx.GraphProto) -> list[Attention]:
    """Read each layer from its past: […, users, kv_heads, places, head]."""
    heads = [integer(node, "num_heads", 0) for node in graph.node]
    query_heads = max(heads, default=0)
    kinds = {value.name: value.type.tensor_type for value in graph.input}
    inputs: dict[str, tuple[str, Sizes]] = {
        name: ("", [dim.dim_value or None for dim in kind.shape.dim])
        for name, kind in kinds.items()
    }
    found = []
    for cache in caches_of(inputs, {value.name for value in graph.output}):
        is_value = cache.past.endswith("value")
        if cache.growing_axis is None or len(cache.sizes) < _LEAST_AXES or is_value:
            continue
        at = cache.users_axis
        found.append(
            Attention(
                heads=query_heads or cache.sizes[at + 1],
                kv_heads=cache.sizes[at + 1],
                head=cache.sizes[-1],
                item_bytes=item_bytes(kinds[cache.past].elem_type),
            )
        )
    return found


def _product_cost(one: Product, users: int, tokens: int) -> NodeCost:
    rows = users * (1 if one.is_last else tokens)
    return NodeCost(
        name=one.name,
        operator=one.operator,
        operator_class=OperatorClass.MATMUL,
        macs=rows * one.inputs * one.outputs,
        is_wide=one.is_wide,
        weight_bytes=one.weight_bytes,
        input_bytes=rows * one.inputs * _FLOAT_BYTES,
        output_bytes=rows * one.outputs * _FLOAT_BYTES,
    )


def _attention_cost(one: Attention, users: int, tokens: int, past: int) -> NodeCost:
    pairs = tokens * past + tokens * (tokens + 1) // 2
    places = round(users * (past + tokens) * one.bytes_per_token)
    row = one.heads * one.head * _FLOAT_BYTES
    return NodeCost(
        name="attention",
        operator="GroupQueryAttention",
        operator_class=OperatorClass.MATMUL,
        macs=users * pairs * 2 * one.heads * one.head,
        is_wide=True,
        input_bytes=places + users * tokens * row,
        output_bytes=users * tokens * row,
    )


def _tensor_bytes(tensor: onnx.TensorProto) -> int:
    items: int = prod(tensor.dims)
    return round(items * item_bytes(tensor.data_type))

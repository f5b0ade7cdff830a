"""What one inference of a model asks for: products, bytes, kernels, live memory.

Counts on the graph as a runtime executes it: quantising and its reverse folded
into their neighbours, activations fused behind the kernel that feeds them,
constants computed beforehand. An operator that is not known is costed by the bytes
that it touches, and named. Knows no device and no time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import onnx

from harness.emulation.kernels import BodyCost, NodeCost, kernels_of
from harness.emulation.liveness import peak_live
from harness.emulation.operators import OperatorClass, Shape
from harness.emulation.standins import open_inputs
from harness.emulation.subgraphs import Body
from harness.emulation.tensors import Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCost:
    """Cost of one inference of one sample."""

    nodes: tuple[NodeCost, ...]
    weight_bytes: int
    """All stored constants that a kernel reads, each once."""
    arena_bytes: int
    """Most bytes of activations that are alive at once, in the order of the file."""
    file_bytes: int = 0
    unknown_operators: tuple[str, ...] = ()
    unknown_shapes: tuple[str, ...] = field(default=())
    """Nodes whose cost is incomplete, since the shape of a tensor is not known."""
    open_inputs: tuple[str, ...] = ()
    """Inputs with an axis, besides that of samples, whose length nobody gave."""

    @property
    def kernels(self) -> int:
        """Number of kernels that a runtime calls."""
        return sum(node.repeats for node in self.nodes)

    @property
    def macs(self) -> int:
        """All multiply-accumulates of convolutions and matrix products."""
        return sum(node.macs for node in self.nodes)

    @property
    def dead_macs(self) -> int:
        """Multiply-accumulates that a runtime which prunes dead channels leaves out."""
        return sum(node.dead_macs for node in self.nodes)

    @property
    def wide_macs(self) -> int:
        """Multiply-accumulates in numbers of more than 8 bits."""
        return sum(node.macs for node in self.nodes if node.is_wide)

    @property
    def activation_bytes(self) -> int:
        """Bytes of activations read and written by all kernels."""
        return sum(node.activation_bytes for node in self.nodes)

    def of_class(self, operator_class: OperatorClass) -> tuple[NodeCost, ...]:
        """List the kernels of one class."""
        return tuple(n for n in self.nodes if n.operator_class is operator_class)


def cost_of_file(path: Path, bound: Mapping[str, Shape] | None = None) -> GraphCost:
    """Cost a model file. `bound` gives shapes of inputs; open axes count 1.

    Weights that lie in files of their own are costed by their shapes, unread.
    """
    model = onnx.load(str(path), load_external_data=False)
    cost = cost_of_model(model, bound)
    return replace(cost, file_bytes=max(path.stat().st_size, cost.weight_bytes))


def cost_of_model(
    model: onnx.ModelProto, bound: Mapping[str, Shape] | None = None
) -> GraphCost:
    """Cost a model that is in memory; see `cost_of_file`."""
    tensors = Tensors(model, bound or {})
    kernels = kernels_of(tensors, _cost_of_body)
    dead: dict[str, float] = {}
    nodes = tuple(chain.from_iterable(one.costs(tensors, dead) for one in kernels))
    weights = {
        tensors.root(name)
        for kernel in kernels
        for name in kernel.inputs
        if tensors.is_constant(name)
    }
    unknown = {n.operator for n in nodes if n.operator_class is OperatorClass.UNKNOWN}
    return GraphCost(
        nodes=nodes,
        weight_bytes=sum(tensors.bytes_of(name) for name in weights)
        + sum(kernel.body_weight_bytes for kernel in kernels),
        arena_bytes=peak_live(kernels, tensors),
        unknown_operators=tuple(sorted(unknown)),
        unknown_shapes=tuple(k.name for k in kernels if k.is_unsized(tensors)),
        open_inputs=open_inputs(model, bound or {}),
    )


def _cost_of_body(body: Body) -> BodyCost:
    cost = cost_of_model(body.model)
    return BodyCost(
        nodes=cost.nodes, arena_bytes=cost.arena_bytes, weight_bytes=cost.weight_bytes
    )

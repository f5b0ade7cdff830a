"""What one inference of a model asks for: products, bytes, kernels, live memory.

Counts on the graph as a runtime executes it: quantising and its reverse folded
into their neighbours, activations fused behind the kernel that feeds them,
constants computed beforehand. An operator that is not known is costed by the bytes
that it touches, and named. Knows no device and no time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from harness.emulation.operators import (
    ACTIVATIONS,
    ARITHMETIC,
    CONVOLUTIONS,
    PRODUCTS,
    RECURRENT,
    OperatorClass,
    Shape,
    class_of,
    convolution_class,
    convolution_macs,
    product_macs,
    recurrent_macs,
)
from harness.emulation.tensors import Tensors, attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCost:
    """One kernel: an operator with what is fused behind it. Sizes in bytes."""

    name: str
    operator: str
    operator_class: OperatorClass
    macs: int = 0
    dead_macs: int = 0
    """Those of `macs` that belong to channels whose filters hold only zeros."""
    is_wide: bool = False
    """Multiplied in numbers of more than 8 bits."""
    weight_bytes: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    fused: tuple[str, ...] = ()

    @property
    def activation_bytes(self) -> int:
        """Bytes of activations that are read and written."""
        return self.input_bytes + self.output_bytes


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

    @property
    def kernels(self) -> int:
        """Number of kernels that a runtime calls."""
        return len(self.nodes)

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
    """Cost a model file. `bound` gives shapes of inputs; open dimensions count 1."""
    model = onnx.load(str(path))
    cost = cost_of_model(model, bound)
    return _with_file_size(cost, path.stat().st_size)


def cost_of_model(
    model: onnx.ModelProto, bound: Mapping[str, Shape] | None = None
) -> GraphCost:
    """Cost a model that is in memory; see `cost_of_file`."""
    tensors = Tensors(model, bound or {})
    kernels = _kernels(tensors)
    dead: dict[str, float] = {}
    nodes = tuple(kernel.cost(tensors, dead) for kernel in kernels)
    weights = {
        tensors.root(name)
        for kernel in kernels
        for name in kernel.inputs
        if tensors.is_constant(name)
    }
    return GraphCost(
        nodes=nodes,
        weight_bytes=sum(tensors.bytes_of(name) for name in weights),
        arena_bytes=_peak_live(kernels, tensors),
        unknown_operators=tuple(
            sorted(
                {n.operator for n in nodes if n.operator_class is OperatorClass.UNKNOWN}
            )
        ),
        unknown_shapes=tuple(k.name for k in kernels if k.is_unsized(tensors)),
    )


def joined(costs: Sequence[GraphCost]) -> GraphCost:
    """Cost graphs that are executed one after the other, as one inference."""
    return GraphCost(
        nodes=tuple(node for cost in costs for node in cost.nodes),
        weight_bytes=sum(cost.weight_bytes for cost in costs),
        arena_bytes=max(cost.arena_bytes for cost in costs),
        file_bytes=sum(cost.file_bytes for cost in costs),
        unknown_operators=tuple(
            sorted({name for cost in costs for name in cost.unknown_operators})
        ),
        unknown_shapes=tuple(name for cost in costs for name in cost.unknown_shapes),
    )


def _with_file_size(cost: GraphCost, size: int) -> GraphCost:
    return GraphCost(
        nodes=cost.nodes,
        weight_bytes=cost.weight_bytes,
        arena_bytes=cost.arena_bytes,
        file_bytes=size,
        unknown_operators=cost.unknown_operators,
        unknown_shapes=cost.unknown_shapes,
    )


class _Kernel:
    """A node with what is fused behind it, before it is costed."""

    def __init__(self, node: onnx.NodeProto, position: int) -> None:
        self.node = node
        self.position = position
        self.name = node.name or f"{node.op_type} → {node.output[0]}"
        self.inputs = [name for name in node.input if name]
        self.outputs = [name for name in node.output if name]
        self.fused: list[str] = []
        self.overwritable = list(self.inputs) if _is_elementwise(node) else []

    def take_in(self, node: onnx.NodeProto, own: str) -> None:
        """Fuse a node behind this kernel; `own` is its input that comes from here."""
        others = [name for name in node.input if name and name != own]
        self.fused.append(node.op_type)
        self.inputs += others
        self.overwritable += others
        self.outputs = [name for name in node.output if name]

    def activations(self, tensors: Tensors) -> set[str]:
        """Name the stored tensors that are read and are no constants."""
        roots = (tensors.root(n) for n in self.inputs if not tensors.is_constant(n))
        return set(roots)

    def is_unsized(self, tensors: Tensors) -> bool:
        """Say whether the shape of an operand is not known."""
        return any(
            tensors.shape(name) is None
            for name in (*self.node.input, *self.node.output)
            if name
        )

    def cost(self, tensors: Tensors, dead: dict[str, float]) -> NodeCost:
        """Cost the kernel; `dead` has the dead share of channels of each tensor."""
        work = _work(self.node, tensors, dead)
        dead.update(dict.fromkeys(self.outputs, work.dead_channels))
        weights = {tensors.root(n) for n in self.inputs if tensors.is_constant(n)}
        return NodeCost(
            name=self.name,
            operator=self.node.op_type,
            operator_class=work.operator_class,
            macs=work.macs,
            dead_macs=round(work.macs * work.dead_share),
            is_wide=work.macs > 0 and tensors.is_wide(self.node.input[0]),
            weight_bytes=sum(tensors.bytes_of(name) for name in weights),
            input_bytes=sum(map(tensors.bytes_of, self.activations(tensors))),
            output_bytes=sum(map(tensors.bytes_of, self.outputs)),
            fused=tuple(self.fused),
        )


def _kernels(tensors: Tensors) -> list[_Kernel]:
    """Fold views and constants away and fuse activations behind their kernels."""
    uses = _uses(tensors)
    made_by: dict[str, _Kernel] = {}
    kernels: list[_Kernel] = []
    for position, node in enumerate(tensors.nodes):
        if all(tensors.is_constant(name) for name in node.output if name):
            continue
        if tensors.root(node.output[0]) != node.output[0]:
            continue
        own = _fusable_input(node, tensors, uses, made_by)
        if own is None:
            kernel = _Kernel(node, position)
            kernels.append(kernel)
        else:
            kernel = made_by[tensors.root(own)]
            kernel.take_in(node, own)
        made_by.update({name: kernel for name in node.output if name})
    return kernels


def _uses(tensors: Tensors) -> dict[str, int]:
    """Count the readers of each stored tensor; leaving the graph is one more."""
    uses: dict[str, int] = {}
    for node in tensors.nodes:
        if node.output and tensors.root(node.output[0]) == node.output[0]:
            for root in {tensors.root(name) for name in node.input if name}:
                uses[root] = uses.get(root, 0) + 1
    for name in tensors.outputs:
        uses[tensors.root(name)] = uses.get(tensors.root(name), 0) + 1
    return uses


def _fusable_input(
    node: onnx.NodeProto,
    tensors: Tensors,
    uses: Mapping[str, int],
    made_by: Mapping[str, _Kernel],
) -> str | None:
    """Name the input through which a node fuses into the kernel before it, if any.

    A sum of two branches fuses into the one that is computed last.
    """
    moving = [name for name in node.input if name and not tensors.is_constant(name)]
    is_activation = node.op_type in ACTIVATIONS and len(moving) == 1
    if not (is_activation or node.op_type in ARITHMETIC):
        return None
    open_ended = [
        name
        for name in moving
        if uses.get(tensors.root(name)) == 1 and tensors.root(name) in made_by
    ]
    return max(
        open_ended, key=lambda name: made_by[tensors.root(name)].position, default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What one node multiplies. Shares are of its products, and of its channels."""

    operator_class: OperatorClass
    macs: int = 0
    dead_share: float = 0.0
    dead_channels: float = 0.0


def _work(node: onnx.NodeProto, tensors: Tensors, dead: Mapping[str, float]) -> _Work:
    operator = node.op_type
    if operator in CONVOLUTIONS:
        return _convolution(node, tensors, dead)
    if operator in PRODUCTS:
        return _Work(operator_class=OperatorClass.MATMUL, macs=_product(node, tensors))
    if operator in RECURRENT:
        macs = _recurrent(_shapes(node.input[:3], tensors))
        return _Work(operator_class=OperatorClass.MATMUL, macs=macs)
    return _Work(operator_class=class_of(operator))


def _convolution(
    node: onnx.NodeProto, tensors: Tensors, dead: Mapping[str, float]
) -> _Work:
    at = CONVOLUTIONS[node.op_type]
    data_name, weight_name = node.input[at.data], node.input[at.weight]
    shapes = _shapes([data_name, weight_name, node.output[0]], tensors)
    if shapes is None:
        return _Work(operator_class=OperatorClass.DENSE)
    data, weight, output = shapes
    kind = convolution_class(weight, attribute(node, "group", 1))
    macs = convolution_macs(node.op_type, data, weight, output)
    before = dead.get(tensors.root(data_name), 0.0)
    if node.op_type == "ConvTranspose":
        return _Work(operator_class=kind, macs=macs)
    zero = tensors.zero_filter_share(weight_name)
    # a depthwise filter is dead with the channel that it reads
    own = max(zero, before) if kind is OperatorClass.DEPTHWISE else zero
    shared = 0.0 if kind is OperatorClass.DEPTHWISE else before
    return _Work(
        operator_class=kind,
        macs=macs,
        dead_share=1 - (1 - own) * (1 - shared),
        dead_channels=own,
    )


def _product(node: onnx.NodeProto, tensors: Tensors) -> int:
    at = PRODUCTS[node.op_type]
    shapes = _shapes([node.input[at.data], node.output[0]], tensors)
    if shapes is None:
        return 0
    data, output = shapes
    inner = -2 if attribute(node, "transA", 0) else -1
    return product_macs(data, output, inner_axis=inner)


def _recurrent(shapes: Sequence[Shape] | None) -> int:
    return 0 if shapes is None else recurrent_macs(shapes[0], shapes[1:])


def _shapes(names: Sequence[str], tensors: Tensors) -> list[Shape] | None:
    found = [tensors.shape(name) for name in names]
    known = [shape for shape in found if shape is not None]
    return known if len(known) == len(found) else None


def _peak_live(kernels: Sequence[_Kernel], tensors: Tensors) -> int:
    """Give the most bytes alive at once, kernel after kernel.

    A tensor lives from the kernel that gives it to the last that reads it. What is
    done element by element may write over an operand that dies with it.
    """
    last_use = {tensors.root(name): len(kernels) for name in tensors.outputs}
    for index, kernel in enumerate(kernels):
        for root in kernel.activations(tensors):
            last_use[root] = max(index, last_use.get(root, index))
    alive = {name: tensors.bytes_of(name) for name in tensors.inputs}
    peak = sum(alive.values())
    for index, kernel in enumerate(kernels):
        dying = {r for r in kernel.activations(tensors) if last_use[r] == index}
        given = {name: tensors.bytes_of(name) for name in kernel.outputs}
        overwritable = dying & set(map(tensors.root, kernel.overwritable))
        needed = sum((alive | given).values()) - _reused(overwritable, given, alive)
        peak = max(peak, needed)
        for root in dying:
            alive.pop(root, None)
        alive |= {name: size for name, size in given.items() if name in last_use}
    return peak


def _reused(
    overwritable: set[str], given: Mapping[str, int], alive: Mapping[str, int]
) -> int:
    """Give the bytes of its output that a kernel writes over a dying operand."""
    freed = max((alive.get(root, 0) for root in overwritable), default=0)
    return min(freed, max(given.values(), default=0))


def _is_elementwise(node: onnx.NodeProto) -> bool:
    return class_of(node.op_type) is OperatorClass.ELEMENTWISE

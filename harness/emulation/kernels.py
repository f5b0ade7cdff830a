"""Nodes of a graph → the kernels that a runtime calls.

Views, quantising and constants fold away, activations and sums fuse behind the
kernel that feeds them, islands of small operators become one, bodies of control
flow are costed as often as they run.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import onnx

from harness.emulation.islands import Island, islands
from harness.emulation.operators import (
    ACTIVATIONS,
    ARITHMETIC,
    OperatorClass,
    class_of,
)
from harness.emulation.subgraphs import CONTROL, Body, captured
from harness.emulation.tensors import Tensors
from harness.emulation.work import Work, work_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCost:
    """One kernel: an operator with what is fused behind it. Sizes in bytes.

    All counts are of `repeats` executions together.
    """

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
    repeats: int = 1
    """How often the kernel is called in one inference."""

    @property
    def activation_bytes(self) -> int:
        """Bytes of activations that are read and written."""
        return self.input_bytes + self.output_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyCost:
    """Cost of the body of a control-flow node, one trip."""

    nodes: tuple[NodeCost, ...]
    arena_bytes: int
    weight_bytes: int


CostOfBody = Callable[[Body], BodyCost]


class Kernel:
    """A node with what is fused behind it, before it is costed."""

    def __init__(self, node: onnx.NodeProto, position: int) -> None:
        self.node = node
        self.position = position
        self.name = node.name or f"{node.op_type} → {node.output[0]}"
        self.inputs = [name for name in node.input if name]
        self.outputs = [name for name in node.output if name]
        self.fused: list[str] = []
        self.overwritable = list(self.inputs) if _is_elementwise(node) else []
        self.is_normalising = False
        self.scratch_bytes = 0
        self._body: tuple[BodyCost, Body] | None = None

    def take_in(self, node: onnx.NodeProto, own: str) -> None:
        """Fuse a node behind this kernel; `own` is its input that comes from here."""
        others = [name for name in node.input if name and name != own]
        self.fused.append(node.op_type)
        self.inputs += others
        self.overwritable += others
        self.outputs = [name for name in node.output if name]

    def take_in_island(self, node: onnx.NodeProto, tensors: Tensors) -> None:
        """Fuse a node whose operands are all this kernel's own, or constants."""
        self.fused.append(node.op_type)
        self.inputs += [n for n in node.input if n and tensors.is_constant(n)]
        self.outputs = [name for name in node.output if name]

    def run_body(self, body: Body, cost: BodyCost, tensors: Tensors) -> None:
        """Cost this node by its body, which counts the constants that it reads."""
        outside = captured(self.node)
        self.inputs += sorted(n for n in outside if not tensors.is_constant(n))
        self.scratch_bytes = cost.arena_bytes
        self._body = (cost, body)

    @property
    def is_counted(self) -> bool:
        """Say whether it is known how often this kernel runs."""
        return self._body is None or self._body[1].is_counted

    @property
    def body_weight_bytes(self) -> int:
        """Bytes of the constants that only the body holds."""
        return 0 if self._body is None else self._body[0].weight_bytes

    def activations(self, tensors: Tensors) -> set[str]:
        """Name the stored tensors that are read and are no constants."""
        roots = (tensors.root(n) for n in self.inputs if not tensors.is_constant(n))
        return set(roots)

    def is_unsized(self, tensors: Tensors) -> bool:
        """Say whether the shape of an operand, or of the result, is not known."""
        operands = (*self.node.input, self.node.output[0])
        return not self.is_counted or any(
            not tensors.is_sized(name) for name in operands if name
        )

    def costs(self, tensors: Tensors, dead: dict[str, float]) -> Iterator[NodeCost]:
        """Cost the kernel; `dead` has the dead share of channels of each tensor."""
        if self._body is not None:
            cost, body = self._body
            yield from (_repeated(node, body.trips, self.name) for node in cost.nodes)
            return
        work = work_of(self.node, tensors, dead)
        dead.update(dict.fromkeys(self.outputs, work.dead_channels))
        weights = {tensors.root(n) for n in self.inputs if tensors.is_constant(n)}
        yield NodeCost(
            name=self.name,
            operator=self.node.op_type,
            operator_class=self._class(work),
            macs=work.macs,
            dead_macs=round(work.macs * work.dead_share),
            is_wide=work.macs > 0 and tensors.is_wide(self.node.input[0]),
            weight_bytes=sum(tensors.bytes_of(name) for name in weights),
            input_bytes=sum(map(tensors.bytes_of, self.activations(tensors))),
            output_bytes=sum(map(tensors.bytes_of, self.outputs)),
            fused=tuple(self.fused),
        )

    def _class(self, work: Work) -> OperatorClass:
        is_own = self.is_normalising and not work.macs
        return OperatorClass.NORMALISATION if is_own else work.operator_class


def kernels_of(tensors: Tensors, cost_of_body: CostOfBody) -> list[Kernel]:
    """List the kernels of a graph in the order of the file."""
    uses = _uses(tensors)
    found = islands(tensors, uses)
    made_by: dict[str, Kernel] = {}
    begun: dict[Island, Kernel] = {}
    kernels: list[Kernel] = []
    for position, node in enumerate(tensors.nodes):
        if all(tensors.is_constant(name) for name in node.output if name):
            continue
        if tensors.root(node.output[0]) != node.output[0]:
            continue
        island = found.get(position)
        if island is not None and island in begun:
            kernel = begun[island]
            kernel.take_in_island(node, tensors)
        else:
            own = (
                _fusable_input(node, tensors, uses, made_by)
                if island is None
                else _feeding(island, node, tensors, uses, made_by)
            )
            kernel = _placed(node, position, own, tensors, made_by)
            if kernel.node is node:
                kernels.append(kernel)
            if island is not None:
                begun[island] = kernel
                kernel.is_normalising |= island.is_normalising
        if node.op_type in CONTROL:
            _run_dearest(kernel, tensors, cost_of_body)
            continue  # nothing fuses behind a body
        made_by.update({name: kernel for name in node.output if name})
    return kernels


def _placed(
    node: onnx.NodeProto,
    position: int,
    own: str | None,
    tensors: Tensors,
    made_by: Mapping[str, Kernel],
) -> Kernel:
    """Give the kernel that a node belongs to: the one before it, or its own."""
    if own is None:
        return Kernel(node, position)
    kernel = made_by[tensors.root(own)]
    kernel.take_in(node, own)
    return kernel


def _feeding(
    island: Island,
    node: onnx.NodeProto,
    tensors: Tensors,
    uses: Mapping[str, int],
    made_by: Mapping[str, Kernel],
) -> str | None:
    """Name an island's source where it may fuse into the kernel that gives it.

    A normalisation needs its whole input before it can begin.
    """
    is_only_reader = uses.get(island.source, 0) == island.reads
    if island.is_normalising or not is_only_reader or island.source not in made_by:
        return None
    names = (name for name in node.input if tensors.root(name) == island.source)
    return next(names, None)


def _run_dearest(kernel: Kernel, tensors: Tensors, cost_of_body: CostOfBody) -> None:
    bodies = tensors.bodies.get(kernel.node.output[0], ())
    costed = [(cost_of_body(body), body) for body in bodies]
    if costed:
        cost, body = max(costed, key=lambda one: _size(one[0]))
        kernel.run_body(body, cost, tensors)


def _size(cost: BodyCost) -> tuple[int, int]:
    return (
        sum(node.macs for node in cost.nodes),
        sum(node.activation_bytes for node in cost.nodes),
    )


def _repeated(node: NodeCost, trips: int, inside: str) -> NodeCost:
    return replace(
        node,
        name=f"{inside}/{node.name}",
        macs=node.macs * trips,
        dead_macs=node.dead_macs * trips,
        input_bytes=node.input_bytes * trips,
        output_bytes=node.output_bytes * trips,
        repeats=node.repeats * trips,
    )


def _uses(tensors: Tensors) -> dict[str, int]:
    """Count the readers of each stored tensor; leaving the graph is one more."""
    uses: dict[str, int] = {}
    for node in tensors.nodes:
        if node.output and tensors.root(node.output[0]) == node.output[0]:
            names = {*node.input, *(captured(node) if node.op_type in CONTROL else ())}
            for root in {tensors.root(name) for name in names if name}:
                uses[root] = uses.get(root, 0) + 1
    for name in tensors.outputs:
        uses[tensors.root(name)] = uses.get(tensors.root(name), 0) + 1
    return uses


def _fusable_input(
    node: onnx.NodeProto,
    tensors: Tensors,
    uses: Mapping[str, int],
    made_by: Mapping[str, Kernel],
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


def _is_elementwise(node: onnx.NodeProto) -> bool:
    return class_of(node.op_type) is OperatorClass.ELEMENTWISE

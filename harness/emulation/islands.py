"""Islands of small operators that a runtime computes in one go.

Layer normalisation, GELU, swish and their like are often written out as a handful
of element-wise nodes. Runtimes fuse them (onnxruntime's LayerNormFusion, GeluFusion,
QuickGeluFusion; XNNPACK and NPU compilers alike). Here such an island is found by
its form, not by a list of patterns: nodes that read one tensor more than once, and
whatever they give to each other, and of which a single tensor leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from harness.emulation.operators import ACTIVATIONS, ARITHMETIC
from harness.emulation.tensors import Tensors

_INSIDE = ACTIVATIONS | ARITHMETIC | {"Abs", "Exp", "Max", "Min", "Pow", "Reciprocal"}
_REDUCING = frozenset({"ReduceMean", "ReduceSum"})
_NODES_AT_MOST = 14
"""Of an island; the longest that is met, a layer normalisation, has 9 and views."""
_LOOK_AHEAD = 60
"""Nodes looked at behind the first; islands are written without a break."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Island:
    """A closed group of nodes, by their positions in the graph."""

    nodes: tuple[int, ...]
    source: str
    """The tensor that it reads."""
    reads: int
    """How many of its nodes read the source."""
    is_normalising: bool


def islands(tensors: Tensors, uses: Mapping[str, int]) -> dict[int, Island]:
    """Find all islands; each is named by the positions of each of its nodes."""
    found: dict[int, Island] = {}
    for position, node in enumerate(tensors.nodes):
        if position in found or not _may_begin(node, tensors, uses):
            continue
        island = _grown(position, tensors, uses, found)
        if island is not None:
            found |= dict.fromkeys(island.nodes, island)
    return found


def _may_begin(node: onnx.NodeProto, tensors: Tensors, uses: Mapping[str, int]) -> bool:
    moving = _moving(node, tensors)
    is_inside = node.op_type in _INSIDE or node.op_type in _REDUCING
    return is_inside and len(moving) == 1 and uses.get(min(moving), 0) > 1


def _moving(node: onnx.NodeProto, tensors: Tensors) -> set[str]:
    names = (name for name in node.input if name and not tensors.is_constant(name))
    return {tensors.root(name) for name in names}


def _grown(
    start: int,
    tensors: Tensors,
    uses: Mapping[str, int],
    taken: Mapping[int, Island],
) -> Island | None:
    """Grow from a node as far as it goes; give what was closed last, if anything."""
    source = min(_moving(tensors.nodes[start], tensors))
    members: list[int] = []
    open_uses: dict[str, int] = {}
    reads_of_source = 0
    closed: tuple[int, int] = (0, 0)
    end = min(start + _LOOK_AHEAD, len(tensors.nodes))
    for position in range(start, end):
        node = tensors.nodes[position]
        moving = _moving(node, tensors)
        is_member = (
            position not in taken
            and (node.op_type in _INSIDE or node.op_type in _REDUCING)
            and moving
            and moving <= {source, *open_uses}
        )
        if not is_member or len(members) == _NODES_AT_MOST:
            continue
        members.append(position)
        reads_of_source += source in moving
        for name in moving - {source}:
            open_uses[name] -= 1
        made = node.output[0]
        is_closed = not any(open_uses.values())
        open_uses[made] = uses.get(made, 0)
        if is_closed and reads_of_source > 1:
            closed = (len(members), reads_of_source)
    inside = members[: closed[0]]
    if len(inside) <= 1:
        return None
    operators = {tensors.nodes[position].op_type for position in inside}
    return Island(
        nodes=tuple(inside),
        source=source,
        reads=closed[1],
        is_normalising=bool(operators & _REDUCING),
    )

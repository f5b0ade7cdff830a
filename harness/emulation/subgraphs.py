"""Bodies of If, Loop and Scan: which graph runs, how often, and what it gives.

Shape inference stops at control flow, since a loop may change the shapes that it
carries. Here a body is taken as a graph of its own, fed with the shapes that go in
the first time; what it gives then is what comes out. Of a branch, both sides are
given; who costs them takes the dearer one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper, shape_inference

from harness.emulation.folding import Values, fold, small_constants, stored_tensors
from harness.emulation.operators import Shape
from harness.emulation.standins import integer, skeleton

CONTROL = frozenset({"If", "Loop", "Scan"})

_Types = Mapping[str, onnx.ValueInfoProto]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A graph inside a node: a model of its own, and how often it is executed."""

    model: onnx.ModelProto
    trips: int = 1
    is_counted: bool = True
    """False where the number of trips is only known while the model runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfolded:
    """A graph whose shapes are inferred as far as they go, and its bodies.

    `bodies` goes by the first output of the node that holds them.
    """

    graph: onnx.GraphProto
    bodies: Mapping[str, tuple[Body, ...]]


def unfold(model: onnx.ModelProto, bound: Mapping[str, Shape]) -> Unfolded:
    """Infer the shapes of all tensors, through control flow and runtime operators."""
    given: dict[str, onnx.ValueInfoProto] = {}
    bodies: dict[str, tuple[Body, ...]] = {}
    values = small_constants(model.graph)
    while True:
        copy = skeleton(model, bound, given, values)
        graph = shape_inference.infer_shapes(copy, data_prop=True).graph
        types = _types(graph)
        waiting = [
            node
            for node in model.graph.node
            if node.op_type in CONTROL and node.output[0] not in bodies
        ]
        folded = fold(model, values, types) if waiting or _has_gaps(graph) else {}
        values |= folded
        ready = [node for node in waiting if _is_fed(node, types)]
        for node in ready:
            bodies[node.output[0]] = tuple(_bodies(node, model, types, values))
            given |= _outputs(node, bodies[node.output[0]])
        if not (ready or folded):
            return Unfolded(graph=graph, bodies=bodies)


def _has_gaps(graph: onnx.GraphProto) -> bool:
    """Say whether inference left the length of an axis open."""
    return any(
        one.dim_value <= 0
        for value in (*graph.value_info, *graph.output)
        for one in value.type.tensor_type.shape.dim
    ) or any(not o.type.tensor_type.HasField("shape") for o in graph.output)


def _is_fed(node: onnx.NodeProto, types: _Types) -> bool:
    return all(name in types or not name for name in node.input)


def captured(node: onnx.NodeProto) -> set[str]:
    """Name the tensors that the bodies of a node read from outside."""
    names: set[str] = set()
    for graph in _graphs(node):
        made = {value.name for value in (*graph.input, *graph.initializer)}
        for inner in graph.node:
            names |= ({*inner.input} | captured(inner)) - made
            made |= set(inner.output)
    return names - {""}


def _graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [a.g for a in node.attribute if a.type == AttributeProto.GRAPH]


def _types(graph: onnx.GraphProto) -> dict[str, onnx.ValueInfoProto]:
    known = {
        tensor.name: helper.make_tensor_value_info(
            tensor.name, tensor.data_type, list(tensor.dims)
        )
        for tensor in graph.initializer
    }
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            known[value.name] = value
    return known


def _bodies(
    node: onnx.NodeProto, model: onnx.ModelProto, types: _Types, values: Values
) -> Iterator[Body]:
    stored = dict(stored_tensors(model.graph))
    stored |= {
        name: numpy_helper.from_array(value, name) for name, value in values.items()
    }
    trips, is_counted = _trips(node, types, values)
    for graph in _taken_graphs(node, values):
        fed = _fed(node, graph, types)
        yield Body(
            model=_as_model(graph, model, {**types, **fed}, stored),
            trips=trips,
            is_counted=is_counted,
        )


def _taken_graphs(node: onnx.NodeProto, values: Values) -> list[onnx.GraphProto]:
    """Give the bodies that may run: of a branch whose condition is known, one."""
    condition = values.get(node.input[0]) if node.op_type == "If" else None
    if condition is None:
        return _graphs(node)
    wanted = "then_branch" if condition.reshape(-1)[0] else "else_branch"
    return [a.g for a in node.attribute if a.name == wanted]


def _trips(node: onnx.NodeProto, types: _Types, values: Values) -> tuple[int, bool]:
    match node.op_type:
        case "Loop":
            limit = values.get(node.input[0])
            if limit is None:
                return 1, False
            return max(1, int(limit.reshape(-1)[0])), True
        case "Scan":
            scanned = node.input[-integer(node, "num_scan_inputs", 1)]
            sizes = types[scanned].type.tensor_type.shape.dim
            return max(1, sizes[0].dim_value if sizes else 1), True
        case _:
            return 1, True


def _fed(node: onnx.NodeProto, graph: onnx.GraphProto, types: _Types) -> _Types:
    """Give the inputs of a body the shapes of what goes in."""
    match node.op_type:
        case "Loop":
            scalars = {
                value.name: helper.make_tensor_value_info(value.name, kind, [])
                for value, kind in zip(
                    graph.input[:2], (TensorProto.INT64, TensorProto.BOOL), strict=True
                )
            }
            carried = zip(graph.input[2:], node.input[2:], strict=False)
            return scalars | {
                inner.name: _renamed(types[outer], inner.name)
                for inner, outer in carried
                if outer in types
            }
        case "Scan":
            states = len(node.input) - integer(node, "num_scan_inputs", 1)
            pairs = enumerate(zip(graph.input, node.input, strict=False))
            return {
                inner.name: _renamed(
                    types[outer], inner.name, drop_first=place >= states
                )
                for place, (inner, outer) in pairs
            }
        case _:
            return {}


def _renamed(
    value: onnx.ValueInfoProto, name: str, *, drop_first: bool = False
) -> onnx.ValueInfoProto:
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(value)
    copy.name = name
    if drop_first and copy.type.tensor_type.shape.dim:
        del copy.type.tensor_type.shape.dim[0]
    return copy


def _as_model(
    graph: onnx.GraphProto,
    model: onnx.ModelProto,
    types: _Types,
    stored: Mapping[str, TensorProto],
) -> onnx.ModelProto:
    """Make a body a model of its own, with what it reads from outside as inputs."""
    holder = onnx.NodeProto(op_type="If")
    holder.attribute.append(helper.make_attribute("body", graph))
    outside = captured(holder)
    made = onnx.GraphProto()
    made.CopyFrom(graph)
    del made.input[:]
    made.input.extend(types.get(value.name, value) for value in graph.input)
    made.input.extend(
        types[name] for name in sorted(outside - stored.keys()) if name in types
    )
    for name in sorted(outside & stored.keys()):
        tensor = onnx.TensorProto()
        tensor.CopyFrom(stored[name])
        tensor.name = name
        made.initializer.append(tensor)
    alone = onnx.ModelProto(ir_version=model.ir_version, graph=made)
    alone.opset_import.extend(model.opset_import)
    return alone


def _outputs(
    node: onnx.NodeProto, bodies: tuple[Body, ...]
) -> dict[str, onnx.ValueInfoProto]:
    """Give the outputs of a node with bodies the shapes of what its body gives."""
    given: dict[str, onnx.ValueInfoProto] = {}
    for body in bodies:
        graph = unfold(body.model, {}).graph
        types = _types(graph)
        names = [value.name for value in body.model.graph.output]
        names = names[1:] if node.op_type == "Loop" else names
        stacked_from = _stacked_from(node)
        for place, (inner, outer) in enumerate(zip(names, node.output, strict=False)):
            if inner in types and outer and outer not in given:
                given[outer] = _renamed(types[inner], outer)
                if place >= stacked_from:
                    _stack(given[outer], body.trips)
    return given


def _stacked_from(node: onnx.NodeProto) -> int:
    """Count the outputs that are carried; those behind them gather every trip's."""
    match node.op_type:
        case "Loop":
            return len(node.input) - 2
        case "Scan":
            return len(node.input) - integer(node, "num_scan_inputs", 1)
        case _:
            return len(node.output)


def _stack(value: onnx.ValueInfoProto, trips: int) -> None:
    sizes = [one.dim_value for one in value.type.tensor_type.shape.dim]
    shape = helper.make_tensor_value_info(
        value.name, value.type.tensor_type.elem_type, [trips, *sizes]
    )
    value.CopyFrom(shape)

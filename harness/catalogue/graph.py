"""Ways through a parsed ONNX model that miss no node and no tensor.

Operators hide in the branches of If and Loop and in model-local functions; tensors
hide in attributes, sparse tensors and training graphs as well.
"""

from collections.abc import Iterator
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def canonical(domain: str) -> str:
    """Give the name of an operator domain; ``ai.onnx`` is another word for ""."""
    return "" if domain == "ai.onnx" else domain


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    """Give the operator-set version that the model declares for each domain."""
    return {canonical(one.domain): one.version for one in model.opset_import}


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Yield the main graph and, depth first, every graph inside its nodes."""
    yield from _graphs_in(model.graph)


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield every node of the main graph, of inner graphs and of local functions."""
    for graph in graphs(model):
        yield from graph.node
    for function in model.functions:
        for node in function.node:
            yield node
            for graph in inner_graphs(node):
                for inner in _graphs_in(graph):
                    yield from inner.node


def inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs that a node holds as attributes (If, Loop, Scan)."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def operand(node: onnx.NodeProto, position: int) -> str:
    """Name the input of a node at a position; "" where it is left away."""
    return str(node.input[position]) if position < len(node.input) else ""


def tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Yield every tensor anywhere in a message, whatever field it stands in."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for child in _children(value):
            yield from tensors(child)


def holds_broken_text(message: Message) -> bool:
    """Say whether a name anywhere in a message is not UTF-8.

    protobuf gives such a name as bytes instead of refusing it.
    """
    return any(
        _is_broken(value)
        if field.type == FieldDescriptor.TYPE_STRING
        else field.message_type is not None
        and any(holds_broken_text(child) for child in _children(value))
        for field, value in message.ListFields()
    )


def _is_broken(value: Any) -> bool:  # noqa: ANN401 - protobuf's field
    if isinstance(value, str | bytes):
        return isinstance(value, bytes)
    return any(isinstance(text, bytes) for text in value)


def _children(value: Any) -> Iterator[Message]:  # noqa: ANN401 - protobuf's field
    if isinstance(value, Message):
        yield value
    else:
        yield from value


def _graphs_in(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from _graphs_in(inner)

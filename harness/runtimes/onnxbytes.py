"""As much of the ONNX file format as a board needs: no `onnx` package is there.

Writes a model that only copies its inputs, and counts the operators of a model that
the runtime has optimised. Field numbers are those of onnx.proto (ONNX IR version 8);
the encoding is that of Protocol Buffers, "Encoding", protobuf.dev.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from harness.errors import ModelRejected

_STRING = "str"
ELEMENT_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    _STRING: 8,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
}
"""numpy's name → TensorProto.DataType."""

_IR_VERSION = 8
_OPSET = 13
_VARINT, _BYTES = 0, 2
_MORE = 0x80
"""The bit of a byte that says that the number goes on."""

# Places of nodes in a model: ModelProto.graph → GraphProto.node → NodeProto.attribute
# → AttributeProto.g and .graphs → GraphProto.node …
_MODEL_GRAPH, _GRAPH_NODE = 7, 1
_NODE_OP_TYPE, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_GRAPHS = (6, 11)


def identity_model(
    inputs: Sequence[tuple[str, str, tuple[int, ...]]],
) -> bytes:
    """Give a model with one Identity for each input (name, dtype, shape).

    Output i is called ``out{i}``. It is the least that a runtime can be asked to do
    with inputs of these shapes; of text, whose type no session gives, it is the shape
    that comes out. Raises ModelRejected for a dtype ONNX has no type for.
    """
    nodes = [
        _text(1, name) + _text(2, f"out{i}") + _text(_NODE_OP_TYPE, _copying(dtype))
        for i, (name, dtype, _) in enumerate(inputs)
    ]
    graph = b"".join(_field(_GRAPH_NODE, node) for node in nodes) + _text(2, "identity")
    for name, dtype, shape in inputs:
        graph += _field(11, _value_info(name, dtype, shape))
    for i, (_, dtype, shape) in enumerate(inputs):
        out = ("int64", (len(shape),)) if dtype == _STRING else (dtype, shape)
        graph += _field(12, _value_info(f"out{i}", *out))
    opset = _text(1, "") + _number(2, _OPSET)
    return _number(1, _IR_VERSION) + _field(_MODEL_GRAPH, graph) + _field(8, opset)


def _copying(dtype: str) -> str:
    return "Shape" if dtype == _STRING else "Identity"


def count_operators(model: bytes) -> Counter[str]:
    """Count the nodes of a model by operator, in subgraphs too.

    Raises ModelRejected for bytes that are no model.
    """
    found: Counter[str] = Counter()
    try:
        for graph in _all(memoryview(model), _MODEL_GRAPH):
            _count(graph, found)
    except (IndexError, ValueError) as error:
        raise ModelRejected(
            "The model that the runtime wrote cannot be read",
            where=str(error),
            remedy="Report it with the model.",
        ) from error
    return found


def _count(graph: memoryview, found: Counter[str]) -> None:
    for node in _all(graph, _GRAPH_NODE):
        for op_type in _all(node, _NODE_OP_TYPE):
            found[bytes(op_type).decode()] += 1
        for attribute in _all(node, _NODE_ATTRIBUTE):
            for place in _ATTRIBUTE_GRAPHS:
                for subgraph in _all(attribute, place):
                    _count(subgraph, found)


def _value_info(name: str, dtype: str, shape: tuple[int, ...]) -> bytes:
    if dtype not in ELEMENT_TYPES:
        raise ModelRejected(
            f"ONNX has no tensors of {dtype}",
            where=f"input '{name}'",
            remedy=f"Use one of: {', '.join(ELEMENT_TYPES)}.",
        )
    dims = b"".join(_field(1, _number(1, size)) for size in shape)
    tensor = _number(1, ELEMENT_TYPES[dtype]) + _field(2, dims)
    return _text(1, name) + _field(2, _field(1, tensor))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= _MORE:
        out.append(value % _MORE | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _field(field, content.encode())


def _all(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """Give every length-delimited field of that number; skip all others unread."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        match key & 7:
            case 0:
                _, at = _read_varint(message, at)
            case 1:
                at += 8
            case 2:
                size, at = _read_varint(message, at)
                if at + size > len(message):
                    raise ValueError(f"a field ends beyond byte {len(message)}")
                if key >> 3 == wanted:
                    yield message[at : at + size]
                at += size
            case 5:
                at += 4
            case other:
                raise ValueError(f"wire type {other} at byte {at}")


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte % _MORE) << shift
        if byte < _MORE:
            return value, at
        shift += 7

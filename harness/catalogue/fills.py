"""What to fill an input with when the file does not say, and when to ask instead.

Guessed by element type and by what the graph does with the input: token ids must
stay below the vocabulary that they are looked up in, masks are ones, states start
at zero. Integers of unknown meaning are never filled with anything: the error says
how to give their range.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from harness.catalogue.graph import operand
from harness.catalogue.shapes import GraphInput
from harness.domain.workload import Fill
from harness.errors import ModelRejected, UnknownName

_MASK = re.compile(r"mask", re.IGNORECASE)
_STATE = re.compile(
    r"state|hidden|cache|(^|[^a-z])past([^a-z]|$)|(^|[^a-z])[hc]_?0$", re.IGNORECASE
)
_POSITION = re.compile(r"position|pos_id", re.IGNORECASE)
_SEGMENT = re.compile(r"token_type|segment", re.IGNORECASE)
_NARROW = frozenset({"int8", "uint8", "int16", "uint16"})
"""Quantised types: every value of them is a value."""
_WORDS = 999
"""Texts are ``word0`` to ``word999``: nothing is known of what a model expects."""
_PASSES_THROUGH = frozenset(
    {"Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Transpose"}
)
_LOOKUPS: dict[str, dict[int, int]] = {
    "Gather": {1: 0},
    "GatherBlockQuantized": {1: 0},
    "EmbedLayerNormalization": {0: 2, 1: 4, 8: 3},
}
"""Operator → position of indices → position of the table that they look up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """How an input is filled; as in `InputSpec`."""

    fill: Fill
    low: float = 0.0
    high: float = 1.0


class FillGuesser:
    """Knows the graph and the ranges that the user gave.

    Raises UnknownName, when made, for a range of an input that is not there.
    """

    def __init__(
        self,
        graph: onnx.GraphProto,
        inputs: tuple[GraphInput, ...],
        ranges: Mapping[str, tuple[float, float]],
        where: str,
    ) -> None:
        self._graph = graph
        self._ranges = ranges
        self._where = where
        self.states = dict(_paired_states(graph, inputs))
        """Input → number of the output that follows on it, among tensors of numbers."""
        self._tables = {tensor.name: tensor for tensor in graph.initializer}
        for name in ranges:
            if name not in {one.name for one in inputs}:
                known = [one.name for one in inputs]
                raise UnknownName("input", name, known, where=where)

    def filling(self, one: GraphInput, sizes: tuple[int, ...]) -> Filling:
        """Say how to fill an input of that shape.

        Raises ModelRejected where nothing says what the input holds, and where a
        given range does not fit its type.
        """
        if one.name in self._ranges:
            return self._given(one)
        if one.dtype == "bool":
            return Filling(fill=Fill.ONES)
        if one.dtype == "str":
            return _uniform(0, _WORDS)
        if one.dtype in _NARROW:
            limits = np.iinfo(one.dtype)
            return _uniform(limits.min, limits.max)
        if one.dtype.startswith("float"):
            return self._real(one)
        return self._integer(one, sizes)

    def state(self, one: GraphInput) -> int | None:
        """Give the output that follows on an input of reals, if it starts at zero."""
        is_given = one.name in self._ranges
        if is_given or not one.dtype.startswith("float") or _MASK.search(one.name):
            return None
        return self.states.get(one.name)

    def _given(self, one: GraphInput) -> Filling:
        low, high = self._ranges[one.name]
        least, most, is_whole = _limits(one.dtype)
        if low < least or high > most or (is_whole and (low % 1 or high % 1)):
            raise ModelRejected(
                f"Input '{one.name}' is {one.dtype}: its range cannot be "
                f"{low:g} to {high:g}",
                where=self._where,
                remedy="Give --range with values that this type can hold.",
            )
        return _uniform(low, high)

    def _real(self, one: GraphInput) -> Filling:
        if _MASK.search(one.name):
            return Filling(fill=Fill.ONES)
        if one.name in self.states or _STATE.search(one.name):
            return Filling(fill=Fill.ZEROS)
        return _uniform(0.0, 1.0)

    def _integer(self, one: GraphInput, sizes: tuple[int, ...]) -> Filling:
        if _MASK.search(one.name):
            return Filling(fill=Fill.ONES)
        if _SEGMENT.search(one.name):
            return Filling(fill=Fill.ZEROS)
        constant = self._compared_with(one.name)
        if constant is not None:
            return _uniform(constant, constant)
        rows = min(self._rows_looked_up(one.name), default=None)
        if _POSITION.search(one.name):
            length = sizes[-1] if sizes else 1
            return _uniform(0, max(0, min(rows or length, length) - 1))
        if rows:
            return _uniform(0, rows - 1)
        raise ModelRejected(
            f"Nothing in the file says which values input '{one.name}' "
            f"({one.dtype}) may hold",
            where=self._where,
            remedy=f"Give them: --range '{one.name}=LOW:HIGH', or samples: --input "
            "FILE.npz.",
        )

    def _compared_with(self, name: str) -> int | None:
        """Give the constant that the graph compares an input with, as Silero's rate."""
        constants = dict(_small_constants(self._graph))
        for node in self._graph.node:
            if node.op_type == "Equal" and name in node.input:
                for other in node.input:
                    if other in constants:
                        return constants[other]
        return None

    def _rows_looked_up(self, name: str) -> Iterator[int]:
        """Yield the length of each table that an input, or its copy, indexes."""
        aliases = {name}
        for node in self._graph.node:
            if node.op_type in _PASSES_THROUGH and operand(node, 0) in aliases:
                aliases.update(node.output)
            for indices, table in _LOOKUPS.get(node.op_type, {}).items():
                if operand(node, indices) in aliases:
                    yield from self._length(node, operand(node, table))

    def _length(self, node: onnx.NodeProto, table: str) -> Iterator[int]:
        axis = next(
            (a.i for a in node.attribute if a.name in {"axis", "gather_axis"}), 0
        )
        tensor = self._tables.get(self._source(table))
        if tensor is not None and -len(tensor.dims) <= axis < len(tensor.dims):
            yield int(tensor.dims[axis])

    def _source(self, name: str) -> str:
        """Follow a dequantised table back to the tensor that holds it."""
        for node in self._graph.node:
            if name in node.output and node.op_type in {"DequantizeLinear", "Cast"}:
                return operand(node, 0)
        return name


def _uniform(low: float, high: float) -> Filling:
    return Filling(fill=Fill.UNIFORM, low=float(low), high=float(high))


def _limits(dtype: str) -> tuple[float, float, bool]:
    if dtype == "str":
        return 0, _WORDS, True
    if dtype == "bool":
        return 0, 1, True
    if dtype.startswith("float"):
        most = float(np.finfo(dtype).max)
        return -most, most, False
    integers = np.iinfo(dtype)
    return integers.min, integers.max, True


def _paired_states(
    graph: onnx.GraphProto, inputs: tuple[GraphInput, ...]
) -> Iterator[tuple[str, int]]:
    """Yield inputs that an output follows on, with the number of that output.

    Paired by name where the output's holds the input's (``state``, ``stateN``), else
    by type and shape. Outputs are taken in order, each once, and the first input is
    never a state: a mask that a denoiser gives has the shape of its spectrum.
    """
    outputs = [value for value in graph.output if _is_numeric(value.type)]
    left = dict(enumerate(outputs))
    declared = {value.name: value.type.tensor_type for value in graph.input}
    for number, one in enumerate(inputs):
        if len(one.dims) < 2:  # noqa: PLR2004 - a state is more than one number
            continue
        by_name = (at for at, out in left.items() if _is_named_after(out, one))
        signature = _signature(declared[one.name])
        by_shape = (
            at
            for at, out in left.items()
            if _signature(out.type.tensor_type) == signature
        )
        found = next(by_name, None) if number else None
        found = next(by_shape, None) if found is None else found
        if found is not None:
            del left[found]
            if number:
                yield one.name, found


def _is_named_after(output: onnx.ValueInfoProto, one: GraphInput) -> bool:
    """Say whether an output is a state's next value by its name and its axes."""
    axes = len(output.type.tensor_type.shape.dim)
    return (
        bool(_STATE.search(one.name))
        and one.name.lower() in output.name.lower()
        and axes == len(one.dims)
    )


def _is_numeric(form: onnx.TypeProto) -> bool:
    """Say whether a runtime's session gives this output (a tensor of numbers)."""
    kind = form.tensor_type.elem_type
    return form.HasField("tensor_type") and kind != TensorProto.STRING


def _signature(tensor: onnx.TypeProto.Tensor) -> tuple[int, tuple[int | str, ...]]:
    sizes = (dim.dim_param or dim.dim_value for dim in tensor.shape.dim)
    return tensor.elem_type, tuple(sizes)


def _small_constants(graph: onnx.GraphProto) -> Iterator[tuple[str, int]]:
    """Yield single whole numbers among initialisers and Constant nodes."""
    tensors: list[tuple[str, TensorProto]] = [(t.name, t) for t in graph.initializer]
    for node in graph.node:
        if node.op_type == "Constant":
            output = next(iter(node.output), "")
            tensors += [(output, a.t) for a in node.attribute if a.name == "value"]
    for name, tensor in tensors:
        is_whole = tensor.data_type in {TensorProto.INT64, TensorProto.INT32}
        if is_whole and not tensor.external_data:
            values = numpy_helper.to_array(tensor).reshape(-1)
            if values.size == 1:
                yield name, int(values[0])

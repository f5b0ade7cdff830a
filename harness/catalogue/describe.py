"""Describe a model file: its inputs bound and filled, its size, digest, make-up.

The graph says names, types and most sizes; the user's bindings say the rest. What
neither says is refused with the words to say it with. The model is not executed.
"""

import os
import re
from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from harness.catalogue.bindings import InputBindings
from harness.catalogue.census import count_parameters, quantisation_of
from harness.catalogue.external import external_files
from harness.catalogue.fills import FillGuesser, Filling
from harness.catalogue.graph import opsets
from harness.catalogue.samples import read_shapes
from harness.catalogue.shapes import BoundShape, Dim, GraphInput, bind_shapes
from harness.catalogue.vet import read_vetted
from harness.domain.workload import Fill, InputSpec, ModelArtifact
from harness.errors import ModelRejected, Unsupported
from harness.links.filedigest import digest_of

_DTYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
    TensorProto.FLOAT16: "float16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
    TensorProto.INT16: "int16",
    TensorProto.UINT16: "uint16",
    TensorProto.INT32: "int32",
    TensorProto.UINT32: "uint32",
    TensorProto.INT64: "int64",
    TensorProto.UINT64: "uint64",
    TensorProto.BOOL: "bool",
    TensorProto.STRING: "str",
}
INPUT_LIMIT_BYTES = 1024**3
"""One sample larger than this is taken for a mistake in its shape."""


def describe(
    path: Path, bindings: InputBindings | None = None, *, name: str | None = None
) -> ModelArtifact:
    """Describe a vetted model for a plan; `name` is made of the file's if not given.

    Raises ModelRejected, UnknownName or Unsupported (an input of a type that numpy
    lacks, or that is no tensor), each with what to do.
    """
    given = bindings or InputBindings()
    model = read_vetted(path)
    files = (path, *external_files(model, path))
    return ModelArtifact(
        name=name or model_name(path),
        sha256=digest_of(files),
        size_bytes=sum(file.stat().st_size for file in files),
        external=tuple(os.path.relpath(file, path.parent) for file in files[1:]),
        inputs=_inputs(model.graph, given, str(path)),
        quantisation=quantisation_of(model),
        opset=opsets(model).get("", 0),
        parameters=count_parameters(model),
    )


def input_names(path: Path) -> tuple[str, ...]:
    """List the inputs of a vetted model that a caller must feed."""
    return tuple(one.name for one in declared(read_vetted(path).graph, str(path)))


def model_name(path: Path) -> str:
    """Make a name of a file's name: lower-case letters, digits, ``_ . -``."""
    return re.sub(r"[^a-z0-9_.-]+", "-", path.stem.lower()).strip("-._") or "model"


def _inputs(
    graph: onnx.GraphProto, given: InputBindings, where: str
) -> tuple[InputSpec, ...]:
    inputs = tuple(declared(graph, where))
    shapes = dict(given.shapes)
    sampled: dict[str, tuple[int, ...]] = {}
    if given.samples is not None:
        sampled = read_shapes(given.samples, inputs, given.ranges)
        shapes = _merged(shapes, sampled, str(given.samples))
    bound = bind_shapes(inputs, shapes, where)
    _require_size(inputs, bound, where)
    guesser = FillGuesser(graph, inputs, given.ranges, where)
    return tuple(
        _spec(
            one,
            bound[one.name],
            Filling(fill=Fill.FILE)
            if one.name in sampled
            else guesser.filling(one, bound[one.name].sizes),
            None if one.name in sampled else guesser.state(one),
        )
        for one in inputs
    )


def _spec(
    one: GraphInput, shape: BoundShape, filling: Filling, follows: int | None
) -> InputSpec:
    return InputSpec(
        name=one.name,
        dtype=one.dtype,
        shape=shape.sizes,
        fill=filling.fill,
        low=filling.low,
        high=filling.high,
        has_batch_axis=shape.has_batch_axis,
        follows=follows,
    )


def _merged(
    given: dict[str, tuple[int, ...]], sampled: dict[str, tuple[int, ...]], where: str
) -> dict[str, tuple[int, ...]]:
    for name, shape in sampled.items():
        if given.get(name, shape) != shape:
            raise ModelRejected(
                f"Input '{name}' is given the shape {list(given[name])}, but one "
                f"sample in the file has {list(shape)}",
                where=where,
                remedy="Leave --shape away for this input.",
            )
    return given | sampled


def declared(graph: onnx.GraphProto, where: str) -> list[GraphInput]:
    """List the inputs that a caller must feed; old files list weights among them.

    Raises Unsupported for one that is no tensor of a type that numpy has, and
    ModelRejected for one that says no number of axes.
    """
    weights = {tensor.name for tensor in graph.initializer}
    weights |= {sparse.values.name for sparse in graph.sparse_initializer}
    return [
        _graph_input(value, where) for value in graph.input if value.name not in weights
    ]


def _graph_input(value: onnx.ValueInfoProto, where: str) -> GraphInput:
    if value.type.WhichOneof("value") != "tensor_type":
        raise Unsupported(
            f"Input '{value.name}' is not a tensor",
            where=where,
            remedy="Only tensors can be fed; cut the model at its first tensors.",
        )
    tensor = value.type.tensor_type
    if tensor.elem_type not in _DTYPES:
        raise Unsupported(
            f"Input '{value.name}' is {_type_name(tensor.elem_type)}, which cannot be "
            "fed from numpy",
            where=where,
            remedy="Put a Cast from float32 in front of it.",
        )
    if not tensor.HasField("shape"):
        raise ModelRejected(
            f"Input '{value.name}' declares no number of axes",
            where=where,
            remedy="Export the model with a declared input shape.",
        )
    return GraphInput(
        name=value.name,
        dtype=_DTYPES[tensor.elem_type],
        dims=tuple(_dim(dim) for dim in tensor.shape.dim),
    )


def _type_name(code: int) -> str:
    names: dict[int, str] = {
        number: name.lower() for name, number in TensorProto.DataType.items()
    }
    return names.get(code, f"of the unknown element type {code}")


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    if dim.dim_param:
        return str(dim.dim_param)
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    return None


def _require_size(
    inputs: tuple[GraphInput, ...], bound: dict[str, BoundShape], where: str
) -> None:
    """Refuse samples of nothing at all, and samples that no memory would hold."""
    counts = {one.name: prod(bound[one.name].sizes) for one in inputs}
    if inputs and not any(counts.values()):
        raise ModelRejected(
            "Every input has a dimension of size 0, so nothing would be computed",
            where=where,
            remedy="Give at least one input a size: --shape name=1,3,224,224.",
        )
    for one in inputs:
        size = counts[one.name] * np.dtype(one.dtype).itemsize
        if size > INPUT_LIMIT_BYTES:
            raise ModelRejected(
                f"One sample of input '{one.name}' would take {size} bytes, above "
                f"{INPUT_LIMIT_BYTES}",
                where=where,
                remedy=f"Check its shape {list(bound[one.name].sizes)}.",
            )

"""What is in a model file, before anything of it is bound, filled or executed.

Where `describe` refuses what it cannot prepare for a run, this only says what there
is: free dimensions stay free, text stays text.
"""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto

from harness.catalogue.census import (
    count_parameters,
    quantisation_kinds,
    quantisation_of,
)
from harness.catalogue.external import external_files
from harness.catalogue.graph import canonical, nodes, opsets
from harness.catalogue.vet import read_vetted
from harness.links.filedigest import digest_of

Dim = int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input or output as the file declares it.

    `dims` are sizes, or the name of a free one ("?" where it has none); None: the
    file does not say how many axes there are.
    """

    name: str
    form: str
    """Element type by ONNX's name; ``sequence``, ``map`` … for what is no tensor."""
    dims: tuple[Dim, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """A model file, taken apart."""

    path: Path
    sha256: str
    size_bytes: int
    external: tuple[str, ...]
    ir_version: int
    producer: str
    opsets: dict[str, int]
    """Domains that nodes use → declared version; ``ai.onnx`` is the standard's."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: dict[str, int]
    """Operator, with its domain where that is not the standard's → nodes."""
    nodes: int
    parameters: int | None
    quantisation: str
    quantisation_kinds: tuple[str, ...]

    @property
    def free_dims(self) -> tuple[str, ...]:
        """Names of the free dimensions of the inputs, each once."""
        free = (
            dim if dim != "?" else f"{port.name}[{axis}]"
            for port in self.inputs
            for axis, dim in enumerate(port.dims or ())
            if isinstance(dim, str)
        )
        return tuple(dict.fromkeys(free))


def take_apart(path: Path) -> Anatomy:
    """Take a vetted model file apart. Raises ModelRejected for one that is refused."""
    model = read_vetted(path)
    files = (path, *external_files(model, path))
    operators = Counter(_operator(node) for node in nodes(model))
    used = {canonical(node.domain) for node in nodes(model)}
    weights = {tensor.name for tensor in model.graph.initializer}
    weights |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    return Anatomy(
        path=path,
        sha256=digest_of(files),
        size_bytes=sum(file.stat().st_size for file in files),
        external=tuple(os.path.relpath(file, path.parent) for file in files[1:]),
        ir_version=model.ir_version,
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        opsets={
            domain or "ai.onnx": version
            for domain, version in sorted(opsets(model).items())
            if domain in used
        },
        inputs=tuple(_port(v) for v in model.graph.input if v.name not in weights),
        outputs=tuple(_port(value) for value in model.graph.output),
        operators=dict(operators.most_common()),
        nodes=operators.total(),
        parameters=count_parameters(model),
        quantisation=quantisation_of(model),
        quantisation_kinds=quantisation_kinds(model),
    )


def _operator(node: onnx.NodeProto) -> str:
    domain = canonical(node.domain)
    return f"{domain}:{node.op_type}" if domain else str(node.op_type)


def _port(value: onnx.ValueInfoProto) -> Port:
    kind = value.type.WhichOneof("value") or "unknown"
    if kind != "tensor_type":
        return Port(name=value.name, form=kind.removesuffix("_type"), dims=None)
    tensor = value.type.tensor_type
    names: dict[int, str] = {code: name for name, code in TensorProto.DataType.items()}
    return Port(
        name=value.name,
        form=names.get(tensor.elem_type, str(tensor.elem_type)).lower(),
        dims=tuple(map(_dim, tensor.shape.dim)) if tensor.HasField("shape") else None,
    )


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    if dim.dim_param:
        return str(dim.dim_param)
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    return "?"

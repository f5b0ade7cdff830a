"""Whether a graph is whole and made of operators that can be known.

Judged by the domains of the *nodes*: quantisation tools declare many operator sets
that no node uses. `onnx.checker` is not asked, since it rejects operators that
onnxruntime runs (SimplifiedLayerNormalization) and wants external data in the
working directory.
"""

from collections.abc import Iterable, Iterator

import onnx
from onnx import defs

from harness.catalogue.graph import canonical, inner_graphs, nodes, opsets
from harness.errors import ModelRejected

_RUNTIME_DOMAINS = frozenset(
    {
        "com.microsoft",
        "com.microsoft.experimental",
        "com.microsoft.nchwc",
        "com.ms.internal.nhwc",
    }
)
"""Built into onnxruntime, which itself knows their operators; it needs no
declaration of them and refuses an unknown one when it loads the model."""
_ELSEWHERE = {
    "ai.onnx.contrib": "onnxruntime-extensions",
    "com.microsoft.extensions": "onnxruntime-extensions",
    "onnx.brevitas": "Brevitas",
    "qonnx.custom_op.general": "QONNX",
    "trt.plugins": "TensorRT",
}
"""Domains whose operators come with a library that is not loaded here."""
_COMPILED = "EPContext"
"""A node that holds a graph as a provider has compiled it (onnxruntime,
"EP-Context-Design.md"), often in a file that it names."""
_RUNTIME_OPERATORS = frozenset(
    {
        "Affine",
        "Crop",
        "DynamicSlice",
        "GivenTensorFill",
        "ImageScaler",
        "ParametricSoftplus",
        "Scale",
        "ScaledTanh",
        "SimplifiedLayerNormalization",
    }
)
"""In onnxruntime's default domain but not in ONNX's (its operator schemas, 1.32)."""


def check_graph(model: onnx.ModelProto, where: str) -> None:
    """Refuse a graph that is empty or has a loose end. Raises ModelRejected."""
    graph = model.graph
    if not graph.node and not graph.output:
        raise ModelRejected(
            "The graph of this model is empty",
            where=where,
            remedy="Export the model again; the file looks truncated.",
        )
    if not graph.output:
        raise ModelRejected(
            "The graph of this model has no output",
            where=where,
            remedy="Export the model again.",
        )
    known = _check_edges(graph, frozenset(), where)
    for output in graph.output:
        if output.name not in known:
            raise ModelRejected(
                f"Nothing in the graph gives its output '{output.name}'",
                where=where,
                remedy="Export the model again.",
            )


def _check_edges(
    graph: onnx.GraphProto, outer: frozenset[str], where: str
) -> frozenset[str]:
    known = outer | frozenset(_names_given(graph))
    for node in graph.node:
        loose = [name for name in node.input if name and name not in known]
        if loose:
            raise ModelRejected(
                f"Nothing in the graph gives '{loose[0]}', which {_named(node)} reads",
                where=where,
                remedy="Export the model again.",
            )
        for inner in inner_graphs(node):
            _check_edges(inner, known, where)
    return known


def _names_given(graph: onnx.GraphProto) -> Iterator[str]:
    for value in graph.input:
        yield value.name
    for tensor in graph.initializer:
        yield tensor.name
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
    for node in graph.node:
        yield from node.output


def check_operators(model: onnx.ModelProto, where: str) -> None:
    """Refuse operator sets and operators that nothing here knows.

    Raises ModelRejected with node, operator, domain and operator-set version.
    """
    declared = opsets(model)
    local = {(canonical(f.domain), f.name) for f in model.functions}
    _check_versions(declared, {canonical(n.domain) for n in nodes(model)}, where)
    for node in nodes(model):
        if (canonical(node.domain), node.op_type) not in local:
            _check_operator(node, declared, where)


def _check_versions(declared: dict[str, int], used: Iterable[str], where: str) -> None:
    newest = {"": defs.onnx_opset_version(), "ai.onnx.ml": _newest("ai.onnx.ml")}
    for domain in sorted(used):
        version = declared.get(domain)
        if version is None and (domain in newest):
            raise ModelRejected(
                f"The model declares no operator set for '{domain or 'ai.onnx'}', "
                "whose operators it uses",
                where=where,
                remedy="Export the model again; the file looks truncated.",
            )
        if version is not None and version > newest.get(domain, version):
            raise ModelRejected(
                f"The model is written in opset {version} of "
                f"'{domain or 'ai.onnx'}'; the newest known here is {newest[domain]}",
                where=where,
                remedy="Export it with a lower opset_version (13 to 21 run widely), "
                "or install newer onnx and onnxruntime.",
            )


def _newest(domain: str) -> int:
    return max(
        schema.since_version
        for schema in defs.get_all_schemas()
        if schema.domain == domain
    )


def _check_operator(node: onnx.NodeProto, declared: dict[str, int], where: str) -> None:
    domain = canonical(node.domain)
    if domain in _RUNTIME_DOMAINS and node.op_type == _COMPILED:
        raise _precompiled(node, where)
    if domain in _RUNTIME_DOMAINS or (
        not domain and node.op_type in _RUNTIME_OPERATORS
    ):
        return
    version = declared.get(domain, 1)
    if not defs.has(node.op_type, version, domain):
        raise _unknown(node, domain, version, where)
    schema = defs.get_schema(node.op_type, version, domain)
    if not schema.min_input <= len(node.input) <= schema.max_input:
        raise ModelRejected(
            f"Operator {node.op_type} of opset {version} does not take the "
            f"{len(node.input)} inputs that {_named(node)} gives it",
            where=where,
            remedy="Export the model again.",
        )
    if schema.deprecated:
        raise ModelRejected(
            f"Operator {node.op_type} of {_named(node)} was taken out of "
            f"'{domain or 'ai.onnx'}' by opset {version}",
            where=where,
            remedy="Export the model with a lower opset_version.",
        )


def _unknown(
    node: onnx.NodeProto, domain: str, version: int, where: str
) -> ModelRejected:
    remedy = "Export the model with standard ONNX operators only."
    if domain in {schema.domain for schema in defs.get_all_schemas()}:
        what = f"Opset {version} of '{domain or 'ai.onnx'}' has no such operator"
    elif domain in _ELSEWHERE:
        library = _ELSEWHERE[domain]
        what = f"The domain '{domain}' is that of {library}, which is not loaded here"
        remedy = f"Export the model without {library}: standard ONNX operators only."
    else:
        what = f"Nothing here knows the domain '{domain}' (opset {version})"
    return ModelRejected(
        f"Unknown operator {node.op_type} in {_named(node)}. {what}",
        where=where,
        remedy=remedy,
    )


def _precompiled(node: onnx.NodeProto, where: str) -> ModelRejected:
    """Refuse what only one provider, on one kind of chip, can execute."""
    said = {a.name: a.s.decode(errors="replace") for a in node.attribute}
    source = said.get("source") or "a provider that it does not name"
    return ModelRejected(
        f"EPContext in {_named(node)} holds a graph that was compiled for {source}, "
        "which nothing here can look into",
        where=where,
        remedy="Give the ONNX file that it was compiled from.",
    )


def _named(node: onnx.NodeProto) -> str:
    if node.name:
        return f"node '{node.name}'"
    return f"the {node.op_type} node that gives '{next(iter(node.output), '')}'"

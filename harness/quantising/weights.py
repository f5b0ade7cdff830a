"""Weights alone in blocks of few bits: MatMulNBits and GatherBlockQuantized.

With onnxruntime's `MatMulNBitsQuantizer`, and around its three traps: it needs onnx-ir,
which onnxruntime does not ask for; it writes 4-bit tables of look-ups under the number
of opset 21 without converting the graph to it; and it takes every constant that is
looked up for an embedding, shapes included.
"""

import onnx
from onnx import TensorProto, version_converter
from onnxruntime.quantization.onnx_model import ONNXModel

from harness.catalogue.graph import opsets
from harness.quantising.order import Blocks

LOOKUP_OPSET = 21
"""Tensors of 4 bits are standard from here on (ONNX operator docs)."""
_REALS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16})
_MADE = frozenset({"MatMulNBits", "GatherBlockQuantized"})
_LOOKUP = "Gather"


class NoOnnxIr(Exception):
    """The library onnx-ir is not installed."""


def quantise_weights(model: onnx.ModelProto, blocks: Blocks) -> onnx.ModelProto:
    """Give the model with the weights of its products and look-ups in few bits.

    Gemm becomes MatMul and Add first. Raises NoOnnxIr, and what onnx raises where a
    model with look-ups cannot be converted to opset 21.
    """
    try:
        import onnx_ir  # noqa: F401, PLC0415 - what the quantiser needs and asks not for
    except ImportError as error:
        raise NoOnnxIr from error
    from onnxruntime.quantization.matmul_nbits_quantizer import (  # noqa: PLC0415
        MatMulNBitsQuantizer,
    )

    whole = ONNXModel(model)
    whole.replace_gemm_with_matmul()
    model = whole.model
    tables = embeddings(model, blocks) if blocks.lookups else ()
    if tables and opsets(model)[""] < LOOKUP_OPSET:
        model = version_converter.convert_version(model, LOOKUP_OPSET)
    _name_nodes(model)
    kept = [n.name for n in _lookups(model) if n.input[0] not in tables]
    quantizer = MatMulNBitsQuantizer(
        model,
        bits=blocks.bits,
        block_size=blocks.size,
        is_symmetric=blocks.is_symmetric,
        op_types_to_quantize=("MatMul", _LOOKUP) if tables else ("MatMul",),
        quant_axes=(("MatMul", 0), (_LOOKUP, 1)),
        nodes_to_exclude=kept,
    )
    quantizer.process()
    made: onnx.ModelProto = quantizer.model.model
    return made


def embeddings(model: onnx.ModelProto, blocks: Blocks) -> tuple[str, ...]:
    """Name the tables of reals that rows are looked up in; for 4 bits only."""
    if blocks.bits != 4:  # noqa: PLR2004 - GatherBlockQuantized as the tool writes it
        return ()
    reals = {
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_type in _REALS
        and len(tensor.dims) == 2  # noqa: PLR2004 - rows and what is in a row
        and tensor.dims[1] >= blocks.size
    }
    names = (node.input[0] for node in _lookups(model) if _axis(node) == 0)
    return tuple(dict.fromkeys(name for name in names if name in reals))


def count_weights(model: onnx.ModelProto) -> int:
    """Count the operators whose weights are in blocks of few bits."""
    return sum(node.op_type in _MADE for node in model.graph.node)


def _lookups(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == _LOOKUP]


def _axis(node: onnx.NodeProto) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "axis"), 0)


def _name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a name of its own, by which the quantiser can leave it out."""
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.name or node.op_type}_{number}"

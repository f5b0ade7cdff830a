"""Whether every tensor holds what it declares: as many values as its shape says.

A shape that promises more than is there is how a damaged file, or a crafted one,
makes a reader look beyond the end of a buffer.
"""

from math import prod

import onnx
from onnx import TensorProto

from harness.catalogue.graph import tensors
from harness.errors import ModelRejected

_BITS: dict[int, int] = {
    TensorProto.FLOAT: 32,
    TensorProto.DOUBLE: 64,
    TensorProto.FLOAT16: 16,
    TensorProto.BFLOAT16: 16,
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.INT16: 16,
    TensorProto.UINT16: 16,
    TensorProto.INT32: 32,
    TensorProto.UINT32: 32,
    TensorProto.INT64: 64,
    TensorProto.UINT64: 64,
    TensorProto.BOOL: 8,
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
}
_FIELDS: dict[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.DOUBLE: "double_data",
    TensorProto.INT64: "int64_data",
    TensorProto.INT32: "int32_data",
    TensorProto.INT8: "int32_data",
    TensorProto.UINT8: "int32_data",
}
"""Where values stand when they are not raw bytes (onnx.proto, TensorProto)."""


def packed_bytes(tensor: TensorProto) -> int | None:
    """Count the bytes of a tensor's values; None for a type of no fixed width."""
    bits = _BITS.get(tensor.data_type)
    return None if bits is None else (prod(tensor.dims) * bits + 7) // 8


def check_content(model: onnx.ModelProto, where: str) -> None:
    """Refuse a tensor whose shape and values disagree. Raises ModelRejected."""
    for tensor in tensors(model):
        if any(size < 0 for size in tensor.dims) or not _is_filled(tensor):
            raise ModelRejected(
                f"Tensor '{tensor.name}' of shape {list(tensor.dims)} does not hold as "
                "many values as that",
                where=where,
                remedy="Export or copy the model again; it is damaged.",
            )


def _is_filled(tensor: TensorProto) -> bool:
    wanted = packed_bytes(tensor)
    is_elsewhere = tensor.data_location == TensorProto.EXTERNAL
    if wanted is None or is_elsewhere or tensor.HasField("segment"):
        return True
    if tensor.raw_data:
        return len(tensor.raw_data) == wanted
    field = _FIELDS.get(tensor.data_type)
    return field is None or len(getattr(tensor, field)) == prod(tensor.dims)

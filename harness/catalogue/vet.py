"""May this model file be run at all? Read, looked at, never executed.

Everything that a file from outside can be wrong or wicked in, and that shows
without running it, is refused here in one sentence: before the file is copied to a
board whose runtime may be old. What only the runtime can know (an operator of its
own that it lacks) it refuses itself when it loads the model.
"""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from harness.catalogue.content import check_content
from harness.catalogue.external import external_files
from harness.catalogue.graph import holds_broken_text
from harness.catalogue.operators import check_graph, check_operators
from harness.errors import ModelRejected

PROTOBUF_LIMIT_BYTES = 2**31 - 1
"""No protobuf message may be larger (protobuf.dev, "Proto limits")."""

_FOREIGN: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"PK\x03\x04", "a zip archive", "Export the model to ONNX, or unpack it."),
    (0, b"\x1f\x8b", "a gzip archive", "Unpack it."),
    (0, b"\x89HDF\r\n", "an HDF5 file (Keras)", "Export it to ONNX."),
    (4, b"TFL3", "a TensorFlow Lite file", "Convert it to ONNX."),
    (4, b"ORTM", "an onnxruntime .ort file", "Give the .onnx that it was made from."),
    (0, b"version https://git-lfs", "a Git LFS pointer", "Run 'git lfs pull' first."),
)
_HEAD_BYTES = 512
_IR_VERSION_TAG = 0x08
"""First byte of a model as every exporter writes it: field 1, a varint."""


def vet(path: Path) -> None:
    """Refuse a model file that cannot be run or may not be. Raises ModelRejected."""
    read_vetted(path)


def read_vetted(path: Path) -> onnx.ModelProto:
    """Parse a model file that `vet` lets pass; external data are not loaded."""
    model = _parse(_read(path), path)
    where = str(path)
    if model.ir_version > onnx.IR_VERSION:
        raise ModelRejected(
            f"The file is in ONNX format version {model.ir_version}; the newest known "
            f"here is {onnx.IR_VERSION}",
            where=where,
            remedy="Export it with an older onnx, or install a newer one here.",
        )
    check_operators(model, where)
    check_graph(model, where)
    check_content(model, where)
    external_files(model, path)
    return model


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise ModelRejected(
            "This is a folder, not a model file",
            where=str(path),
            remedy="Give the .onnx file in it.",
        )
    try:
        size = path.stat().st_size
        if size > PROTOBUF_LIMIT_BYTES:
            raise ModelRejected(
                f"The file has {size} bytes; an ONNX file has at most "
                f"{PROTOBUF_LIMIT_BYTES}",
                where=str(path),
                remedy="Save the weights as external data beside the model.",
            )
        if not path.is_file():
            raise ModelRejected("This is not an ordinary file", where=str(path))
        return path.read_bytes()
    except OSError as error:
        raise ModelRejected(
            f"The model file cannot be read: {error.strerror or error}",
            where=str(path),
            remedy="Check the path and the permissions.",
        ) from error


def _parse(data: bytes, path: Path) -> onnx.ModelProto:
    """Parse the bytes. The one place where parse errors become sentences."""
    _refuse_foreign(data, path)
    try:
        model = onnx.ModelProto()
        model.ParseFromString(data)
    except DecodeError as error:
        raise _damaged(data, path) from error
    if holds_broken_text(model):
        raise _not_onnx("A name in this model is not UTF-8 text: it is damaged", path)
    if not model.ir_version:
        raise _not_onnx("This is not an ONNX model", path)
    if not model.HasField("graph"):
        raise ModelRejected(
            "This ONNX file holds no graph",
            where=str(path),
            remedy="Export or copy it again; it looks truncated.",
        )
    return model


def _refuse_foreign(data: bytes, path: Path) -> None:
    if not data:
        raise ModelRejected(
            "The model file is empty",
            where=str(path),
            remedy="Export or copy it again.",
        )
    for offset, magic, kind, remedy in _FOREIGN:
        if data[offset : offset + len(magic)] == magic:
            raise ModelRejected(
                f"This is {kind}, not an ONNX model", where=str(path), remedy=remedy
            )
    if _is_text(data[:_HEAD_BYTES]):
        raise _not_onnx("This is a text file, not an ONNX model", path)


def _is_text(head: bytes) -> bool:
    text = head.decode("utf-8", errors="ignore")
    return len(text.encode()) > len(head) - 4 and all(
        character.isprintable() or character.isspace() for character in text
    )


def _damaged(data: bytes, path: Path) -> ModelRejected:
    missing = _missing_bytes(data) if data[0] == _IR_VERSION_TAG else 0
    if missing:
        return ModelRejected(
            f"The model file is truncated: it ends {missing} bytes too early",
            where=str(path),
            remedy="Export or copy it again.",
        )
    return _not_onnx("This is not an ONNX model, or it is damaged", path)


def _not_onnx(what: str, path: Path) -> ModelRejected:
    return ModelRejected(
        what, where=str(path), remedy="Export the model to ONNX, or copy it again."
    )


def _missing_bytes(data: bytes) -> int:
    """Count the bytes that the last field of a message lacks; 0 if it is not cut.

    Walks the outermost fields only (protobuf.dev, "Encoding"); a model has numbers
    and messages there, and nothing of another wire type.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                _, at = _varint(data, at)
            case 2:
                length, at = _varint(data, at)
                at += length
            case _:
                return 0
    return at - len(data)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a base-128 number; a byte beyond the end reads as 0."""
    value, shift = 0, 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if not byte & 0x80:
            return value, at
    return value, at + 1

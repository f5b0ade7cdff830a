"""External data of a model: which files it names, and whether it may read them.

onnxruntime before 1.24 reads any file that a model names (absolute paths, ``..``,
symbolic links); every version still follows hard links. A model from outside could
so carry a file of this machine, or of a board, into its outputs. So a file that is
not plainly the model's own, beside it, is refused before the model goes anywhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISLNK, S_ISREG

import onnx

from harness.catalogue.content import packed_bytes
from harness.catalogue.graph import tensors
from harness.errors import ModelRejected

_KNOWN_KEYS = frozenset({"location", "offset", "length", "checksum", "basepath"})
_WINDOWS_ABSOLUTE = re.compile(r"^(?:[A-Za-z]:|[\\/])")
_NUMBER = re.compile(r"^[0-9]+$")
_BESIDE = "Put the weights beside the model, in one ordinary file."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """A piece of an external file, in bytes."""

    tensor: str
    location: str
    offset: int
    length: int


def external_files(model: onnx.ModelProto, path: Path) -> tuple[Path, ...]:
    """List the external files of a model in the order of their names, each once.

    Raises ModelRejected for a file that is missing, too short, outside the folder
    of the model, or reached through a link.
    """
    extents = list(_extents(model, path))
    found = {one.location: _own_file(one, path) for one in extents}
    for one in extents:
        _require_within(one, found[one.location], path)
    return tuple(found[location] for location in sorted(found))


def _extents(model: onnx.ModelProto, path: Path) -> Iterator[_Extent]:
    for tensor in tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            yield _extent(tensor, path)


def _extent(tensor: onnx.TensorProto, path: Path) -> _Extent:
    entries = [(entry.key, entry.value) for entry in tensor.external_data]
    keys = [key for key, _ in entries]
    values = dict(entries)
    if len(values) != len(keys) or not set(keys) <= _KNOWN_KEYS:
        raise ModelRejected(
            f"The external data of tensor '{tensor.name}' can be read in two ways: "
            f"its keys are {', '.join(keys)}",
            where=str(path),
            remedy="Save the model again with onnx.save_model.",
        )
    if not values.get("location"):
        raise ModelRejected(
            f"Tensor '{tensor.name}' lies in an external file that is not named",
            where=str(path),
            remedy="Save the model again with onnx.save_model.",
        )
    return _Extent(
        tensor=tensor.name,
        location=values["location"],
        offset=_count(values.get("offset"), "offset", tensor, path) or 0,
        length=_length(values.get("length"), tensor, path),
    )


def _length(text: str | None, tensor: onnx.TensorProto, path: Path) -> int:
    """Give the bytes that a tensor takes: as said, and as its shape wants."""
    said = _count(text, "length", tensor, path)
    wanted = packed_bytes(tensor)
    if said is not None and wanted is not None and said != wanted:
        raise ModelRejected(
            f"External tensor '{tensor.name}' of shape {list(tensor.dims)} takes "
            f"{wanted} bytes, but {said} are declared",
            where=str(path),
            remedy="Save the model again with onnx.save_model.",
        )
    return said or wanted or 0


def _count(
    text: str | None, what: str, tensor: onnx.TensorProto, path: Path
) -> int | None:
    if text is None or text == "":
        return None
    if not _NUMBER.match(text):
        raise ModelRejected(
            f"The {what} of external tensor '{tensor.name}' is '{text}', not a number",
            where=str(path),
            remedy="Save the model again with onnx.save_model.",
        )
    return int(text)


def _own_file(extent: _Extent, path: Path) -> Path:
    """Give the file, if it is an ordinary one inside the folder of the model."""
    location, folder = extent.location, path.absolute().parent
    parts = location.replace("\\", "/").split("/")
    if _WINDOWS_ABSOLUTE.match(location) or ".." in parts or "\0" in location:
        raise _refused(extent, path, "lies outside the folder of the model")
    target = folder
    for part in Path(location).parts:
        target = target / part
        _require_ordinary(target, extent, path)
    if not S_ISREG(target.lstat().st_mode):
        raise _refused(extent, path, "is not an ordinary file")
    return target


def _require_ordinary(target: Path, extent: _Extent, path: Path) -> None:
    try:
        status = target.lstat()
    except OSError as error:
        raise ModelRejected(
            f"The external data file '{extent.location}' of tensor "
            f"'{extent.tensor}' is missing or cannot be read",
            where=str(path),
            remedy=f"Copy it to {path.absolute().parent}, beside the model.",
        ) from error
    if S_ISLNK(status.st_mode):
        raise _refused(extent, path, "is reached through a symbolic link")
    if S_ISREG(status.st_mode) and status.st_nlink > 1:
        raise _refused(extent, path, "has a second name (a hard link)")


def _require_within(extent: _Extent, file: Path, path: Path) -> None:
    size = file.stat().st_size
    end = extent.offset + extent.length
    if end > size:
        raise ModelRejected(
            f"The external data file '{extent.location}' is too short: tensor "
            f"'{extent.tensor}' ends at byte {end}, the file at byte {size}",
            where=str(path),
            remedy="Copy the file again; it looks truncated.",
        )


def _refused(extent: _Extent, path: Path, why: str) -> ModelRejected:
    return ModelRejected(
        f"Refused: the external data file '{extent.location}' of tensor "
        f"'{extent.tensor}' {why}",
        where=str(path),
        remedy=_BESIDE,
    )

"""The digest of a model: its file and the files that hold its external data."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_PIECE_BYTES = 1 << 20


def digest_of(files: Iterable[Path]) -> str:
    """Give the sha256, in hex, of the bytes of all files, one after the other.

    The same as ``cat model.onnx data… | sha256sum``.
    """
    found = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                found.update(piece)
    return found.hexdigest()


def model_files(model: Path, external: Iterable[str]) -> tuple[Path, ...]:
    """Name a model's files in the order of its digest; `external` lie beside it."""
    return (model, *(model.parent / location for location in external))

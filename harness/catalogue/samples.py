"""A user's own samples: an .npz with one array an input, checked before it is used.

The layout: axis 0 of every array counts samples. Where axis 0 of the input is the
batch axis or has size 1, the array has the rank of the input, ``(count, …)``;
otherwise it has one axis more, ``(count, *shape)``, or is exactly one sample. A single
number stands for an input without axes in every sample. Arrays that belong to no
input (labels) are left alone.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.catalogue.shapes import Dim, GraphInput, is_batch_like
from harness.errors import ModelRejected

LIMIT_BYTES = 4 * 1024**3
"""Samples larger than this, unpacked, are refused rather than filling the memory."""


def read_shapes(
    path: Path, inputs: Sequence[GraphInput], optional: Mapping[str, object]
) -> dict[str, tuple[int, ...]]:
    """Check a file of samples and give the shape of one sample of each input in it.

    An input that is missing from the file must be in `optional` (its range is
    given). Raises ModelRejected for a file that is broken or does not fit.
    """
    scales = [f"{one.name}.scale" for one in inputs]
    arrays = _load(path, [*scales, *(one.name for one in inputs)])
    shapes: dict[str, tuple[int, ...]] = {}
    counts: dict[str, int] = {}
    for one in inputs:
        if one.name in arrays:
            is_scaled = f"{one.name}.scale" in arrays
            shapes[one.name], count = _fit(
                one, arrays[one.name], path, is_scaled=is_scaled
            )
            if arrays[one.name].ndim:
                counts[one.name] = count
        elif one.name not in optional:
            raise ModelRejected(
                f"The samples hold no array for input '{one.name}'; they hold "
                f"{', '.join(_names(path)) or 'nothing'}",
                where=str(path),
                remedy=f"Save it with numpy.savez under that name, or give --range "
                f"'{one.name}=LOW:HIGH'.",
            )
    if len(set(counts.values())) > 1:
        raise ModelRejected(
            "The arrays hold different numbers of samples: "
            + ", ".join(f"'{name}' {count}" for name, count in counts.items()),
            where=str(path),
            remedy="Give every input the same number, counted along axis 0.",
        )
    return shapes


def load_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read all arrays of an .npz. Raises ModelRejected for a file that is broken."""
    return _load(path, None)


def _load(path: Path, wanted: Sequence[str] | None) -> dict[str, NDArray[np.generic]]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LIMIT_BYTES:
            raise ModelRejected(
                f"The samples unpack to {size} bytes, above {LIMIT_BYTES}",
                where=str(path),
                remedy="Give fewer samples.",
            )
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files if wanted is None else wanted
            return {name: archive[name] for name in names if name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelRejected(
            f"The samples cannot be read: {error}",
            where=str(path),
            remedy="Save plain arrays with numpy.savez(file, **{input: array}).",
        ) from error


def _names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _fit(
    one: GraphInput, array: NDArray[np.generic], path: Path, *, is_scaled: bool
) -> tuple[tuple[int, ...], int]:
    """Give the shape of one sample and the number of samples.

    With a scale beside it an array is converted when it is read.
    """
    is_text = array.dtype.kind == np.dtype(one.dtype).kind == "U"
    if array.dtype != np.dtype(one.dtype) and not (is_scaled or is_text):
        raise ModelRejected(
            f"Array '{one.name}' is {array.dtype}, the input is {one.dtype}",
            where=str(path),
            remedy=f"Convert it with .astype('{one.dtype}').",
        )
    if 0 in array.shape[:1] or (
        array.dtype.kind == "f" and not np.isfinite(array).all()
    ):
        raise ModelRejected(
            f"Array '{one.name}' is empty or holds values that are not finite",
            where=str(path),
            remedy="Give real samples.",
        )
    shape, count = _split(one.dims, array.shape)
    if shape is None or not _agree(one.dims, shape):
        raise ModelRejected(
            f"Array '{one.name}' of shape {list(array.shape)} does not fit the input "
            f"{['?' if dim is None else dim for dim in one.dims]}",
            where=str(path),
            remedy="Axis 0 counts samples; the others must be those of the input.",
        )
    return shape, count


def _split(
    dims: Sequence[Dim], shape: tuple[int, ...]
) -> tuple[tuple[int, ...] | None, int]:
    if len(shape) == len(dims) + 1:
        return shape[1:], shape[0]
    if len(shape) != len(dims):
        return None, 0
    if dims and (is_batch_like(dims) or dims[0] == 1):
        return (1, *shape[1:]), shape[0]
    return shape, 1


def _agree(dims: Sequence[Dim], shape: tuple[int, ...]) -> bool:
    return all(
        not isinstance(dim, int) or dim == size
        for dim, size in zip(dims, shape, strict=True)
    )

"""One file of a data set → one sample: raw bytes, an array, an image, a sound."""

import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.domain.workload import InputSpec

Array = NDArray[Any]
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
_PLANES = frozenset({1, 3})
_NOT_COUNTED = 255
"""Grey level of pixels of no class, as in PASCAL VOC."""
_SAMPLE_PEAK = {1: 2**7, 2: 2**15, 4: 2**31}
"""Bytes a sample of sound → the magnitude that stands for 1."""


class Broken(Exception):
    """A file that gives no sample; the message is half a sentence."""


def read_item(path: Path, spec: InputSpec) -> Array:
    """Read one sample for an input. Raises Broken."""
    try:
        match path.suffix.lower():
            case ".bin":
                array = _raw(path.read_bytes(), spec)
            case ".npy":
                array = np.load(path, allow_pickle=False)
            case ".wav":
                array = _sound(path, spec)
            case suffix if suffix in _IMAGES:
                array = _image(path, spec)
            case suffix:
                raise Broken(f"files of type '{suffix}' are not read")
    except (OSError, ValueError, EOFError, wave.Error) as error:
        raise Broken(str(error)) from error
    return _fitted(array, spec)


def read_target(path: Path, spec: InputSpec, *, is_mask: bool) -> Array:
    """Read what should come out: a mask of classes, or a picture of 0 to 1.

    In a picture of a mask the grey level is the class, 255 is not counted. Another
    picture keeps its size and has the axes of the input's layout. Raises Broken.
    """
    try:
        if path.suffix.lower() == ".npy":
            array: Array = np.load(path, allow_pickle=False)
            return array
        if path.suffix.lower() not in _IMAGES:
            raise Broken(f"targets of type '{path.suffix}' are not read")
        return _mask(path) if is_mask else _picture(path, spec)
    except (OSError, ValueError, EOFError) as error:
        raise Broken(str(error)) from error


def _mask(path: Path) -> Array:
    from PIL import Image  # noqa: PLC0415 - comes with matplotlib; rarely needed

    with Image.open(path) as opened:
        levels = np.asarray(
            opened if opened.mode in {"L", "P"} else opened.convert("L")
        )
    classes = levels.astype(np.int64)
    return np.where(classes == _NOT_COUNTED, -1, classes)


def _picture(path: Path, spec: InputSpec) -> Array:
    from PIL import Image  # noqa: PLC0415 - comes with matplotlib; rarely needed

    shape = spec.shape[-3:]
    is_planar = bool(shape) and shape[0] in _PLANES
    with Image.open(path) as opened:
        image = opened.convert("L" if opened.mode == "L" else "RGB")
    pixels = np.atleast_3d(np.asarray(image, dtype=np.float64)) / 255
    return pixels.transpose(2, 0, 1) if is_planar else pixels


def _fitted(array: Array, spec: InputSpec) -> Array:
    if array.size != int(np.prod(spec.shape)):
        raise Broken(f"it has {array.size} values, the input takes {list(spec.shape)}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Broken("it holds values that are not finite")
    wanted = np.dtype(spec.dtype)
    if wanted.kind in "iu" and array.dtype.kind != "b":
        limits = np.iinfo(wanted)
        if array.min() < limits.min or array.max() > limits.max:
            raise Broken(f"its values do not fit {spec.dtype}")
    return array.reshape(spec.shape).astype(wanted)


def _raw(data: bytes, spec: InputSpec) -> Array:
    """Read values in the input's own type, or one byte each (MLPerf Tiny)."""
    values = int(np.prod(spec.shape))
    wanted = np.dtype(spec.dtype)
    if len(data) == values * wanted.itemsize:
        return np.frombuffer(data, wanted.newbyteorder("<"))
    if len(data) == values:
        return np.frombuffer(data, np.uint8)
    raise Broken(
        f"it has {len(data)} bytes, the input takes {values} values of {spec.dtype}"
    )


def _sound(path: Path, spec: InputSpec) -> Array:
    """Read the first channel as reals of -1 to 1, cut or filled up with silence."""
    with wave.open(str(path)) as file:
        width, channels = file.getsampwidth(), file.getnchannels()
        if width not in _SAMPLE_PEAK:
            raise Broken(f"sound of {width} bytes a sample is not read")
        data = file.readframes(file.getnframes())
    raw = np.frombuffer(data, {1: "u1", 2: "<i2", 4: "<i4"}[width])[::channels]
    reals = (raw.astype(np.float64) - (2**7 if width == 1 else 0)) / _SAMPLE_PEAK[width]
    wanted = int(np.prod(spec.shape))
    return np.pad(reals[:wanted], (0, max(0, wanted - len(reals))))


def _image(path: Path, spec: InputSpec) -> Array:
    """Read an image in the input's size and layout; values reach from low to high."""
    from PIL import Image  # noqa: PLC0415 - comes with matplotlib; rarely needed

    shape = spec.shape[-3:]
    if len(shape) != 3 or not _PLANES & {shape[0], shape[2]}:  # noqa: PLR2004
        raise Broken(f"an image does not fit an input of {list(spec.shape)}")
    is_planar = shape[0] in _PLANES
    planes, height, width = shape if is_planar else (shape[2], shape[0], shape[1])
    with Image.open(path) as opened:
        image = opened.convert("L" if planes == 1 else "RGB").resize((width, height))
    pixels = np.asarray(image, dtype=np.float64).reshape(height, width, planes)
    if is_planar:
        pixels = pixels.transpose(2, 0, 1)
    scaled: Array = spec.low + (spec.high - spec.low) * pixels / 255
    return np.rint(scaled) if np.dtype(spec.dtype).kind in "iu" else scaled

"""Ranges of activations: found once with onnxruntime, rounded, and kept in ranges/.

The extremes of a float32 run differ in their last bits from one kind of CPU to the
next, and rounding alone cannot hide that: sooner or later a value stands on the
edge between two roundings. So the ranges are taken once, rounded to three
significant digits, and checked in; a build reads them, and every machine builds
the same bytes. Each file carries a digest of the graph that it was taken from.
"""

import json
import tempfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx.helper import get_attribute_value
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator
from spec import Input, Spec
from weights import Stream

Ranges = dict[str, tuple[float, float]]
Feed = dict[str, npt.NDArray[Any]]

_FOLDER = Path(__file__).resolve().parent / "ranges"
_FORMAT = "duanping/ranges/1"


class StaleRanges(Exception):
    """The ranges of a model are missing, or belong to another graph."""


class _Samples(CalibrationDataReader):  # type: ignore[misc] # onnxruntime is untyped
    """Hands out the calibration samples of a model one by one."""

    def __init__(self, fed: Iterator[Feed]) -> None:
        self._samples = fed

    def get_next(self) -> Feed | None:
        """Give the next sample, None after the last."""
        return next(self._samples, None)


def calibration_seed(spec: Spec) -> int:
    """Give the seed of a model's calibration data; its weights have another."""
    return zlib.crc32(f"calibration of {spec.name}".encode())


def samples(spec: Spec) -> Iterator[Feed]:
    """Draw the calibration samples: each input filled as the index says."""
    stream = Stream.seeded(calibration_seed(spec))
    for _ in range(spec.calibration_samples):
        yield {one.name: _fill(one, stream) for one in spec.inputs}


def calibrate(spec: Spec, model: onnx.ModelProto) -> None:
    """Run the float32 model over its samples, and write the rounded ranges."""
    ranges = found_ranges(model, samples(spec))
    lines = ",\n".join(
        f"  {json.dumps(k)}: {json.dumps(list(v))}" for k, v in ranges.items()
    )
    _file(spec).write_text(
        f'{{"format": "{_FORMAT}",\n"graph_sha256": "{_digest(model)}",\n'
        f'"ranges": {{\n{lines}\n}}}}\n',
        encoding="utf-8",
    )


def found_ranges(model: onnx.ModelProto, fed: Iterator[Feed]) -> Ranges:
    """Run a float32 model over samples; give each tensor's extremes, rounded."""
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / "float32.onnx")
        calibrator = create_calibrator(
            Path(folder) / "float32.onnx",
            op_types_to_calibrate=None,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.collect_data(_Samples(fed))
        found = calibrator.compute_data().data
    return {
        name: (_rounded(one.range_value[0]), _rounded(one.range_value[1]))
        for name, one in sorted(found.items())
    }


def ranges_of(spec: Spec, model: onnx.ModelProto) -> Ranges:
    """Read the ranges of a float32 model.

    Raises StaleRanges where there are none, or where they were taken from another
    graph than this one.
    """
    file = _file(spec)
    if not file.is_file():
        raise StaleRanges(f"There are no ranges for {spec.name} ({file.name}).")
    kept = json.loads(file.read_text(encoding="utf-8"))
    if kept["graph_sha256"] != _digest(model):
        raise StaleRanges(
            f"The ranges of {spec.name} belong to another graph ({file.name})."
        )
    return {name: (low, high) for name, (low, high) in kept["ranges"].items()}


def _file(spec: Spec) -> Path:
    return _FOLDER / f"{spec.name}.json"


def _digest(model: onnx.ModelProto) -> str:
    """Digest what the values depend on, however a library writes the file."""
    digest = sha256()
    for node in model.graph.node:
        how = sorted(
            (one.name, str(get_attribute_value(one))) for one in node.attribute
        )
        layer = [node.op_type, list(node.input), list(node.output), how]
        digest.update(json.dumps(layer).encode())
    for values in model.graph.initializer:
        digest.update(f"{values.name}{list(values.dims)}".encode())
        digest.update(values.raw_data)
    return digest.hexdigest()


def _rounded(value: npt.NDArray[np.float32]) -> float:
    return float(f"{float(np.asarray(value).reshape(-1)[0]):.2e}")


def _fill(one: Input, stream: Stream) -> npt.NDArray[Any]:
    shape = (1, *one.shape)
    if one.dtype == "int64":
        reals = stream.uniform(shape, one.low, one.high)
        return np.rint(reals).astype(np.int64)
    return stream.uniform(shape, one.low, one.high)

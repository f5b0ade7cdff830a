"""Static QDQ, dynamic and weight-only quantisation with `onnxruntime.quantization`.

Settings as its documentation recommends ("Quantize ONNX models"): pre-processing
first, QDQ, weights per channel and symmetric in 8 bits, a reduced range of weights
only where u8s8 sums may saturate. What the tools leave behind is stripped: operator
sets that no node uses, and metadata with paths of this machine.
"""

import tempfile
from pathlib import Path
from typing import Any

import onnx
from onnx import version_converter
from onnxruntime import __version__ as ort_version
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from harness.catalogue.graph import opsets
from harness.domain.profile import Scheme
from harness.quantising.order import Mode, Quantised, QuantiseOrder, Ranges
from harness.quantising.weights import NoOnnxIr, count_weights, quantise_weights
from harness.runtimes.feeds import SampleLibrary, open_library

PER_CHANNEL_OPSET = 13
"""DequantizeLinear has an axis from here on (ONNX operator docs)."""
_METHODS = {
    Ranges.MINMAX: CalibrationMethod.MinMax,
    Ranges.ENTROPY: CalibrationMethod.Entropy,
    Ranges.PERCENTILE: CalibrationMethod.Percentile,
}


class _Samples(CalibrationDataReader):  # type: ignore[misc] # onnxruntime is untyped
    """Hands out calibration samples one by one."""

    def __init__(self, library: SampleLibrary, count: int) -> None:
        self._feeds = (dict(library.sample(number)) for number in range(count))

    def get_next(self) -> dict[str, Any] | None:
        """Give the next sample, None after the last."""
        return next(self._feeds, None)


def quantise(order: QuantiseOrder) -> Quantised:
    """Quantise one model and write it. Raises whatever the tools raise."""
    if order.mode is Mode.WEIGHTS:
        return _weights(order)
    with tempfile.TemporaryDirectory(prefix="duanping-") as folder:
        ready = Path(folder, "ready.onnx")
        opset = _prepare(Path(order.model), ready, Path(folder))
        made = Path(folder, "made.onnx")
        count = 0
        match order.mode:
            case Mode.STATIC:
                count = _static(order, ready, made)
            case _:
                _dynamic(order, ready, made)
        model = onnx.load(str(made))
    _strip(model)
    onnx.save(model, order.out)
    return Quantised(calibrated_on=count, opset=opset, versions=_versions())


def _weights(order: QuantiseOrder) -> Quantised:
    """Quantise weights alone; writes nothing where there are none."""
    with tempfile.TemporaryDirectory(prefix="duanping-") as folder:
        # constants that are cast or turned on their way to a product become weights
        ready = Path(folder, "ready.onnx")
        quant_pre_process(order.model, str(ready), skip_symbolic_shape=True)
        try:
            model = quantise_weights(onnx.load(str(ready)), order.blocks)
        except NoOnnxIr:
            return Quantised(missing="onnx-ir")
    _strip(model)
    count = count_weights(model)
    if count:
        onnx.save(model, order.out)
    return Quantised(opset=opsets(model)[""], versions=_versions(), weights=count)


def _versions() -> tuple[str, ...]:
    return (f"onnxruntime {ort_version}", f"onnx {onnx.__version__}")


def _prepare(source: Path, ready: Path, folder: Path) -> int:
    """Raise the opset where per-channel scales need it, fold and infer shapes."""
    model = onnx.load(str(source))
    opset = opsets(model)[""]
    if opset < PER_CHANNEL_OPSET:
        model = version_converter.convert_version(model, PER_CHANNEL_OPSET)
        opset = PER_CHANNEL_OPSET
    raised = folder / "raised.onnx"
    onnx.save(model, str(raised))
    quant_pre_process(str(raised), str(ready), skip_symbolic_shape=True)
    return opset


def _static(order: QuantiseOrder, ready: Path, made: Path) -> int:
    library = open_library(order.inputs, 0, Path(order.samples))
    count = min(order.samples_at_most, library.distinct or order.samples_at_most)
    is_signed = order.scheme is Scheme.S8S8
    quantize_static(
        str(ready),
        str(made),
        _Samples(library, count),
        quant_format=QuantFormat.QDQ,
        per_channel=order.per_channel,
        reduce_range=order.reduce_range,
        activation_type=QuantType.QInt8 if is_signed else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=_METHODS[order.ranges],
        extra_options={"ActivationSymmetric": is_signed},
    )
    return count


def _dynamic(order: QuantiseOrder, ready: Path, made: Path) -> None:
    quantize_dynamic(
        str(ready),
        str(made),
        per_channel=order.per_channel,
        reduce_range=order.reduce_range,
        weight_type=QuantType.QInt8,
        # without it, models with com.microsoft operators fail
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


def _strip(model: onnx.ModelProto) -> None:
    used = {node.domain for node in model.graph.node}
    used |= {node.domain for function in model.functions for node in function.node}
    kept = [o for o in model.opset_import if o.domain in used | {"", "ai.onnx"}]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]

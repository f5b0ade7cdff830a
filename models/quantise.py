"""Static QDQ int8 with onnxruntime: weights per channel, activations per tensor."""

import contextlib
import io

import numpy as np
import onnx
from calibration import Ranges
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import add_infer_metadata
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

SCHEMES = {"u8s8": QuantType.QUInt8, "s8s8": QuantType.QInt8}
"""Type of activations by scheme; weights are signed in both. Unsigned activations
are what x86 has instructions for (VPDPBUSD), signed ones what Arm has (SDOT)."""


def quantised(
    model: onnx.ModelProto,
    ranges: Ranges,
    scheme: str,
    float_operators: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """Give a quantised copy of a float32 model; inputs and outputs stay float32.

    The weights keep a full 8 bits (no reduced range): on x86 without VNNI sums may
    saturate, which costs accuracy and not time.
    """
    operators = set(QDQRegistry) | set(QLinearOpsRegistry)
    shaped = onnx.shape_inference.infer_shapes(model)
    # without this mark the quantizer infers shapes again through a file that it names
    # with uuid1, and libuuid opens a socket to ask for a network card's address
    add_infer_metadata(shaped)
    quantizer = QDQQuantizer(
        shaped,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=SCHEMES[scheme],
        tensors_range=_tensors_data(ranges),
        nodes_to_quantize=[],
        nodes_to_exclude=[],
        op_types_to_quantize=sorted(operators - set(float_operators)),
        extra_options={},
    )
    with contextlib.redirect_stdout(io.StringIO()):
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    return _plain(quantizer.model.model, model)


def _plain(made: onnx.ModelProto, origin: onnx.ModelProto) -> onnx.ModelProto:
    """Strip what a runtime does not need: shapes inside, metadata, other domains."""
    del made.opset_import[:]
    made.opset_import.extend(origin.opset_import)
    made.ir_version = origin.ir_version
    made.producer_name, made.producer_version = origin.producer_name, ""
    del made.metadata_props[:]
    del made.graph.value_info[:]
    return made


def _tensors_data(ranges: Ranges) -> TensorsData:
    data = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high))
        for name, (low, high) in ranges.items()
    }
    return TensorsData(CalibrationMethod.MinMax, data)

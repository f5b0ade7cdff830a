"""What the costs of devices of one kind have in common: ratios, not speeds.

Medians over the public tables of the fits of single devices, rounded: MLPerf Tiny
(22 microcontroller systems), MLPerf Inference v1.0 edge (Krai, 4 and 4 CPU stacks),
Qualcomm AI Hub v0.46.1 (19 and 17 NPU stacks). A cost of 1 is that of one product of
a dense convolution; bytes, kernels and inferences are in the same unit.
"""

from collections.abc import Mapping

_MCU = {
    "mac_rate.dense": 1.0,
    "mac_rate.depthwise": 3.2,
    "mac_rate.matmul": 1.36,
    "bandwidth.activation": 5.0,
    "per_kernel": 2400.0,
}
_CPU_INT8 = {
    "mac_rate.dense": 1.0,
    "mac_rate.pointwise": 0.5,
    "mac_rate.depthwise": 12.0,
    "bandwidth.weight": 5.0,
    "bandwidth.activation": 5.0,
    "per_kernel": 8e5,
}
_CPU_FLOAT = {
    "mac_rate.dense": 1.0,
    "mac_rate.pointwise": 0.5,
    "mac_rate.depthwise": 1.7,
    "bandwidth.weight": 0.4,
    "bandwidth.activation": 2.9,
    "per_kernel": 6e5,
}
_NPU_INT8 = {
    "mac_rate.dense": 1.0,
    "mac_rate.depthwise": 3.4,
    "mac_rate.attention": 5.3,
    "bandwidth.weight": 154.0,
    "bandwidth.activation": 127.0,
    "bandwidth.spill": 286.0,
    "per_kernel": 2.8e7,
    "fixed": 4e9,
}
_NPU_FLOAT = {
    "mac_rate.dense": 1.0,
    "mac_rate.depthwise": 0.3,
    "mac_rate.attention": 10.0,
    "bandwidth.weight": 33.0,
    "bandwidth.activation": 19.0,
    "bandwidth.spill": 39.0,
    "per_kernel": 1.4e7,
    "fixed": 1.5e9,
}


def prior_of(unit: str, precision: str) -> Mapping[str, float]:
    """Give the usual ratios of costs of a unit: ``mcu``, ``cpu`` or ``npu``.

    `precision` is as written in a profile; what begins with fp or float is not
    quantised.
    """
    is_float = precision.startswith(("fp", "float"))
    match unit:
        case "mcu":
            return _MCU
        case "cpu":
            return _CPU_FLOAT if is_float else _CPU_INT8
        case "npu":
            return _NPU_FLOAT if is_float else _NPU_INT8
        case _:
            raise ValueError(f"no usual ratios are known of the unit {unit!r}")

"""Standard networks drawn for their shapes alone; weights are zeros that cost nothing.

Layer plans after the papers; each ends in a thousand classes from 224x224 pixels.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Drawing:
    """A network under construction, one path of [1, channels, size, size]."""

    def __init__(self, channels: int = 3, size: int = 224) -> None:
        self.channels, self.size = channels, size
        self._input = [1, channels, size, size]
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self.at = "x"

    def conv(
        self, filters: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        """Convolve with padding that keeps the size, then rectify."""
        pad = kernel // 2
        shape = (filters, self.channels // groups, kernel, kernel)
        self.apply(
            "Conv",
            self._weight(shape),
            group=groups,
            pads=[pad] * 4,
            strides=[stride] * 2,
            kernel_shape=[kernel] * 2,
        )
        self.channels, self.size = filters, -(-self.size // stride)
        self.apply("Relu")

    def pool(self, kernel: int, stride: int) -> None:
        """Take the largest of each window."""
        self.apply(
            "MaxPool",
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[kernel // 2] * 4,
        )
        self.size = -(-self.size // stride)

    def classify(self, classes: int = 1000) -> onnx.ModelProto:
        """Average, connect fully and finish."""
        self.apply("GlobalAveragePool")
        self.apply("Flatten")
        self.apply("Gemm", self._weight((self.channels, classes)))
        return self.finish()

    def apply(self, operator: str, *others: str, **attributes: object) -> str:
        """Add a node that reads the path and `others`; give its output."""
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(
            helper.make_node(operator, [self.at, *others], [name], **attributes)
        )
        self.at = name
        return name

    def finish(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self._input)],
            [helper.make_tensor_value_info(self.at, TensorProto.FLOAT, None)],
            self._weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])

    def _weight(self, shape: Sequence[int]) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(
            numpy_helper.from_array(np.zeros(shape, dtype=np.int8), name)
        )
        return name


def resnet50() -> onnx.ModelProto:
    """He et al., 2016; version 1.5, whose 3x3 convolution has the stride."""
    d = Drawing()
    d.conv(64, 7, stride=2)
    d.pool(3, 2)
    for width, blocks, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            stride = first if block == 0 else 1
            before, channels, size = d.at, d.channels, d.size
            d.conv(width, 1)
            d.conv(width, 3, stride=stride)
            d.conv(4 * width, 1)
            long, d.at = d.at, before
            if block == 0:
                d.channels, d.size = channels, size
                d.conv(4 * width, 1, stride=stride)
            d.apply("Add", long)
    return d.classify()


def resnet18() -> onnx.ModelProto:
    """He et al., 2016."""
    d = Drawing()
    d.conv(64, 7, stride=2)
    d.pool(3, 2)
    for width, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for block in range(2):
            stride = first if block == 0 else 1
            before, channels, size = d.at, d.channels, d.size
            d.conv(width, 3, stride=stride)
            d.conv(width, 3)
            long, d.at = d.at, before
            if stride == 2:
                d.channels, d.size = channels, size
                d.conv(width, 1, stride=2)
            d.apply("Add", long)
    return d.classify()


def mobilenet_v1() -> onnx.ModelProto:
    """Howard et al., 2017, width 1."""
    d = Drawing()
    d.conv(32, 3, stride=2)
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    plan += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    for filters, stride in plan:
        d.conv(d.channels, 3, stride=stride, groups=d.channels)
        d.conv(filters, 1)
    return d.classify()


NETWORKS = {
    "resnet50": (resnet50, 4.0892e9),
    "resnet18": (resnet18, 1.8141e9),
    "mobilenet_v1": (mobilenet_v1, 0.5687e9),
}
"""Network → how to draw it, and its published multiply-accumulates (torchvision's
table of weights for the first two; the paper, 569 M, for MobileNet)."""

"""The twin of a drawn network in torch: trained there, written back into the graph.

The graph stays what it was: only its weights change. While it learns, each layer
that another one follows has a batch normalisation behind it; that is folded into
the layer's weights at the end, so the finished network has none.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from onnx.helper import get_attribute_value
from torch import Tensor, nn
from torch.nn import functional

_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}
"""By the rank of a layer's output."""
_WEIGHED = ("Conv", "Gemm")


class Twin(nn.Module):
    """A network of Conv, Gemm, Relu, MaxPool, GlobalAveragePool and Flatten.

    A Softmax at the end is left out: what is learnt are the logits.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self._nodes = [one for one in model.graph.node if one.op_type != "Softmax"]
        self._input = model.graph.input[0].name
        self.weights = nn.ParameterDict(
            {
                one.name: nn.Parameter(
                    torch.from_numpy(numpy_helper.to_array(one).copy())
                )
                for one in model.graph.initializer
            }
        )
        layers = [node for node in self._nodes if node.op_type in _WEIGHED]
        self.norms = nn.ModuleDict(
            {node.name: self._norm_behind(node) for node in layers[:-1]}
        )

    def _norm_behind(self, node: onnx.NodeProto) -> nn.Module:
        weights = self.weights[node.input[1]]
        return _NORMS[weights.ndim](weights.shape[0])

    def forward(self, x: Tensor) -> Tensor:
        """Give the output of the last layer."""
        values = {self._input: x}
        for node in self._nodes:
            y = self._applied(node, [values.get(name, x) for name in node.input])
            if node.name in self.norms:
                y = self.norms[node.name](y)
            values[node.output[0]] = y
        return y

    def _applied(self, node: onnx.NodeProto, inputs: list[Tensor]) -> Tensor:
        how = {one.name: get_attribute_value(one) for one in node.attribute}
        match node.op_type:
            case "Conv":
                return _convolved(inputs[0], *self._pair(node), how)
            case "Gemm":
                return functional.linear(inputs[0], *self._pair(node))
            case "Relu":
                return functional.relu(inputs[0])
            case "MaxPool":
                pool = (functional.max_pool1d, functional.max_pool2d)
                return pool[inputs[0].ndim - 3](inputs[0], how["kernel_shape"])
            case "GlobalAveragePool":
                axes = tuple(range(2, inputs[0].ndim))
                return inputs[0].mean(dim=axes, keepdim=True)
            case "Flatten":
                return inputs[0].flatten(1)
            case other:
                raise NotImplementedError(f"no twin of the operator {other}")

    def _pair(self, node: onnx.NodeProto) -> tuple[Tensor, Tensor]:
        return self.weights[node.input[1]], self.weights[node.input[2]]

    def write_into(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Give a copy of the graph with the learnt weights, normalisations folded."""
        learnt = {
            name: one.detach().numpy().astype(np.float64)
            for name, one in self.weights.items()
        }
        for node in self._nodes:
            if node.name in self.norms:
                _fold(learnt, node, self.norms[node.name])
        made = onnx.ModelProto()
        made.CopyFrom(model)
        for one in made.graph.initializer:
            fresh = learnt[one.name].astype(np.float32)
            one.CopyFrom(numpy_helper.from_array(fresh, one.name))
        return made


def _convolved(x: Tensor, weights: Tensor, bias: Tensor, how: dict[str, Any]) -> Tensor:
    axes = x.ndim - 2
    before, after = how["pads"][:axes], how["pads"][axes:]
    pairs = reversed(list(zip(before, after, strict=True)))
    x = functional.pad(x, [size for pair in pairs for size in pair])
    apply = (functional.conv1d, functional.conv2d)[axes - 1]
    return apply(
        x,
        weights,
        bias,
        stride=list(how["strides"]),
        dilation=list(how["dilations"]),
        groups=how["group"],
    )


def _fold(
    learnt: dict[str, npt.NDArray[np.float64]], node: onnx.NodeProto, norm: nn.Module
) -> None:
    weights, bias = node.input[1], node.input[2]
    spread = np.sqrt(norm.running_var.numpy().astype(np.float64) + norm.eps)
    gain = norm.weight.detach().numpy().astype(np.float64) / spread
    offset = norm.bias.detach().numpy().astype(np.float64)
    mean = norm.running_mean.numpy().astype(np.float64)
    learnt[weights] *= gain.reshape(-1, *[1] * (learnt[weights].ndim - 1))
    learnt[bias] = (learnt[bias] - mean) * gain + offset

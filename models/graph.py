"""A small vocabulary for drawing a network: each call adds a layer, gives a tensor.

Shapes leave out the sample axis, which is always axis 0 and is named "N". Batch
normalisation is folded from the start: every layer has weights and a bias. The
multiply-accumulates of one sample are counted while the graph is drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from weights import Stream

Each = int | Sequence[int]
"""One number for all axes, or one for each."""

Attribute = int | float | str | Sequence[int]

_ELEMENTS = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


class ConvOptions(TypedDict, total=False):
    """What a convolution may be told besides its filters and kernel.

    `padding` is ``same``, ``valid`` or ``causal`` (all before the first value);
    `scale` weakens the weights, for one branch of a sum.
    """

    stride: Each
    dilation: int
    groups: int
    padding: str
    scale: float


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value in the graph; `shape` is that of one sample.

    `is_rectified` says that it comes from a ReLU, which the next weights need to
    know to keep the scale.
    """

    name: str
    shape: tuple[int, ...]
    is_rectified: bool = False


class Graph:
    """A network under construction."""

    def __init__(self, name: str, *, seed: int, opset: int = 13, ir: int = 7) -> None:
        self._name = name
        self._stream = Stream.seeded(seed)
        self._opset, self._ir = opset, ir
        self._nodes: list[onnx.NodeProto] = []
        self._initialisers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self.macs = 0
        self.parameters = 0

    # What goes in and comes out

    def input(self, name: str, shape: Sequence[int], dtype: str = "float32") -> Tensor:
        """Declare an input; `shape` is that of one sample."""
        self._inputs.append(_value(name, shape, dtype))
        return Tensor(name, tuple(shape))

    def output(self, name: str, x: Tensor) -> None:
        """Declare an output: the tensor takes that name wherever it stands."""
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if old == x.name else old for old in names]
        self._outputs.append(_value(name, x.shape, "float32"))

    def finish(self) -> onnx.ModelProto:
        """Give the model, checked by onnx."""
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, self._initialisers
        )
        model = helper.make_model(
            graph,
            producer_name="duanping-models",
            ir_version=self._ir,
            opset_imports=[helper.make_opsetid("", self._opset)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    # Layers with weights

    def conv(
        self,
        x: Tensor,
        filters: int,
        kernel: Each = 3,
        **how: Unpack[ConvOptions],
    ) -> Tensor:
        """Convolve and rectify. Options are those of `linear_conv`."""
        return self.relu(self.linear_conv(x, filters, kernel, **how))

    def linear_conv(
        self, x: Tensor, filters: int, kernel: Each = 3, **how: Unpack[ConvOptions]
    ) -> Tensor:
        """Convolve over all axes behind the channels (1-D or 2-D)."""
        axes = len(x.shape) - 1
        size, step = _each(kernel, axes), _each(how.get("stride", 1), axes)
        groups, dilation = how.get("groups", 1), how.get("dilation", 1)
        reach = tuple(dilation * (k - 1) + 1 for k in size)
        pads = tuple(
            map(_PADDINGS[how.get("padding", "same")], x.shape[1:], reach, step)
        )
        spatial = tuple(
            (length + sum(pad) - span) // jump + 1
            for length, pad, span, jump in zip(
                x.shape[1:], pads, reach, step, strict=True
            )
        )
        shape = (filters, x.shape[0] // groups, *size)
        weights = self._weights(shape, x, how.get("scale", 1.0))
        self.macs += math.prod(spatial) * math.prod(shape)
        return self._add(
            "Conv",
            [x.name, weights, self._bias(filters)],
            (filters, *spatial),
            kernel_shape=size,
            strides=step,
            dilations=(dilation,) * axes,
            group=groups,
            pads=[p[0] for p in pads] + [p[1] for p in pads],
        )

    def depthwise(
        self, x: Tensor, kernel: Each = 3, **how: Unpack[ConvOptions]
    ) -> Tensor:
        """Convolve each channel by itself, and rectify."""
        how["groups"] = x.shape[0]
        return self.conv(x, x.shape[0], kernel, **how)

    def separable(
        self,
        x: Tensor,
        filters: int,
        kernel: Each = 3,
        **how: Unpack[ConvOptions],
    ) -> Tensor:
        """Convolve depthwise, then pointwise, each rectified (MobileNet, 2017)."""
        return self.conv(self.depthwise(x, kernel, **how), filters, 1)

    def dense(self, x: Tensor, units: int, *, scale: float = 1.0) -> Tensor:
        """Connect fully: [inputs] → [units]."""
        (inputs,) = x.shape
        weights = self._weights((units, inputs), x, scale)
        self.macs += inputs * units
        names = [x.name, weights, self._bias(units)]
        return self._add("Gemm", names, (units,), transB=1)

    def tokenwise(self, x: Tensor, units: int, *, scale: float = 1.0) -> Tensor:
        """Connect fully at each token: [tokens, inputs] → [tokens, units]."""
        tokens, inputs = x.shape
        drawn = self._stream.filters(
            (units, inputs), is_rectified=x.is_rectified, scale=scale
        )
        weights = self._constant(np.ascontiguousarray(drawn.T), is_weight=True)
        self.macs += tokens * inputs * units
        product = self._add("MatMul", [x.name, weights], (tokens, units))
        return self._add("Add", [product.name, self._bias(units)], product.shape)

    def embed(self, ids: Tensor, vocabulary: int, width: int) -> Tensor:
        """Look up token ids: [tokens] → [tokens, width]."""
        drawn = self._stream.uniform((vocabulary, width), -1.0, 1.0)
        table = self._constant(drawn, is_weight=True)
        return self._add("Gather", [table, ids.name], (*ids.shape, width), axis=0)

    def position(self, x: Tensor) -> Tensor:
        """Add one learnt vector for each place: [tokens, width] → the same."""
        table = self._constant(self._stream.uniform(x.shape, -0.5, 0.5), is_weight=True)
        return self._add("Add", [x.name, table], x.shape)

    def affine(self, x: Tensor) -> Tensor:
        """Scale and shift the last axis: the NoNorm of MobileBERT (2020)."""
        width = x.shape[-1]
        gain = self._stream.uniform((width,), 0.9, 1.1)
        scaled = self._add(
            "Mul", [x.name, self._constant(gain, is_weight=True)], x.shape
        )
        return self._add("Add", [scaled.name, self._bias(width)], x.shape)

    def layer_norm(self, x: Tensor) -> Tensor:
        """Normalise the last axis, then scale and shift it (Ba et al., 2016)."""
        width = x.shape[-1]
        gain = self._constant(self._stream.uniform((width,), 0.9, 1.1), is_weight=True)
        names = [x.name, gain, self._bias(width)]
        return self._add("LayerNormalization", names, x.shape, axis=-1)

    def scaled(self, x: Tensor, factor: float) -> Tensor:
        """Multiply by one number."""
        name = self._constant(np.array(factor, np.float32))
        return self._add("Mul", [x.name, name], x.shape)

    # Layers without weights

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        """Multiply two activations: […, m, k] · […, k, n] → […, m, n]."""
        shape = (*a.shape[:-1], b.shape[-1])
        self.macs += math.prod(shape) * a.shape[-1]
        return self._add("MatMul", [a.name, b.name], shape)

    def relu(self, x: Tensor) -> Tensor:
        """Rectify."""
        y = self._add("Relu", [x.name], x.shape)
        return Tensor(y.name, y.shape, is_rectified=True)

    def apply(self, operator: str, *xs: Tensor, **attributes: Attribute) -> Tensor:
        """Apply an element-wise operator (Add, Mul, Sigmoid, Tanh, Softmax …)."""
        return self._add(operator, [x.name for x in xs], xs[0].shape, **attributes)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """Sum two tensors of one shape, as a residual connection does."""
        return self.apply("Add", a, b)

    def concat(self, *xs: Tensor) -> Tensor:
        """Join along the first axis behind the samples."""
        shape = (sum(x.shape[0] for x in xs), *xs[0].shape[1:])
        y = self._add("Concat", [x.name for x in xs], shape, axis=1)
        return Tensor(y.name, y.shape, is_rectified=all(x.is_rectified for x in xs))

    def slice(self, x: Tensor, start: int, stop: int) -> Tensor:
        """Take [start, stop) of the first axis behind the samples."""
        bounds = [self._integers([value]) for value in (start, stop, 1)]
        return self._add("Slice", [x.name, *bounds], (stop - start, *x.shape[1:]))

    def mean(self, x: Tensor) -> Tensor:
        """Average over all places: [channels, …] → [channels]."""
        pooled = self._add(
            "GlobalAveragePool", [x.name], (x.shape[0],) + (1,) * (len(x.shape) - 1)
        )
        return self.flatten(Tensor(pooled.name, pooled.shape, x.is_rectified))

    def max_pool(self, x: Tensor, size: int = 2) -> Tensor:
        """Take the largest of each `size` neighbours along every axis."""
        axes = len(x.shape) - 1
        y = self._add(
            "MaxPool",
            [x.name],
            (x.shape[0], *(length // size for length in x.shape[1:])),
            kernel_shape=(size,) * axes,
            strides=(size,) * axes,
        )
        return Tensor(y.name, y.shape, x.is_rectified)

    def flatten(self, x: Tensor) -> Tensor:
        """Lay a sample out in one row."""
        y = self._add("Flatten", [x.name], (math.prod(x.shape),), axis=1)
        return Tensor(y.name, y.shape, x.is_rectified)

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Give a sample another shape with as many values."""
        target = self._integers([0, *shape])
        y = self._add("Reshape", [x.name, target], shape)
        return Tensor(y.name, y.shape, x.is_rectified)

    def transpose(self, x: Tensor, order: Sequence[int]) -> Tensor:
        """Put the axes of a sample into another order (counted from 0)."""
        shape = tuple(x.shape[axis] for axis in order)
        perm = [0, *(axis + 1 for axis in order)]
        y = self._add("Transpose", [x.name], shape, perm=perm)
        return Tensor(y.name, y.shape, x.is_rectified)

    def upsample(self, x: Tensor) -> Tensor:
        """Double height and width by repeating values."""
        scales = self._constant(np.array([1, 1, 2, 2], np.float32))
        channels, height, width = x.shape
        y = self._add(
            "Resize",
            [x.name, "", scales],
            (channels, 2 * height, 2 * width),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return Tensor(y.name, y.shape, x.is_rectified)

    def depth_to_space(self, x: Tensor, block: int) -> Tensor:
        """Trade channels for `block` times the height and width."""
        channels, height, width = x.shape
        shape = (channels // block**2, height * block, width * block)
        return self._add("DepthToSpace", [x.name], shape, blocksize=block, mode="CRD")

    # How layers enter the graph

    def _add(
        self,
        operator: str,
        inputs: list[str],
        shape: Sequence[int],
        **attributes: Attribute,
    ) -> Tensor:
        name = f"{operator.lower()}_{len(self._nodes)}"
        node = helper.make_node(operator, inputs, [name], name=name)
        node.attribute.extend(
            helper.make_attribute(key, value)
            for key, value in sorted(attributes.items())
        )
        self._nodes.append(node)
        return Tensor(name, tuple(shape))

    def _weights(self, shape: tuple[int, ...], x: Tensor, scale: float) -> str:
        drawn = self._stream.filters(shape, is_rectified=x.is_rectified, scale=scale)
        return self._constant(drawn, is_weight=True)

    def _bias(self, count: int) -> str:
        return self._constant(self._stream.biases(count), is_weight=True)

    def _integers(self, values: Sequence[int]) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, values: npt.NDArray[Any], *, is_weight: bool = False) -> str:
        name = f"{'weight' if is_weight else 'constant'}_{len(self._initialisers)}"
        self._initialisers.append(numpy_helper.from_array(values, name))
        self.parameters += values.size if is_weight else 0
        return name


def _value(name: str, shape: Sequence[int], dtype: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _ELEMENTS[dtype], ["N", *shape])


def _each(value: Each, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _same(length: int, span: int, step: int) -> tuple[int, int]:
    outputs = -(-length // step)
    total = max((outputs - 1) * step + span - length, 0)
    return total // 2, total - total // 2


def _valid(_length: int, _span: int, _step: int) -> tuple[int, int]:
    return 0, 0


def _causal(_length: int, span: int, _step: int) -> tuple[int, int]:
    return span - 1, 0


_PADDINGS = {"same": _same, "valid": _valid, "causal": _causal}

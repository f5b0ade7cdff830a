"""What is said of a reference model besides its layers, and how it is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import onnx
from graph import Graph

_WIDELY_READ, _IR_OF_NEWER = 13, 8
"""Opset 13 with file format 7 runs nearly everywhere; newer ones need format 8."""
Draw = Callable[..., Any]
"""Gives the tensor of each output; of a language model, a `Drawing`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input: the shape of one sample, and the values that fill it.

    Values lie evenly between `low` and `high`; integers reach both ends.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float = -1.0
    high: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderFacts:
    """What the graph of a language model does not say."""

    vocabulary: int
    context: int
    end_tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One reference model.

    `draw` is called with the graph and one tensor an input, and gives the tensor
    of each output. `float_operators` stay in float32 when the rest is quantised.
    `remark_*` is what a reader of a result must know about this model.
    """

    name: str
    task: str
    draw: Draw
    inputs: tuple[Input, ...]
    seed: int
    source: str
    remark_zh: str = ""
    remark_en: str = ""
    float_operators: tuple[str, ...] = ()
    calibration_samples: int = 64
    opset: int = 13
    """Of the standard operators; LayerNormalization is one from 17 on."""
    decoder: DecoderFacts | None = None
    """Of a language model, which `draw` gives whole, its weights in few bits."""

    @property
    def script(self) -> str:
        """Name the file that draws this model."""
        return f"{self.draw.__module__}.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A drawn model in float32. `macs` are those of one sample."""

    model: onnx.ModelProto
    macs: int
    parameters: int


def assemble(spec: Spec) -> Drawing:
    """Draw a model from its seed."""
    if spec.decoder is not None:
        whole: Drawing = spec.draw(spec.seed)
        return whole
    ir = _IR_OF_NEWER if spec.opset > _WIDELY_READ else 7
    graph = Graph(spec.name, seed=spec.seed, opset=spec.opset, ir=ir)
    inputs = [graph.input(one.name, one.shape, one.dtype) for one in spec.inputs]
    for name, tensor in spec.draw(graph, *inputs).items():
        graph.output(name, tensor)
    return Drawing(model=graph.finish(), macs=graph.macs, parameters=graph.parameters)

"""Small ONNX models, made on the spot."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

Dims = Sequence[int | str | None]
MakeModel = Callable[..., onnx.ModelProto]
SaveModel = Callable[..., Path]


@pytest.fixture
def make_model() -> MakeModel:
    """Give a function that makes a model of nodes, inputs and weights.

    With nothing said: one Relu of float32 [1, 4], in opset 13.
    """

    def made(
        nodes: Sequence[onnx.NodeProto] | None = None,
        inputs: dict[str, tuple[int, Dims]] | None = None,
        outputs: dict[str, tuple[int, Dims]] | None = None,
        weights: Sequence[onnx.TensorProto] = (),
        opsets: dict[str, int] | None = None,
        **more: Any,  # noqa: ANN401 - handed to onnx
    ) -> onnx.ModelProto:
        if nodes is None:
            nodes = [helper.make_node("Relu", ["x"], ["y"], name="first")]
        inputs = inputs or {"x": (TensorProto.FLOAT, [1, 4])}
        outputs = outputs or {"y": (TensorProto.FLOAT, [None, None])}
        graph = helper.make_graph(
            list(nodes),
            "g",
            [helper.make_tensor_value_info(n, t, d) for n, (t, d) in inputs.items()],
            [helper.make_tensor_value_info(n, t, d) for n, (t, d) in outputs.items()],
            list(weights),
        )
        imports = [helper.make_opsetid(d, v) for d, v in (opsets or {"": 13}).items()]
        return helper.make_model(graph, opset_imports=imports, ir_version=8, **more)

    return made


@pytest.fixture
def save_model(tmp_path: Path) -> SaveModel:
    """Give a function that writes a model and gives its path."""

    def saved(model: onnx.ModelProto, name: str = "model.onnx") -> Path:
        path = tmp_path / "models" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(model.SerializeToString())
        return path

    return saved

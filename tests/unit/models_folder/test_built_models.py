"""The built models themselves: size, arithmetic, behaviour, against the index."""

import math
import os
import subprocess
import sys
import tomllib
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["ORT_TELEMETRY_DISABLED"] = "1"

import onnxruntime

MODELS = Path(__file__).resolve().parents[3] / "models"
TINY = ("dscnn-kws", "sww-dscnn", "resnet8-ic", "mobilenetv1-025-vww", "fcae-ad")
SMALL = (*TINY, "cnn1d-har", "cnn1d-ecg", "cnn1d-fall", "cnn1d-vib", "tcn-nav")
LARGER = ("mobilenetv2", "palm-det", "hand-landmark", "ocr-page", "clip-vit-s16")
ALL = (*SMALL, "gru-dns", "cnn2d-radar", "gaze-hourglass", *LARGER)

PUBLISHED_MACS = {
    # Banbury et al., MLPerf Tiny Benchmark, 2021, and the sizes of its TFLite files
    "dscnn-kws": 2.66e6,
    "resnet8-ic": 12.5e6,
    "mobilenetv1-025-vww": 7.49e6,
    "fcae-ad": 0.264e6,
    # Sandler et al., MobileNetV2, CVPR 2018, table 4: 300 M; counted exactly: 300.8 M
    "mobilenetv2": 300.8e6,
}


@cache
def index() -> dict[str, dict[str, Any]]:
    text = (MODELS / "index.toml").read_text(encoding="utf-8")
    return {model["name"]: model for model in tomllib.loads(text)["model"]}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    for scheme, names in (("u8s8", ALL), ("s8s8", TINY)):
        subprocess.run(
            [
                *(sys.executable, str(MODELS / "build.py")),
                *("--out", str(folder), "--scheme", scheme, *names),
            ],
            check=True,
            capture_output=True,
        )
    return folder


def layer_macs(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    """Count by the definition: outputs times the inputs that each one sums."""
    outputs = math.prod(shapes[node.output[0]])
    if node.op_type == "Conv":
        return outputs * math.prod(shapes[node.input[1]][1:])
    if node.op_type == "Gemm":
        return outputs * shapes[node.input[1]][1]
    if node.op_type == "MatMul":
        return outputs * shapes[node.input[0]][-1]
    return 0


def count_macs(path: Path) -> int:
    model = onnx.load(path)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    shapes |= {one.name: list(one.dims) for one in graph.initializer}
    for shape in shapes.values():
        shape[:1] = [shape[0] or 1] if shape else []
    return sum(layer_macs(node, shapes) for node in graph.node)


def inputs_of(name: str, count: int, seed: int) -> dict[str, npt.NDArray[Any]]:
    draw = np.random.default_rng(seed)
    return {
        one["name"]: draw.uniform(
            one["low"], one["high"], (count, *one["shape"][1:])
        ).astype(one["dtype"])
        for one in index()[name]["inputs"]
    }


def open_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("name", sorted(PUBLISHED_MACS))
def test_a_known_architecture_has_its_published_macs_within_one_per_cent(
    built: Path, name: str
) -> None:
    counted = count_macs(built / f"{name}-fp32.onnx")

    assert counted == pytest.approx(PUBLISHED_MACS[name], rel=0.01)


@pytest.mark.parametrize("name", ALL)
def test_the_index_gives_the_macs_and_parameters_that_the_graph_has(
    built: Path, name: str
) -> None:
    path = built / f"{name}-fp32.onnx"

    weights = sum(
        math.prod(one.dims)
        for one in onnx.load(path).graph.initializer
        if one.data_type == onnx.TensorProto.FLOAT and "constant" not in one.name
    )

    assert count_macs(path) == index()[name]["macs"]
    assert weights == index()[name]["parameters"]


@pytest.mark.parametrize(("name", "limit"), [("cnn1d-har", 0.5e6), ("cnn1d-ecg", 5e6)])
def test_a_wrist_network_keeps_to_its_allowance(name: str, limit: float) -> None:
    macs = index()[name]["macs"]

    assert macs <= limit


@pytest.mark.parametrize("scheme", ["u8s8", "s8s8"])
@pytest.mark.parametrize("name", TINY)
def test_the_index_agrees_with_a_fresh_build(
    built: Path, name: str, scheme: str
) -> None:
    content = (built / f"{name}-{scheme}.onnx").read_bytes()

    assert index()[name][scheme] == {
        "sha256": sha256(content).hexdigest(),
        "size_bytes": len(content),
    }


@pytest.mark.parametrize("name", ALL)
def test_a_quantised_model_answers_differently_to_different_inputs(
    built: Path, name: str
) -> None:
    session = open_session(built / f"{name}-u8s8.onnx")

    first = session.run(None, inputs_of(name, 1, seed=1))
    second = session.run(None, inputs_of(name, 1, seed=2))

    for one, other in zip(first, second, strict=True):
        assert np.isfinite(one).all()
        assert np.abs(one).max() < 1000
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", ALL)
def test_a_query_of_three_samples_gives_the_three_answers(
    built: Path, name: str
) -> None:
    session = open_session(built / f"{name}-u8s8.onnx")
    together = inputs_of(name, 3, seed=3)

    answers = session.run(None, together)

    for sample in range(3):
        alone = {key: value[sample : sample + 1] for key, value in together.items()}
        for one, many in zip(session.run(None, alone), answers, strict=True):
            np.testing.assert_allclose(many[sample : sample + 1], one, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_quantisation_leaves_the_answer_near_that_of_the_parent(
    built: Path, name: str
) -> None:
    fed = inputs_of(name, 8, seed=4)

    exact = open_session(built / f"{name}-fp32.onnx").run(None, fed)
    rounded = open_session(built / f"{name}-u8s8.onnx").run(None, fed)

    for one, other in zip(exact, rounded, strict=True):
        assert np.sqrt(np.mean((one - other) ** 2)) < 0.2 * np.sqrt(np.mean(one**2))


@pytest.mark.parametrize("name", ["dscnn-kws", "resnet8-ic", "mobilenetv2"])
def test_weights_are_quantised_per_channel_to_signed_bytes(
    built: Path, name: str
) -> None:
    graph = onnx.load(built / f"{name}-u8s8.onnx").graph
    constants = {one.name: one for one in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}

    for conv in (node for node in graph.node if node.op_type == "Conv"):
        weight, scale, _ = makers[conv.input[1]].input
        assert constants[weight].data_type == onnx.TensorProto.INT8
        assert list(constants[scale].dims) == list(constants[weight].dims[:1])


def test_the_index_describes_the_inputs_and_outputs_that_the_graph_has(
    built: Path,
) -> None:
    for name in ALL:
        graph = onnx.load(built / f"{name}-u8s8.onnx").graph
        for key, values in (("inputs", graph.input), ("outputs", graph.output)):
            found = [
                (one.name, [s.dim_value for s in one.type.tensor_type.shape.dim][1:])
                for one in values
            ]
            batch = {one.type.tensor_type.shape.dim[0].dim_param for one in values}
            told = [(one["name"], one["shape"][1:]) for one in index()[name][key]]
            assert found == told
            assert batch == {"N"}


def test_every_model_says_in_two_languages_that_it_is_not_trained() -> None:
    for model in index().values():
        assert model["trained"] is False
        assert "never accuracy" in model["note_en"]
        assert "不得用于精度" in model["note_zh"]
        assert model["licence"] == "Apache-2.0"
        assert (MODELS / model["script"]).is_file()
        # a language model is drawn in its few bits, and nothing is calibrated
        is_calibrated = "calibration" in model
        assert is_calibrated is not ("decoder" in model)
        if is_calibrated:
            assert (MODELS / model["calibration"]["ranges"]).is_file()

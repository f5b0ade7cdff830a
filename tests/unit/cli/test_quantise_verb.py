"""``duanping quantise``: the real command, on a small classifier made here."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from harness.catalogue.anatomy import take_apart
from harness.runtimes.base import Tensor

Command = Callable[..., "subprocess.CompletedProcess[str]"]
WIDTH, CLASSES = 16, 4


def a_classifier(folder: Path) -> Path:
    """Nearest of four centres: right by construction."""
    centres = np.random.default_rng(1).standard_normal((WIDTH, CLASSES))
    weights = numpy_helper.from_array(centres.astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])],
        [weights],
    )
    opset = helper.make_opsetid("", 13)
    path = folder / "float.onnx"
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def some_items(folder: Path, name: str, *, scale: float = 1.0) -> tuple[Path, Tensor]:
    centres = np.random.default_rng(1).standard_normal((WIDTH, CLASSES))
    draw = np.random.default_rng(len(name))
    x = (scale * draw.standard_normal((300, WIDTH))).astype(np.float32)
    labels = (x @ centres).argmax(axis=1)
    np.savez(folder / name, x=x, labels=labels)
    return folder / name, x


def test_a_model_that_stands_it_keeps_its_accuracy(
    duanping: Command, tmp_path: Path
) -> None:
    calibrate, _ = some_items(tmp_path, "calibrate.npz")
    items, _ = some_items(tmp_path, "items.npz")
    out = tmp_path / "int8.onnx"

    done = duanping(
        *("quantise", a_classifier(tmp_path), "--calibrate", calibrate),
        *("--dataset", items, "--out", out, "--scheme", "u8s8", "--json"),
    )

    facts = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert facts["accuracy"]["parent_value"] == 1.0
    assert facts["accuracy"]["retention"] > 0.95
    assert facts["sqnr_db"] > 25
    assert facts["is_destroyed"] is False
    assert facts["made"]["calibrated_on"] == 200
    found = take_apart(out)
    assert found.quantisation == "int8 QDQ u8s8 per channel"
    assert set(found.opsets) == {"ai.onnx"}


@pytest.mark.parametrize("is_labelled", [True, False])
def test_a_model_that_is_destroyed_is_found_and_said(
    duanping: Command, tmp_path: Path, *, is_labelled: bool
) -> None:
    # ranges from inputs a thousand times too small, so that all others saturate
    calibrate, x = some_items(tmp_path, "calibrate.npz")
    x[:5] *= 1e-3
    np.savez(calibrate, x=x)
    items, _ = some_items(tmp_path, "items.npz")
    options = ("--dataset", items) if is_labelled else ()

    done = duanping(
        *("quantise", a_classifier(tmp_path), "--calibrate", calibrate, *options),
        *("--samples", "5", "--out", tmp_path / "int8.onnx", "--scheme", "s8s8"),
    )

    assert done.returncode == 1, done.stderr
    assert "Quantisation destroyed this model" in done.stdout
    assert (tmp_path / "int8.onnx").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Static quantisation finds ranges on samples"),
        (("--calibrate", "wrong.npz"), "does not fit the input"),
    ],
)
def test_samples_that_do_not_fit_are_refused(
    duanping: Command, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    model = a_classifier(tmp_path)
    np.savez(tmp_path / "wrong.npz", x=np.zeros((9, WIDTH + 1), np.float32))

    done = duanping("quantise", model, *options, cwd=tmp_path)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_labels_that_the_outputs_do_not_fit_are_refused_before_anything_is_made(
    duanping: Command, tmp_path: Path
) -> None:
    items = tmp_path / "items.npz"
    masks = np.zeros((9, 3, 3), np.int64)
    np.savez(items, x=np.ones((9, WIDTH), np.float32), labels=masks)
    out = tmp_path / "int8.onnx"

    done = duanping(
        *("quantise", a_classifier(tmp_path), "--mode", "dynamic", "--out", out),
        *("--dataset", items, "--metric", "miou"),
    )

    assert done.returncode == 2
    assert "Outputs and labels do not fit the metric miou" in done.stderr
    assert not out.exists()


def test_a_model_that_is_quantised_already_is_refused(
    duanping: Command, tmp_path: Path
) -> None:
    calibrate, _ = some_items(tmp_path, "calibrate.npz")
    graph = helper.make_graph(
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            helper.make_node("MatMulInteger", ["q", "w", "z"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, ["N", CLASSES])],
        [numpy_helper.from_array(np.ones((WIDTH, CLASSES), np.int8), "w")],
    )
    opset = helper.make_opsetid("", 13)
    model = tmp_path / "int8.onnx"
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), model)

    done = duanping("quantise", model, "--calibrate", calibrate)

    assert done.returncode == 2
    assert "quantised already: int8 dynamic" in done.stderr

"""Own data of every kind, as a user walks it: folder in, task metric with interval out.

Each model is made here so that its answers, and so the value, are known.
"""

import csv
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

Command = Callable[..., "subprocess.CompletedProcess[str]"]
FLOAT = TensorProto.FLOAT


def saved(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int | str],
    outputs: Sequence[str],
    weights: dict[str, Any],
) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in weights.items()],
    )
    opset = helper.make_opsetid("", 13)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def a_detector(folder: Path) -> Path:
    """Say that the brighter half of the image holds the thing, and the other too."""
    node = helper.make_node
    return saved(
        folder / "detector.onnx",
        [
            node("ReduceMax", ["x"], ["rows"], axes=[1, 2], keepdims=0),
            node("Reshape", ["rows", "halves"], ["split"]),
            node("ReduceMax", ["split"], ["scores"], axes=[2], keepdims=0),
            node("Identity", ["where"], ["boxes"]),
            node("Identity", ["what"], ["classes"]),
        ],
        [1, 1, 8, 16],
        ["boxes", "scores", "classes"],
        {
            "halves": np.array([1, 2, 8]),
            "where": np.array([[[0, 0, 8, 8], [8, 0, 16, 8]]], np.float32),
            "what": np.zeros((1, 2), np.float32),
        },
    )


def a_segmenter(folder: Path) -> Path:
    """Tell dark from bright."""
    nodes = [
        helper.make_node("Sub", ["half", "x"], ["dark"]),
        helper.make_node("Sub", ["x", "half"], ["bright"]),
        helper.make_node("Concat", ["dark", "bright"], ["y"], axis=1),
    ]
    half = np.float32(0.5)
    return saved(
        folder / "segmenter.onnx", nodes, ["N", 1, 8, 8], ["y"], {"half": half}
    )


def a_transcriber(folder: Path) -> Path:
    """Give as scores of CTC what it is given."""
    node = helper.make_node("Identity", ["x"], ["y"])
    return saved(folder / "transcriber.onnx", [node], [1, 6, 5], ["y"], {})


def an_enlarger(folder: Path) -> Path:
    """Give four times the pixels."""
    node = helper.make_node("Resize", ["x", "", "twice"], ["y"], mode="nearest")
    twice = np.array([1, 1, 2, 2], np.float32)
    return saved(
        folder / "enlarger.onnx", [node], ["N", 1, 8, 8], ["y"], {"twice": twice}
    )


def listed(folder: Path, head: str, lines: Sequence[str]) -> Path:
    (folder / "labels.csv").write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    return folder


def pictures(folder: Path, count: int) -> list[np.ndarray]:
    """Write grey pictures of two levels; gives them as 0 and 1."""
    folder.mkdir()
    draw = np.random.default_rng(7)
    made = [draw.integers(0, 2, (8, 8)) for _ in range(count)]
    for number, bits in enumerate(made):
        Image.fromarray((255 * bits).astype(np.uint8)).save(folder / f"{number}.png")
    return made


def task_metric(
    duanping: Command, model: Path, data: Path, metric: str, *options: str | Path
) -> dict[str, str]:
    done = duanping(
        *("run", "--device", "xr", "--model", model, "--dataset", data),
        *("--metric", metric, "--preset", "rapid", "--out", model.parent),
        *("--no-report", "--json", *options),
    )
    assert done.returncode == 0, done.stderr
    bundle = Path(json.loads(done.stdout)["bundle"])
    with (bundle / "derived" / "estimates.csv").open(encoding="utf-8") as file:
        rows = {row["measurand"]: row for row in csv.DictReader(file)}
    return rows["task_metric"]


def test_a_detector_is_scored_against_boxes(duanping: Command, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lines = []
    for number in range(20):
        image = np.zeros((8, 16), np.uint8)
        left = 8 * (number % 2)
        image[2:6, left : left + 8] = 200
        Image.fromarray(image).save(data / f"{number}.png")
        # the last box is elsewhere, so that one of twenty is never found
        corner = left if number < 19 else 100
        lines.append(f"{number}.png,cup,{corner},0,{corner + 8},8")
    listed(data, "file,class,x1,y1,x2,y2", lines)

    found = task_metric(duanping, a_detector(tmp_path), data, "map")

    # 19 of 20 boxes at full precision: recall reaches 0.95, 96 of 101 points
    assert float(found["value"]) == pytest.approx(19 / 20, abs=0.06)
    assert 0 < float(found["expanded_uncertainty"]) < 0.3
    assert "map on 20 items" in found["method"]


def test_a_segmenter_is_scored_against_masks(duanping: Command, tmp_path: Path) -> None:
    data = tmp_path / "data"
    masks = pictures(data, 12)
    for number, mask in enumerate(masks):
        truth = mask.astype(np.uint8)
        if number == 0:
            truth = 1 - truth  # one of twelve is all wrong
        truth[0] = 255  # a row that is not counted
        Image.fromarray(truth).save(data / f"{number}-mask.png")
    listed(data, "file,target", [f"{n}.png,{n}-mask.png" for n in range(len(masks))])

    found = task_metric(duanping, a_segmenter(tmp_path), data, "miou")

    counted = np.array([mask[1:] for mask in masks])
    right = [(counted[1:] == kind).sum() for kind in (0, 1)]
    either = [kind_right + counted[0].size for kind_right in right]
    value = np.mean(np.array(right) / np.array(either))
    assert float(found["value"]) == pytest.approx(value)
    assert float(found["expanded_uncertainty"]) > 0.02


def test_a_transcriber_is_scored_against_texts(
    duanping: Command, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "tokens.txt").write_text("\n▁turn\n▁on\n▁off\n灯\n", encoding="utf-8")
    paths = {"turn on": [1, 0, 2, 2, 0, 0], "turn off": [1, 1, 0, 3, 0, 0]}
    lines = []
    for number in range(20):
        said = "turn on" if number % 4 else "turn off"
        np.save(data / f"{number}.npy", np.eye(5, dtype=np.float32)[paths[said]])
        lines.append(f"{number}.npy,turn on")
    listed(data, "file,text", lines)

    found = task_metric(duanping, a_transcriber(tmp_path), data, "wer")

    # a quarter says "off" for "on": one word of two
    assert float(found["value"]) == pytest.approx(1 - 0.25 / 2)
    assert 0.02 < float(found["expanded_uncertainty"]) < 0.2


def test_an_enlarged_picture_is_scored_against_the_real_one(
    duanping: Command, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for number, bits in enumerate(pictures(data, 10)):
        large = np.kron(bits, np.ones((2, 2)))
        step = 51 if number % 2 else 25.5  # a fifth, and a tenth, of full scale
        shifted = np.where(large > 0, 255 - step, step)
        np.save(data / f"{number}-large.npy", (shifted / 255)[np.newaxis])
    listed(data, "file,target", [f"{n}.png,{n}-large.npy" for n in range(10)])

    model = an_enlarger(tmp_path)
    found = task_metric(duanping, model, data, "psnr", "--parent", model)

    assert float(found["value"]) == pytest.approx((20 + 10 * np.log10(25)) / 2)


def test_a_broken_item_is_named_and_stops_the_run_or_is_left_out(
    duanping: Command, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    pictures(data, 4)
    (data / "2.png").write_bytes(b"no picture")
    listed(data, "file,target", [f"{n}.png,{n}.png" for n in range(4)])
    model = a_segmenter(tmp_path)
    asked = (
        *("run", "--device", "xr", "--model", model, "--dataset", data),
        *("--metric", "miou", "--preset", "rapid", "--out", tmp_path, "--no-report"),
    )

    stopped = duanping(*asked)
    went_on = duanping(*asked, "--skip-broken")

    assert stopped.returncode == 2
    assert "An item of the data set is broken: 2.png: cannot identify image" in (
        stopped.stderr
    )
    assert "--skip-broken" in stopped.stderr
    assert went_on.returncode == 0, went_on.stderr
    assert "Left out: 2.png: cannot identify image" in went_on.stderr

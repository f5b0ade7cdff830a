"""What is wrong with a model, or with what is said of it, told by the real command.

Each line: what is wrong, the whole sentence, the exit code; never a traceback.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

Command = Callable[..., "subprocess.CompletedProcess[str]"]
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
MEASURED = ("--preset", "rapid", "--no-report")


def saved(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    *,
    shape: Sequence[int | str] = ("N", 4),
    out: Sequence[int | str] = ("N", 4),
    weights: dict[str, Any] | None = None,
) -> None:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info("y", FLOAT, out)],
        [numpy_helper.from_array(w, name) for name, w in (weights or {}).items()],
    )
    domains = {node.domain for node in nodes if node.domain}
    imports = [helper.make_opsetid("", 13)]
    imports += [helper.make_opsetid(name, 1) for name in sorted(domains)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of models and data, good and bad."""
    folder = tmp_path_factory.mktemp("bad")
    node = helper.make_node
    saved(folder / "good.onnx", [node("Softmax", ["x"], ["y"])])
    saved(folder / "nan.onnx", [node("Neg", ["x"], ["n"]), node("Log", ["n"], ["y"])])
    saved(
        folder / "free.onnx",
        [node("GlobalAveragePool", ["x"], ["y"])],
        shape=("batch", 3, "height", "width"),
        out=("batch", 3, 1, 1),
    )
    saved(
        folder / "compiled.onnx",
        [
            node(
                "EPContext",
                ["x"],
                ["y"],
                domain="com.microsoft",
                embed_mode=0,
                ep_cache_context="../../etc/passwd",
                source="QNN",
            )
        ],
    )
    for name, domain in (("own", "ai.acme"), ("words", "ai.onnx.contrib")):
        saved(folder / f"{name}.onnx", [node("Magic", ["x"], ["y"], domain=domain)])
    weights = np.random.default_rng(1).standard_normal((4, 4)).astype(np.float32)
    product = node("MatMul", ["x", "w"], ["y"])
    saved(folder / "product.onnx", [product], weights={"w": weights})
    x = np.random.default_rng(2).random((20, 4)).astype(np.float32)
    labels = np.arange(20) % 4
    np.savez(folder / "good.npz", x=x, labels=labels)
    np.savez(folder / "short.npz", x=x, labels=labels[:19])
    np.savez(folder / "beyond.npz", x=x, labels=np.where(labels == 3, 7, labels))
    np.savez(folder / "masks.npz", x=x, labels=np.zeros((20, 3, 3), int))
    np.savez(folder / "boxes.npz", x=x, labels=np.zeros((20, 1, 5)))
    np.savez(folder / "wide.npz", x=np.zeros((9, 5), np.float32))
    x[3, 1] = np.nan
    np.savez(folder / "holes.npz", x=x, labels=labels)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a user types, and the sentence that answers it."""

    name: str
    typed: str
    said: str
    flags: tuple[str, ...] = field(default=MEASURED)


LINES = (
    Line(
        name="labels of another number",
        typed="run --model good.onnx --dataset short.npz",
        said="There are 19 labels, but 20 items of 'x' (short.npz). Give every item "
        "one label, in the same order.",
    ),
    Line(
        name="labels of other classes",
        typed="run --model good.onnx --dataset beyond.npz",
        said="Label 7 of item 3 is none of the model's 4 classes, counted from 0 "
        "(beyond.npz). Give the labels that the model was trained with.",
    ),
    Line(
        name="labels of another metric",
        typed="run --model good.onnx --dataset good.npz --metric miou",
        said="The labels do not fit the metric miou: they have 1 axes, and 3 are "
        "needed (good.npz). See docs/reference/labelled-data.md, or give another "
        "--metric.",
    ),
    Line(
        name="outputs that are no masks",
        typed="run --model good.onnx --dataset masks.npz --metric miou",
        said="Outputs and labels do not fit the metric miou: item 4: its label is [3, "
        "3], the output [1, 4] (1 of 1 items) (masks.npz). See "
        "docs/reference/labelled-data.md, or give another --metric.",
    ),
    Line(
        name="outputs that are no boxes",
        typed="run --model good.onnx --dataset boxes.npz --metric map",
        said="Outputs and labels do not fit the metric map: item 4: its outputs are "
        "neither boxes, scores, classes nor one [k, 6] (1 of 1 items) (boxes.npz). "
        "See docs/reference/labelled-data.md, or give another --metric.",
    ),
    Line(
        name="a broken item",
        typed="run --model good.onnx --dataset holes.npz",
        said="An item of the data set is broken: item 3: 'x' holds values that are not "
        "finite (holes.npz). Mend or remove it, or leave such items out: "
        "--skip-broken.",
    ),
    Line(
        name="a provider that is not here",
        typed="run --model good.onnx --target local@ --provider QNNExecutionProvider",
        said="There is no execution provider here 'QNNExecutionProvider'. Did you",
    ),
    Line(
        name="a provider of a device that is not here",
        typed="run --model good.onnx --provider QNNExecutionProvider",
        said="An emulated device has no QNNExecutionProvider: its profile says how "
        "fast it is (--provider). Say where the device is, such as --target local@, or "
        "leave it out.",
    ),
    Line(
        name="a graph that is compiled already",
        typed="run --model compiled.onnx",
        said="EPContext in the EPContext node that gives 'y' holds a graph that was "
        "compiled for QNN, which nothing here can look into (compiled.onnx). Give the "
        "ONNX file that it was compiled from.",
    ),
    Line(
        name="the same, inspected",
        typed="inspect compiled.onnx",
        said="EPContext in the EPContext node that gives 'y' holds a graph that was "
        "compiled for QNN, which nothing here can look into (compiled.onnx). Give the "
        "ONNX file that it was compiled from.",
        flags=(),
    ),
    Line(
        name="operators of one's own",
        typed="run --model own.onnx",
        said="Unknown operator Magic in the Magic node that gives 'y'. Nothing here "
        "knows the domain 'ai.acme' (opset 1) (own.onnx). Export the model with "
        "standard ONNX operators only.",
    ),
    Line(
        name="operators of a library that is not loaded",
        typed="run --model words.onnx",
        said="Unknown operator Magic in the Magic node that gives 'y'. The domain "
        "'ai.onnx.contrib' is that of onnxruntime-extensions, which is not loaded here "
        "(words.onnx). Export the model without onnxruntime-extensions: standard ONNX "
        "operators only.",
    ),
    Line(
        name="a free size that nobody gave",
        typed="run --model free.onnx",
        said="Axis 2 ('height') of input 'x' [batch, 3, height, width] has no size, "
        "neither in the file nor given (free.onnx). Give it: --shape 'height=SIZE' or "
        "--shape 'x=1,3,SIZE,SIZE', with a number for each SIZE.",
    ),
    Line(
        name="calibration data of another shape",
        typed="quantise product.onnx --calibrate wide.npz",
        said="Array 'x' of shape [9, 5] does not fit the input ['N', 4] (wide.npz). "
        "Axis 0 counts samples; the others must be those of the input.",
        flags=(),
    ),
    Line(
        name="a model with nothing to quantise",
        typed="quantise good.onnx --mode weights",
        said="There is nothing to quantise: --mode weights takes a matrix product or "
        "look-up of reals with constant weights, and the model holds Softmax 1 "
        "(good.onnx). Try another --mode, or run the model as it is.",
        flags=(),
    ),
)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_what_cannot_be_is_refused_in_this_sentence(
    duanping: Command, bench: Path, line: Line
) -> None:
    verb, *options = line.typed.split()

    done = duanping(verb, *options, *line.flags, cwd=bench)

    assert f"duanping: {line.said}" in done.stderr
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not list(bench.glob("reports/*"))


def test_a_model_that_answers_with_no_numbers_makes_its_run_invalid(
    duanping: Command, bench: Path, tmp_path: Path
) -> None:
    done = duanping(
        *("run", "--model", "nan.onnx", "--target", "local@", *MEASURED),
        *("--out", tmp_path, "--json", "--gate", "C"),
        cwd=bench,
    )

    facts = json.loads(done.stdout)
    assert done.returncode == 5, done.stderr
    assert facts["validity"] == "INVALID"
    found = {one["code"]: one["severity"] for one in facts["findings"]}
    assert found["outputs-not-finite"] == "invalidating"


def test_items_that_are_answered_with_no_numbers_are_counted_and_not_scored(
    duanping: Command, bench: Path, tmp_path: Path
) -> None:
    done = duanping(
        *("run", "--model", "nan.onnx", "--dataset", "good.npz", *MEASURED),
        *("--out", tmp_path, "--json"),
        cwd=bench,
    )

    facts = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "items-not-scored" in {one["code"] for one in facts["findings"]}

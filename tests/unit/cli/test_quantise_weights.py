"""``duanping quantise --mode weights``: 4-bit weights, and what has none to give."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.catalogue.anatomy import take_apart
from harness.quantising.order import Blocks, Mode, QuantiseOrder
from harness.quantising.weights import embeddings
from harness.schema.codec import dump_bytes
from harness.testing.decoders import VOCABULARY, WIDTH, decoder_bytes

Command = Callable[..., "subprocess.CompletedProcess[str]"]
INPUTS, CLASSES = 128, 4
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64

pytest.importorskip("onnx_ir", reason="the extra int4 is not installed")


def saved(
    path: Path,
    nodes: list[onnx.NodeProto],
    weights: dict[str, Any],
    *,
    kind: int = FLOAT,
    shape: tuple[int | str, ...] = ("N", INPUTS),
) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    opset = helper.make_opsetid("", 13)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=7), path)
    return path


def centres() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((INPUTS, CLASSES))


def a_classifier(folder: Path) -> Path:
    """Nearest of four centres, as exporters write a linear layer: one Gemm."""
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    weights = {
        "w": centres().T.astype(np.float32),
        "b": np.zeros(CLASSES, np.float32),
    }
    return saved(folder / "float.onnx", [node], weights)


def some_items(folder: Path) -> Path:
    x = np.random.default_rng(2).standard_normal((400, INPUTS)).astype(np.float32)
    np.savez(folder / "items.npz", x=x, labels=(x @ centres()).argmax(axis=1))
    return folder / "items.npz"


def test_weights_in_four_bits_are_an_eighth_and_their_accuracy_is_said(
    duanping: Command, tmp_path: Path
) -> None:
    done = duanping(
        *("quantise", a_classifier(tmp_path), "--mode", "weights", "--json"),
        *("--dataset", some_items(tmp_path)),
        cwd=tmp_path,
    )

    facts = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert facts["file"] == "float-int4.onnx"
    assert facts["quantisation"] == "int4 weights MatMulNBits"
    assert facts["settings"] == {
        "mode": "weights",
        "bits": 4,
        "size": 32,
        "is_symmetric": True,
        "lookups": True,
    }
    assert facts["accuracy"]["parent_value"] == 1.0
    assert 0.9 < facts["accuracy"]["value"] <= 1.0
    assert 15 < facts["sqnr_db"] < 40
    made = onnx.load(tmp_path / "float-int4.onnx")
    sizes = {t.data_type: len(t.raw_data) for t in made.graph.initializer}
    assert sizes[TensorProto.UINT8] == INPUTS * CLASSES // 2
    assert take_apart(tmp_path / "float-int4.onnx").parameters == INPUTS * CLASSES + 4


def test_more_bits_leave_less_noise(duanping: Command, tmp_path: Path) -> None:
    model = a_classifier(tmp_path)

    noise = [
        json.loads(
            duanping("quantise", model, "--mode", "weights", *how, "--json").stdout
        )["sqnr_db"]
        for how in (("--block", "128"), ("--block", "16"), ("--bits", "8"))
    ]

    assert noise[0] < noise[1] < noise[2] - 15


@pytest.mark.parametrize("shares_cache", [True, False])
def test_a_decoder_keeps_its_embedding_in_four_bits_too(
    duanping: Command, tmp_path: Path, *, shares_cache: bool
) -> None:
    model = tmp_path / "llm.onnx"
    model.write_bytes(decoder_bytes(shares_cache=shares_cache))

    done = duanping(
        *("quantise", model, "--mode", "weights", "--block", "16"),
        *("--out", tmp_path / "int4.onnx", "--json"),
    )

    facts = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert facts["quantisation"] == "int4 weights MatMulNBits + GatherBlockQuantized"
    before, after = take_apart(model), take_apart(tmp_path / "int4.onnx")
    assert after.parameters == pytest.approx(before.parameters, abs=4)  # scalars
    assert after.opsets["ai.onnx"] == 21  # converted, not just renamed
    assert after.quantisation_kinds == ("weights int4",)


def test_look_ups_can_be_left_in_reals(duanping: Command, tmp_path: Path) -> None:
    model = tmp_path / "llm.onnx"
    model.write_bytes(decoder_bytes())

    done = duanping(
        *("quantise", model, "--mode", "weights", "--block", "16"),
        *("--no-lookups", "--out", tmp_path / "int4.onnx"),
    )

    assert done.returncode == 0, done.stderr
    assert take_apart(tmp_path / "int4.onnx").quantisation == "int4 weights MatMulNBits"
    assert take_apart(tmp_path / "int4.onnx").opsets["ai.onnx"] == 17


def test_only_a_table_of_reals_counts_as_an_embedding() -> None:
    model = onnx.load_from_string(decoder_bytes())
    tables = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}

    found = embeddings(model, Blocks(size=16))

    assert [tables[name] for name in found] == [[VOCABULARY, WIDTH]]
    assert embeddings(model, Blocks(size=32)) == ()  # a row is shorter than a block
    assert embeddings(model, Blocks(size=16, bits=8)) == ()


def test_a_model_without_such_weights_is_refused_and_nothing_is_written(
    duanping: Command, tmp_path: Path
) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    weights = {"w": np.ones((4, 3, 3, 3), np.float32)}
    model = saved(tmp_path / "conv.onnx", [node], weights, shape=("N", 3, 8, 8))

    done = duanping("quantise", model, "--mode", "weights", cwd=tmp_path)

    assert done.returncode == 2
    said = "takes a matrix product or look-up of reals with constant weights"
    assert f"There is nothing to quantise: --mode weights {said}" in done.stderr
    assert "and the model holds Conv 1" in done.stderr
    assert not (tmp_path / "conv-int4.onnx").exists()


def test_nothing_to_quantise_is_said_of_the_other_modes_too(
    duanping: Command, tmp_path: Path
) -> None:
    node = helper.make_node("Softmax", ["x"], ["y"])
    model = saved(tmp_path / "soft.onnx", [node], {})

    done = duanping(
        "quantise", model, "--mode", "dynamic", "--out", tmp_path / "q.onnx"
    )

    assert done.returncode == 2
    assert "There is nothing to quantise: --mode dynamic" in done.stderr
    assert not (tmp_path / "q.onnx").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--bits", "3"), "kept in 4 or in 8 bits, not in 3"),
        (("--block", "8"), "A block of 8 weights is no power of two from 16 on"),
        (("--block", "48"), "A block of 48 weights is no power of two"),
    ],
)
def test_blocks_that_no_kernel_knows_are_refused(
    duanping: Command, tmp_path: Path, options: tuple[str, str], said: str
) -> None:
    done = duanping("quantise", a_classifier(tmp_path), "--mode", "weights", *options)

    assert done.returncode == 2
    assert said in done.stderr


def test_the_library_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "onnx_ir.py").write_text("raise ImportError('not here')\n")
    order = QuantiseOrder(
        model=str(a_classifier(tmp_path)),
        out=str(tmp_path / "out.onnx"),
        inputs=(),
        mode=Mode.WEIGHTS,
    )

    done = subprocess.run(
        [sys.executable, "-m", "harness.quantising"],
        input=dump_bytes(order),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
    )

    assert json.loads(done.stdout)["missing"] == "onnx-ir"
    assert not (tmp_path / "out.onnx").exists()

"""``duanping inspect``: the real command on files that are made here."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from onnx import TensorProto, helper, save

from harness.testing.decoders import decoder_bytes, stacked

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def a_model(folder: Path, width: int | str = 8) -> Path:
    shape = ["N", 3, width]
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["y"], axis=-1)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opset = helper.make_opsetid("", 13)
    path = folder / "a model [1].onnx"
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def test_the_facts_come_as_json_with_the_placement_read_back(
    duanping: Command, tmp_path: Path
) -> None:
    done = duanping("inspect", a_model(tmp_path), "--json")

    facts = json.loads(done.stdout)
    assert done.returncode == 0
    assert facts["free_dims"] == ["N"]
    assert facts["filled"][0]["shape"] == [1, 3, 8]
    assert facts["cost"]["by_class"].keys() == {"normalisation"}
    assert facts["placements"][0]["nodes"] == {"CPUExecutionProvider": 1}


def test_what_providers_elsewhere_would_take_is_said_with_the_source(
    duanping: Command, tmp_path: Path
) -> None:
    model = a_model(tmp_path)

    facts = json.loads(duanping("inspect", model, "--json").stdout)["would_take"]
    shown = " ".join(duanping("inspect", model).stdout.split())

    by_name = {one["provider"]: one for one in facts}
    qnn = by_name["QNNExecutionProvider"]
    assert (qnn["nodes_taken"], qnn["nodes"], qnn["changes"]) == (1, 1, 0)
    assert qnn["needs_fixed_sizes"] is True
    assert len(by_name) == 7
    assert "free dimensions" in shown
    assert "docs/execution-providers/Xnnpack-ExecutionProvider.md @" in shown
    assert "Softmax from opset 13 on along the last axis only" in shown


def test_a_decoder_is_looked_at_with_a_few_tokens_after_nothing(
    duanping: Command, tmp_path: Path
) -> None:
    path = tmp_path / "gpt2.onnx"
    path.write_bytes(stacked(decoder_bytes(shares_cache=False)))

    facts = json.loads(duanping("inspect", path, "--json").stdout)

    filled = {one["name"]: one["shape"] for one in facts["filled"]}
    assert facts["not_ready"] == ""
    assert filled["input_ids"] == filled["attention_mask"] == [1, 8]
    assert filled["past_0"] == [2, 1, 2, 0, 8]
    assert facts["cost"]["macs"] > 0


def test_a_model_that_cannot_be_run_yet_is_shown_with_what_it_lacks(
    duanping: Command, tmp_path: Path
) -> None:
    done = duanping("inspect", a_model(tmp_path, "width"))

    assert done.returncode == 0
    assert "a model [1].onnx" in done.stdout
    assert "Softmax" in done.stdout
    assert "--shape 'width=SIZE'" in " ".join(done.stdout.split())


def test_a_file_that_is_not_there_is_said_in_one_sentence(
    duanping: Command, tmp_path: Path
) -> None:
    done = duanping("inspect", tmp_path / "none.onnx")

    assert done.returncode == 2
    assert done.stderr.startswith("duanping: The model file cannot be read")
    assert "Traceback" not in done.stderr

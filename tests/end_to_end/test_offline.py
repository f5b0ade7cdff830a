"""Workloads where the network fails, and answers in three languages: whole commands."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from harness.bench.trying import why_not_here
from harness.testing.decoders import decoder_bytes, write_folder, write_tokeniser
from harness.testing.servicebench import Arrays, Service, serving

Command = Callable[..., "subprocess.CompletedProcess[str]"]
NOT_HERE = why_not_here()

SUITE = """
format = "duanping/suite/1"
name = "hybrid"

[[workload]]
id = "kws"
title_zh = "关键词识别(端云)"
title_en = "Keyword spotting, with a service"
[[workload.stage]]
name = "spot"
model = "dscnn-kws"
[workload.stage.remote]
url = "{url}"
timeout = "120 ms"
[[workload.scenario]]
kind = "SingleStream"
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    def answer(given: Arrays) -> Arrays:
        del given
        return {"probabilities": np.full((1, 12), 1 / 12, np.float32)}

    with serving(answer) as one:
        yield one


@pytest.fixture
def suite(service: Service, tmp_path: Path) -> Path:
    path = tmp_path / "hybrid.toml"
    path.write_text(SUITE.format(url=service.url), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.skipif(bool(NOT_HERE), reason=NOT_HERE)
@pytest.mark.long
def test_a_workload_that_asks_a_service_is_tried_where_the_network_fails(
    duanping: Command, suite: Path, tmp_path: Path, service: Service
) -> None:
    done = duanping(
        "run", "--device", "smartphone", "--target", "local@", "--suite", suite,
        "--preset", "rapid", "--check-offline", "--out", tmp_path / "out", "--json",
    )  # fmt: skip

    # 1 and 5 are answers too: how fast this machine is today is not what is tested
    assert done.returncode in {0, 1, 5}, done.stderr
    assert service.asked > 0
    facts = json.loads(done.stdout)
    rows = {row["id"]: row for row in facts["rows"]}
    assert rows["net_success"]["value"] == 1.0
    assert rows["net_success"]["guarded"] == "A"
    assert rows["net_fallback"]["value"] >= 0.12
    assert rows["net_p90"]["reason"] == "asks-a-service"
    bundle = Path(facts["bundle"])
    estimates = json.loads((bundle / "derived" / "estimates.json").read_text())
    shares = {
        one["condition"]: one["value"]
        for one in estimates["estimates"]
        if one["measurand"]["name"] == "local_share"
    }
    assert shares["network=none"] == 1.0
    assert shares["network=slow"] == 1.0
    assert 0.0 < shares["network=flapping"] < 1.0
    page = (bundle / "derived" / "report.html").read_text(encoding="utf-8")
    assert "不良网络" in page
    assert "user-space relay" in page
    assert duanping("verify", bundle).returncode == 0


def test_a_service_that_is_not_there_is_made_good_on_the_device_and_told(
    duanping: Command, tmp_path: Path
) -> None:
    path = tmp_path / "dead.toml"
    path.write_text(SUITE.format(url="http://127.0.0.1:9/x"), encoding="utf-8")

    done = duanping(
        "run", "--device", "smartphone", "--target", "local@", "--suite", path,
        "--preset", "rapid", "--out", tmp_path / "out", "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    found = {one["code"]: one for one in json.loads(done.stdout)["findings"]}
    assert "ConnectionRefusedError" in found["service-fell-back"]["values"]["detail"]


def test_an_emulated_device_is_not_tried_and_not_passed(
    duanping: Command, small_suite: Path, tmp_path: Path
) -> None:
    done = duanping(
        "run", "--device", "smartphone", "--suite", small_suite, "--preset", "rapid",
        "--check-offline", "--no-report", "--out", tmp_path / "out", "--json",
    )  # fmt: skip

    assert done.returncode == 5, done.stderr
    facts = json.loads(done.stdout)
    found = [f for f in facts["findings"] if f["code"].startswith("network-")]
    assert {f["code"] for f in found} == {"network-unchecked"}
    rows = {row["id"]: row for row in facts["rows"]}
    assert rows["net_success"]["reason"] == "network-not-tried"


def test_a_pipeline_that_sends_its_inputs_does_not_pass_the_privacy_check(
    duanping: Command, suite: Path, tmp_path: Path
) -> None:
    done = duanping(
        "run", "--device", "smartphone", "--target", "local@", "--suite", suite,
        "--preset", "rapid", "--check-network", "--no-report", "--out",
        tmp_path / "out", "--json",
    )  # fmt: skip

    assert done.returncode == 1, done.stderr
    (found,) = (
        f for f in json.loads(done.stdout)["findings"] if f["code"] == "privacy-failed"
    )
    assert "send their inputs to http://127.0.0.1" in found["values"]["detail"]


def write_classifier(path: Path) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
    )
    opset = helper.make_opsetid("", 13)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def write_sentences(path: Path) -> Path:
    """Write 300 intents a language, of which known shares are understood."""
    lines = ["a,b,c,label,language"]
    for language, right in (("zh", 300), ("en", 285), ("ms", 225)):
        for number in range(300):
            label = number % 3
            heard = label if number < right else (label + 1) % 3
            values = ["1" if heard == place else "0" for place in range(3)]
            lines.append(f"{','.join(values)},{label},{language}")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_accuracy_in_three_languages_is_held_against_chinese(
    duanping: Command, tmp_path: Path
) -> None:
    model = write_classifier(tmp_path / "intents.onnx")
    dataset = write_sentences(tmp_path / "sentences.csv")

    done = duanping(
        "run", "--device", "smartphone", "--target", "local@", "--model", model,
        "--dataset", dataset, "--preset", "rapid", "--out", tmp_path / "out", "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    (row,) = (row for row in facts["rows"] if row["id"] == "lang_ratio")
    assert row["value"] == pytest.approx(0.75)
    assert row["status"] == "judged"
    assert (row["guarded"], row["simple"]) == ("C", "C")
    page = Path(facts["report"]).read_text(encoding="utf-8")
    assert "分语言" in page


def test_tokenisation_in_the_times_is_said_in_record_and_page(
    duanping: Command, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime_genai", reason="the extra is not installed")
    folder = write_tokeniser(write_folder(tmp_path / "tiny", decoder_bytes()))

    done = duanping(
        "run", "--device", "computer", "--target", "local@", "--model", folder,
        "--prompt-tokens", "16", "--output-tokens", "8", "--users", "2",
        "--tokenise", "in", "--sustain", "2 s", "--preset", "rapid",
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    page = Path(facts["report"]).read_text(encoding="utf-8")
    assert "Tokenisation: in these times" in page
    assert "one fixed batch" in page
    estimates = json.loads(
        (Path(facts["bundle"]) / "derived" / "estimates.json").read_text()
    )
    assert any(
        one["measurand"]["name"] == "sustained_ratio"
        and one["scenario"] == "LlmSustained"
        for one in estimates["estimates"]
    )


@pytest.mark.parametrize("form", ["folder", "graph"])
def test_a_prompt_longer_than_the_context_is_refused_in_a_sentence(
    duanping: Command, tmp_path: Path, form: str
) -> None:
    folder = write_folder(tmp_path / "tiny", decoder_bytes())
    model = folder if form == "folder" else folder / "model.onnx"
    shape = () if form == "folder" else ("--shape", "context=64")
    if form == "graph":
        (folder / "genai_config.json").unlink()

    done = duanping(
        "run", "--device", "computer", "--target", "local@", "--model", model, *shape,
        "--prompt-tokens", "60", "--output-tokens", "8", "--out", tmp_path / "out",
    )  # fmt: skip

    assert done.returncode == 2
    assert "do not fit the model's context of 64" in done.stderr
    assert "Traceback" not in done.stderr

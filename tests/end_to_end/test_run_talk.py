"""A language model of one's own, as a user walks it: folder in, page out."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.testing.decoders import decoder_bytes, stacked, write_folder

Command = Callable[..., "subprocess.CompletedProcess[str]"]
ASKED = ("--prompt-tokens", "16", "--output-tokens", "8", "--users", "2")


@pytest.fixture(scope="module")
def finished(duanping: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime_genai", reason="the extra is not installed")
    folder = write_folder(tmp_path_factory.mktemp("models") / "tiny", decoder_bytes())
    result = duanping(
        "run", "--device", "smartphone", "--model", folder, "--as", "llm3", *ASKED,
        "--preset", "rapid", "--out", tmp_path_factory.mktemp("out"), "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return Path(json.loads(result.stdout)["bundle"])


def test_every_load_has_its_figures_and_says_which_it_is(finished: Path) -> None:
    with (finished / "derived" / "estimates.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    found = {
        row["condition"]
        for row in rows
        if row["measurand"] == "tpot_mean" and row["origin"] == "emulated"
    }
    assert found == {
        "prompt=16, output=8, users=1",
        "prompt=16, output=8, users=2",
    }
    assert {"host"} < {row["origin"] for row in rows}


def test_a_tiny_model_is_not_graded_as_a_large_one(finished: Path) -> None:
    grade = json.loads((finished / "derived" / "grade.json").read_text())

    (row,) = (r for r in grade["rows"] if r["requirement"]["id"] == "llm_tpot")
    assert row["reason"] == "model-too-small"


def test_the_page_has_words_for_it_in_both_languages(finished: Path) -> None:
    page = (finished / "derived" / "report.html").read_text(encoding="utf-8")

    for words in ("首词元时延", "time to first token", "prompt=16, output=8, users=2"):
        assert words in page


def test_the_bundle_is_sound(duanping: Command, finished: Path) -> None:
    assert duanping("verify", finished).returncode == 0


@pytest.mark.parametrize("is_stacked", [False, True])
def test_a_decoder_in_a_file_is_asked_token_by_token(
    duanping: Command, tmp_path: Path, *, is_stacked: bool
) -> None:
    joined = decoder_bytes(shares_cache=False)
    model = tmp_path / "gpt2.onnx"
    model.write_bytes(stacked(joined) if is_stacked else joined)

    result = duanping(
        "run", "--device", "smartphone", "--model", model, "--shape", "context=64",
        "--prompt-tokens", "16", "--output-tokens", "8", "--preset", "rapid",
        "--out", tmp_path, "--no-report", "--json",
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    bundle = Path(json.loads(result.stdout)["bundle"])
    with (bundle / "derived" / "estimates.csv").open(encoding="utf-8") as file:
        found = {(row["measurand"], row["origin"]) for row in csv.DictReader(file)}
    assert {("tpot_mean", "emulated"), ("ttft_mean", "host")} <= found


def test_a_decoder_in_a_file_that_says_no_context_is_refused(
    duanping: Command, tmp_path: Path
) -> None:
    model = tmp_path / "gpt2.onnx"
    model.write_bytes(stacked(decoder_bytes(shares_cache=False)))

    result = duanping("run", "--model", model, "--device", "smartphone")

    assert result.returncode == 2
    assert (
        "This is a language model, and its graph does not say how long a context it "
        f"was made for ({model}). Give it: --shape context=4096." in result.stderr
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--prompt-tokens", "100"), "do not fit the model's context of 64"),
        (("--prompt-tokens", "0"), "above zero"),
        (("--users", "-3"), "above zero"),
    ],
)
def test_a_load_that_cannot_be_is_refused_in_a_sentence(
    duanping: Command, tmp_path: Path, options: tuple[str, str], why: str
) -> None:
    folder = write_folder(tmp_path / "tiny", decoder_bytes())

    result = duanping("run", "--model", folder, "--device", "smartphone", *options)

    assert result.returncode == 2
    assert why in result.stderr
    assert "Traceback" not in result.stderr

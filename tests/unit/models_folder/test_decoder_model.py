"""The language model that the builder draws: size, digest, and that it can be run."""

import json
import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from harness.domain.plan import RuntimeSettings
from harness.emulation.decoding import read_decoder
from harness.runtimes.base import ModelFile
from harness.runtimes.onnxrt import open_runtime

MODELS = Path(__file__).resolve().parents[3] / "models"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    done = subprocess.run(
        [sys.executable, MODELS / "build.py", "--out", folder, "llm-26m"],
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(json.loads(done.stdout)["file"])


@pytest.fixture(scope="module")
def entry() -> dict[str, Any]:
    text = (MODELS / "index.toml").read_text(encoding="utf-8")
    (found,) = (m for m in tomllib.loads(text)["model"] if m["name"] == "llm-26m")
    return found


def test_it_is_built_byte_for_byte_as_the_index_says(
    built: Path, entry: dict[str, Any]
) -> None:
    for scheme in ("u8s8", "s8s8"):
        assert entry[scheme]["sha256"] == sha256(built.read_bytes()).hexdigest()
        assert entry[scheme]["size_bytes"] == built.stat().st_size


def test_its_products_are_those_that_the_index_counts(
    built: Path, entry: dict[str, Any]
) -> None:
    graph = read_decoder(built)

    products = sum(one.inputs * one.outputs for one in graph.products)
    assert products == entry["macs"]
    assert entry["parameters"] == products + 8192 * 512 + (2 * 6 + 1) * 512
    assert graph.cache_bytes_per_token == 2 * 6 * 2 * 64 * 4
    assert not any(one.is_wide for one in graph.products)


def test_what_it_says_depends_on_what_it_is_asked(built: Path) -> None:
    model = ModelFile(data=built.read_bytes(), folder=built.parent)
    prompts = [[number * 37 % 8192 for number in range(k, k + 20)] for k in range(6)]

    with (
        open_runtime() as runtime,
        runtime.load_decoder(model, RuntimeSettings()) as decoder,
    ):
        decoder.open(6, 30)
        rows = [[decoder.prefill(u, prompt) for u, prompt in enumerate(prompts)]]
        rows += [list(decoder.step()) for _ in range(9)]

    answers = list(zip(*rows, strict=True))
    assert len(set(answers)) == 6
    assert all(len(set(answer)) > 5 for answer in answers)

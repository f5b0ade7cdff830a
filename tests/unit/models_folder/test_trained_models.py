"""The trained models as they are shipped: digests, figures, cards, data, graphs."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from spec import assemble
from train.facts import TOLERANCE, VARIANTS, measured, read_facts
from train.ship import BelowFloor, make
from train.speech import NoVoice
from train.task import Items, Part, encoded
from train.tasks import TASKS

MODELS = Path(__file__).resolve().parents[3] / "models"
TRAINED = MODELS / "trained"
SEEDED_TWINS = {
    "kws-zh": "dscnn-kws",
    "kws-en": "dscnn-kws",
    "har-imu": "cnn1d-har",
    "fall-imu": "cnn1d-fall",
    "bearing-ad": "fcae-ad",
    "bearing-state": "cnn1d-vib",
    "ecg-beats": "cnn1d-ecg",
}
QUICKLY_MADE = ("har-imu", "fall-imu", "bearing-ad", "bearing-state")
LARGEST_TOTAL = 6_200_000
LARGEST_LOSS = 0.01
"""An INT8 model may lose one point of its parent's figure; more is a bad build."""


def index(name: str) -> dict[str, dict[str, Any]]:
    text = (MODELS / name).read_text(encoding="utf-8")
    return {model["name"]: model for model in tomllib.loads(text)["model"]}


def train(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "train", *map(str, arguments)],
        cwd=MODELS,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Give a copy of the shipped files of one small model, to be damaged."""
    for path in (*TRAINED.glob("digits*"), TRAINED / "index.toml"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_every_model_is_shipped_with_parent_items_facts_and_card() -> None:
    told = index("trained/index.toml")

    assert set(told) == set(TASKS)
    for name, model in told.items():
        assert model["trained"]
        assert (MODELS / model["card"]).is_file()
        tables = [model["accuracy"], *(model[variant] for variant in VARIANTS)]
        for table in tables:
            content = (MODELS / table.get("data", table.get("file"))).read_bytes()
            assert sha256(content).hexdigest() == table["sha256"], name


@pytest.mark.parametrize("name", TASKS)
def test_the_figures_of_a_card_are_found_again_on_the_shipped_items(name: str) -> None:
    facts = read_facts(TRAINED, name)

    found = measured(TRAINED, TASKS[name], facts["threshold"])

    assert found["items"] >= 1000
    for variant in VARIANTS:
        told = facts["figures"][variant]
        assert found["figures"][variant]["value"] == pytest.approx(
            told["value"], abs=TOLERANCE
        )
        for way in ("by_items", "by_sources"):
            assert told[way]["low"] <= told["value"] <= told[way]["high"]


@pytest.mark.parametrize("name", TASKS)
def test_quantisation_keeps_what_was_learnt(name: str) -> None:
    figures = read_facts(TRAINED, name)["figures"]

    for scheme in ("u8s8", "s8s8"):
        lost = figures["fp32"]["value"] - figures[scheme]["value"]
        assert lost < LARGEST_LOSS


def test_the_check_finds_nothing_in_untouched_files(copied: Path) -> None:
    done = train("--check", "--out", copied, "digits")

    assert (done.returncode, done.stderr) == (0, "")


def test_the_check_finds_one_flipped_bit_of_a_model(copied: Path) -> None:
    path = copied / "digits-u8s8.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    done = train("--check", "--out", copied, "digits")

    assert done.returncode == 1
    assert "digits-u8s8.onnx is not the file that the index names" in done.stderr


def test_the_check_finds_a_figure_that_was_touched_up(copied: Path) -> None:
    path = copied / "digits.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["figures"]["u8s8"]["value"] += 2 * TOLERANCE
    path.write_text(json.dumps(facts), encoding="utf-8")

    done = train("--check", "--out", copied, "digits")

    assert done.returncode == 1
    assert "u8s8 reaches" in done.stderr


def test_the_check_finds_a_card_that_was_touched_up(copied: Path) -> None:
    path = copied / "digits.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("98.", "99."), encoding="utf-8")

    done = train("--check", "--out", copied, "digits")

    assert done.returncode == 1
    assert "digits.md does not say what was measured" in done.stderr


def test_the_check_names_what_is_missing(copied: Path) -> None:
    (copied / "digits.npz").unlink()

    done = train("--check", "--out", copied)

    assert done.returncode == 1
    assert "digits.npz is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_model_is_one_sentence_and_status_2() -> None:
    done = train("--check", "digitz")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", TASKS)
def test_a_model_is_the_drawn_graph_with_other_weights(name: str) -> None:
    drawn = assemble(TASKS[name].spec).model.graph
    shipped = onnx.load(TRAINED / f"{name}-fp32.onnx").graph

    assert list(shipped.node) == list(drawn.node)
    for mine, theirs in zip(shipped.initializer, drawn.initializer, strict=True):
        assert (mine.name, mine.dims) == (theirs.name, theirs.dims)


@pytest.mark.parametrize(("name", "seeded"), SEEDED_TWINS.items())
def test_a_trained_model_costs_what_its_seeded_twin_costs(
    name: str, seeded: str
) -> None:
    trained, twin = index("trained/index.toml")[name], index("index.toml")[seeded]

    assert trained["macs"] == twin["macs"]
    assert trained["parameters"] == twin["parameters"]
    for variant in ("u8s8", "s8s8"):
        ratio = trained[variant]["size_bytes"] / twin[variant]["size_bytes"]
        assert ratio == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("name", TASKS)
def test_no_filter_is_zero_so_nobody_gains_by_leaving_it_out(name: str) -> None:
    graph = onnx.load(TRAINED / f"{name}-fp32.onnx").graph
    weights = [numpy_helper.to_array(one) for one in graph.initializer]

    for filters in (one.reshape(len(one), -1) for one in weights if one.ndim > 1):
        largest = np.abs(filters).max(axis=1)
        assert largest.min() > 1e-3 * largest.max()


@pytest.mark.parametrize("path", sorted(TRAINED.glob("*.onnx")), ids=lambda p: p.name)
def test_a_file_holds_no_path_no_metadata_and_no_domain_but_onnx(path: Path) -> None:
    model = onnx.load(path)

    assert str(MODELS.parent).encode() not in path.read_bytes()
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 13)]
    assert model.ir_version == 7
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_all_files_together_stay_small_when_git_or_a_wheel_packs_them() -> None:
    total = sum(len(zlib.compress(path.read_bytes())) for path in TRAINED.iterdir())

    assert total < LARGEST_TOTAL


@pytest.mark.parametrize("name", QUICKLY_MADE)
def test_the_shipped_items_are_those_that_the_script_makes(name: str) -> None:
    task = TASKS[name]
    made = task.make(Part.HELD_OUT)

    with np.load(TRAINED / f"{name}.npz") as kept:
        shipped = kept[task.spec.inputs[0].name]
        labels = kept["labels"]

    # The last bit of a sine differs between CPUs, and may turn a rounding over.
    steps = np.abs(encoded(made.values, task.step).astype(int) - shipped)
    assert np.array_equal(made.labels, labels)
    assert steps.max() <= 1
    assert (steps > 0).mean() < 1e-3


@pytest.mark.parametrize("name", ["har-imu", "fall-imu"])
def test_no_item_is_both_learnt_from_and_held_out(name: str) -> None:
    def rows(items: Items) -> set[bytes]:
        return {row.tobytes() for row in encoded(items.values, TASKS[name].step)}

    task = TASKS[name]

    assert not rows(task.make(Part.TRAINING)) & rows(task.make(Part.HELD_OUT))


def test_a_model_that_has_learnt_nothing_is_refused_and_the_old_files_stay(
    tmp_path: Path,
) -> None:
    (tmp_path / "har-imu.npz").write_bytes(b"what was there")

    with pytest.raises(BelowFloor, match=r"har-imu .* below 0\.880"):
        make(TASKS["har-imu"], lambda _task, drawn, _items: drawn, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["har-imu.npz"]
    assert (tmp_path / "har-imu.npz").read_bytes() == b"what was there"


def test_where_nobody_can_speak_the_refusal_says_how_to_get_a_voice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NoVoice, match="apt-get install espeak-ng"):
        TASKS["kws-zh"].make(Part.HELD_OUT)

from pathlib import Path

import pytest

from harness import shipped
from harness.catalogue.index import check_models, load_index
from harness.domain.profile import Scheme
from harness.domain.scenario import SingleStream
from harness.domain.workload import Suite, Workload
from harness.errors import SchemaError, UnknownName


def a_suite(model: str) -> Suite:
    workload = Workload(
        id="kws", model=model, title_zh="", title_en="", scenarios=(SingleStream(),)
    )
    return Suite(name="mine", workloads=(workload,))


@pytest.fixture
def index_text() -> str:
    """Give the shipped index, to be damaged."""
    return (shipped.folder("models") / "index.toml").read_text(encoding="utf-8")


def test_the_shipped_index_is_read() -> None:
    entry = load_index().entry("dscnn-kws")

    assert entry.inputs[0].has_batch_axis
    assert entry.macs > 1_000_000
    assert entry.size_bytes(Scheme.U8S8) > 10_000
    assert not entry.is_trained


def test_every_seeded_model_says_that_it_measures_no_accuracy() -> None:
    for entry in load_index().entries:
        assert entry.is_trained or "accuracy" in entry.note_en


def test_an_unknown_model_is_met_with_the_near_ones() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'dscnn-kws'"):
        load_index().entry("dscn-kws")


def test_a_suite_that_names_no_such_model_is_refused() -> None:
    check_models(a_suite("dscnn-kws"), load_index())

    with pytest.raises(UnknownName) as refusal:
        check_models(a_suite("dscnn-kwz"), load_index())

    assert "suite 'mine', workload 'kws'" in refusal.value.where


def test_an_artifact_carries_the_digest_of_the_file_that_is_there(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"abc")

    artifact = load_index().entry("dscnn-kws").artifact(Scheme.S8S8, path)

    # FIPS 180-2, appendix B.1
    assert artifact.sha256.startswith("ba7816bf8f01cfea")
    assert artifact.size_bytes == 3
    assert artifact.name == "dscnn-kws-s8s8"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("duanping/models/1", "duanping/models/9", "duanping/models/1"),
        ("task =", "tsak =", "task"),
        ("parameters = ", 'parameters = "x" # ', "parameters"),
        ("low = -1.0", "low = 7.0", "low is above high"),
    ],
)
def test_an_index_that_says_something_else_is_refused(
    tmp_path: Path, index_text: str, old: str, new: str, said: str
) -> None:
    path = tmp_path / "index.toml"
    path.write_text(index_text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(SchemaError) as refusal:
        load_index(path)

    assert said in refusal.value.sentence()
    assert "index.toml" in refusal.value.where

"""Pipelines of reference models: one artifact, one digest, inputs that are open."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.catalogue.index import load_index
from harness.catalogue.pipeline import pipeline_artifact
from harness.domain.profile import Scheme
from harness.domain.scenario import SingleStream
from harness.domain.workload import InputSpec, Stage, Workload
from harness.errors import SchemaError, UsageError
from harness.links.filedigest import digest_of
from harness.schema.suite import load_suite, suite_path

VOICE = Workload(
    id="voice",
    model="voice",
    title_zh="语音",
    title_en="Voice",
    scenarios=(SingleStream(),),
    inputs=(InputSpec(name="audio", dtype="float32", shape=(1, 16000), low=-1.0),),
    stages=(
        Stage(name="hear", step="log-mel", takes=("audio",), gives="features"),
        Stage(name="recognise", model="dscnn-kws"),
        Stage(
            name="words",
            step="argmax-tokens",
            takes=("probabilities",),
            gives="input_ids",
        ),
        Stage(name="understand", model="encoder-nlp"),
    ),
)


@pytest.fixture
def built(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.onnx" for name in VOICE.models}
    for name, path in paths.items():
        path.write_text(name)
    return paths


def test_a_pipeline_is_one_artifact_of_all_its_files(built: dict[str, Path]) -> None:
    found = pipeline_artifact(VOICE, Scheme.U8S8, load_index(), built)

    files = [built["dscnn-kws"], built["encoder-nlp"]]
    assert (found.name, found.external) == ("voice-u8s8", ("encoder-nlp.onnx",))
    assert found.sha256 == digest_of(files)
    index = load_index()
    assert found.macs == sum(index.entry(name).macs for name in VOICE.models)
    assert [one.file for one in found.stages] == [
        "",
        "dscnn-kws.onnx",
        "",
        "encoder-nlp.onnx",
    ]
    assert not found.is_trained


def test_a_query_brings_what_no_stage_gives(built: dict[str, Path]) -> None:
    found = pipeline_artifact(VOICE, Scheme.U8S8, load_index(), built)

    assert [one.name for one in found.inputs] == ["audio"]
    assert not any(one.has_batch_axis for s in found.stages for one in s.inputs)


def test_a_stage_that_takes_what_nothing_gives_is_refused(
    built: dict[str, Path],
) -> None:
    wrong = replace(VOICE, inputs=())

    with pytest.raises(UsageError, match="takes 'audio', which nothing gives"):
        pipeline_artifact(wrong, Scheme.U8S8, load_index(), built)


def test_shipped_suites_hold_pipelines_that_can_be_put_together(
    built: dict[str, Path], tmp_path: Path
) -> None:
    index = load_index()
    for name in ("commercial", "smart_home"):
        pipelines = [w for w in load_suite(suite_path(name)).workloads if w.stages]
        assert pipelines
        for workload in pipelines:
            paths = {model: tmp_path / f"{model}.onnx" for model in workload.models}
            for path in paths.values():
                path.write_text(path.name)
            assert pipeline_artifact(workload, Scheme.S8S8, index, built | paths).stages


SUITE = """
format = "duanping/suite/1"
name = "s"
[[workload]]
id = "w"
title_zh = "x"
title_en = "x"
{what}
[[workload.scenario]]
kind = "SingleStream"
"""


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("", "either a model or has stages"),
        ('model = "a"\n[[workload.stage]]\nname = "b"\nmodel = "c"', "either a model"),
        ('[[workload.stage]]\nname = "b"\nstep = "polish"', "no step 'polish'"),
        ('[[workload.stage]]\nname = "b"\nmodel = "c"\n' * 2, "names a stage twice"),
        (
            '[[workload.stage]]\nname = "b"\nstep = "log-mel"\ntakes=["a"]\ngives="c"',
            "holds no model",
        ),
    ],
)
def test_a_suite_that_says_nonsense_about_stages_is_refused_at_its_place(
    tmp_path: Path, what: str, why: str
) -> None:
    path = tmp_path / "s.toml"
    path.write_text(SUITE.format(what=what), encoding="utf-8")

    with pytest.raises(SchemaError, match=why) as error:
        load_suite(path)

    assert "/workload/" in str(error.value)


PAGE = Workload(
    id="page",
    model="page",
    title_zh="整页",
    title_en="Page",
    scenarios=(SingleStream(),),
    stages=(
        Stage(name="detect", model="ocr-page"),
        Stage(name="crop", step="crop-lines", takes=("text", "page"), gives="line"),
        Stage(name="recognise", model="ocr-line", samples=8),
    ),
)


def test_a_stage_may_take_several_samples_in_one_call(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.onnx" for name in PAGE.models}
    for name, path in files.items():
        path.write_text(name)
    index = load_index()

    found = pipeline_artifact(PAGE, Scheme.U8S8, index, files)

    (lines,) = found.stages[2].inputs
    assert (lines.shape, lines.has_batch_axis) == ((8, 1, 32, 320), False)
    once = index.entry("ocr-line").macs
    assert found.macs == index.entry("ocr-page").macs + 8 * once


@pytest.mark.parametrize("stage", [{"step": "ctc-decode", "takes": ("a",)}, {}])
def test_only_a_model_takes_several_samples(stage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a model takes 1 sample or more"):
        Stage(name="s", gives="b", samples=2 if stage else 0, **stage)  # type: ignore[arg-type]

"""Trained models and models of other projects: described, or refused in a sentence."""

from pathlib import Path

import pytest

from harness import shipped
from harness.catalogue.bindings import parse_bindings
from harness.catalogue.describe import describe
from harness.domain.workload import Fill
from harness.errors import ModelRejected


def corpus() -> Path:
    top = shipped.checkout() or Path.cwd()
    return top.parent / "shared" / "data" / "models"


pytestmark = pytest.mark.skipif(
    not corpus().is_dir(), reason="the corpus of models is not beside the checkout"
)

DESCRIBED = {
    "ad01_fp32.onnx": ("none", 265_864),
    "ad01_int8_qdq.onnx": ("int8 QDQ s8s8 per tensor", 265_864),
    "kws01_fp32.onnx": ("none", 22_604),
    "kws01_int8_qdq.onnx": ("int8 QDQ s8s8 per channel", 22_604),
    "sww01_int8_qdq.onnx": ("int8 QDQ s8s8 per channel", 46_459),
    "vww01_int8_qdq.onnx": ("int8 QDQ s8s8 per channel", 210_850),
    "corpus/dtln_1.onnx": ("none", 363_393),
    "corpus/ic01_int8_qoperator.onnx": ("int8 QOperator u8s8", 77_708),
    "corpus/lightgbm_zipmap.onnx": ("none", None),
    "corpus/mobilenet_v1_025_128_u8_qdq.onnx": ("int8 QDQ u8u8 per tensor", 467_595),
    "corpus/ultraface_rfb320.onnx": ("none", 307_624),
    "corpus/vww01_external/model.onnx": ("none", 210_850),
}
ASKED_FOR = {
    "corpus/ppocr_cls.onnx": ("Axis 2 of input 'x'", ["x=1,3,48,192"]),
    "corpus/silero_vad.onnx": (
        "Axis 1 of input 'input'",
        ["input=1,512", "state=2,1,128"],
    ),
    "corpus/tiny_gpt2_past.onnx": (
        "Axis 1 ('seq_len') of input 'input_ids'",
        ["seq_len=8", "past_seq_len=0"],
    ),
    "corpus/yunet_n_dynamic.onnx": (
        "Axis 2 ('height') of input 'input'",
        ["height=320", "width=320"],
    ),
}


def test_every_model_of_the_corpus_is_in_the_table() -> None:
    found = {p.relative_to(corpus()).as_posix() for p in corpus().rglob("*.onnx")}

    assert found == DESCRIBED.keys() | ASKED_FOR.keys()


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_model_with_fixed_sizes_is_described_as_it_is(name: str) -> None:
    quantisation, parameters = DESCRIBED[name]

    artifact = describe(corpus() / name)

    assert (artifact.quantisation, artifact.parameters) == (quantisation, parameters)


@pytest.mark.parametrize("name", ASKED_FOR)
def test_a_model_with_free_sizes_asks_for_them_and_takes_them(name: str) -> None:
    asked, shapes = ASKED_FOR[name]

    with pytest.raises(ModelRejected) as refusal:
        describe(corpus() / name)
    artifact = describe(corpus() / name, parse_bindings(shapes, [], None))

    assert asked in refusal.value.what
    assert artifact.parameters


def test_a_decoder_gets_tokens_masks_and_an_empty_past() -> None:
    shapes = ["seq_len=8", "past_seq_len=0"]
    path = corpus() / "corpus" / "tiny_gpt2_past.onnx"

    inputs = describe(path, parse_bindings(shapes, [], None)).inputs

    by_name = {one.name: one for one in inputs}
    assert by_name["input_ids"].high == 999
    assert by_name["position_ids"].high == 7
    assert by_name["attention_mask"].fill is Fill.ONES
    assert by_name["attention_mask"].shape == (1, 8)
    assert by_name["past_0"].shape == (2, 1, 4, 0, 8)


def test_a_voice_detector_gets_its_rate_and_a_state_of_zeros() -> None:
    path = corpus() / "corpus" / "silero_vad.onnx"
    shapes = ["input=1,512", "state=2,1,128"]

    inputs = describe(path, parse_bindings(shapes, [], None)).inputs

    by_name = {one.name: one for one in inputs}
    assert by_name["state"].fill is Fill.ZEROS
    assert (by_name["sr"].low, by_name["sr"].high) == (16000, 16000)


def test_labelled_samples_of_another_name_are_refused_by_name() -> None:
    samples = parse_bindings([], [], corpus() / "kws01_inputs.npz")

    with pytest.raises(ModelRejected, match="no array for input 'input_1'"):
        describe(corpus() / "kws01_int8_qdq.onnx", samples)

"""Language models of one's own: graphs and folders, and what is missing from them."""

import json
from pathlib import Path

import onnx
import pytest

from harness.catalogue.bindings import InputBindings
from harness.catalogue.language import (
    describe_model,
    file_of,
    runtime_of,
    title_of,
)
from harness.domain.workload import DecoderFacts
from harness.errors import ModelRejected, Unsupported, UsageError
from harness.links.filedigest import digest_of, model_files
from harness.testing.decoders import (
    CONTEXT,
    END_TOKEN,
    LAYERS,
    VOCABULARY,
    WIDTH,
    decoder_bytes,
    stacked,
    write_folder,
)

NOTHING = InputBindings()


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-llm.onnx"
    path.write_bytes(decoder_bytes())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "Tiny Llama", decoder_bytes())


def test_a_graph_needs_to_be_told_its_context(graph: Path) -> None:
    with pytest.raises(UsageError, match="--shape context=4096"):
        describe_model(graph, NOTHING)


def test_a_graph_says_its_vocabulary_itself(graph: Path) -> None:
    found = describe_model(graph, InputBindings(shapes={"context": (64,)}))

    assert found.decoder == DecoderFacts(vocabulary=VOCABULARY, context=64)
    assert [one.name for one in found.inputs] == ["input_ids"]
    weights = 2 * VOCABULARY * WIDTH + 4 * LAYERS * WIDTH * WIDTH
    assert found.parameters == pytest.approx(weights, abs=8)


def test_a_graph_with_the_lengths_of_the_exporters_is_taken(tmp_path: Path) -> None:
    new, past = "sequence_length", "past_sequence_length"
    for total in (f"{past} + {new}", "total_sequence_length"):
        model = onnx.load_from_string(decoder_bytes())
        lengths = {"sequence": new, "past": past, "total": total}
        for value in (*model.graph.input, *model.graph.output):
            for dim in value.type.tensor_type.shape.dim:
                if dim.dim_param in lengths:
                    dim.dim_param = lengths[dim.dim_param]
        folder = write_folder(tmp_path / str(len(total)), model.SerializeToString())

        found = describe_model(folder, NOTHING)
        alone = describe_model(
            folder / "model.onnx", InputBindings(shapes={"context": (64,)})
        )

        assert found.decoder is not None
        assert alone.decoder is not None


def test_a_past_in_one_tensor_is_a_language_model_too(tmp_path: Path) -> None:
    path = tmp_path / "gpt2.onnx"
    path.write_bytes(stacked(decoder_bytes(shares_cache=False)))

    with pytest.raises(UsageError, match="--shape context=4096"):
        describe_model(path, NOTHING)

    found = describe_model(path, InputBindings(shapes={"context": (64,)}))
    assert found.decoder == DecoderFacts(vocabulary=VOCABULARY, context=64)


def test_a_decoder_that_asks_for_more_than_tokens_is_refused(tmp_path: Path) -> None:
    model = onnx.load_from_string(decoder_bytes())
    extra = onnx.helper.make_tensor_value_info(
        "encoder_hidden_states", onnx.TensorProto.FLOAT, ["batch", "frames", 8]
    )
    model.graph.input.append(extra)
    path = tmp_path / "whisper.onnx"
    path.write_bytes(model.SerializeToString())

    with pytest.raises(Unsupported, match="feed the decoder's input 'encoder_hidden_"):
        describe_model(path, InputBindings(shapes={"context": (64,)}))


def test_a_folder_says_everything(folder: Path) -> None:
    found = describe_model(folder, NOTHING)

    assert found.name == "tiny-llama"
    assert found.decoder == DecoderFacts(
        vocabulary=VOCABULARY, context=CONTEXT, end_tokens=(END_TOKEN,)
    )
    files = model_files(folder / "genai_config.json", found.external)
    assert found.sha256 == digest_of(files)
    assert found.external == ("model.onnx",)


def test_a_name_with_a_version_in_it_stays_whole(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "Llama-3.2-3B-int4", decoder_bytes())

    assert title_of(folder) == title_of(folder / "genai_config.json")
    assert title_of(folder) == "Llama-3.2-3B-int4"
    assert describe_model(folder, NOTHING).name == "llama-3.2-3b-int4"


def test_folders_and_graphs_have_their_own_runtimes(graph: Path, folder: Path) -> None:
    assert (runtime_of(graph), file_of(graph)) == ("onnxruntime", graph)
    config = folder / "genai_config.json"
    assert (runtime_of(folder), file_of(folder)) == ("onnxruntime-genai", config)
    assert describe_model(config, NOTHING) == describe_model(folder, NOTHING)


def test_a_changed_file_of_a_folder_changes_its_digest(folder: Path) -> None:
    before = describe_model(folder, NOTHING).sha256
    (folder / "tokenizer.json").write_text("{}")

    assert describe_model(folder, NOTHING).sha256 != before


def test_several_end_tokens_are_taken(folder: Path) -> None:
    _change(folder, eos_token_id=[2, 5])

    found = describe_model(folder, NOTHING)

    assert found.decoder is not None
    assert found.decoder.end_tokens == (2, 5)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("context_length", "long", "context_length = 'long'"),
        ("vocab_size", 0, "vocab_size = 0"),
        ("decoder", None, "no table 'decoder'"),
        ("decoder", {"filename": "../other.onnx"}, "not in the folder"),
    ],
)
def test_a_folder_that_says_nonsense_is_refused(
    folder: Path, key: str, value: object, why: str
) -> None:
    _change(folder, **{key: value})

    with pytest.raises(ModelRejected, match=why):
        describe_model(folder, NOTHING)


def test_a_configuration_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "genai_config.json").write_text("{")

    with pytest.raises(ModelRejected, match="cannot be read"):
        describe_model(folder, NOTHING)


def test_a_folder_of_anything_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match=r"holds no genai_config\.json"):
        describe_model(tmp_path, NOTHING)


def _change(folder: Path, **values: object) -> None:
    path = folder / "genai_config.json"
    plain = json.loads(path.read_text())
    plain["model"].update(values)
    path.write_text(json.dumps(plain))

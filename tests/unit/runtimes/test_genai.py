"""onnxruntime-genai over a tiny folder that the test builds: the tokens are ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.domain.plan import RuntimeSettings
from harness.errors import ModelRejected, TargetError, Unsupported
from harness.runtimes.base import DecodingSession, ModelFile, Runtime
from harness.runtimes.genai import open_runtime
from harness.runtimes.onnxrt import open_runtime as open_onnxruntime
from harness.testing.decoders import decoder_bytes, write_folder, write_tokeniser

pytest.importorskip("onnxruntime_genai", reason="the extra 'genai' is not installed")

PROMPTS = ([3, 1, 4, 1, 5, 9, 3, 6], [27, 18, 28])


def a_model(folder: Path) -> ModelFile:
    return ModelFile(data=(folder / "genai_config.json").read_bytes(), folder=folder)


@contextmanager
def ready(opener: object, model: ModelFile) -> Iterator[DecodingSession]:
    runtime: Runtime
    with (
        opener() as runtime,  # type: ignore[operator]
        runtime.load_decoder(model, RuntimeSettings()) as decoder,
    ):
        yield decoder


def talk(decoder: DecodingSession, *, may_end: bool = True) -> list[list[int]]:
    decoder.open(2, 20, may_end=may_end)
    rows = [[decoder.prefill(user, prompt) for user, prompt in enumerate(PROMPTS)]]
    rows += [list(decoder.step()) for _ in range(7)]
    return [list(column) for column in zip(*rows, strict=True)]


def test_the_tokens_are_those_of_the_plain_runtime(tmp_path: Path) -> None:
    data = decoder_bytes()
    folder = write_folder(tmp_path / "gm", data)
    plain = ModelFile(data=data, folder=tmp_path)

    with ready(open_onnxruntime, plain) as decoder:
        ours = talk(decoder)
    with ready(open_runtime, a_model(folder)) as decoder:
        theirs = talk(decoder)

    # after an end token the library goes on as it likes
    cut = [row[: row.index(2) + 1] if 2 in row else row for row in ours]
    assert [row[: len(own)] for row, own in zip(theirs, cut, strict=True)] == cut


def test_an_answer_that_must_not_end_has_no_end_token(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "gm", decoder_bytes())

    with ready(open_runtime, a_model(folder)) as decoder:
        said = talk(decoder, may_end=False)

    assert all(2 not in row for row in said)


def test_logits_that_are_no_numbers_are_told_in_a_sentence(tmp_path: Path) -> None:
    data = decoder_bytes(poison=float("nan"))
    folder = write_folder(tmp_path / "gm", data)

    with ready(open_runtime, a_model(folder)) as decoder:
        decoder.open(1, 20)
        with pytest.raises(TargetError, match="NaN or infinity"):
            decoder.prefill(0, PROMPTS[0])


def test_a_folder_that_the_library_cannot_use_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "gm", b"no model")

    with (
        open_runtime() as runtime,
        pytest.raises(ModelRejected, match="refuses the model"),
        runtime.load_decoder(a_model(folder), RuntimeSettings()),
    ):
        pass


def test_a_provider_that_the_library_lacks_is_named_with_those_it_has(
    tmp_path: Path,
) -> None:
    folder = write_folder(tmp_path / "gm", decoder_bytes())
    settings = RuntimeSettings(provider="TensorrtExecutionProvider")

    with (
        open_runtime() as runtime,
        pytest.raises(Unsupported, match="CUDAExecutionProvider"),
        runtime.load_decoder(a_model(folder), settings),
    ):
        pass


def test_single_inferences_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "gm", decoder_bytes())

    with open_runtime() as runtime, pytest.raises(Unsupported, match="token by token"):
        runtime.load(a_model(folder), RuntimeSettings())


def test_the_library_says_its_version() -> None:
    with open_runtime() as runtime:
        assert runtime.identify()["runtime"] == "onnxruntime-genai"


EQUAL = ([3, 1, 4, 1, 5, 9, 3, 6], [27, 18, 28, 5, 6, 7, 8, 9])


def test_users_whose_answers_are_as_long_are_one_batch_with_the_same_tokens(
    tmp_path: Path,
) -> None:
    folder = write_folder(tmp_path / "gm", decoder_bytes())

    with ready(open_runtime, a_model(folder)) as decoder:
        decoder.open(2, 20)
        assert decoder.takes_together
        rows = [list(decoder.prefill_all(EQUAL))]
        rows += [list(decoder.step()) for _ in range(5)]
        alone = []
        for prompt in EQUAL:
            decoder.open(1, 20)
            assert not decoder.takes_together
            first = decoder.prefill(0, prompt)
            alone.append([first, *(decoder.step()[0] for _ in range(5))])

    assert [list(column) for column in zip(*rows, strict=True)] == alone


def test_a_token_that_means_padding_is_none_in_a_batch_and_is_replaced(
    tmp_path: Path,
) -> None:
    folder = write_folder(tmp_path / "gm", decoder_bytes())
    padded = [3, 0, 4, 1, 5, 0, 3, 6]

    with ready(open_runtime, a_model(folder)) as decoder:
        decoder.open(2, 20)
        firsts = decoder.prefill_all([padded, EQUAL[1]])
        again = decoder.prefill_all([[3, 3, 4, 1, 5, 3, 3, 6], EQUAL[1]])

    assert firsts == again


def test_answers_that_may_end_take_turns(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "gm", decoder_bytes())

    with ready(open_runtime, a_model(folder)) as decoder:
        decoder.open(2, 20, may_end=True)

        assert not decoder.takes_together
        assert not decoder.steps_together


def test_a_folder_with_a_tokeniser_turns_text_into_tokens_and_back(
    tmp_path: Path,
) -> None:
    folder = write_tokeniser(write_folder(tmp_path / "gm", decoder_bytes()))

    with ready(open_runtime, a_model(folder)) as decoder:
        tokeniser = decoder.tokeniser()
        tokens = tokeniser.encode("ab a in")
        said = tokeniser.stream()

        assert tokens == [3, 4, 30, 29, 31]
        assert tokeniser.decode(tokens) == "ab a in"
        assert "".join(said(token) for token in tokens) == "ab a in"


def test_a_folder_without_a_tokeniser_says_what_to_copy_into_it(
    tmp_path: Path,
) -> None:
    folder = write_folder(tmp_path / "gm", decoder_bytes())

    with (
        ready(open_runtime, a_model(folder)) as decoder,
        pytest.raises(Unsupported, match=r"tokenizer\.json"),
    ):
        decoder.tokeniser()


def test_a_plain_decoder_has_no_tokeniser_and_says_so(tmp_path: Path) -> None:
    plain = ModelFile(data=decoder_bytes(), folder=tmp_path)

    with (
        ready(open_onnxruntime, plain) as decoder,
        pytest.raises(Unsupported, match="no tokeniser"),
    ):
        decoder.tokeniser()

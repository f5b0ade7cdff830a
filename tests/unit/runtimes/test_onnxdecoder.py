"""A tiny language model in onnxruntime: cache in place or joined, users together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from harness.domain.plan import RuntimeSettings
from harness.errors import ModelRejected, TargetError, Unsupported
from harness.runtimes.base import DecodingSession, ModelFile
from harness.runtimes.onnxbytes import identity_model
from harness.runtimes.onnxdecoder import signature
from harness.runtimes.onnxrt import open_runtime
from harness.testing.decoders import (
    HEAD,
    HEADS,
    LAYERS,
    VOCABULARY,
    decoder_bytes,
    stacked,
)

PROMPTS = ([3, 1, 4, 1, 5, 9, 2, 6], [27, 18, 28], [8, 2, 8, 4, 5])


@contextmanager
def ready(data: bytes) -> Iterator[DecodingSession]:
    model = ModelFile(data=data, folder=Path("/nonexistent"))
    with (
        open_runtime() as runtime,
        runtime.load_decoder(model, RuntimeSettings()) as decoder,
    ):
        yield decoder


def alone(decoder: DecodingSession, prompt: Sequence[int], tokens: int) -> list[int]:
    decoder.open(1, len(prompt) + tokens)
    said = [decoder.prefill(0, prompt)]
    return said + [decoder.step()[0] for _ in range(tokens - 1)]


def by_hand(prompt: Sequence[int], tokens: int) -> list[int]:
    """Say what the model says without any cache, by running all of it each time."""
    import onnxruntime  # noqa: PLC0415 - telemetry is off once the runtime was open

    session = onnxruntime.InferenceSession(decoder_bytes(shares_cache=False))
    heard, said = list(prompt), []
    empty = np.zeros((1, HEADS, 0, HEAD), np.float32)
    for _ in range(tokens):
        feeds = {
            "input_ids": np.array([heard]),
            "attention_mask": np.ones((1, len(heard)), np.int64),
            "position_ids": np.arange(len(heard))[np.newaxis],
        }
        feeds |= {
            f"past_key_values.{layer}.{part}": empty
            for layer in range(LAYERS)
            for part in ("key", "value")
        }
        (logits, *_) = session.run(None, feeds)
        said.append(int(logits[0, -1].argmax()))
        heard.append(said[-1])
    return said


@pytest.mark.parametrize("shares_cache", [True, False])
def test_a_cache_changes_nothing_of_what_is_said(*, shares_cache: bool) -> None:
    with ready(decoder_bytes(shares_cache=shares_cache)) as decoder:
        said = [alone(decoder, prompt, 10) for prompt in PROMPTS]

    assert said == [by_hand(prompt, 10) for prompt in PROMPTS]


def test_a_key_and_a_value_in_one_past_say_the_same() -> None:
    with ready(stacked(decoder_bytes(shares_cache=False))) as decoder:
        said = [alone(decoder, prompt, 10) for prompt in PROMPTS]
        size = decoder.cache_bytes_per_token

    assert said == [by_hand(prompt, 10) for prompt in PROMPTS]
    assert size == 2 * LAYERS * HEADS * HEAD * 4


def test_users_with_contexts_of_any_length_take_steps_together() -> None:
    with ready(decoder_bytes()) as decoder:
        own = [alone(decoder, prompt, 10) for prompt in PROMPTS]
        decoder.open(3, 20)
        rows = [[decoder.prefill(user, prompt) for user, prompt in enumerate(PROMPTS)]]
        rows += [list(decoder.step()) for _ in range(9)]

    assert [list(column) for column in zip(*rows, strict=True)] == own


def test_a_user_who_asks_again_leaves_no_trace_of_the_answer_before() -> None:
    with ready(decoder_bytes()) as decoder:
        own = alone(decoder, PROMPTS[1], 5)
        decoder.open(2, 20)
        decoder.prefill(0, PROMPTS[0])
        decoder.prefill(1, PROMPTS[2])
        for _ in range(6):
            decoder.step()
        said = [decoder.prefill(0, PROMPTS[1])]
        said += [decoder.step()[0] for _ in range(4)]

    assert said == own


def test_several_users_of_a_graph_that_joins_are_refused() -> None:
    with (
        ready(decoder_bytes(shares_cache=False)) as decoder,
        pytest.raises(Unsupported, match="GroupQueryAttention"),
    ):
        decoder.open(2, 8)


def test_a_token_of_context_takes_what_its_shapes_say() -> None:
    with ready(decoder_bytes()) as decoder:
        assert decoder.cache_bytes_per_token == 2 * LAYERS * HEADS * HEAD * 4


@pytest.mark.parametrize("shares_cache", [True, False])
def test_logits_that_are_no_numbers_are_told_in_a_sentence(
    *, shares_cache: bool
) -> None:
    data = decoder_bytes(shares_cache=shares_cache, poison=float("nan"))
    with ready(data) as decoder:
        decoder.open(1, 8)
        with pytest.raises(TargetError, match="NaN or infinity\\) after 3 tokens"):
            decoder.prefill(0, PROMPTS[1])


def test_a_graph_that_is_no_decoder_is_refused() -> None:
    model = ModelFile(
        data=identity_model([("x", "float32", (1, 3))]), folder=Path("/nonexistent")
    )
    with (
        open_runtime() as runtime,
        pytest.raises(ModelRejected, match="no decoder with a cache"),
        runtime.load_decoder(model, RuntimeSettings()),
    ):
        pass


def test_a_provider_that_would_copy_the_cache_at_every_token_is_refused() -> None:
    model = ModelFile(data=decoder_bytes(), folder=Path("/nonexistent"))
    settings = RuntimeSettings(provider="DmlExecutionProvider")
    with (
        open_runtime() as runtime,
        pytest.raises(Unsupported, match="copy it at every token"),
        runtime.load_decoder(model, settings),
    ):
        pass


@pytest.mark.parametrize("shares_cache", [True, False])
def test_a_decoder_of_short_reals_says_its_tokens_too(*, shares_cache: bool) -> None:
    with ready(decoder_bytes(shares_cache=shares_cache, half=True)) as decoder:
        said = [alone(decoder, prompt, 10) for prompt in PROMPTS]

    assert said == [by_hand(prompt, 10) for prompt in PROMPTS]


def test_an_input_that_nothing_is_known_of_is_named() -> None:
    inputs = {
        "input_ids": ("int64", ("batch", "sequence")),
        "token_type_ids": ("int64", ("batch", "sequence")),
        "past_0": ("float32", ("batch", 2, "past", 8)),
    }

    with pytest.raises(Unsupported, match="token_type_ids"):
        signature(inputs, {"logits": "float32", "present_0": "float32"}, {})


def test_a_cache_without_fixed_heads_is_refused() -> None:
    inputs = {
        "input_ids": ("int64", ("batch", "sequence")),
        "past_0": ("float32", ("batch", "heads", "past", 8)),
    }

    with pytest.raises(ModelRejected, match="how many heads"):
        signature(inputs, {"logits": "float32", "present_0": "float32"}, {})


def test_the_vocabulary_is_small_enough_to_be_walked_by_these_tests() -> None:
    with ready(decoder_bytes()) as decoder:
        said = {token for p in PROMPTS for token in alone(decoder, p, 20)}

    assert len(said) > 3
    assert max(said) < VOCABULARY

"""What a decoder keeps, read off names and sizes as exporters write them."""

import pytest

from harness.domain.cache import Sizes, caches_of, is_decoder

TOKENS: dict[str, tuple[str, Sizes]] = {"input_ids": ("int64", ("batch", "sequence"))}


@pytest.mark.parametrize(
    ("past", "present"),
    [
        ("past_key_values.0.key", "present.0.key"),
        ("past_key_values.0.value", "present.0.value"),
        ("past_key_0", "present_key_0"),
        ("past_0", "present_0"),
        ("past_key_values.3.decoder.key", "present.3.decoder.key"),
    ],
)
def test_a_past_is_paired_with_its_present(past: str, present: str) -> None:
    inputs = TOKENS | {past: ("float16", ("batch", 8, "past", 64))}

    (cache,) = caches_of(inputs, {"logits", present})

    assert (cache.past, cache.present, cache.dtype) == (past, present, "float16")
    assert cache.sizes == (1, 8, 0, 64)
    assert cache.shape(4, 100) == (4, 8, 100, 64)
    assert cache.items_per_token == 8 * 64
    assert is_decoder(inputs, {"logits", present})


def test_a_key_and_a_value_in_one_tensor_grow_along_their_fourth_axis() -> None:
    inputs = TOKENS | {"past_0": ("float32", (2, "batch", 4, "past", 8))}

    (cache,) = caches_of(inputs, {"logits", "present_0"})

    assert cache.shape(3, 5) == (2, 3, 4, 5, 8)
    assert cache.items_per_token == 2 * 4 * 8


def test_a_state_of_fixed_size_does_not_grow_and_makes_no_decoder_alone() -> None:
    inputs = TOKENS | {"past_conv.0": ("float32", ("batch", 64, 3))}

    (cache,) = caches_of(inputs, {"logits", "present_conv.0"})

    assert cache.shape(1, 100) == (1, 64, 3)
    assert cache.items_per_token == 0
    assert not is_decoder(inputs, {"logits", "present_conv.0"})


def test_without_tokens_or_logits_a_cache_makes_no_decoder() -> None:
    past: dict[str, tuple[str, Sizes]] = {"past_0": ("float32", (1, 8, None, 64))}

    assert not is_decoder(past, {"logits", "present_0"})
    assert not is_decoder(TOKENS | past, {"hidden", "present_0"})
    assert not is_decoder(TOKENS | past, {"logits"})


def test_a_past_of_which_more_is_open_is_named() -> None:
    inputs = TOKENS | {"past_0": ("float32", ("batch", "heads", "past", 64))}

    with pytest.raises(ValueError, match="past_0"):
        caches_of(inputs, {"present_0"})

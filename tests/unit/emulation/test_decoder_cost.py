"""What a decoder asks of a device, from its graph: products, cache, growth."""

from math import log
from pathlib import Path

import pytest

from harness.emulation.decoding import (
    FACTOR_90,
    Attention,
    DecoderGraph,
    DecoderTimes,
    Product,
    read_decoder,
)
from harness.schema.profile import load_profile, profile_path
from harness.testing.decoders import (
    HEAD,
    HEADS,
    LAYERS,
    VOCABULARY,
    WIDTH,
    decoder_bytes,
    write_folder,
)

PRODUCTS = 4 * LAYERS * WIDTH * WIDTH
"""Query, key, value and output of each layer."""


@pytest.fixture
def graph(tmp_path: Path) -> DecoderGraph:
    path = tmp_path / "d.onnx"
    path.write_bytes(decoder_bytes())
    return read_decoder(path)


@pytest.fixture
def times(graph: DecoderGraph) -> DecoderTimes:
    return DecoderTimes(load_profile(profile_path("smartphone")), graph)


def test_a_step_multiplies_every_weight_once_for_each_user(graph: DecoderGraph) -> None:
    one = graph.cost(users=1, tokens=1, past=0)
    three = graph.cost(users=3, tokens=1, past=0)

    attention = LAYERS * 2 * HEADS * HEAD
    assert one.macs == PRODUCTS + WIDTH * VOCABULARY + attention
    assert three.macs == 3 * one.macs
    assert three.weight_bytes == one.weight_bytes


def test_a_prompt_attends_to_itself_and_wants_logits_at_its_end_only(
    graph: DecoderGraph,
) -> None:
    cost = graph.cost(users=1, tokens=10, past=0)

    pairs = 10 * 11 // 2
    attention = LAYERS * pairs * 2 * HEADS * HEAD
    assert cost.macs == 10 * PRODUCTS + WIDTH * VOCABULARY + attention


def test_the_cache_has_the_size_of_its_shapes(graph: DecoderGraph) -> None:
    assert graph.cache_bytes_per_token == 2 * LAYERS * HEADS * HEAD * 4
    assert len(graph.layers) == LAYERS


def test_a_folder_is_read_by_the_file_that_it_names(
    tmp_path: Path, graph: DecoderGraph
) -> None:
    folder = write_folder(tmp_path / "gm", decoder_bytes())

    assert read_decoder(folder / "genai_config.json") == graph


def test_longer_prompts_contexts_and_more_users_take_longer(
    times: DecoderTimes,
) -> None:
    assert times.prefill_s(64) > times.prefill_s(8)
    assert times.step_s(1, 2000.0) > times.step_s(1, 10.0)
    assert times.step_s(8, 10.0) > times.step_s(1, 10.0)
    assert times.step_s(8, 10.0) < 8 * times.step_s(1, 10.0)


def test_a_prediction_says_that_its_rates_are_of_other_networks(
    times: DecoderTimes,
) -> None:
    found = times.at_rest(10)

    assert found.factor_90 >= FACTOR_90
    assert "outside-emulation-domain" in {one.code for one in found.findings}


def test_a_published_decoder_lies_within_the_uncertainty_of_its_prediction() -> None:
    # Llama-3.1-8B w4 on Snapdragon X Elite, NPU: 9.4 to 10.0 tokens/s, and 208 to
    # 212 ms to the first token of 128 (Qualcomm AI Hub Models, 2026, perf.yaml)
    layers, width, hidden, vocabulary = 32, 4096, 14336, 128256
    shapes = [(width, width), (width, 1024), (width, 1024), (width, width)]
    shapes += [(width, hidden), (width, hidden), (hidden, width)]
    products = tuple(
        Product(
            name="p",
            operator="MatMulNBits",
            inputs=inputs,
            outputs=outputs,
            weight_bytes=inputs * outputs * 9 // 16,
            is_wide=False,
            is_last=outputs == vocabulary,
        )
        for inputs, outputs in [*shapes * layers, (width, vocabulary)]
    )
    attention = Attention(heads=32, kv_heads=8, head=128, item_bytes=2)
    size = sum(one.weight_bytes for one in products)
    graph = DecoderGraph(
        products=products,
        layers=(attention,) * layers,
        kernels=6 * layers,
        weight_bytes=size,
        file_bytes=size,
    )
    times = DecoderTimes(load_profile(profile_path("computer")), graph)

    assert abs(log(0.103 / times.step_s(1, 192.0))) < log(FACTOR_90)
    assert abs(log(0.210 / times.prefill_s(128))) < log(FACTOR_90)


def test_memory_is_predicted_with_the_context_in_it(times: DecoderTimes) -> None:
    short, long = times.at_rest(10), times.at_rest(1010)

    assert long.peak_bytes - short.peak_bytes >= 1000 * times.cache_bytes_per_token

"""The tables give numpy's own numbers from numpy's own bits."""

from math import exp, log1p

import numpy as np

from harness.loadgen.ziggurat import LAYERS, exponential_ziggurat

DRAWN = 20_000
_53_BITS = 2.0**-53


def drawn_with_the_tables(seed: int, count: int) -> list[float]:
    bits = np.random.default_rng(seed).bit_generator
    tables = exponential_ziggurat()
    tail = tables.widths[LAYERS - 1] / _53_BITS
    drawn: list[float] = []
    while len(drawn) < count:
        place, layer = divmod(int(bits.random_raw()) >> 3, LAYERS)
        x = place * tables.widths[layer]
        if place >= tables.bounds[layer]:
            share = (int(bits.random_raw()) >> 11) * _53_BITS
            if layer == 0:
                x = tail - log1p(-share)
            else:
                low, high = tables.heights[layer], tables.heights[layer - 1]
                if (high - low) * share + low >= exp(-x):
                    continue
        drawn.append(x)
    return drawn


def test_an_agent_without_numpy_draws_what_numpy_draws() -> None:
    theirs = np.random.default_rng(7).standard_exponential(DRAWN)
    assert np.allclose(drawn_with_the_tables(7, DRAWN), theirs, rtol=1e-15, atol=0.0)


def test_layers_become_narrower_towards_the_top() -> None:
    tables = exponential_ziggurat()
    assert len(tables.bounds) == len(tables.widths) == len(tables.heights) == LAYERS
    assert list(tables.widths[1:]) == sorted(tables.widths[1:])
    assert list(tables.heights) == sorted(tables.heights, reverse=True)

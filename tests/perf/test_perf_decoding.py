"""A step of a language model with its cache in place, against one that is joined."""

from pathlib import Path

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from harness.clock import SystemClock
from harness.domain.plan import RuntimeSettings
from harness.runtimes.base import DecodingSession, ModelFile
from harness.runtimes.onnxrt import open_runtime
from harness.testing.decoders import CONTEXT, decoder_bytes

CLOCK = SystemClock()
ROUNDS = 40
STEPS = 40


def step_ns(decoder: DecodingSession) -> float:
    """Give the median time of a step over whole answers."""
    times = []
    for _ in range(ROUNDS):
        decoder.open(1, CONTEXT)
        decoder.prefill(0, [3, 1, 4, 1, 5])
        for _ in range(STEPS):
            begun = CLOCK.now_ns()
            decoder.step()
            times.append(CLOCK.now_ns() - begun)
    return float(np.median(times))


def test_a_cache_in_place_against_one_that_is_joined(
    benchmark: BenchmarkFixture,
) -> None:
    """Alternate both graphs of the same weights in one process: A B B A."""

    def ratio() -> float:
        settings, here = RuntimeSettings(), Path("/nonexistent")
        models = {
            shares: ModelFile(data=decoder_bytes(shares_cache=shares), folder=here)
            for shares in (True, False)
        }
        times: dict[bool, list[float]] = {True: [], False: []}
        with (
            open_runtime() as runtime,
            runtime.load_decoder(models[True], settings) as in_place,
            runtime.load_decoder(models[False], settings) as joined,
        ):
            for shares in (True, False, False, True):
                times[shares].append(step_ns(in_place if shares else joined))
        benchmark.extra_info["step_in_place_ns"] = float(np.median(times[True]))
        return float(np.median(times[True]) / np.median(times[False]))

    found = benchmark.pedantic(ratio, rounds=1)

    benchmark.extra_info["time_in_place_over_joined"] = found
    assert found > 0

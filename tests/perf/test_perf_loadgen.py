"""What the load generator and the sampler cost. Run with --benchmark-only."""

import os
import sys
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.clock import Deadline, SystemClock
from harness.domain.plan import RuntimeSettings
from harness.links.pipe import spawn
from harness.loadgen.pump import Query, time_back_to_back
from harness.meters.process import RATE_HZ, ProcessSampler, sampled
from harness.runtimes.base import ModelFile
from harness.runtimes.onnxbytes import identity_model
from harness.runtimes.onnxrt import open_runtime

T = TypeVar("T")
CLOCK = SystemClock()
SHAPE = (1, 1, 49, 10)
ROWS = 20_000
BLOCKS = 6


@pytest.fixture(name="calls")
def _calls() -> Iterator[Iterator[Query]]:
    model = ModelFile(data=identity_model([("x", "float32", SHAPE)]), folder=Path("/"))
    feeds = [{"x": np.full(SHAPE, n, np.float32)} for n in range(16)]
    with open_runtime() as runtime, runtime.load(model, RuntimeSettings()) as session:
        yield cycle([session.bind(one).call for one in feeds])


def repeat(benchmark: BenchmarkFixture, work: Callable[[], T], *, rounds: int) -> T:
    """Benchmark so many rounds of one call each; gives what the last one gave."""
    pedantic: Callable[..., T] = benchmark.pedantic
    return pedantic(work, rounds=rounds, iterations=1)


def time_rows(calls: Iterator[Query]) -> tuple[float, float]:
    """Give the median latency and the median gap of a burst, in ns."""
    times = time_back_to_back(calls, CLOCK, rows=ROWS, until_ns=2**62)
    issued = np.frombuffer(times.issued_ns, np.int64)
    completed = np.frombuffer(times.completed_ns, np.int64)
    latency = float(np.median(completed - issued))
    return latency, float(np.median(issued[1:] - completed[:-1]))


def test_the_loop_around_an_identity_model(
    benchmark: BenchmarkFixture, calls: Iterator[Query]
) -> None:
    time_rows(calls)

    latency_ns, gap_ns = repeat(benchmark, lambda: time_rows(calls), rounds=10)

    benchmark.extra_info["latency_p50_ns"] = latency_ns
    benchmark.extra_info["gap_p50_ns"] = gap_ns
    assert latency_ns > 0


def test_the_sampler_beside_a_workload(
    benchmark: BenchmarkFixture, calls: Iterator[Query]
) -> None:
    """Alternate blocks with and without the sampler, in one process: A B B A.

    In use the sampler runs in another process and on another core, so this ratio
    bounds its cost from above.
    """

    def ratio() -> float:
        means: dict[bool, list[float]] = {True: [], False: []}
        for is_sampled in [False, True, True, False] * BLOCKS:
            begun = CLOCK.now_ns()
            if is_sampled:
                with sampled(os.getpid(), CLOCK, frozenset()):
                    time_back_to_back(calls, CLOCK, rows=5 * ROWS, until_ns=2**62)
            else:
                time_back_to_back(calls, CLOCK, rows=5 * ROWS, until_ns=2**62)
            means[is_sampled].append(CLOCK.now_ns() - begun)
        return float(np.median(means[True]) / np.median(means[False]))

    found = repeat(benchmark, ratio, rounds=1)

    benchmark.extra_info["time_with_over_without"] = found
    assert found > 0


def test_one_reading_of_every_channel(benchmark: BenchmarkFixture) -> None:
    sampler = ProcessSampler(os.getpid(), CLOCK)

    benchmark(sampler.sample)

    if benchmark.stats is not None:
        mean_s = benchmark.stats.stats.mean
        benchmark.extra_info["share_of_one_core"] = mean_s * RATE_HZ
    assert sampler.take()


def test_the_start_of_an_agent(benchmark: BenchmarkFixture) -> None:
    """From the start of a process to all of the agent's modules and the runtime."""
    code = "import harness.agent.serve, onnxruntime; print('up', flush=True); input()"
    environment = {"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"}

    def start() -> bytes:
        with spawn((sys.executable, "-P", "-c", code), environment, name="a") as link:
            return link.read_line(Deadline.after(60.0, CLOCK))

    line = repeat(benchmark, start, rounds=5)

    assert line == b"up\n"

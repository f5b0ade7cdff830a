"""A reader at 100 000 readings a second beside inference: what it costs, what it loses.

A simulated PPK2 on a pseudo terminal streams from a process of its own, the reader
takes it down, and this process runs an onnxruntime loop meanwhile. Costs are CPU time,
losses are counted by the instrument's own counter, so that a machine that is shared
spoils neither. The long version (6 million readings) is asked for by

    DUANPING_READER_SECONDS=60 make perf ARGS=tests/perf/test_perf_reader.py
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from pytest_benchmark.fixture import BenchmarkFixture

from harness.clock import Deadline, SystemClock
from harness.links.pipe import spawn
from harness.links.replay import load_capture
from harness.meters.decoding import Decoded, decode
from harness.meters.remote import Ended, open_remote
from harness.plugins import Address

SECONDS = float(os.environ.get("DUANPING_READER_SECONDS", "5"))
RATE_HZ = 100_000
MOST_CPU = 0.10
"""Of one core, that reading may take."""

SERVER = """
import sys
import numpy as np
from harness.meters.ppk2.sim import Ppk2Simulator
from harness.testing.ptybench import served_on_pty

noise = np.random.default_rng(1)

def load(seconds):
    is_busy = seconds % 0.02 < 0.008
    level = np.where(is_busy, 20e-3, 80e-6)
    return level * (1 + 0.02 * noise.standard_normal(len(seconds)))

with served_on_pty(Ppk2Simulator(load)) as served:
    print(served.name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def port() -> Iterator[str]:
    """Serve a PPK2 from another process; give its port."""
    command = (sys.executable, "-c", SERVER)
    with spawn(command, dict(os.environ), name="simulator") as child:
        line = child.read_line(Deadline.after(30.0, SystemClock()))
        yield line.decode().strip()


def a_model() -> bytes:
    """Make a convolution that takes about a millisecond."""
    weights = helper.make_tensor(
        "w", TensorProto.FLOAT, [32, 16, 3, 3], np.full(32 * 16 * 9, 0.01).tolist()
    )
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "beside",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 48, 48])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weights],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    serialized: bytes = made.SerializeToString()
    return serialized


def infer_for(seconds: float) -> list[float]:
    """Run inference after inference; give how long each took, in s."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(a_model(), options)
    feed = {"x": np.zeros((1, 16, 48, 48), np.float32)}
    took = []
    end = time.monotonic() + seconds
    while (begun := time.monotonic()) < end:
        session.run(None, feed)
        took.append(time.monotonic() - begun)
    return took


def read_beside_inference(port: str, path: Path) -> tuple[Ended, list[float]]:
    path.unlink(missing_ok=True)
    with open_remote(Address.parse(f"ppk2@serial:{port}?voltage=3V")) as meter:
        meter.begin(path)
        took = infer_for(SECONDS)
        return meter.end(), took


def test_a_reader_beside_inference_loses_nothing_and_costs_little(
    benchmark: BenchmarkFixture, port: str, tmp_path: Path
) -> None:
    path = tmp_path / "perf.capture"
    alone = infer_for(min(SECONDS, 2.0))

    ended, took = benchmark.pedantic(
        read_beside_inference, (port, path), rounds=1, iterations=1
    )
    capture = load_capture(path)
    decode(capture, "perf")  # the first loads the driver
    begun_s = time.process_time()
    decoded: Decoded = decode(capture, "perf")
    decoding_s = time.process_time() - begun_s

    received = decoded.tally["received"]
    benchmark.extra_info.update(
        readings=int(received),
        lost=decoded.loss.missing,
        reader_cpu_ratio=round(ended.cpu_ratio, 4),
        decoding_cpu_ratio=round(decoding_s * RATE_HZ / received, 4),
        inference_p50_alone_ms=round(1e3 * float(np.median(alone)), 3),
        inference_p50_beside_ms=round(1e3 * float(np.median(took)), 3),
        capture_bytes_per_reading=round(path.stat().st_size / received, 3),
    )
    assert ended.fault is None
    assert decoded.loss.missing == 0
    assert received >= 0.99 * RATE_HZ * SECONDS
    assert ended.cpu_ratio <= MOST_CPU

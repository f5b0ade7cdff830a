"""How fast the PPK2's stream is decoded, against the public library.

The ratio is taken in one run on one machine: `ppk2-api` is timed in a process of its
own (it is under the GPL) just before our decoder is. Run with ``make perf``.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.meters.loads import parse_load
from harness.meters.ppk2 import wire
from harness.meters.ppk2.sim import Ppk2Simulator

SECONDS = 2
METADATA = "\n".join(
    [f"R{r}: {ohm}" for r, ohm in enumerate((1031.64, 101.65, 10.15, 0.94, 0.043))]
    + [f"{name}{r}: 0.0" for name in ("GS", "O", "S", "I") for r in range(5)]
    + [f"{name}{r}: 1.0" for name in ("GI", "UG") for r in range(5)]
    + ["END"]
)
THEIRS = """
import json, os, pty, sys, time
from ppk2_api.ppk2_api import PPK2_API

path, size = sys.argv[1], int(sys.argv[2])
_, port = pty.openpty()
api = PPK2_API(os.ttyname(port))
api.current_vdd = 3000
data = open(path, "rb").read()
begin = time.perf_counter()
for at in range(0, len(data), size):
    api.get_samples(data[at : at + size])
print(json.dumps(time.perf_counter() - begin))
"""


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a device that works in bursts, crossing three ranges."""
    load = parse_load("bursts-1mW-120mW", seed=1)
    simulator = Ppk2Simulator(lambda seconds: load.watts(seconds) / 3.0)
    simulator.receive(b"\x06", 0)
    data = b"".join(
        simulator.transmit(100_000_000 * turn) for turn in range(1, 10 * SECONDS + 1)
    )
    path = tmp_path_factory.mktemp("ppk2") / "stream"
    path.write_bytes(data)
    return path


@pytest.mark.skipif(
    find_spec("ppk2_api") is None,
    reason="ppk2-api is not installed: a client by other people; the extra peers",
)
@pytest.mark.parametrize(
    ("chunk_bytes", "least_ratio"), [(400_000, 20.0), (4096, 10.0)]
)
def test_decoding_is_many_times_as_fast_as_the_public_library(
    benchmark: BenchmarkFixture, stream: Path, chunk_bytes: int, least_ratio: float
) -> None:
    data = stream.read_bytes()
    metadata = wire.parse_metadata(METADATA.encode())
    assert metadata is not None
    table = wire.ampere_table(metadata, 3.0)
    done = subprocess.run(
        [sys.executable, "-c", THEIRS, str(stream), str(chunk_bytes)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    theirs_s = json.loads(done.stdout)

    def decode() -> int:
        framing, settling, count = wire.Framing(), wire.Settling(), 0
        for at in range(0, len(data), chunk_bytes):
            frames = wire.frame(data[at : at + chunk_bytes], framing)
            framing = frames.state
            amperes, _, settling = wire.settle(
                table[frames.words & wire.INDEX_MASK],
                wire.ranges_of(frames.words),
                settling,
            )
            count += len(amperes) + 0 * len(wire.logic_of(frames.words))
        return count

    count = benchmark(decode)

    assert benchmark.stats is not None
    ours_s = float(np.median(benchmark.stats.stats.data))
    benchmark.extra_info["ratio"] = theirs_s / ours_s
    benchmark.extra_info["readings_per_s"] = count / ours_s
    assert theirs_s / ours_s >= least_ratio

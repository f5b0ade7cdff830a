"""The PPK2's simulator and decoder against other people's code.

`ppk2-api` is under the GPL and runs in a process of its own; bytes and numbers go
through files. `ppk2lab` and `ppk2-api` drive the simulator over a pseudo terminal.
"""

import importlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.meters.loads import parse_load
from harness.meters.ppk2 import wire
from harness.meters.ppk2.sim import Ppk2Simulator
from harness.testing.ptybench import served_on_pty

WHY = "a client by other people; install the extra peers"
needs_ppk2_api = pytest.mark.skipif(
    find_spec("ppk2_api") is None, reason=f"ppk2-api is not installed: {WHY}"
)

DECODE = """
import json, os, pty, sys
import numpy as np
from ppk2_api.ppk2_api import PPK2_API

folder, size = sys.argv[1], int(sys.argv[2])
_, port = pty.openpty()
api = PPK2_API(os.ttyname(port))
assert api._parse_metadata(open(f"{folder}/metadata").read())
api.current_vdd = 3300
data = open(f"{folder}/stream", "rb").read()
microamperes, logic = [], []
for at in range(0, len(data), size):
    values, bits = api.get_samples(data[at : at + size])
    microamperes += values
    logic += bits
np.save(f"{folder}/microamperes.npy", np.array(microamperes))
np.save(f"{folder}/logic.npy", np.array(logic))
"""

DRIVE = """
import json, sys, time
from ppk2_api.ppk2_api import PPK2_API

api = PPK2_API(sys.argv[1])
is_answered = api.get_modifiers()
api.use_source_meter()
api.set_source_voltage(3300)
api.toggle_DUT_power("ON")
api.start_measuring()
values, until = [], time.monotonic() + 0.5
while time.monotonic() < until:
    data = api.get_data()
    if data:
        values += api.get_samples(data)[0]
    else:
        time.sleep(0.001)
api.stop_measuring()
print(json.dumps({"answered": is_answered, "ohm": api.modifiers["R"]["2"],
                  "count": len(values), "mean": sum(values) / len(values)}))
"""


def run_apart(script: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def metadata_text(generator: np.random.Generator) -> str:
    """Constants as an instrument might have them, all different."""
    lines = ["Calibrated: 1"]
    for r, ohm in enumerate((1031.64, 101.65, 10.15, 0.94, 0.043)):
        lines += [
            f"R{r}: {ohm * generator.uniform(0.97, 1.03):.6f}",
            f"GS{r}: {generator.uniform(-5, 5):.6f}",
            f"GI{r}: {generator.uniform(0.95, 1.05):.6f}",
            f"O{r}: {generator.uniform(0, 300):.4f}",
            f"S{r}: {generator.uniform(-1e-6, 1e-6):.12f}",
            f"I{r}: {generator.uniform(-1e-6, 1e-6):.12f}",
            f"UG{r}: {generator.uniform(0.99, 1.01):.6f}",
        ]
    return "\n".join([*lines, "VDD: 3300", "HW: 9173", "mode: 2", "IA: 56", "END"])


def random_words(generator: np.random.Generator, count: int) -> NDArray[np.uint32]:
    number = np.arange(count, dtype=np.uint32)
    words: NDArray[np.uint32] = (
        generator.integers(0, 1 << 17, count, dtype=np.uint32)
        | ((number % 64) << np.uint32(18))
        | (generator.integers(0, 256, count, dtype=np.uint32) << np.uint32(24))
    ).astype("<u4")
    return words


def realistic_words(generator: np.random.Generator, count: int) -> NDArray[np.uint32]:
    """Long stays in a range, short visits to others."""
    stays = generator.integers(1, 400, count)
    scale = np.repeat(generator.integers(0, 5, count), stays)[:count].astype(np.uint32)
    words = random_words(generator, count) & ~np.uint32(7 << 14)
    return (words | (scale << np.uint32(14))).astype("<u4")


def decoded(
    data: bytes, metadata: wire.Metadata, size: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    table = wire.ampere_table(metadata, 3.3)
    framing, settling = wire.Framing(), wire.Settling()
    amperes, logic = [], []
    for at in range(0, len(data), size):
        frames = wire.frame(data[at : at + size], framing)
        framing = frames.state
        values, _, settling = wire.settle(
            table[frames.words & wire.INDEX_MASK],
            wire.ranges_of(frames.words),
            settling,
        )
        amperes.append(values)
        logic.append(wire.logic_of(frames.words))
    return np.concatenate(amperes), np.concatenate(logic)


@needs_ppk2_api
@pytest.mark.parametrize("kind", ["random", "realistic"])
@pytest.mark.parametrize(
    ("theirs", "ours"), [(4096, 4096), (400, 1021), (10**9, 4095), (4099, 10**9)]
)
def test_the_decoder_agrees_with_ppk2_api_in_every_chunking(
    tmp_path: Path, kind: str, theirs: int, ours: int
) -> None:
    generator = np.random.default_rng(8)
    text = metadata_text(generator)
    make = random_words if kind == "random" else realistic_words
    data = make(generator, 40_000).tobytes()
    (tmp_path / "metadata").write_text(text)
    (tmp_path / "stream").write_bytes(data)
    metadata = wire.parse_metadata(text.encode())
    assert metadata is not None

    run_apart(DECODE, tmp_path, str(theirs))
    amperes, logic = decoded(data, metadata, ours)

    count = len(amperes)
    expected = np.load(tmp_path / "microamperes.npy")[:count] * 1e-6
    assert count >= 39_998
    np.testing.assert_allclose(amperes, expected, rtol=1e-12, atol=1e-18)
    np.testing.assert_array_equal(logic, np.load(tmp_path / "logic.npy")[:count])


@needs_ppk2_api
def test_ppk2_api_drives_the_simulator_over_a_pseudo_terminal() -> None:
    load = parse_load("idle-10mW", seed=7)
    simulator = Ppk2Simulator(lambda seconds: load.watts(seconds) / 3.3)

    with served_on_pty(simulator) as served:
        told = json.loads(run_apart(DRIVE, served.name))

    assert told["answered"] is True
    assert told["ohm"] == 10.15
    assert told["count"] > 10_000
    assert told["mean"] == pytest.approx(10e3 / 3.3, rel=0.03)
    assert simulator.source_mv == 3300
    assert simulator.is_dut_powered


@pytest.fixture
def ppk2lab() -> Any:  # noqa: ANN401 - a module
    return pytest.importorskip("ppk2lab", reason=f"ppk2lab is not installed: {WHY}")


def test_ppk2lab_drives_the_simulator_over_a_pseudo_terminal(
    ppk2lab: Any,  # noqa: ANN401 - a module
) -> None:
    load = parse_load("idle-10mW", seed=7)
    simulator = Ppk2Simulator(lambda seconds: load.watts(seconds) / 3.3)

    with (
        served_on_pty(simulator) as served,
        ppk2lab.PPK2.open(port=served.name) as device,
    ):
        device.set_mode(importlib.import_module("ppk2lab.types").Mode.SOURCE)
        device.set_source_voltage_mv(3300)
        events = list(device.stream(duration_s=0.4))

        current = np.concatenate(
            [device.calibration.convert_block(event, 3300) for event in events]
        )

    assert len(current) > 10_000
    assert current.mean() == pytest.approx(10e3 / 3.3, rel=0.03)

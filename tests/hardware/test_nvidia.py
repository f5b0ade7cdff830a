"""An NVIDIA GPU: kernels, caches on the device, and its own power counter.

By hand, on a machine with a GPU and onnxruntime-gpu: ``pytest tests/hardware -m
hardware``.
"""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest

from harness.clock import Deadline, SystemClock
from harness.domain.origin import Origin
from harness.domain.plan import RuntimeSettings
from harness.meters.onhost.nvml import open_nvml
from harness.runtimes.base import DecodingSession, ModelFile
from harness.runtimes.onnxrt import open_runtime
from harness.testing.decoders import decoder_bytes, write_folder
from harness.units import NS_PER_S

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
TRAINED = Path(__file__).parents[2] / "models" / "trained"
PROMPTS = ([3, 1, 4, 1, 5, 9, 2, 6], [27, 18, 28], [8, 2, 8, 4, 5])
WINDOW_S = 10.0
AGREES = 0.1
"""Share by which the energy counted may differ from the power told, integrated."""

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.skipif(
        not Path("/dev/nvidiactl").exists(), reason="this machine has no NVIDIA driver"
    ),
]


@contextmanager
def decoder_on(provider: str, data: bytes) -> Iterator[DecodingSession]:
    model = ModelFile(data=data, folder=Path("/nonexistent"))
    settings = RuntimeSettings(provider=provider)
    with open_runtime() as runtime, runtime.load_decoder(model, settings) as decoder:
        yield decoder


def said_by(decoder: DecodingSession, prompt: Sequence[int]) -> list[int]:
    decoder.open(1, len(prompt) + 10)
    first = decoder.prefill(0, prompt)
    return [first, *(decoder.step()[0] for _ in range(9))]


@pytest.mark.parametrize("shares_cache", [True, False])
def test_a_cache_on_the_gpu_says_what_one_in_the_host_says(
    *, shares_cache: bool
) -> None:
    data = decoder_bytes(shares_cache=shares_cache, half=True)
    with decoder_on(CPU, data) as decoder:
        here = [said_by(decoder, prompt) for prompt in PROMPTS]
    with decoder_on(CUDA, data) as decoder:
        there = [said_by(decoder, prompt) for prompt in PROMPTS]

    assert there == here


def test_users_whose_caches_are_on_the_gpu_take_steps_together() -> None:
    with decoder_on(CUDA, decoder_bytes(half=True)) as decoder:
        own = [said_by(decoder, prompt) for prompt in PROMPTS]
        decoder.open(3, 20)
        rows = [[decoder.prefill(user, prompt) for user, prompt in enumerate(PROMPTS)]]
        rows += [list(decoder.step()) for _ in range(9)]

    assert [list(column) for column in zip(*rows, strict=True)] == own


def test_nodes_on_the_gpu_are_read_back_and_answers_stay_the_same() -> None:
    (path,) = TRAINED.glob("har*-u8s8.onnx")
    data = path.read_bytes()
    (given,) = onnx.load(path).graph.input
    shape = [d.dim_value or 1 for d in given.type.tensor_type.shape.dim]
    drawn = np.random.default_rng(1).standard_normal((32, *shape))
    answers = {}
    with open_runtime() as runtime:
        for provider in (CPU, CUDA):
            file = ModelFile(data=data, folder=Path("/nonexistent"))
            settings = RuntimeSettings(provider=provider)
            with runtime.load(file, settings) as session:
                answers[provider] = [
                    session.compute({given.name: one.astype(np.float32)})[0].argmax()
                    for one in drawn
                ]
            if provider == CUDA:
                placement = runtime.inspect(file, settings).placement

    assert placement.get(CUDA, 0) > 0
    assert answers[CUDA] == answers[CPU]


def test_the_energy_counter_agrees_with_the_power_that_the_driver_tells() -> None:
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is in [nvml]")
    clock, told_w = SystemClock(), []
    with (
        open_nvml(clock, address="nvml@0", origin=Origin.MEASURED) as meter,
        meter.acquire({"energy"}) as acquisition,
    ):
        gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
        begin_ns = clock.now_ns()
        for block in acquisition.blocks(Deadline.after(WINDOW_S, clock)):
            told_w.append(pynvml.nvmlDeviceGetPowerUsage(gpu) / 1000)
            counted_j, end_ns = block.values[-1], block.times_ns[-1]

    expected_j = float(np.mean(told_w)) * (end_ns - begin_ns) / NS_PER_S
    assert counted_j == pytest.approx(expected_j, rel=AGREES)


def test_a_run_on_the_gpu_with_its_counter_leaves_a_sound_bundle(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "harness", "run", "--device", "computer"]
    command += ["--model", str(TRAINED / "har-imu-u8s8.onnx"), "--preset", "rapid"]
    command += ["--target", "local@", "--provider", CUDA, "--meter", "nvml@0"]
    command += ["--out", str(tmp_path), "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode in {0, 1}, done.stderr

    bundle = json.loads(done.stdout)["bundle"]
    checked = [sys.executable, "-m", "harness", "verify", bundle]
    subprocess.run(checked, check=True)


@pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime_genai") is None,
    reason="onnxruntime-genai is in the extra [genai]",
)
def test_a_folder_talks_on_the_gpu(tmp_path: Path) -> None:
    from harness.runtimes.genai import open_runtime as open_genai  # noqa: PLC0415

    folder = write_folder(tmp_path / "tiny", decoder_bytes(half=True))
    said = {}
    for provider in (CPU, CUDA):
        config = (folder / "genai_config.json").read_bytes()
        file = ModelFile(data=config, folder=folder)
        settings = RuntimeSettings(provider=provider)
        with open_genai() as runtime, runtime.load_decoder(file, settings) as decoder:
            said[provider] = [said_by(decoder, prompt) for prompt in PROMPTS]

    assert said[CUDA] == said[CPU]

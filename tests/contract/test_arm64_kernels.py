"""Real arm64 kernels of a model that is shipped, on processors that QEMU emulates."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import pytest

from harness.catalogue.bindings import InputBindings
from harness.catalogue.language import describe_model
from harness.domain.counting import InstructionsCounted, KernelsCompared
from harness.domain.plan import Minimum, Trial
from harness.domain.query import (
    ItemsScored,
    MemoryMeasured,
    ModelLoaded,
    Outcome,
    TrialEnded,
    TrialEvent,
)
from harness.domain.workload import BuiltStage, ModelArtifact, Stage
from harness.plugins import Address
from harness.shipped import folder
from harness.stats.instructions import per_inference
from harness.targets.arm64.target import Arm64Target, open_target
from harness.testing.arm64bench import why_not
from harness.testing.builders import a_profile, a_trial

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

ADDRESS = "arm64@qemu:cortex-a53,cortex-a76"
COMPILER = "aarch64-linux-gnu-gcc"
SDOT = r'__asm__ volatile(".arch_extension dotprod\n sdot v0.4s, v1.16b, v2.16b");'
"""A dot product of integers, which a Cortex-A53 does not know."""
TRIAL = replace(
    a_trial(),
    target=ADDRESS,
    warm_up=Minimum(queries=2, duration_ns=0),
    minimum=Minimum(queries=20, duration_ns=0),
)


@pytest.fixture(scope="module")
def target() -> Iterator[Arm64Target]:
    with open_target(Address.parse(ADDRESS), a_profile()) as opened:
        yield opened


def shipped_model(name: str) -> tuple[ModelArtifact, Path]:
    path = folder("models") / "trained" / f"{name}.onnx"
    return describe_model(path, InputBindings()), path


def told(target: Arm64Target, name: str) -> list[TrialEvent]:
    model, path = shipped_model(name)
    with target.deploy(model, path, None) as on:
        return list(target.execute(replace(TRIAL, model=model.name), on))


@pytest.fixture(scope="module")
def int8(target: Arm64Target) -> list[TrialEvent]:
    return told(target, "digits-s8s8")


@pytest.fixture(scope="module")
def fp32(target: Arm64Target) -> list[TrialEvent]:
    return told(target, "digits-fp32")


def counted(events: list[TrialEvent]) -> dict[str, list[float]]:
    return {
        event.processor: per_inference(event)
        for event in events
        if isinstance(event, InstructionsCounted)
    }


def kernels(events: list[TrialEvent]) -> dict[str, KernelsCompared]:
    return {e.processor: e for e in events if isinstance(e, KernelsCompared)}


def test_int8_outputs_are_this_machines_own_bit_by_bit(int8: list[TrialEvent]) -> None:
    found = kernels(int8)

    assert set(found) == {"cortex-a53", "cortex-a76"}
    for one in found.values():
        assert one.items >= 16
        assert one.identical == one.items
        assert one.largest_value > 0


def test_float_outputs_differ_by_roundings_only(fp32: list[TrialEvent]) -> None:
    for one in kernels(fp32).values():
        assert one.largest_difference <= 1e-5 * one.largest_value


def test_counts_repeat_to_half_a_percent(
    int8: list[TrialEvent], fp32: list[TrialEvent]
) -> None:
    for events in (int8, fp32):
        for rounds in counted(events).values():
            assert len(rounds) == 3
            assert max(rounds) - min(rounds) <= 0.005 * median(rounds)


def test_dot_products_of_integers_save_instructions_and_only_on_integers(
    int8: list[TrialEvent], fp32: list[TrialEvent]
) -> None:
    of_int8 = {name: median(rounds) for name, rounds in counted(int8).items()}
    of_fp32 = {name: median(rounds) for name, rounds in counted(fp32).items()}

    assert of_int8["cortex-a76"] < 0.9 * of_int8["cortex-a53"]
    assert of_fp32["cortex-a76"] == pytest.approx(of_fp32["cortex-a53"], rel=0.05)
    assert of_int8["cortex-a76"] < of_fp32["cortex-a76"]


def test_the_runtime_fuses_integer_kernels_there(int8: list[TrialEvent]) -> None:
    loaded = next(e for e in int8 if isinstance(e, ModelLoaded))

    assert loaded.load_ns is None
    assert loaded.quantised_nodes == loaded.quantisable_nodes


def test_memory_is_the_programs_and_not_the_emulators(int8: list[TrialEvent]) -> None:
    memory = next(e for e in int8 if isinstance(e, MemoryMeasured))

    # natively the same runner and model take some 31 MB, the emulator about 65 more
    assert 15e6 < (memory.peak_bytes or 0) < 60e6


def test_the_outputs_themselves_are_in_the_record(int8: list[TrialEvent]) -> None:
    scored = [e for e in int8 if isinstance(e, ItemsScored)]

    assert [(e.metric, e.items) for e in scored] == [("outputs", 16)]


def test_a_pipeline_is_refused_in_a_sentence(target: Arm64Target) -> None:
    model, path = shipped_model("digits-s8s8")
    stage = BuiltStage(stage=Stage(name="one", model="digits"), file=path.name)
    with target.deploy(model, path, None) as on:
        chained = replace(on, model=replace(model, stages=(stage,)))
        ended = list(target.execute(TRIAL, chained))[-1]

    assert isinstance(ended, TrialEnded)
    assert ended.outcome is Outcome.REFUSED
    assert "pipelines" in ended.reason


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"no {COMPILER}")
@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            SDOT,
            "cortex-a53 does not have",
        ),
        ("*(volatile int *)0 = 1;", "crashed on the emulated cortex-a53"),
    ],
)
def test_a_program_that_crashes_fails_the_trial_with_what_it_means(
    target: Arm64Target, tmp_path: Path, source: str, said: str
) -> None:
    program = tmp_path / "program"
    (tmp_path / "program.c").write_text(f"int main(void) {{ {source} return 0; }}\n")
    options = ["-march=armv8.2-a", "-static", "-o", program, tmp_path / "program.c"]
    subprocess.run([COMPILER, *options], check=True)
    bundle = SimpleNamespace(start=lambda: (str(program),), sha256="0" * 64)
    ready = replace(target.ready, bundle=bundle)  # type: ignore[arg-type]
    lives = replace(target.lives, ready=ready)
    broken = replace(target, processors=("cortex-a53",), lives=lives, _inspected={})

    ended = _last(broken, TRIAL)

    assert ended.outcome is Outcome.CRASHED
    assert said in ended.reason
    assert not list(Path.cwd().glob("*.core"))


def _last(target: Arm64Target, trial: Trial) -> TrialEnded:
    model, path = shipped_model("digits-s8s8")
    with target.deploy(model, path, None) as on:
        ended = list(target.execute(trial, on))[-1]
    assert isinstance(ended, TrialEnded)
    return ended

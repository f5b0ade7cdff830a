"""Firmware of our own on an emulated Cortex-M4: the same laps, run after run.

The firmware is built here, for bare metal, with a start-up and a UART driver of its
own. Skips where the cross compiler or QEMU is not installed
(gcc-arm-none-eabi, libnewlib-arm-none-eabi, qemu-system-arm).
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.origin import Origin
from harness.domain.plan import Minimum
from harness.domain.profile import Conditions
from harness.domain.query import Outcome, OutputsChecked, Phase, QueryBlock, TrialEnded
from harness.errors import SchemaError, TargetError, Unsupported
from harness.plugins import Address
from harness.targets.mcu import qemu
from harness.targets.mcu.board import McuTarget
from harness.targets.mcu.target import open_target
from harness.testing.builders import a_model, a_profile, a_trial

PEERS = Path(__file__).parents[1] / "peers"
PROGRAMS = ("arm-none-eabi-gcc", "qemu-system-arm")

needs_qemu = pytest.mark.skipif(
    any(shutil.which(one) is None for one in PROGRAMS),
    reason="gcc-arm-none-eabi or qemu-system-arm is not installed",
)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cortex") / "firmware.elf"
    command = [
        "arm-none-eabi-gcc",
        "-mcpu=cortex-m4",
        "-mthumb",
        "-Os",
        "-nostartfiles",
    ]
    command += ["-T", str(PEERS / "mcu_cortex_m4.ld"), "-o", str(made)]
    built = subprocess.run(
        [*command, str(PEERS / "mcu_cortex_m4.c"), "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"no newlib for Arm is installed: {built.stderr[-200:]}")
    return made


@contextmanager
def opened(firmware: Path) -> Iterator[McuTarget]:
    with open_target(Address.parse(f"mcu@qemu:{firmware}"), a_profile()) as target:
        yield target


def a_run(target: McuTarget) -> tuple[list[int], str]:
    """Give the laps of a short trial in ns, and the digest of the outputs."""
    trial = replace(a_trial(), minimum=Minimum(queries=6, duration_ns=0), baseline_ns=0)
    with (
        target.deploy(a_model(), Path("model.onnx"), None) as on,
        target.prepare(Conditions()),
    ):
        events = list(target.execute(trial, on))
    last = events[-1]
    assert isinstance(last, TrialEnded)
    assert last.outcome is Outcome.DONE, last.reason
    laps = [
        end - start
        for event in events
        if isinstance(event, QueryBlock) and event.phase is Phase.MEASURED
        for start, end in zip(event.issued_ns, event.completed_ns, strict=True)
    ]
    return laps, next(e.sha256 for e in events if isinstance(e, OutputsChecked))


@needs_qemu
def test_laps_are_the_same_in_every_query_and_in_every_start(firmware: Path) -> None:
    with opened(firmware) as target:
        first, again = a_run(target), a_run(target)
    with opened(firmware) as target:
        anew = a_run(target)

    laps, _ = first
    assert len(set(laps)) == 1
    assert first == again == anew
    assert 1_000_000 < laps[0] < 100_000_000


@needs_qemu
def test_what_it_measures_is_emulated_and_says_of_what(firmware: Path) -> None:
    with opened(firmware) as target:
        sut = target.identify()

    assert sut.origin is Origin.EMULATED
    assert not sut.origin.is_evidence
    assert sut.facts["machine"] == "mps2-an386"
    assert sut.facts["time"] == "instructions of 32 ns each"
    assert sut.facts["emulator"].startswith("QEMU")
    assert len(sut.facts["firmware_sha256"]) == 64


@needs_qemu
def test_an_emulator_that_does_not_start_is_told_in_its_own_words(
    firmware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old-qemu"
    old.write_text("#!/bin/sh\necho 'unsupported machine type' >&2\nexit 1\n")
    old.chmod(0o755)
    monkeypatch.setattr(qemu, "PROGRAM", str(old))

    with (
        pytest.raises(TargetError, match="did not start: unsupported machine type"),
        opened(firmware),
    ):
        pass


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\x7fELF\x02\x01\x01" + bytes(60), "no ELF file"), (None, "cannot be read")],
)
@needs_qemu
def test_a_file_that_is_no_firmware_for_arm_is_refused(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "x.elf"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SchemaError, match=words), opened(path):
        pass


def test_without_qemu_the_target_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(qemu, "PROGRAM", "qemu-that-is-nowhere")

    with (
        pytest.raises(Unsupported, match="qemu-that-is-nowhere is not installed"),
        opened(tmp_path / "x.elf"),
    ):
        pass

"""An emulated processor by the whole command: counts, and never a time."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.domain.estimate import NEEDS_NO_TIME
from harness.shipped import folder
from harness.testing.arm64bench import why_not

Command = Callable[..., "subprocess.CompletedProcess[str]"]
needs_qemu = pytest.mark.skipif(bool(why_not()), reason=why_not())
TARGET = "arm64@qemu:cortex-a76"
MODEL = folder("models") / "trained" / "digits-s8s8.onnx"


@pytest.fixture(scope="module")
def bundle(duanping: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reports")
    result = duanping(
        "run", "--target", TARGET, "--model", MODEL, "--preset", "rapid",
        "--out", out, "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return Path(json.loads(result.stdout)["bundle"])


@needs_qemu
@pytest.mark.slow
def test_a_run_counts_compares_and_holds_no_time(
    bundle: Path, duanping: Command
) -> None:
    journal = (bundle / "evidence" / "journal.jsonl").read_text()
    derived = json.loads((bundle / "derived" / "estimates.json").read_text())

    names = {one["measurand"]["name"] for one in derived["estimates"]}
    assert "instructions_per_inference" in names
    assert names <= NEEDS_NO_TIME
    assert {one["origin"] for one in derived["estimates"]} == {"emulated"}
    assert '"KernelsCompared"' in journal
    assert not re.search(r'"kind":"(QueryBlock|PhaseEntered|Overhead|Repeats)', journal)
    assert not list((bundle / "evidence" / "traces").iterdir())
    assert duanping("verify", bundle).returncode == 0


@needs_qemu
@pytest.mark.slow
def test_its_report_is_stamped_and_made_again_byte_by_byte(
    bundle: Path, duanping: Command
) -> None:
    page = bundle / "derived" / "report.html"
    first = page.read_bytes()

    result = duanping("report", bundle)

    assert result.returncode == 0, result.stderr
    assert page.read_bytes() == first
    assert first.count("不可作为申报依据".encode()) > 5


@needs_qemu
@pytest.mark.slow
def test_no_recording_of_power_is_laid_beside_it(
    bundle: Path, duanping: Command, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.csv"
    lines = ["Timestamp(ms),Current(uA)", *(f"{10 * n},3000" for n in range(500))]
    trace.write_text("\n".join(lines) + "\n")

    result = duanping("power", bundle, "--trace", f"{trace}?voltage=3.0V&within=30mV")

    assert result.returncode == 2
    assert "no power to record" in result.stderr


@needs_qemu
def test_an_unknown_processor_is_refused_with_the_near_ones(
    duanping: Command, tmp_path: Path
) -> None:
    result = duanping(
        "run", "--target", "arm64@qemu:cortex-a99", "--model", MODEL, "--out", tmp_path
    )

    assert result.returncode == 2
    assert "cortex-a76" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--target", TARGET, "--meter", "rapl@"), "No meter can read"),
        (("--target", TARGET, "--meter", "ppk2@sim:idle-10mW"), "No meter can read"),
        (("--target", TARGET, "--power-trace", "x.csv"), "No meter can read"),
        (("--target", TARGET, "--detached"), "lives on this machine"),
        (("--target", "arm64@gem5:cortex-a76"), "names no processor"),
    ],
)
def test_what_would_give_it_a_time_or_a_power_is_refused(
    duanping: Command, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    result = duanping("run", "--model", MODEL, "--out", tmp_path, *options)

    assert result.returncode == 2
    assert said in " ".join(result.stderr.split())
    assert not list(tmp_path.iterdir())

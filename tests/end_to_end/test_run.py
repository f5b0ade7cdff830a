"""The whole line, as a user walks it: the real command, real files."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def bundle(finished: Path, tmp_path: Path) -> Path:
    """Give a copy of a finished bundle that a test may spoil."""
    copy = tmp_path / finished.name
    shutil.copytree(finished, copy)
    return copy


def test_a_run_leaves_evidence_tables_and_one_page(finished: Path) -> None:
    names = {path.name for path in (finished / "derived").iterdir()}

    assert {"estimates.json", "grade.json", "report.html"} <= names
    assert any(name.endswith(".csv") for name in names)
    assert (finished / "evidence" / "manifest.json").is_file()


def test_an_emulated_run_says_so_on_its_page(finished: Path) -> None:
    page = (finished / "derived" / "report.html").read_text(encoding="utf-8")

    assert "不可作为申报依据" in page
    assert "<script" not in page.lower()
    HTMLParser().feed(page)


def test_every_figure_carries_its_origin(finished: Path) -> None:
    facts = json.loads((finished / "derived" / "estimates.json").read_text())

    origins = {estimate["origin"] for estimate in facts["estimates"]}

    assert origins == {"emulated", "host"}


def test_no_row_is_graded_with_a_figure_of_the_host(finished: Path) -> None:
    grade = json.loads((finished / "derived" / "grade.json").read_text())

    used = {row["estimate"]["origin"] for row in grade["rows"] if row["estimate"]}

    assert used == {"emulated"}


def test_a_report_made_later_is_the_same_bytes(duanping: Command, bundle: Path) -> None:
    before = (bundle / "derived" / "report.html").read_bytes()
    shutil.rmtree(bundle / "derived")

    result = duanping("report", bundle)

    assert result.returncode == 0, result.stderr
    assert (bundle / "derived" / "report.html").read_bytes() == before


def test_a_grade_made_later_is_the_same_bytes(duanping: Command, bundle: Path) -> None:
    before = (bundle / "derived" / "grade.json").read_bytes()

    result = duanping("grade", bundle, "--json")

    assert result.returncode == 0, result.stderr
    assert (bundle / "derived" / "grade.json").read_bytes() == before


def test_a_sound_bundle_verifies(duanping: Command, bundle: Path) -> None:
    result = duanping("verify", bundle)

    assert result.returncode == 0, result.stderr
    assert "Sound" in result.stdout


def test_one_flipped_byte_is_named(duanping: Command, bundle: Path) -> None:
    trace = next((bundle / "evidence" / "traces").glob("*.queries.parquet"))
    data = bytearray(trace.read_bytes())
    data[len(data) // 2] ^= 1
    trace.write_bytes(data)

    result = duanping("verify", bundle)

    assert result.returncode == 4
    assert trace.name in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_file_is_named(duanping: Command, bundle: Path) -> None:
    (bundle / "evidence" / "sut.json").unlink()

    result = duanping("verify", bundle)

    assert result.returncode == 4
    assert "sut.json" in result.stderr


def test_a_bundle_that_was_tampered_with_is_not_graded(
    duanping: Command, bundle: Path
) -> None:
    journal = bundle / "evidence" / "journal.jsonl"
    journal.write_text(journal.read_text().replace("done", "gone", 1))

    result = duanping("grade", bundle)

    assert result.returncode == 4
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("gate", "code"),
    [("A", 1), ("D", 5)],
    ids=["a core row misses it already", "core rows without an answer"],
)
def test_the_gate_tells_no_from_no_answer(
    duanping: Command, bundle: Path, gate: str, code: int
) -> None:
    result = duanping("grade", bundle, "--gate", gate)

    assert result.returncode == code


def test_csv_tables_can_be_read_by_pandas(finished: Path) -> None:
    import pandas as pd  # noqa: PLC0415 - a second to import; only this test needs it

    frame = pd.read_csv(finished / "derived" / "estimates.csv")

    assert {"unit", "origin"} <= set(frame.columns)
    assert len(frame) > 0


def test_a_run_cut_short_by_a_kill_is_readable_and_goes_on(
    small_suite: Path, duanping: Command, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "harness", "run", "--device", "wearable",
            "--suite", small_suite, "--preset", "rapid", "--out", tmp_path,
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("[1/"):
            break
    process.kill()
    process.wait()
    process.stderr.close()
    (cut,) = tmp_path.iterdir()

    before = duanping("verify", cut)
    resumed = duanping("run", "--resume", cut)
    after = duanping("verify", cut)

    assert before.returncode == 4
    assert "--resume" in before.stderr
    assert resumed.returncode == 0, resumed.stderr
    assert after.returncode == 0, after.stderr


def test_one_ctrl_c_keeps_what_was_measured_and_says_how_to_go_on(
    small_suite: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "harness", "run", "--device", "wearable",
            "--suite", small_suite, "--preset", "rapid", "--out", tmp_path,
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("[1/"):
            break
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    process.stderr.close()

    assert process.wait() == 130
    assert "Interrupted; what was measured is kept" in said
    assert "Traceback" not in said

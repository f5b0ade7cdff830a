"""``duanping power`` and ``run --power-trace``, as a person sees them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.run import power_source
from harness.errors import ExitCode, HarnessError
from harness.testing.builders import a_record
from harness.testing.bundles import write_bundle

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_recording_of_an_emulated_run_is_refused_and_the_bundle_stays(
    duanping: Command, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path, a_record(["kws"], runs=1))
    trace = tmp_path / "rec.csv"
    trace.write_text("Timestamp (s),Main Power (W)\n0,1\n1,1\n2,1\n3,1\n")
    option = f"{trace}?voltage=3V&within=30mV"

    done = duanping("power", str(bundle), "--trace", option)

    assert done.returncode == ExitCode.USAGE
    assert "emulated" in done.stderr
    assert not (bundle / "additions").exists()


@pytest.mark.parametrize(
    ("meter", "trace", "sentence"),
    [
        ("ppk2@sim:idle-1mW", "x.csv", "not from both"),
        (None, "x.csv?voltage=3V", "limits within which it lies"),
        (None, "x.csv?meter=abacus", "Nothing is known"),
    ],
)
def test_a_recording_that_cannot_be_used_fails_before_the_run(
    meter: str | None, trace: str, sentence: str
) -> None:
    with pytest.raises(HarnessError, match=sentence):
        power_source(meter, trace)


def test_a_plan_says_that_power_is_recorded_and_by_which_file() -> None:
    assert power_source(None, "/home/me/rec.csv?meter=otii") == "trace@rec.csv"
    assert power_source("rapl@", None) == "rapl@"

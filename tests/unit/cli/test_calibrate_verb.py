"""``duanping calibrate`` and what lab.toml makes of its file, as a person sees them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from harness.cli.calibrate import app
from harness.errors import ExitCode, UsageError
from harness.schema.calibration import load_calibration

Command = Callable[..., "subprocess.CompletedProcess[str]"]
LAB = """\
format = "duanping/lab/1"

[meters.bench]
address = "ppk2@sim:idle-60mW"
calibration = "calibration.toml"
"""


def test_a_simulator_gives_a_calibration_that_says_so_and_that_lab_toml_uses(
    duanping: Command, tmp_path: Path
) -> None:
    done = duanping(
        "calibrate",
        "ppk2@sim:idle-60mW",
        "--load",
        "150Ohm",
        "--tolerance",
        "0.1%",
        "--voltage",
        "3V",
        "--within",
        "5mV",
        "--seconds",
        "2",
        "--ambient",
        "23degC",
        cwd=tmp_path,
    )
    assert done.returncode == ExitCode.OK, done.stderr
    assert "SIMULATED" in done.stdout
    found = load_calibration(tmp_path / "calibration.toml")
    assert found.ambient_degc == 23.0
    assert found.ranges[0].gain == pytest.approx(1.0, rel=0.01)

    (tmp_path / "lab.toml").write_text(LAB)
    watched = duanping("meters", "watch", "bench", "--seconds", "1", cwd=tmp_path)
    assert "SIMULATED calibration" in watched.stdout

    again = duanping(
        "calibrate", "ppk2@sim:idle-60mW", "--against", "ppk2@sim:x", cwd=tmp_path
    )
    assert again.returncode == ExitCode.EQUIPMENT
    assert "never written over" in again.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "needs one reference"),
        (("--load", "100Ohm"), "only with its tolerance"),
        (("--load", "100", "--tolerance", "1%", "--voltage", "3V"), "only with its"),
        (("--tolerance", "1%"), "only with its tolerance"),
    ],
)
def test_a_reference_that_is_not_told_whole_is_asked_for(
    options: tuple[str, ...], sentence: str
) -> None:
    command = get_command(app)

    with pytest.raises(UsageError, match=sentence):
        command.main(["ppk2@sim:idle-60mW", *options], standalone_mode=False)

"""The agent's package: complete, small, and always the same bytes."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

from harness.targets.package import build_package


def test_the_same_modules_give_the_same_bytes() -> None:
    assert build_package().sha256 == build_package().sha256


def test_the_package_says_what_a_board_is_with_no_library_at_all(
    tmp_path: Path,
) -> None:
    with zipfile.ZipFile(io.BytesIO(build_package().data)) as archive:
        archive.extractall(tmp_path)

    done = subprocess.run(
        [sys.executable, "-S", "-P", "-m", "harness.targets.board", "facts"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert '"machine"' in done.stdout
    assert "runtime_version" not in done.stdout  # -S: nothing is installed


def test_every_module_that_the_keeper_and_the_agent_need_is_in_the_package(
    tmp_path: Path,
) -> None:
    with zipfile.ZipFile(io.BytesIO(build_package().data)) as archive:
        archive.extractall(tmp_path)
    code = (
        "import sys; sys.modules['psutil'] = None\n"
        "import harness.targets.board.keeper, harness.agent.serve\n"
        "import harness.runtimes.onnxrt, harness\n"
        "print(harness.__file__)"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.startswith(str(tmp_path))

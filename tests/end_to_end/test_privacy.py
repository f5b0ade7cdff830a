"""Nothing phones home: no socket to the network, no file of a vendor in HOME."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_whole_run_opens_no_socket_and_leaves_no_foreign_file_at_home(
    small_suite: Path, tmp_path: Path
) -> None:
    home, trace = tmp_path / "home", tmp_path / "trace"
    home.mkdir()
    strace = ["strace", "-f", "-qq", "-e", "trace=socket", "-o", str(trace)]
    command = [
        sys.executable, "-m", "harness", "run", "--suite", str(small_suite),
        "--preset", "rapid", "--out", str(tmp_path / "reports"),
    ]  # fmt: skip

    result = subprocess.run(
        strace + command,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert "AF_INET" not in trace.read_text()
    left = {
        path.relative_to(home).parts[:2] for path in home.rglob("*") if path.is_file()
    }
    # matplotlib lists the fonts of the machine there, once
    assert left <= {(".cache", "matplotlib"), (".cache", "duanping")}
